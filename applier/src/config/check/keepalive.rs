//! How the lines are probed.

use std::net::Ipv4Addr;
use std::time::Duration;

use toml::Spanned;

use super::{Checked, refuse};
use crate::config::{Keepalive, Lan, Line, Target, file, value};

/// Unless a timeout is given, no line is called dead sooner than so long after the first probe that
/// went unanswered, however short the interval: healthy gateways take a fifth of a second.
const PATIENCE: Duration = Duration::from_millis(250);

pub(super) fn keepalive(raw: &file::Keepalive, lans: &[Lan], lines: &[Line]) -> Checked<Keepalive> {
    let least = Duration::from_millis(1);
    let interval = match &raw.interval {
        Some(text) => value::duration(text, least)?,
        None => Duration::from_secs(1),
    };
    let count = |number: &Option<Spanned<i64>>, what, default| match number {
        Some(number) => value::number(number, what, 1..1001),
        None => Ok(default),
    };
    let failures = count(&raw.failures, "failures", 2)?;
    Ok(Keepalive {
        interval,
        timeout: match &raw.timeout {
            Some(text) => value::duration(text, least)?,
            None => default_timeout(interval, failures),
        },
        failures,
        successes: count(&raw.successes, "successes", 1)?,
        targets: raw
            .targets
            .iter()
            .map(|text| target(text, lans, lines))
            .collect::<Checked<_>>()?,
    })
}

/// A target that is no host beyond a line says nothing of that, or answers whatever is with the line.
fn target(text: &Spanned<String>, lans: &[Lan], lines: &[Line]) -> Checked<Target> {
    const ADVICE: &str = "write a host beyond the gateways";
    let target = value::target(text)?;
    let address = target.address();
    if let Some(what) = no_host(address) {
        return refuse(
            text,
            format!("{address} cannot be a target: it is {what}; {ADVICE}"),
        );
    }
    let is_own = |line: &&Line| line.address.is_some_and(|own| own.addr() == address);
    if let Some(line) = lines.iter().find(is_own) {
        return refuse(
            text,
            format!(
                "{address} is this router's own address on line {}; {ADVICE}",
                line.name
            ),
        );
    }
    let mut inside = lans
        .iter()
        .flat_map(|lan| lan.inside().map(move |network| (lan, network)));
    let Some((lan, network)) = inside.find(|(_, network)| network.contains(&address)) else {
        return Ok(target);
    };
    let place = if lan.address.addr() == address {
        format!("this router's own address on {}", lan.interface)
    } else if lan.address.trunc() == network {
        format!("in the LAN {network} on {}", lan.interface)
    } else {
        format!("in {network} behind the LAN on {}", lan.interface)
    };
    refuse(text, format!("{address} is {place}; {ADVICE}"))
}

/// What an address is that no host beyond a line has (RFC 6890, section 2.2.2; RFC 5771).
fn no_host(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets()[0] {
        0 => Some("of this network (0.0.0.0/8)"),
        127 => Some("this router's own (127.0.0.0/8)"),
        224..=239 => Some("a multicast address"),
        _ if address.is_broadcast() => Some("the broadcast address"),
        240.. => Some("reserved (240.0.0.0/4)"),
        _ => None,
    }
}

/// The timeout where none is written.
pub(crate) fn default_timeout(interval: Duration, failures: u32) -> Duration {
    let before_last = interval.saturating_mul(failures.saturating_sub(1));
    interval.max(PATIENCE.saturating_sub(before_last))
}
