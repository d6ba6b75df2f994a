//! From the described configuration and what a kernel holds to what each line has now: the
//! addresses and gateways that a DHCP client or PPP has put on the interfaces of dynamic lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::config::{Config, Lan, Line};
use crate::desired::{Mtus, desired_with};
use crate::gateways::Gateways;
use crate::kept::kept;
use crate::state::{Address, Hop, Route, State, TABLE_MAIN, Target};
use crate::verdicts::{Verdict, Verdicts};

/// What the lines have now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The configuration with the addresses and gateways of now. A dynamic line that has lost its
    /// address has here the one that it had last: its connections stay its own, and
    /// go on when the same address comes back.
    pub config: Config,
    /// The lines that cannot be used, by their names, and what they lack.
    pub lacking: BTreeMap<String, Lack>,
    /// How long a packet each line's interface takes.
    pub mtus: Mtus,
    /// Addresses of others on the lines' interfaces that stay there.
    pub kept: BTreeSet<Address>,
}

/// What keeps a line from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Its interface has no address, or is not there.
    Address,
    /// It has no gateway, and its interface asks by ARP, or it has one that is out of reach.
    Gateway,
    /// Its address is in a LAN's network, where it would be sought.
    Room,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "the device has no address",
            Self::Gateway => "the device has no gateway within reach",
            Self::Room => "the device's address is in the network of a LAN",
        })
    }
}

impl Resolved {
    /// What a kernel should hold with that, while the lines fare so.
    pub fn desired(&self, verdicts: &Verdicts) -> State {
        let mut desired = desired_with(&self.config, verdicts, &self.mtus);
        desired.addresses.extend(self.kept.iter().cloned());
        desired
    }

    /// The verdicts, with lines that lack something dead.
    pub fn verdicts(&self, verdicts: &Verdicts) -> Verdicts {
        let mut verdicts = verdicts.clone();
        for line in self.lacking.keys() {
            verdicts.set(line, Verdict::Dead);
        }
        verdicts
    }
}

/// What each line of `config` has in a kernel that holds `found`, when the lines had these gateways
/// `before`.
pub fn resolve(config: &Config, found: &State, before: &Gateways) -> Resolved {
    let mut resolved = Resolved {
        config: config.clone(),
        lacking: BTreeMap::new(),
        mtus: mtus(config, found),
        kept: kept(config, found),
    };
    for line in &mut resolved.config.lines {
        let lack = if line.dynamic {
            let last = last_address(config, line, found);
            dynamic(line, &config.lans, last, found).or_else(|| {
                let table = config.kernel.table(line.number);
                gateway(line, last.map(|net| net.addr()), table, found, before)
            })
        } else {
            (line.gateway.is_none() && asks_by_arp(line, found)).then_some(Lack::Gateway)
        };
        resolved
            .lacking
            .extend(lack.map(|lack| (line.name.clone(), lack)));
    }
    resolved
}

fn mtus(config: &Config, found: &State) -> Mtus {
    let cards = config.lines.iter().map(|line| &line.interface);
    cards
        .filter_map(|card| Some((card.clone(), found.links.get(card)?.mtu?)))
        .collect()
}

/// The address that the line had when the kernel was last changed: the rule for it tells, and its
/// network those that lead the other lines' connections into it.
fn last_address(config: &Config, line: &Line, found: &State) -> Option<Ipv4Net> {
    let kernel = &config.kernel;
    let table = kernel.table(line.number);
    let ours = |priority| {
        let rules = found.rules.iter();
        rules.filter(move |rule| rule.is_ours() && rule.priority == priority)
    };
    let of_line = ours(table).filter(|rule| rule.table == table);
    let hosts = of_line.filter_map(|rule| rule.from.filter(|from| from.prefix_len() == 32));
    let kept = |host: &Ipv4Net| line.keep.contains(host);
    let mut own = hosts.filter(|host| !kept(host));
    let host = own.next()?;
    let networks = ours(kernel.between_priority()).filter_map(|rule| rule.to);
    let mut around = networks.filter(|network| network.contains(&host));
    let prefix = around.next().unwrap_or(host).prefix_len();
    Ipv4Net::new(host.addr(), prefix).ok()
}

