//! Which of the lab's addresses and ports no pin is about: what shares lines, and what a pin decides,
//! are different promises.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan::config::{Config, Pin, Target};

use super::pairs::halves;

/// What becomes of a configuration's pins in a lab for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pins {
    /// No address of the lab's is in one, as far as that can be.
    Avoided,
    /// The lab has what they are about.
    Met,
}

/// Where the lab's servers are, if nothing is in the way (RFC 2544).
const USUAL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15);

/// The network that the lab's Internet answers for.
///
/// # Errors
///
/// When there is none that is as the targets and pins ask for.
pub(super) fn servers(config: &Config, pins: Pins) -> Result<Ipv4Net, String> {
    let around = |address: Ipv4Addr| Ipv4Net::new_assert(address, USUAL.prefix_len()).trunc();
    let targets = &config.keepalive.targets;
    let asked = || targets.iter().map(Target::address);
    let destinations = || config.pins.iter().filter_map(|pin| pin.to);
    // Somebody else's, all of them: nothing leaves the lab.
    let elsewhere = (20..100).map(|first| Ipv4Addr::new(first, 0, 0, 0));
    let to = destinations().map(|to| to.addr());
    let mut there = std::iter::once(USUAL.addr())
        .chain(asked())
        .chain(to)
        .chain(elsewhere)
        .map(around)
        .filter(|net| !in_use(config).any(|used| overlap(used, *net)));
    // One answer is enough.
    let answers = |net: &Ipv4Net| targets.is_empty() || asked().any(|target| net.contains(&target));
    let fits = |net: &Ipv4Net| match pins {
        Pins::Avoided => !destinations().any(|to| overlap(to, *net)),
        Pins::Met => {
            destinations().all(|to| net.contains(&to)) && leaves_servers(destinations(), *net)
        }
    };
    if let Some(net) = there.find(|net| answers(net) && fits(net)) {
        return Ok(net);
    }
    Err(match (asked().next(), pins) {
        (Some(target), _) if in_use(config).any(|used| overlap(used, around(target))) => {
            format!("{target} is too near to the lines' own addresses for the lab to answer as it")
        }
        (_, Pins::Avoided) => "all that the lab's Internet could be is pinned".to_owned(),
        (_, Pins::Met) => format!(
            "its Internet is a /{}, and has not all that is pinned beside what is not",
            USUAL.prefix_len()
        ),
    })
}

/// Networks that are no part of the Internet.
fn in_use(config: &Config) -> impl Iterator<Item = Ipv4Net> {
    // The lab's own, between modems and Internet, and what its providers give out (RFC 6598).
    let own = [
        Ipv4Net::new_assert(Ipv4Addr::new(10, 255, 0, 0), 24),
        Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    ];
    let lans = config.lans.iter().map(|lan| lan.address);
    let lines = config.lines.iter().filter_map(|line| line.address);
    let gateways = config.lines.iter().filter_map(|line| line.gateway);
    own.into_iter()
        .chain(lans)
        .chain(lines)
        .chain(gateways.map(Ipv4Net::from))
}

