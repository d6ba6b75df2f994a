//! What a described configuration must be like for a clause to say anything about it.
//!
//! Each reason goes on from "the configuration does not fit: it needs".

use std::time::Duration;

use ipnet::Ipv4Net;
use multiwan::config::{Config, Established, Lan, Line, Spread};

use crate::clause::Fit;
use crate::judge::sharing;
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

/// The first line gets new connections while all are up.
pub(super) fn first_shares(config: &Config) -> Fit {
    let first = config.lines.first();
    needs(
        first.is_some_and(|line| sharing(&config.lines).any(|one| one == line)),
        "a first line that is no backup",
    )
}

/// So do the first two, which the clauses break; there may be others, and backups, behind them.
pub(super) fn first_two_share(config: &Config) -> Fit {
    let first = config.lines.get(..2);
    needs(
        first.is_some_and(|two| two.iter().all(|line| !line.backup)),
        "two lines or more, of which the first two are no backups",
    )
}

/// Two lines or more get new connections while all are up; there may be backups beside them.
pub(super) fn several_beside_backups(config: &Config) -> Fit {
    needs(
        sharing(&config.lines).count() > 1,
        "two lines or more that are no backup",
    )
}

pub(super) fn equal_beside_backups(config: &Config) -> Fit {
    several_beside_backups(config)?;
    needs(
        sharing(&config.lines).all(|line| line.weight == 1),
        "equal weights",
    )
}

pub(super) fn unequal_beside_backups(config: &Config) -> Fit {
    several_beside_backups(config)?;
    needs(
        sharing(&config.lines).any(|line| line.weight > 1),
        "two lines of unequal weight",
    )
}

pub(super) fn more_than_two_beside_backups(config: &Config) -> Fit {
    needs(
        sharing(&config.lines).count() > 2,
        "three lines or more that are no backup",
    )
}

pub(super) fn more_than_two_share(config: &Config) -> Fit {
    first_two_share(config)?;
    needs(config.lines.len() > 2, "three lines or more")
}

pub(super) fn equal_weights(config: &Config) -> Fit {
    first_two_share(config)?;
    needs(weights(config).all(|weight| weight == 1), "equal weights")
}

pub(super) fn two_equal_lines(config: &Config) -> Fit {
    first_two_share(config)?;
    needs(weights(config).eq([1, 1]), "just two lines, equal ones")
}

pub(super) fn four_to_one(config: &Config) -> Fit {
    first_two_share(config)?;
    needs(
        weights(config).eq([4, 1]),
        "just two lines, of weights 4 and 1",
    )
}

fn weights(config: &Config) -> impl Iterator<Item = u16> {
    config.lines.iter().map(|line| line.weight)
}

pub(super) fn spread_by_pairs(config: &Config) -> Fit {
    first_two_share(config)?;
    needs(config.spread == Spread::Pair, "`spread = \"pair\"`")
}

pub(super) fn spread_by_connections(config: &Config) -> Fit {
    first_two_share(config)?;
    needs(
        config.spread == Spread::Connection,
        "`spread = \"connection\"`",
    )
}

pub(super) fn targets(config: &Config) -> Fit {
    first_two_share(config)?;
    needs(
        !config.keepalive.targets.is_empty(),
        "`targets` beyond the gateways",
    )
}

pub(super) fn no_targets(config: &Config) -> Fit {
    first_two_share(config)?;
    needs(
        config.keepalive.targets.is_empty(),
        "a keepalive without `targets`",
    )
}

pub(super) fn prohibits(config: &Config) -> Fit {
    first_two_share(config)?;
    needs(
        config.established == Established::Prohibit,
        "`established = \"prohibit\"`",
    )
}

pub(super) fn prohibits_with_targets(config: &Config) -> Fit {
    prohibits(config)?;
    targets(config)
}

/// A dead line's connections stay its own for longer than a clause takes.
pub(super) fn keeps_the_dead(config: &Config) -> Fit {
    const LONG: Duration = Duration::from_secs(5);
    needs(
        config.established != Established::Release && config.release_after >= LONG,
        "connections that a dead line keeps: no `established = \"release\"`, and a `release_after` of \
         five seconds or more",
    )
}

