//! The LANs, and the networks behind them.

use ipnet::Ipv4Net;
use toml::Spanned;

use super::{Checked, overlap, refuse};
use crate::config::{Lan, file, value};

pub(super) fn lans(written: &[Spanned<file::Lan>]) -> Checked<Vec<Lan>> {
    let mut lans: Vec<Lan> = Vec::new();
    for raw in written {
        let raw = raw.get_ref();
        let lan = Lan {
            interface: value::interface(&raw.interface)?,
            address: value::interface_address(&raw.address)?,
            networks: Vec::new(),
        };
        apart(&raw.address, &lan, &lans)?;
        lans.push(lan);
    }
    for (at, raw) in written.iter().enumerate() {
        for text in &raw.get_ref().networks {
            let network = value::network(text)?;
            behind(text, network, &lans)?;
            lans[at].networks.push(network);
        }
    }
    Ok(lans)
}

/// LANs do not overlap each other: a route to one would hide the other.
fn apart(place: &Spanned<String>, lan: &Lan, others: &[Lan]) -> Checked<()> {
    match others.iter().find(|o| overlap(o.address, lan.address)) {
        None => Ok(()),
        Some(other) => refuse(
            place,
            format!(
                "the LAN {} overlaps the LAN {} on {}; give each its own network",
                lan.address.trunc(),
                other.address.trunc(),
                other.interface
            ),
        ),
    }
}

/// A network behind a LAN may have a LAN's own within it: `10.0.0.0/8` by way of a host in
/// `10.1.0.0/24` is common, and the kernel prefers the smaller one.
fn behind(place: &Spanned<String>, network: Ipv4Net, lans: &[Lan]) -> Checked<()> {
    let own = |lan: &&Lan| lan.address.trunc().contains(&network);
    if let Some(lan) = lans.iter().find(own) {
        return refuse(
            place,
            format!(
                "{network} is in the LAN {} on {} already; leave it out",
                lan.address.trunc(),
                lan.interface
            ),
        );
    }
    let mut described = lans
        .iter()
        .flat_map(|lan| lan.networks.iter().map(move |other| (lan, *other)));
    match described.find(|(_, other)| overlap(network, *other)) {
        None => Ok(()),
        Some((lan, other)) => refuse(
            place,
            format!(
                "{network} overlaps {other}, which is behind {} already; leave one of them out",
                lan.interface
            ),
        ),
    }
}
