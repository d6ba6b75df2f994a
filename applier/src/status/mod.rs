//! How the lines fare: the keepalive's verdicts, what the kernel holds and has counted, and how
//! far it has drifted from the described configuration.

mod counts;
mod metrics;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use ipnet::Ipv4Net;
use serde::Serialize;

use crate::absent::Absent;
use crate::config::{Config, Lan, Line};
use crate::difference::{difference, feasible};
use crate::gateways::Gateways;
use crate::kernel::{Device, Traffic};
use crate::resolve::resolve;
use crate::runtime::{Counted, Probes, RunningKeepalive, as_rfc3339};
use crate::state::{Hop, Rule, State};
use crate::verdicts::Verdicts;

/// What can be seen of a network namespace, as far as it concerns several lines.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What the kernel holds; without the table of nftables where `hidden` says why.
    pub state: State,
    /// Why the table of nftables could not be read.
    pub hidden: Option<String>,
    /// All interfaces.
    pub devices: BTreeMap<String, Device>,
    /// The keepalive, where one runs.
    pub keepalive: Option<RunningKeepalive>,
    /// What it has counted.
    pub counted: Option<Counted>,
    /// The gateways that dynamic lines had last.
    pub gateways: Gateways,
}

/// How the lines fare. Keys of its JSON are added, never renamed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// 1.
    pub schema: u32,
    /// The keepalive of this network namespace; none where none runs.
    pub keepalive: Option<Keepalive>,
    /// What the keepalive has counted, but for its lines.
    #[serde(skip)]
    pub counted: Option<Counted>,
    /// How far the kernel is from what is described.
    pub drift: Drift,
    /// The lines, in the order of the configuration.
    pub lines: Vec<LineStatus>,
    /// The LANs, in the order of the configuration.
    pub lans: Vec<LanStatus>,
}

/// A keepalive that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Keepalive {
    /// Its process, where it can be known.
    pub pid: Option<u32>,
}

/// How far the kernel is from what the configuration and the keepalive's verdicts ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Drift {
    /// Whether anything differs; unknown where not all could be compared, and nothing of the rest
    /// does.
    pub drifted: Option<bool>,
    /// What `apply` would do about it, as `plan` prints it.
    pub changes: Vec<String>,
    /// What could not be compared, and why.
    pub unknown: Option<String>,
}

/// How one line fares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LineStatus {
    /// The line's name.
    pub name: String,
    /// Its number, which its table and mark have too.
    pub number: u8,
    /// Its interface.
    pub interface: String,
    /// `up`, `suspect`, `dead` or `returning`, as the keepalive has it; `unwatched` without one.
    pub state: String,
    /// Since when it is in that state.
    #[serde(serialize_with = "since")]
    pub since: Option<SystemTime>,
    /// Why, as a sentence.
    pub reason: String,
    /// `up`, `down` (as the administrator wants it), `no-carrier` or `missing`.
    pub link: &'static str,
    /// Whether it gets new connections only while no other line is up.
    pub backup: bool,
    /// Its weight, in smallest terms.
    pub weight: u16,
    /// The addresses that its interface has.
    pub addresses: Vec<Ipv4Net>,
    /// Its gateway; none on point-to-point devices.
    pub gateway: Option<Ipv4Addr>,
    /// Its share of new connections.
    pub share: Share,
    /// Connections that came in by it since the table of nftables was put there; none where that
    /// cannot be read.
    pub incoming_connections: Option<u64>,
    /// What the keepalive's probes came to; none without one.
    pub probes: Option<Probes>,
    /// What its interface has received.
    pub received: Traffic,
    /// What its interface has sent.
    pub sent: Traffic,
}

/// How one LAN fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LanStatus {
    /// Its interface.
    pub interface: String,
    /// As a [line's](LineStatus::link).
    pub link: &'static str,
    /// The router's address there, as it is described.
    pub address: Ipv4Net,
}

/// A line's share of the new connections that leave, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Share {
    /// By the weights of those lines that get new connections now.
    pub expected: f64,
    /// Of those counted since the table of nftables was put there; none where there are none or
    /// they cannot be read. Pinned ones and the router's own count too.
    pub seen: Option<f64>,
    /// How many those were on this line.
    pub new_connections: Option<u64>,
}

impl Status {
    /// From what can be seen.
    pub fn of(config: &Config, seen: &Seen) -> Self {
        let verdicts = seen
            .keepalive
            .as_ref()
            .map(RunningKeepalive::verdicts)
            .unwrap_or_default();
        let now = resolve(config, &seen.state, &seen.gateways);
        let absent = Absent::of(config, &seen.state);
        let config = &now.config;
        let verdicts = absent.verdicts(now.verdicts(&verdicts));
        let mut wanted = now.desired(&verdicts);
        if seen.keepalive.is_some() {
            // It waits for them.
            absent.leave_out_of(&mut wanted);
        }
        let counted: Vec<Option<counts::Counts>> = config
            .lines
            .iter()
            .map(|line| counts::of(seen.state.firewall.as_ref()?, config, line))
            .collect();
        let all: u64 = counted.iter().flatten().map(|counts| counts.new).sum();
        let lines = config.lines.iter().zip(counted).map(|(line, counts)| {
            let share = Share {
                expected: expected(config, line, &wanted),
                seen: counts.and_then(|counts| fraction(counts.new, all)),
                new_connections: counts.map(|counts| counts.new),
            };
            LineStatus {
                incoming_connections: counts.map(|counts| counts.incoming),
                share,
                ..line_status(config, line, seen)
            }
        });
        Self {
            schema: 1,
            keepalive: seen
                .keepalive
                .as_ref()
                .map(|running| Keepalive { pid: running.pid }),
            counted: seen.counted.clone(),
            drift: Drift::of(config, &verdicts, &wanted, seen),
            lines: lines.collect(),
            lans: config
                .lans
                .iter()
                .map(|lan| lan_status(lan, seen))
                .collect(),
        }
    }
}

