//! Networks behind a LAN: what main leads to there, and what is described.

use ipnet::Ipv4Net;

use super::facts::Facts;
use super::{Finding, Level};
use crate::config::{Config, Lan};

/// Shared by providers and their customers (RFC 6598), and routed by nobody outside as little as RFC
/// 1918's networks are.
const SHARED: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(100, 64, 0, 0), 10);

/// What main leads to by the LANs' cards and is not translated, and what is described there and main
/// does not lead to.
pub(super) fn behind_lans(config: &Config, facts: &Facts) -> Vec<Finding> {
    let there = |lan: &&Lan| facts.devices.contains_key(&lan.interface);
    config
        .lans
        .iter()
        .filter(there)
        .flat_map(|lan| {
            let undescribed = undescribed(config, lan, facts);
            undescribed.into_iter().chain(unrouted(lan, facts))
        })
        .collect()
}

fn undescribed(config: &Config, lan: &Lan, facts: &Facts) -> Vec<Finding> {
    let card = &lan.interface;
    let inside: Vec<Ipv4Net> = config.lans.iter().flat_map(Lan::inside).collect();
    let mut networks: Vec<Ipv4Net> = facts
        .behind
        .iter()
        .filter(|behind| behind.interface == *card && has_hosts(behind.network))
        .map(|behind| behind.network)
        .filter(|network| !inside.iter().any(|inside| inside.contains(network)))
        .collect();
    networks.sort();
    networks.dedup();
    let (private, public): (Vec<_>, Vec<_>) = networks.into_iter().partition(is_private);
    let finding = |network: &Ipv4Net, level, says| {
        Finding::new(level, format!("{network} behind {card}"), says)
    };
    let private = private.iter().map(|network| {
        finding(
            network,
            Level::Warning,
            format!(
                "main leads there by the LAN's card, and packets from there would leave \
                 untranslated; write networks = [\"{network}\"] under its [lan], or remove the route"
            ),
        )
    });
    let public = public.iter().map(|network| {
        finding(
            network,
            Level::Note,
            format!(
                "main leads there by the LAN's card, and packets from there leave untranslated, as is \
                 right where every provider routes {network} here; else write networks = \
                 [\"{network}\"] under its [lan]"
            ),
        )
    });
    private.chain(public).collect()
}

fn unrouted(lan: &Lan, facts: &Facts) -> Vec<Finding> {
    let leads = |network: &Ipv4Net| {
        let overlaps = |other: Ipv4Net| other.contains(network) || network.contains(&other);
        let mut behind = facts.behind.iter();
        behind.any(|behind| behind.interface == lan.interface && overlaps(behind.network))
    };
    let card = &lan.interface;
    let unrouted = lan.networks.iter().filter(|network| !leads(network));
    unrouted
        .map(|network| {
            Finding::new(
                Level::Warning,
                format!("{network} behind {card}"),
                format!(
                    "it is described, and main has no route there by {card}, so that answers go \
                     astray; `ip route add {network} via … dev {card}`"
                ),
            )
        })
        .collect()
}

fn has_hosts(network: Ipv4Net) -> bool {
    let address = network.addr();
    !address.is_link_local() && !address.is_multicast() && !address.is_broadcast()
}

/// Whether no provider routes answers to all of it.
fn is_private(network: &Ipv4Net) -> bool {
    let address = network.addr();
    address.is_private() || SHARED.contains(&address)
}
