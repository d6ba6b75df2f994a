//! What a described configuration must be like for a clause to say anything about it.
//!
//! Each reason goes on from "the configuration does not fit: it needs".

use ipnet::Ipv4Net;
use multiwan::config::{Config, Established, Line, Spread};

use crate::clause::Fit;
use crate::scene::is_point_to_point;

/// Fits if it `holds`; else what is needed.
pub(super) fn needs(holds: bool, what: &'static str) -> Fit {
    if holds { Ok(()) } else { Err(what) }
}

/// Whatever is described.
pub(super) fn always(_: &Config) -> Fit {
    Ok(())
}

pub(super) fn several_lines(config: &Config) -> Fit {
    needs(config.lines.len() > 1, "two lines or more")
}

/// All lines get new connections, be it one: a backup line waits.
pub(super) fn all_share(config: &Config) -> Fit {
    let backup = config.lines.iter().any(|line| line.backup);
    needs(!backup, "lines of which none is a backup")
}

pub(super) fn several_lines_share(config: &Config) -> Fit {
    several_lines(config)?;
    all_share(config)
}

pub(super) fn more_than_two_share(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(config.lines.len() > 2, "three lines or more")
}

pub(super) fn equal_weights(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(weights(config).all(|weight| weight == 1), "equal weights")
}

pub(super) fn unequal_weights(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(
        weights(config).any(|weight| weight > 1),
        "two lines of unequal weight",
    )
}

pub(super) fn two_equal_lines(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(weights(config).eq([1, 1]), "just two lines, equal ones")
}

pub(super) fn four_to_one(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(
        weights(config).eq([4, 1]),
        "just two lines, of weights 4 and 1",
    )
}

fn weights(config: &Config) -> impl Iterator<Item = u16> {
    config.lines.iter().map(|line| line.weight)
}

pub(super) fn spread_by_pairs(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(config.spread == Spread::Pair, "`spread = \"pair\"`")
}

pub(super) fn spread_by_connections(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(
        config.spread == Spread::Connection,
        "`spread = \"connection\"`",
    )
}

pub(super) fn targets(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(
        !config.keepalive.targets.is_empty(),
        "`targets` beyond the gateways",
    )
}

pub(super) fn no_targets(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(
        config.keepalive.targets.is_empty(),
        "a keepalive without `targets`",
    )
}

pub(super) fn prohibits(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(
        config.established == Established::Prohibit,
        "`established = \"prohibit\"`",
    )
}

pub(super) fn prohibits_with_targets(config: &Config) -> Fit {
    prohibits(config)?;
    targets(config)
}

pub(super) fn resets(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(
        config.established == Established::Reset,
        "`established = \"reset\"`",
    )
}

pub(super) fn backup_and_other(config: &Config) -> Fit {
    let backups = config.lines.iter().filter(|line| line.backup).count();
    needs(
        backups > 0 && backups < config.lines.len(),
        "a backup line and one that is none",
    )
}

pub(super) fn described_gateways(config: &Config) -> Fit {
    let described = |line: &Line| line.gateway.is_some();
    needs(
        config.lines.iter().all(described),
        "lines whose gateways are described",
    )
}

pub(super) fn described_addresses(config: &Config) -> Fit {
    let described = |line: &Line| line.address.is_some();
    needs(
        config.lines.iter().all(described),
        "lines whose addresses are described",
    )
}

/// A DHCP client gives the first two lines all that they have.
pub(super) fn dynamic(config: &Config) -> Fit {
    let given =
        |line: &Line| line.dynamic && line.gateway.is_none() && !line.interface.starts_with("ppp");
    needs(
        config.lines.iter().take(2).all(given),
        "lines whose addresses a DHCP client gets",
    )
}

pub(super) fn first_is_point_to_point(config: &Config) -> Fit {
    several_lines_share(config)?;
    needs(
        config.lines.first().is_some_and(is_point_to_point),
        "a first line without ARP and gateway",
    )
}

/// Another line is on the first one's card.
pub(super) fn shares_first_card(config: &Config) -> Fit {
    let card = config.lines.first().map(|line| &line.interface);
    let on_it = |line: &&Line| Some(&line.interface) == card;
    needs(
        config.lines.iter().filter(on_it).count() > 1,
        "another line on the first one's card",
    )
}

/// Nothing of the LAN or a line lies in this network, nor it in theirs.
pub(super) fn apart_from(config: &Config, network: Ipv4Net) -> bool {
    let lans = config.lans.iter().map(|lan| lan.address);
    let mut nets = lans.chain(config.lines.iter().filter_map(|line| line.address));
    !nets.any(|net| net.contains(&network.addr()) || network.contains(&net.addr()))
}
