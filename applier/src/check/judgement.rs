//! From facts to findings.

use super::behind::behind_lans;
use super::facts::{Facts, other};
use super::{Feature, Finding, Level};
use crate::clashes::clashes;
use crate::config::{Config, Established, Line, Spread};
use crate::desired::network_shared_with;
use crate::difference::{Unfeasible, difference};
use crate::kept::Undescribed;
use crate::resolve::{Lack, Resolved, resolve};
use crate::state::{DeviceSetting, GlobalSetting, NeighbourSetting, Setting};
use crate::status::is_applied;
use crate::verdicts::Verdicts;

const NET_ADMIN: &str = "run it as root, or with CAP_NET_ADMIN in this network namespace";
const NET_RAW: &str = "the keepalive's probes are frames; run it as root, or with CAP_NET_RAW in this network \
     namespace";
const STRICT: u32 = 1;

/// What was looked at, and how it is; of the configuration too where there is one.
pub fn findings(config: Option<&Config>, facts: &Facts) -> Vec<Finding> {
    let mut findings = permissions(facts);
    findings.extend(routing(config, facts));
    findings.extend(nftables(config, facts));
    findings.extend(conntrack(facts));
    if let Some(config) = config {
        let now = resolve(config, &facts.state, &facts.gateways);
        findings.extend(interfaces(config, facts));
        findings.extend(behind_lans(config, facts));
        findings.extend(lines(&now, facts));
        findings.extend(undescribed(&now, facts));
        findings.extend(source_validation(&now.config, facts));
        findings.extend(ipv6(config, facts));
        findings.extend(others(&now.config, facts));
    }
    findings.push(keepalive(facts));
    findings
}

fn permissions(facts: &Facts) -> Vec<Finding> {
    let admin = Finding::needed(!facts.forbidden, "CAP_NET_ADMIN", NET_ADMIN);
    let raw = match &facts.no_packet_socket {
        None => Finding::ok("CAP_NET_RAW"),
        Some(why) => Finding::new(Level::Missing, "CAP_NET_RAW", format!("{why}; {NET_RAW}")),
    };
    let writing = match &facts.no_writing {
        None => Finding::ok("/proc/sys/net can be written"),
        Some(why) => Finding::new(
            Level::Missing,
            "/proc/sys/net",
            format!(
                "{why}; in a container make it writable (podman run --security-opt \
                 unmask=/proc/sys, docker --security-opt systempaths=unconfined), in a systemd \
                 unit leave ProtectKernelTunables off, or set what `multiwan plan` prints outside"
            ),
        ),
    };
    vec![admin, raw, writing]
}

/// Rules, tables, multipath and how it hashes.
fn routing(config: Option<&Config>, facts: &Facts) -> Vec<Finding> {
    let found = &facts.state;
    let has = |setting| found.settings.contains_key(&Setting::Global(setting));
    let rules = Finding::needed(
        !found.rules.is_empty(),
        "policy routing",
        "the kernel has no rules; it needs CONFIG_IP_ADVANCED_ROUTER and \
         CONFIG_IP_MULTIPLE_TABLES",
    );
    let multipath = Finding::needed(
        has(GlobalSetting::HashPolicy),
        "multipath routes",
        "there is no net.ipv4.fib_multipath_hash_policy; the kernel needs \
         CONFIG_IP_ROUTE_MULTIPATH",
    );
    let mut findings = vec![rules, multipath];
    if !has(GlobalSetting::UseNeighbours) {
        findings.push(Finding::new(
            Level::Missing,
            "net.ipv4.fib_multipath_use_neigh",
            "the kernel cannot leave out silent gateways; it needs CONFIG_IP_ROUTE_MULTIPATH",
        ));
    }
    let wanted = config.is_some_and(|config| config.spread == Spread::Connection);
    findings.push(match (has(GlobalSetting::HashFields), wanted) {
        (true, _) => Finding::ok("net.ipv4.fib_multipath_hash_fields"),
        (false, false) => Finding::new(
            Level::Note,
            "net.ipv4.fib_multipath_hash_fields",
            "Linux 5.14 and newer have it; spread = \"connection\" would go without",
        ),
        (false, true) => Finding::new(
            Level::Warning,
            "net.ipv4.fib_multipath_hash_fields",
            "Linux 5.14 and newer have it; spread = \"connection\" uses hash policy 1 instead, \
             which may place a connection by what the card or the sender hashed",
        ),
    });
    findings.push(if facts.others.contains_key(other::HASH_SEED) {
        Finding::ok("net.ipv4.fib_multipath_hash_seed")
    } else {
        Finding::new(
            Level::Note,
            "net.ipv4.fib_multipath_hash_seed",
            "Linux 6.11 and newer have it; nothing here needs it, tests cannot repeat a spread \
             exactly without",
        )
    });
    findings
}

