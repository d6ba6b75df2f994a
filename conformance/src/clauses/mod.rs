//! The clauses, one file per area, and the list of them all.

mod across;
mod core;
mod dead;
mod fits;
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

use crate::clause::Clause;

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
                assert_eq!(
                    (clause.fits)(&configuration.config),
                    Ok(()),
                    "{} {}",
                    clause.id,
                    builtin.name
                );
            }
        }
    }
}
