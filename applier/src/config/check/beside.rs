//! A line beside a LAN and beside other lines.

use ipnet::Ipv4Net;

use super::{Checked, overlap, refuse};
use crate::config::{Lan, Line, file};

pub(super) fn beside_lan(raw: &file::Line, line: &Line, lan: &Lan) -> Checked<()> {
    if line.interface == lan.interface {
        return refuse(
            &raw.interface,
            format!(
                "{} is the LAN's interface; write the one of the modem",
                lan.interface
            ),
        );
    }
    if line.gateway == Some(lan.address.addr()) {
        return refuse(
            raw.gateway.as_ref().unwrap_or(&raw.name),
            format!(
                "gateway {} is this router's own address on {}; write the modem's",
                lan.address.addr(),
                lan.interface
            ),
        );
    }
    match line.address {
        Some(address) => apart_from_lan(raw, address, lan),
        None => Ok(()),
    }
}

fn apart_from_lan(raw: &file::Line, address: Ipv4Net, lan: &Lan) -> Checked<()> {
    let Some(network) = lan.inside().find(|network| overlap(address, *network)) else {
        return Ok(());
    };
    let which = if network == lan.address.trunc() {
        format!("the LAN {network} on {}", lan.interface)
    } else {
        format!("{network} behind the LAN on {}", lan.interface)
    };
    refuse(
        &raw.address,
        format!(
            "{} overlaps {which}; one of the two networks must change",
            address.trunc()
        ),
    )
}

/// Two lines may share a provider's network, or a gateway's address behind two modems; what the
/// how-to demands where they share a card is that gateways and networks differ (2.3.3).
pub(super) fn beside_line(raw: &file::Line, line: &Line, other: &Line) -> Checked<()> {
    let name = &other.name;
    if line.name == other.name {
        return refuse(
            &raw.name,
            format!("there is a line {name} already; write another name"),
        );
    }
    if let Some(number) = &raw.number
        && line.number == other.number
    {
        let taken = line.number;
        return refuse(
            number,
            format!("number {taken} is line {name}'s; write another or leave it out"),
        );
    }
    if line.interface == other.interface {
        tell_apart(raw, line, other)?;
    }
    let (Some(address), Some(its)) = (line.address, other.address) else {
        return Ok(());
    };
    if address.addr() == its.addr() {
        return refuse(
            &raw.address,
            format!(
                "{} is line {name}'s address; every line needs its own",
                address.addr()
            ),
        );
    }
    if line.gateway == Some(its.addr()) {
        return refuse(
            raw.gateway.as_ref().unwrap_or(&raw.name),
            format!(
                "gateway {} is this router's own address on line {name}; write the modem's",
                its.addr()
            ),
        );
    }
    if other.gateway == Some(address.addr()) {
        return refuse(
            &raw.address,
            format!(
                "{} is line {name}'s gateway, and cannot be this router's address too",
                address.addr()
            ),
        );
    }
    if line.interface != other.interface {
        return Ok(());
    }
    let card = &line.interface;
    if line.gateway == other.gateway {
        return refuse(
            raw.gateway.as_ref().unwrap_or(&raw.name),
            format!(
                "line {name} has the same gateway on {card}; lines on one card need different ones"
            ),
        );
    }
    if overlap(address, its) {
        return refuse(
            &raw.address,
            format!(
                "{} overlaps line {name}'s {} on {card}; lines on one card need networks of their own",
                address.trunc(),
                its.trunc()
            ),
        );
    }
    Ok(())
}

/// Lines on one card are told apart by their addresses and gateways, which must be described then.
fn tell_apart(raw: &file::Line, line: &Line, other: &Line) -> Checked<()> {
    let (name, card) = (&other.name, &line.interface);
    if line.dynamic || other.dynamic {
        return refuse(
            if line.dynamic {
                &raw.address
            } else {
                &raw.interface
            },
            format!(
                "line {name} is on {card} too, where nobody could tell which line has a dynamic \
                 address; write both addresses, or give each line a card of its own"
            ),
        );
    }
    if line.gateway.is_none() || other.gateway.is_none() {
        let without = if line.gateway.is_none() {
            &line.name
        } else {
            name
        };
        return refuse(
            &raw.interface,
            format!(
                "line {name} is on {card} too, where lines are told apart by their gateways; write \
                 line {without}'s"
            ),
        );
    }
    Ok(())
}
