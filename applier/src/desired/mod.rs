//! From the described configuration and the verdicts to what a kernel should hold.
//!
//! Nothing here asks a kernel: what one of them cannot hold, or need not, is settled by
//! [`crate::difference`].

mod firewall;
mod routing;
mod settings;

#[cfg(test)]
mod tests;

pub(crate) use firewall::{
    COUNTS_INCOMING, COUNTS_NEW, REFUSES, RESTORES, TABLE, TELL_TCP, TRANSLATES, known_by,
    refused_by, refusing,
};
pub(crate) use settings::{HASH_CONNECTIONS, HASH_FIELDS, HASH_PAIRS, network_shared_with};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::Mark;

use crate::config::{Config, Line};
use crate::state::{Address, Link, State};
use crate::verdicts::Verdicts;

/// What a kernel should hold with this configuration while the lines fare so.
///
/// Interfaces of dead lines need not be there; those of live ones, of LANs, and lo, must.
pub fn desired(config: &Config, verdicts: &Verdicts) -> State {
    desired_with(config, verdicts, &Mtus::new())
}

/// How long a packet each line's interface takes, in bytes, as far as it is known.
pub type Mtus = BTreeMap<String, u32>;

/// As [`desired`], where what comes in by a line is held to what its interface takes.
pub fn desired_with(config: &Config, verdicts: &Verdicts, mtus: &Mtus) -> State {
    let state = described(config, verdicts, mtus);
    match SPOILT.get() {
        Some(spoil) => spoil(state),
        None => state,
    }
}

/// From now on [`desired_with`] gives what `spoil` makes of it, in all of this process: so a suite has
/// this very applier make a mistake on purpose, and its keepalive keep to it. The first call counts.
#[doc(hidden)]
pub fn spoil(spoil: impl Fn(State) -> State + Send + Sync + 'static) {
    let _ = SPOILT.set(Box::new(spoil));
}

type Spoil = dyn Fn(State) -> State + Send + Sync;

static SPOILT: OnceLock<Box<Spoil>> = OnceLock::new();

fn described(config: &Config, verdicts: &Verdicts, mtus: &Mtus) -> State {
    State {
        links: links(config, verdicts),
        addresses: addresses(config),
        settings: settings::settings(config),
        rules: routing::rules(config),
        routes: routing::routes(config, verdicts),
        firewall: Some(firewall::firewall(config, verdicts, mtus)),
    }
}

/// lo, the LANs and the live lines are to be up. A dead line's interface is left as it is: an
/// administrator who took it down is not contradicted. Addresses that somebody else puts on an
/// interface, for a dynamic line, stay there.
fn links(config: &Config, verdicts: &Verdicts) -> BTreeMap<String, Link> {
    let link = |cleared| Link {
        up: true,
        cleared,
        ..Link::default()
    };
    let kept = link(false);
    let lans = config.lans.iter().map(|lan| (lan.interface.clone(), kept));
    let lines = config
        .lines
        .iter()
        .filter(|line| verdicts.is_up(&line.name));
    std::iter::once(("lo".to_owned(), kept))
        .chain(lans)
        .chain(lines.map(|line| (line.interface.clone(), link(!line.dynamic))))
        .collect()
}

fn addresses(config: &Config) -> BTreeSet<Address> {
    let lans = config
        .lans
        .iter()
        .map(|lan| Address::new(&lan.interface, lan.address));
    let described = config.lines.iter().filter(|line| !line.dynamic);
    let lines = described.filter_map(|line| {
        let mut address = Address::new(&line.interface, line.address?);
        address.broadcast = line.broadcast.or(address.broadcast);
        Some(address)
    });
    lans.chain(lines).collect()
}

/// Whether another line is on the same card, so that the card does not tell which line it is.
fn shares_card(config: &Config, line: &Line) -> bool {
    config
        .lines
        .iter()
        .any(|other| other.name != line.name && other.interface == line.interface)
}

/// What the line's packets and connections are known by.
fn mark(config: &Config, line: &Line) -> Mark {
    Mark::new(config.kernel.mark(line.number), config.kernel.mark_mask)
}

/// The networks on the line's card, as far as they are described.
fn near(line: &Line) -> impl Iterator<Item = Ipv4Net> {
    let own = line.address.map(|address| address.trunc());
    own.into_iter().chain(line.keep.iter().copied())
}

/// The networks of other lines that main leads to by their own cards, whatever line a connection is on.
fn led_elsewhere(config: &Config, line: &Line) -> BTreeSet<Ipv4Net> {
    let others = config.lines.iter();
    let elsewhere = others.filter(|other| other.interface != line.interface);
    elsewhere
        .flat_map(near)
        .filter(|network| network.prefix_len() < 32)
        .filter(|network| !near(line).any(|own| overlap(own, *network)))
        .collect()
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// The sources that are this line's alone: its network, or just its address where that is dynamic
/// or another line is in the same network.
fn own_sources(config: &Config, line: &Line) -> Option<Ipv4Net> {
    let address = line.address?;
    let alone = !line.dynamic
        && config.lines.iter().all(|other| {
            other.name == line.name || other.address.is_none_or(|its| !overlap(address, its))
        });
    Some(if alone {
        address.trunc()
    } else {
        address.addr().into()
    })
}