fn nftables(config: Option<&Config>, facts: &Facts) -> Vec<Finding> {
    if facts.forbidden {
        return vec![Finding::new(
            Level::Note,
            "nftables",
            format!("could not be tried; {NET_ADMIN}"),
        )];
    }
    let shares_card = config.is_some_and(|config| {
        let mut cards: Vec<_> = config.lines.iter().map(|line| &line.interface).collect();
        cards.sort();
        cards.windows(2).any(|two| two[0] == two[1])
    });
    let resets = config.is_some_and(|config| config.established != Established::Prohibit);
    let judge = |feature: Feature| {
        let refused = facts.refused.iter().find(|(one, _)| *one == feature);
        let Some((_, words)) = refused else {
            return Finding::ok(feature.name());
        };
        let needed = match feature {
            Feature::Nexthop => shares_card,
            Feature::Reject => resets,
            other => other.only_for().is_none(),
        };
        let (level, only) = match feature.only_for() {
            Some(only) if !needed => (Level::Note, format!(" for {only}")),
            _ => (Level::Missing, String::new()),
        };
        let config = feature.config();
        Finding::new(
            level,
            feature.name(),
            format!("{words}; the kernel needs {config}, or its module loaded{only}"),
        )
    };
    Feature::ALL.into_iter().map(judge).collect()
}

/// A full table drops every new connection.
fn conntrack(facts: &Facts) -> Option<Finding> {
    let what = "connection tracking's table";
    let most = *facts.others.get(other::CONNTRACK_MAX)?;
    let count = *facts.others.get(other::CONNTRACK_COUNT)?;
    Some(if count.saturating_mul(10) < most.saturating_mul(8) {
        Finding::ok(what)
    } else {
        Finding::new(
            Level::Warning,
            what,
            format!(
                "{count} of {most} entries are taken, and a full one refuses new connections; \
                 raise net.netfilter.nf_conntrack_max"
            ),
        )
    })
}

fn interfaces(config: &Config, facts: &Facts) -> Vec<Finding> {
    let lans = config
        .lans
        .iter()
        .map(|lan| (lan.interface.as_str(), Level::Missing));
    // The keepalive sets a line up when its interface comes.
    let lines = config
        .lines
        .iter()
        .map(|line| (line.interface.as_str(), Level::Warning));
    let mut names: Vec<(&str, Level)> = lans.chain(lines).collect();
    names.dedup();
    let mut findings: Vec<Finding> = names
        .into_iter()
        .map(|(name, absent)| interface(name, absent, facts))
        .collect();
    findings.extend(config.lines.iter().filter_map(|line| timers(line, facts)));
    findings
}

fn interface(name: &str, absent: Level, facts: &Facts) -> Finding {
    let what = format!("interface {name}");
    match facts.devices.get(name) {
        None => {
            let says = "it is not there; `ip link` shows those that are";
            Finding::new(absent, what, says)
        }
        Some(device) if device.up && !device.carrier => {
            let says = "it has no carrier; is it plugged in, is the modem on?";
            Finding::new(Level::Warning, what, says)
        }
        Some(device) if !device.up && is_applied(&facts.state) => {
            Finding::new(Level::Warning, what, "it was set down")
        }
        Some(_) => Finding::ok(what),
    }
}

/// What dynamic lines have now, and what lines lack whose interfaces are there.
fn lines(now: &Resolved, facts: &Facts) -> Vec<Finding> {
    let there = |line: &&Line| facts.devices.contains_key(&line.interface);
    let judge = |line: &Line| {
        let what = format!("line {}", line.name);
        let until = "until then the line gets nothing";
        match now.lacking.get(&line.name) {
            None if line.dynamic => Some(Finding::new(Level::Ok, what, has(line))),
            None => None,
            Some(_) if !line.dynamic => Some(Finding::new(
                Level::Missing,
                what,
                Unfeasible::NoGateway(line.name.clone()).to_string(),
            )),
            Some(lack @ Lack::Address) => Some(Finding::new(
                Level::Warning,
                what,
                format!("{lack} yet; its DHCP client or PPP must put one there, {until}"),
            )),
            Some(lack @ Lack::Gateway) => Some(Finding::new(
                Level::Warning,
                what,
                format!(
                    "{lack}; the DHCP client must put a default route there, or write gateway = \
                     \"…\", {until}"
                ),
            )),
            Some(lack @ Lack::Room) => Some(Finding::new(
                Level::Warning,
                what,
                format!("{lack}; one of the two networks must change, {until}"),
            )),
        }
    };
    now.config
        .lines
        .iter()
        .filter(there)
        .filter_map(judge)
        .collect()
}

/// `has 100.64.1.2/24 by gateway 100.64.1.1 now`.
fn has(line: &Line) -> String {
    let address = line.address.map(|net| net.to_string()).unwrap_or_default();
    match line.gateway {
        Some(gateway) => format!("has {address} by gateway {gateway} now"),
        None => format!("has {address} now, and no gateway: all goes to the other end"),
    }
}

