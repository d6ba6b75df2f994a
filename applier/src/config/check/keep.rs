//! What is kept on a line's card, beside the LANs and the other lines.

use ipnet::Ipv4Net;
use toml::Spanned;

use super::{Checked, overlap, refuse};
use crate::config::{Lan, Line, file};

/// What has an address that is kept leaves by that line alone: it is no LAN's, and no other line's.
pub(super) fn apart(written: &[&file::Line], lines: &[Line], lans: &[Lan]) -> Checked<()> {
    for (raw, line) in written.iter().zip(lines) {
        for (at, (place, network)) in raw.keep.iter().zip(&line.keep).enumerate() {
            apart_from_lans(place, *network, lans)?;
            if let Some(earlier) = line.keep[..at].iter().find(|one| overlap(**one, *network)) {
                return refuse(
                    place,
                    format!(
                        "{network} overlaps {earlier}, which is kept already; leave one of them out"
                    ),
                );
            }
            for other in lines.iter().filter(|other| other.name != line.name) {
                apart_from_line(place, *network, line, other)?;
            }
        }
    }
    Ok(())
}

fn apart_from_lans(place: &Spanned<String>, network: Ipv4Net, lans: &[Lan]) -> Checked<()> {
    let overlaps = |lan: &&Lan| lan.inside().any(|inside| overlap(inside, network));
    match lans.iter().find(overlaps) {
        None => Ok(()),
        Some(lan) => refuse(
            place,
            format!(
                "{network} overlaps a network of the LAN on {}; keep what is on the line's own card",
                lan.interface
            ),
        ),
    }
}

/// The network of a line is its own, but for lines in one provider's network.
fn apart_from_line(
    place: &Spanned<String>,
    network: Ipv4Net,
    line: &Line,
    other: &Line,
) -> Checked<()> {
    let name = &other.name;
    if other.keep.iter().any(|kept| overlap(*kept, network)) {
        return refuse(
            place,
            format!("line {name} keeps addresses of {network} too; write each under one line"),
        );
    }
    let Some(its) = other.address else {
        return Ok(());
    };
    let together = line.address.is_some_and(|address| overlap(address, its));
    if network.contains(&its.addr()) || overlap(network, its) && !together {
        return refuse(
            place,
            format!(
                "{network} overlaps line {name}'s {its}; keep what is on the card of line {}",
                line.name
            ),
        );
    }
    Ok(())
}