/// Whether both halves of the servers have some that no pin is about.
fn leaves_servers(pinned: impl Iterator<Item = Ipv4Net>, servers: Ipv4Net) -> bool {
    let pinned = Ipv4Net::aggregate(&pinned.collect());
    let all = |half: &Ipv4Net| pinned.iter().any(|net| net.contains(half));
    !halves(servers).iter().any(all)
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// The pins that only their sources keep apart from the rest of the traffic: no address of another's
/// choice, nor a port, does.
fn by_source(config: &Config) -> impl Iterator<Item = &Pin> {
    let pins = config.pins.iter();
    pins.filter(|pin| pin.to.is_none() && pin.port.is_none())
}

/// Sources all of whose traffic, or all of whose traffic by some protocol, is pinned.
pub(super) fn sources(config: &Config) -> Vec<Ipv4Net> {
    by_source(config).filter_map(|pin| pin.from).collect()
}

/// Ports that are pinned, whatever address they are at.
pub(super) fn ports(config: &Config) -> Vec<u16> {
    config.pins.iter().filter_map(|pin| pin.port).collect()
}

/// Destinations that are pinned.
pub(super) fn destinations(config: &Config) -> Vec<Ipv4Net> {
    config.pins.iter().filter_map(|pin| pin.to).collect()
}

/// Whether there is traffic that no pin is about; if not, which pin leaves none.
///
/// # Errors
///
/// What that pin is like.
pub(super) fn leave_some(config: &Config) -> Result<(), String> {
    if let Some(pin) = by_source(config).find(|pin| pin.from.is_none()) {
        return Err(format!(
            "all that the lab's hosts send by one of its protocols is pinned to {}",
            pin.line
        ));
    }
    let own = |pin: &&Pin| {
        let mut lines = config.lines.iter().filter_map(|line| line.address);
        lines.any(|line| pin.from.is_some_and(|from| from.contains(&line.addr())))
    };
    match by_source(config).find(own) {
        Some(pin) => Err(format!(
            "all that the router itself sends by a line is pinned to {}",
            pin.line
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::TWO_LINES;

    fn with(targets: &str, pins: &[&str]) -> Config {
        let keepalive = format!("[keepalive]\ntargets = [{targets}]");
        let mut text = TWO_LINES.toml.replace("[keepalive]", &keepalive);
        for pin in pins {
            text.push_str(&format!("\n[[pin]]\nline = \"dsl2\"\n{pin}\n"));
        }
        Config::parse(&text, "test.toml").unwrap()
    }

    fn found(targets: &str, pins: &[&str], what: Pins) -> Result<String, String> {
        servers(&with(targets, pins), what).map(|net| net.to_string())
    }

    #[test]
    fn the_internet_is_where_the_targets_are() {
        for (targets, net) in [
            ("", "198.18.0.0/15"),
            ("\"198.19.0.53\"", "198.18.0.0/15"),
            ("\"8.8.8.8\", \"1.1.1.1\"", "8.8.0.0/15"),
            ("\"dns:9.9.9.9\", \"tcp:1.1.1.1:443\"", "9.8.0.0/15"),
            // As near to the first line as this, it would be in its own network.
            ("\"198.51.100.53\", \"8.8.8.8\"", "8.8.0.0/15"),
        ] {
            assert_eq!(found(targets, &[], Pins::Avoided).as_deref(), Ok(net));
        }
        let error = found("\"198.51.200.53\"", &[], Pins::Avoided).unwrap_err();
        assert!(error.contains("198.51.200.53 is too near"), "{error}");
    }

    #[test]
    fn the_internet_is_where_the_pins_are_or_where_they_are_not() {
        let one = &["to = \"198.18.0.53\""][..];
        assert_eq!(found("", one, Pins::Met).as_deref(), Ok("198.18.0.0/15"));
        assert_eq!(found("", one, Pins::Avoided).as_deref(), Ok("20.0.0.0/15"));
        let other = &["to = \"9.9.9.0/24\"\nprotocol = \"udp\""][..];
        assert_eq!(found("", other, Pins::Met).as_deref(), Ok("9.8.0.0/15"));
        assert_eq!(
            found("", other, Pins::Avoided).as_deref(),
            Ok("198.18.0.0/15")
        );
        let two = &["to = \"9.9.9.9\"", "to = \"8.8.8.8\""][..];
        assert!(
            found("", two, Pins::Met)
                .unwrap_err()
                .contains("not all that is pinned")
        );
        for all in [
            &["to = \"198.18.0.0/15\""][..],
            &["to = \"198.19.0.0/17\"", "to = \"198.19.128.0/17\""],
        ] {
            let error = found("", all, Pins::Met).unwrap_err();
            assert!(error.contains("beside what is not"), "{error}");
        }
        let target = found("\"9.9.9.10\"", other, Pins::Avoided).unwrap_err();
        assert!(target.contains("is pinned"), "{target}");
    }

    #[test]
    fn what_leaves_nothing_unpinned_is_said() {
        for (pin, why) in [
            (
                "protocol = \"udp\"",
                "by one of its protocols is pinned to dsl2",
            ),
            (
                "protocol = \"icmp\"",
                "by one of its protocols is pinned to dsl2",
            ),
            ("from = \"198.51.100.2\"", "the router itself sends"),
        ] {
            let error = leave_some(&with("", &[pin])).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        for pin in [
            "protocol = \"udp\"\nport = 53",
            "from = \"192.0.2.7\"",
            "from = \"198.51.100.2\"\nprotocol = \"tcp\"\nport = 25",
            "to = \"0.0.0.0/1\"\nprotocol = \"icmp\"",
        ] {
            assert_eq!(leave_some(&with("", &[pin])), Ok(()), "{pin}");
        }
    }
}