/// Of several addresses the one that the found route names, else the first in the gateway's
/// network, else the first (how-to 2.3.3).
fn dynamic(line: &mut Line, lans: &[Lan], last: Option<Ipv4Net>, found: &State) -> Option<Lack> {
    let held = held(line, found);
    let (hop, source) = default_route(&line.interface, TABLE_MAIN, found).unzip();
    let gateway = line.gateway.or(hop.and_then(|hop| hop.gateway));
    let named = |net: &&Ipv4Net| Some(net.addr()) == source.flatten();
    let near = |net: &&Ipv4Net| gateway.is_some_and(|gateway| net.contains(&gateway));
    let address = held
        .iter()
        .find(named)
        .or_else(|| held.iter().find(near))
        .or(held.first());
    line.address = address.copied().or(last);
    let inside = |lan: &Lan| {
        address.is_some_and(|net| {
            lan.inside()
                .any(|inside| net.contains(&inside.network()) || inside.contains(&net.network()))
        })
    };
    match address {
        None => Some(Lack::Address),
        Some(_) if lans.iter().any(inside) => Some(Lack::Room),
        Some(_) => None,
    }
}

/// Without a described gateway, that of the default route in main; where somebody has taken that
/// away, the one that belonged to the same address before.
fn gateway(
    line: &mut Line,
    last: Option<Ipv4Addr>,
    table: u32,
    found: &State,
    before: &Gateways,
) -> Option<Lack> {
    let held = held(line, found);
    let near = |gateway: Ipv4Addr| held.iter().any(|net| net.contains(&gateway));
    if let Some(described) = line.gateway {
        // Whoever is at the other end of a point-to-point link gets all that is sent there.
        line.onlink |= !near(described) && !asks_by_arp(line, found);
        let reached = line.onlink || near(described);
        return (!reached).then_some(Lack::Gateway);
    }
    if !asks_by_arp(line, found) {
        return None;
    }
    let same_address = last.is_some() && line.address.map(|net| net.addr()) == last;
    let applied = || default_route(&line.interface, table, found).filter(|_| same_address);
    let with_gateway = |(hop, _): (&Hop, _)| hop.gateway.map(|gateway| (gateway, hop.onlink));
    let (gateway, onlink) = default_route(&line.interface, TABLE_MAIN, found)
        .and_then(with_gateway)
        .or_else(|| applied().and_then(with_gateway))
        .or_else(|| before.of(line).map(|held| (held.gateway, held.onlink)))
        .unzip();
    line.gateway = gateway;
    // A gateway that main reaches by a route of its own is there all the same.
    line.onlink = onlink == Some(true) || gateway.is_some_and(|gateway| !near(gateway));
    gateway.is_none().then_some(Lack::Gateway)
}

/// The networks of the interface's addresses but for others', in the kernel's order.
fn held(line: &Line, found: &State) -> Vec<Ipv4Net> {
    let mut held: Vec<&Address> = found
        .addresses
        .iter()
        .filter(|address| address.interface == line.interface && !line.keeps(address))
        .collect();
    held.sort_by_key(|address| address.rank);
    held.into_iter().map(|address| address.address).collect()
}

/// The way by the line's interface of the first default route there that has one, and its source.
pub(crate) fn default_route<'a>(
    interface: &str,
    table: u32,
    found: &'a State,
) -> Option<(&'a Hop, Option<Ipv4Addr>)> {
    let by_line = |route: &'a Route| {
        let hop = route.hops().iter().find(|hop| hop.interface == interface)?;
        match route.target {
            Target::Hops { source, .. } => Some((route.metric, hop, source)),
            _ => None,
        }
    };
    let routes = found.routes.iter().filter(|route| route.table == table);
    routes
        .filter_map(by_line)
        .min_by_key(|(metric, ..)| *metric)
        .map(|(_, hop, source)| (hop, source))
}

fn asks_by_arp(line: &Line, found: &State) -> bool {
    found
        .links
        .get(&line.interface)
        .is_some_and(|link| link.arp)
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