pub(super) fn resets(config: &Config) -> Fit {
    first_two_share(config)?;
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

/// A modem that hangs is found out: of a line without ARP and targets the driver's word is taken.
pub(super) fn silence_is_found(config: &Config) -> Fit {
    let by_targets = !config.keepalive.targets.is_empty();
    needs(
        by_targets || !config.lines.iter().any(is_point_to_point),
        "lines that are asked by ARP, or `targets`",
    )
}

pub(super) fn several_failures(config: &Config) -> Fit {
    needs(config.keepalive.failures > 1, "`failures` of two or more")
}

pub(super) fn have_arp(config: &Config) -> Fit {
    needs(
        !config.lines.iter().any(is_point_to_point),
        "lines with ARP",
    )
}

/// What happens to one line's card happens to no other line.
pub(super) fn own_cards(config: &Config) -> Fit {
    let mut cards: Vec<&str> = config.lines.iter().map(|line| &*line.interface).collect();
    cards.sort_unstable();
    let shared = cards.windows(2).any(|two| two[0] == two[1]);
    needs(!shared, "lines with a card each")
}

/// An address says which line it is on.
pub(super) fn own_networks(config: &Config) -> Fit {
    let networks = || config.lines.iter().filter_map(|line| line.address);
    let overlaps = |(at, one): (usize, Ipv4Net)| {
        let mut others = networks().skip(at + 1);
        others.any(|other| one.contains(&other.trunc()) || other.contains(&one.trunc()))
    };
    needs(
        !networks().enumerate().any(overlaps),
        "lines in networks of their own",
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
    first_two_share(config)?;
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
    let lans = config.lans.iter().flat_map(Lan::inside);
    let mut nets = lans.chain(config.lines.iter().filter_map(|line| line.address));
    !nets.any(|net| net.contains(&network.addr()) || network.contains(&net.addr()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{
        BACKUP, Builtin, Configuration, POINT_TO_POINT, SHARED_CARD, THREE_LINES_RELEASE,
        TWO_LINES, TWO_LINES_TARGETS,
    };

    fn config(builtin: &Builtin) -> Config {
        Configuration::builtin(builtin).config
    }

    #[test]
    fn a_line_without_arp_is_found_silent_by_targets_alone() {
        let mut lines = config(&POINT_TO_POINT);
        assert!(silence_is_found(&lines).is_err() && have_arp(&lines).is_err());
        lines.keepalive.targets = config(&TWO_LINES_TARGETS).keepalive.targets;
        assert!(silence_is_found(&lines).is_ok() && have_arp(&lines).is_err());
        assert!(silence_is_found(&config(&TWO_LINES)).is_ok());
    }

    #[test]
    fn a_dead_line_keeps_what_is_not_released() {
        let mut lines = config(&TWO_LINES);
        assert!(keeps_the_dead(&lines).is_ok());
        lines.release_after = Duration::from_millis(200);
        assert!(keeps_the_dead(&lines).is_err());
        assert!(keeps_the_dead(&config(&THREE_LINES_RELEASE)).is_err());
    }

    #[test]
    fn backups_are_no_part_of_what_is_shared() {
        let mut lines = config(&BACKUP);
        lines.lines[2].weight = 7;
        assert!(first_two_share(&lines).is_ok() && first_shares(&lines).is_ok());
        assert!(equal_beside_backups(&lines).is_ok());
        assert!(unequal_beside_backups(&lines).is_err());
        assert!(more_than_two_beside_backups(&lines).is_err());
        lines.lines[1].backup = true;
        assert!(several_beside_backups(&lines).is_err());
        assert!(first_two_share(&lines).is_err() && first_shares(&lines).is_ok());
    }

    #[test]
    fn lines_may_share_a_card_or_a_network() {
        assert!(own_cards(&config(&SHARED_CARD)).is_err());
        let mut lines = config(&TWO_LINES);
        assert!(own_cards(&lines).is_ok() && own_networks(&lines).is_ok());
        lines.lines[1].address = Some("198.51.100.3/25".parse().unwrap());
        assert!(own_networks(&lines).is_err());
    }
}
