//! The clauses, one file per area, and the list of them all.

mod across;
mod core;
mod dead;
mod inbound;
mod keepalive;
mod lan;
mod local;
mod nat;
mod others;
mod pinned;
mod recover;
mod safety;
mod setup;
mod spread;
mod sticky;
mod throughput;
mod told;

use multiwan::config::Config;

use crate::clause::Clause;
use crate::scene::is_point_to_point;

pub use self::core::{CORE, is_core};

/// Each area's clauses, in the order in which they are listed and run.
pub const AREAS: &[&[&Clause]] = &[
    setup::CLAUSES,
    others::CLAUSES,
    spread::CLAUSES,
    sticky::CLAUSES,
    across::CLAUSES,
    pinned::CLAUSES,
    dead::CLAUSES,
    told::CLAUSES,
    recover::CLAUSES,
    local::CLAUSES,
    inbound::CLAUSES,
    nat::CLAUSES,
    keepalive::CLAUSES,
    throughput::CLAUSES,
    safety::CLAUSES,
    lan::CLAUSES,
];

/// Whether there are several lines and all of them get new connections: a backup line waits.
fn several_lines_share(config: &Config) -> bool {
    config.lines.len() > 1 && !config.lines.iter().any(|line| line.backup)
}

/// Whether the first line has neither ARP nor a gateway.
fn first_is_point_to_point(config: &Config) -> bool {
    config.lines.first().is_some_and(is_point_to_point)
}

/// Whether another line is on the first one's card.
fn shares_first_card(config: &Config) -> bool {
    let card = config.lines.first().map(|line| &line.interface);
    let on_it = |line: &&multiwan::config::Line| Some(&line.interface) == card;
    config.lines.iter().filter(on_it).count() > 1
}

/// Every clause.
pub fn all() -> impl Iterator<Item = &'static Clause> {
    AREAS.iter().flat_map(|area| area.iter().copied())
}

/// The clause of this identifier.
#[must_use]
pub fn find(id: &str) -> Option<&'static Clause> {
    all().find(|clause| clause.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::configuration::Configuration;

    #[test]
    fn identifiers_are_unique_and_in_the_contract_s_areas() {
        const AREAS: [&str; 11] = [
            "setup",
            "spread",
            "sticky",
            "dead",
            "recover",
            "local",
            "inbound",
            "nat",
            "keepalive",
            "throughput",
            "safety",
        ];
        let mut seen = HashSet::new();
        for clause in all() {
            assert!(seen.insert(clause.id), "{} twice", clause.id);
            assert!(AREAS.contains(&clause.area()), "{}", clause.id);
        }
    }

    #[test]
    fn each_clause_fits_its_own_configurations() {
        for clause in all() {
            assert!(
                !clause.configurations.is_empty(),
                "{} runs with none",
                clause.id
            );
            for builtin in clause.configurations {
                let configuration = Configuration::builtin(builtin);
                assert!(
                    (clause.fits)(&configuration.config),
                    "{} {}",
                    clause.id,
                    builtin.name
                );
            }
        }
    }
}