impl Status {
    /// One JSON object, with a newline at its end.
    pub fn json(&self) -> String {
        // Maps have strings for keys here, so that nothing can fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

fn line_status(config: &Config, line: &Line, seen: &Seen) -> LineStatus {
    let remembered = seen
        .keepalive
        .as_ref()
        .and_then(|running| running.lines.iter().find(|held| held.name == line.name));
    let (state, since, reason) = match (remembered, &seen.keepalive) {
        (Some(held), _) => (&*held.state, Some(held.since), &*held.reason),
        (None, Some(_)) => ("unwatched", None, "the running keepalive does not know it"),
        (None, None) => ("unwatched", None, "no keepalive runs"),
    };
    let device = seen.devices.get(&line.interface);
    LineStatus {
        name: line.name.clone(),
        number: line.number,
        interface: line.interface.clone(),
        state: state.to_owned(),
        since,
        reason: reason.to_owned(),
        link: link(device),
        backup: line.backup,
        weight: line.weight,
        addresses: addresses(line, &seen.state),
        gateway: hop_of(config, line, &seen.state)
            .and_then(|hop| hop.gateway)
            .or(line.gateway),
        share: Share::default(),
        incoming_connections: None,
        probes: seen
            .counted
            .as_ref()
            .and_then(|counted| counted.lines.get(&line.name).copied()),
        received: device.map(|device| device.received).unwrap_or_default(),
        sent: device.map(|device| device.sent).unwrap_or_default(),
    }
}

fn lan_status(lan: &Lan, seen: &Seen) -> LanStatus {
    LanStatus {
        interface: lan.interface.clone(),
        link: link(seen.devices.get(&lan.interface)),
        address: lan.address,
    }
}

fn link(device: Option<&Device>) -> &'static str {
    match device {
        None => "missing",
        Some(device) if !device.up => "down",
        Some(device) if !device.carrier => "no-carrier",
        Some(_) => "up",
    }
}

/// Those in the line's network where it has a fixed one, else all of its interface.
fn addresses(line: &Line, found: &State) -> Vec<Ipv4Net> {
    let on_interface = found
        .addresses
        .iter()
        .filter(|address| address.interface == line.interface);
    on_interface
        .map(|address| address.address)
        .filter(|address| line.address.is_none_or(|net| net.contains(&address.addr())))
        .collect()
}

/// The way of the line's own default route.
fn hop_of<'a>(config: &Config, line: &Line, state: &'a State) -> Option<&'a Hop> {
    let table = config.kernel.table(line.number);
    let mut routes = state.routes.iter().filter(|route| route.table == table);
    routes.find_map(|route| route.hops().first())
}

fn expected(config: &Config, line: &Line, wanted: &State) -> f64 {
    let hops = wanted
        .routes
        .iter()
        .filter(|route| route.table == config.kernel.balance_table)
        .flat_map(|route| route.hops());
    let own = hop_of(config, line, wanted);
    let (mut its, mut all) = (0, 0);
    for hop in hops {
        all += u64::from(hop.weight);
        if own.is_some_and(|own| own.same_way(hop)) {
            its += u64::from(hop.weight);
        }
    }
    fraction(its, all).unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn fraction(part: u64, all: u64) -> Option<f64> {
    (all != 0).then(|| part as f64 / all as f64)
}

impl Drift {
    fn of(config: &Config, verdicts: &Verdicts, wanted: &State, seen: &Seen) -> Self {
        let mut wanted = wanted.clone();
        // What a keepalive finds down it leaves down.
        wanted.links.retain(|interface, _| {
            let lines = || config.lines.iter().filter(|l| l.interface == *interface);
            lines().count() == 0 || lines().any(|line| verdicts.is_up(&line.name))
        });
        let mut found = seen.state.clone();
        if seen.hidden.is_some() {
            found.firewall.clone_from(&wanted.firewall);
        }
        match feasible(wanted, &found) {
            Ok(wanted) => {
                let changes = difference(&found, &wanted);
                Self {
                    drifted: match (changes.is_empty(), &seen.hidden) {
                        (true, Some(_)) => None,
                        (unchanged, _) => Some(!unchanged),
                    },
                    changes: changes.steps().iter().map(ToString::to_string).collect(),
                    unknown: seen.hidden.clone(),
                }
            }
            Err(missing) => Self {
                drifted: Some(true),
                changes: Vec::new(),
                unknown: Some(missing.to_string()),
            },
        }
    }
}

/// Whether `apply` has been here: a rule of multiwan's is there.
pub(crate) fn is_applied(found: &State) -> bool {
    found.rules.iter().any(Rule::is_ours)
}

fn since<S: serde::Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => as_rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}