/// Addresses that `apply` takes away.
fn undescribed(now: &Resolved, facts: &Facts) -> Vec<Finding> {
    let wanted = now.desired(&now.verdicts(&Verdicts::default()));
    let changes = difference(&facts.state, &wanted);
    let taken = Undescribed::taken(&changes, &now.config, &facts.put).into_iter();
    taken
        .map(|address| {
            Finding::new(
                Level::Warning,
                address.place(),
                format!("`apply` takes it away: {address}"),
            )
        })
        .collect()
}

/// Neighbour timers that follow the keepalive's are the kernel's own safety net.
fn timers(line: &Line, facts: &Facts) -> Option<Finding> {
    facts.devices.get(&line.interface)?;
    let timers = [
        NeighbourSetting::RetransTime,
        NeighbourSetting::UcastSolicit,
        NeighbourSetting::McastSolicit,
    ];
    let key = |timer| Setting::Neighbour(line.interface.clone(), timer);
    let missing: Vec<&str> = timers
        .into_iter()
        .filter(|timer| !facts.state.settings.contains_key(&key(*timer)))
        .map(NeighbourSetting::sysctl)
        .collect();
    (!missing.is_empty()).then(|| {
        Finding::new(
            Level::Note,
            format!("neighbour timers of {}", line.interface),
            format!(
                "there is no {}; a silent gateway is left out by the keepalive alone",
                missing.join(", ")
            ),
        )
    })
}

/// Strict source validation asks the routing tables for the way back: it does not find it without the
/// mark, and where two cards are in one network it finds that of one of them alone.
fn source_validation(config: &Config, facts: &Facts) -> Vec<Finding> {
    let all = |path| facts.others.get(path).copied().unwrap_or(0);
    let of = |line: &Line, setting| {
        let key = Setting::Device(line.interface.clone(), setting);
        facts.state.settings.get(&key).copied()
    };
    let judge = |line: &Line| {
        let device = of(line, DeviceSetting::RpFilter)?;
        let filter = u64::from(device).max(all(other::RP_FILTER_ALL));
        let marked =
            of(line, DeviceSetting::SrcValidMark)? != 0 || all(other::SRC_VALID_MARK_ALL) != 0;
        let what = format!("source validation on {}", line.interface);
        let strict = filter == u64::from(STRICT);
        let beside = network_shared_with(config, line).filter(|_| strict);
        Some(if let Some(other) = beside {
            let (card, beside) = (&line.interface, &other.interface);
            Finding::new(
                Level::Warning,
                what,
                format!(
                    "rp_filter is strict, and {beside} is in the same network: main leads there by one of the \
                     cards, and what a gateway there sends to the other, ARP too, is dropped; set \
                     net.ipv4.conf.{card}.rp_filter=2 (loose)"
                ),
            )
        } else if strict && !marked && is_applied(&facts.state) {
            Finding::new(
                Level::Warning,
                what,
                "rp_filter is strict and src_valid_mark is 0, so that answers are dropped; \
                 `multiwan apply` sets src_valid_mark",
            )
        } else {
            Finding::ok(what)
        })
    };
    config.lines.iter().filter_map(judge).collect()
}

/// IPv6 is left alone, and so passes by all of this.
fn ipv6(config: &Config, facts: &Facts) -> Vec<Finding> {
    let mut interfaces: Vec<&str> = config
        .lines
        .iter()
        .map(|line| line.interface.as_str())
        .collect();
    interfaces.dedup();
    interfaces
        .into_iter()
        .filter_map(|interface| {
            let addresses = facts.ipv6.get(interface).map_or(&[][..], Vec::as_slice);
            let default = facts.ipv6_defaults.contains(interface);
            let first = addresses.first().map(|address| format!("has {address}"));
            let has = match (first, default) {
                (None, false) => return None,
                (Some(first), false) => first,
                (None, true) => "has a default route".to_owned(),
                (Some(first), true) => format!("{first} and a default route"),
            };
            Some(Finding::new(
                Level::Warning,
                format!("IPv6 on {interface}"),
                format!(
                    "it {has}: multiwan leaves IPv6 alone, so that it is neither spread nor kept \
                     from a dead line; switch it off there (net.ipv6.conf.{interface}.disable_ipv6\
                     =1) or route it by other means"
                ),
            ))
        })
        .collect()
}

/// What others have in the kernel.
fn others(config: &Config, facts: &Facts) -> impl Iterator<Item = Finding> + use<> {
    let clashes = clashes(config, &facts.surroundings).into_iter();
    clashes.map(|clash| {
        let level = if clash.is_harmless() {
            Level::Note
        } else {
            Level::Warning
        };
        Finding::new(level, "beside multiwan", clash.to_string())
    })
}

fn keepalive(facts: &Facts) -> Finding {
    let (level, says) = match &facts.keepalive {
        Some(running) => {
            let pid = running.pid.map(|pid| format!(" as process {pid}"));
            (Level::Ok, format!("runs{}", pid.unwrap_or_default()))
        }
        None => (
            Level::Note,
            "none runs here; `multiwan keepalive` or `multiwan run` watches the lines".to_owned(),
        ),
    };
    Finding::new(level, "keepalive", says)
}
