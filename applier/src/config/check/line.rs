//! One line by itself.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use toml::Spanned;

use super::{Checked, refuse};
use crate::config::{Line, MOST_LINES, file, value};

/// What is written in place of an address that the interface gets from elsewhere.
const DYNAMIC: &str = "dynamic";

pub(super) fn line(raw: &file::Line) -> Checked<Line> {
    let name = value::line_name(&raw.name)?;
    let interface = value::interface(&raw.interface)?;
    if interface == "lo" {
        return refuse(
            &raw.interface,
            "lo cannot be a line; write the interface of the modem",
        );
    }
    let dynamic = raw.address.get_ref() == DYNAMIC;
    let address = if dynamic {
        None
    } else {
        Some(value::interface_address(&raw.address)?)
    };
    let gateway = match &raw.gateway {
        Some(text) => Some(self::gateway(text, address, raw.onlink)?),
        None if raw.onlink => {
            return refuse(
                &raw.name,
                format!(
                    "line {name} has onlink = true and no gateway; write gateway = \"…\" beside it, \
                     or leave it out"
                ),
            );
        }
        None => None,
    };
    let broadcast = match (&raw.broadcast, address) {
        (None, _) => None,
        (Some(text), Some(address)) => Some(broadcast(text, address)?),
        (Some(text), None) => {
            return refuse(
                text,
                "a dynamic address brings its broadcast address; leave this out",
            );
        }
    };
    let weight = match &raw.weight {
        None => 1,
        Some(weight) if *weight.get_ref() == 0 => {
            return refuse(
                weight,
                "a line of weight 0 would get no connections; write 1 or more, backup = true, or \
                 leave the line out",
            );
        }
        Some(weight) => value::number(weight, "weight", 1..65536)?,
    };
    let number = match &raw.number {
        None => 0,
        Some(number) => value::number(number, "line number", 1..i64::from(MOST_LINES) + 1)?,
    };
    Ok(Line {
        name,
        number: u8::try_from(number).unwrap_or(MOST_LINES),
        interface,
        dynamic,
        address,
        broadcast,
        gateway,
        onlink: raw.onlink,
        keep: raw.keep.iter().map(value::kept).collect::<Checked<_>>()?,
        weight: u16::try_from(weight).unwrap_or(u16::MAX),
        backup: raw.backup,
    })
}

fn gateway(text: &Spanned<String>, address: Option<Ipv4Net>, onlink: bool) -> Checked<Ipv4Addr> {
    let gateway = value::address(text)?;
    if gateway.is_unspecified() || gateway.is_multicast() || gateway.is_loopback() {
        return refuse(
            text,
            format!("{gateway} cannot be a gateway; write the modem's address"),
        );
    }
    let Some(address) = address else {
        return Ok(gateway);
    };
    let network = address.trunc();
    if gateway == address.addr() {
        return refuse(
            text,
            format!("gateway {gateway} is this router's own address; write the modem's"),
        );
    }
    if !network.contains(&gateway) {
        return if onlink {
            Ok(gateway)
        } else {
            refuse(
                text,
                format!(
                    "gateway {gateway} is not in the line's network {network}; write an address of \
                     that network, or onlink = true if the provider wants it so"
                ),
            )
        };
    }
    if network.prefix_len() < 31 {
        let ends = [
            (network.network(), "network"),
            (network.broadcast(), "broadcast"),
        ];
        if let Some((_, what)) = ends.iter().find(|(end, _)| *end == gateway) {
            return refuse(
                text,
                format!("gateway {gateway} is the {what} address of {network}; write the modem's"),
            );
        }
    }
    Ok(gateway)
}

fn broadcast(text: &Spanned<String>, address: Ipv4Net) -> Checked<Ipv4Addr> {
    let broadcast = value::address(text)?;
    let network = address.trunc();
    if !network.contains(&broadcast) || broadcast == address.addr() {
        return refuse(
            text,
            format!(
                "{broadcast} cannot be the broadcast address of {network}; write {} or leave it out",
                network.broadcast()
            ),
        );
    }
    Ok(broadcast)
}
