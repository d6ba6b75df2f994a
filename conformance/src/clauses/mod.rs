//! The clauses, one file per area, and the list of them all.

use crate::clause::{Clause, Kind, Tests};
use crate::configuration::{FOUR_TO_ONE, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};

/// Each area's clauses, in the order in which they are listed and run.
pub const AREAS: &[&[&Clause]] = &[&[&KEEPALIVE_STAYS]];

/// Every clause.
pub fn all() -> impl Iterator<Item = &'static Clause> {
    AREAS.iter().flat_map(|area| area.iter().copied())
}

/// The clause of this identifier.
#[must_use]
pub fn find(id: &str) -> Option<&'static Clause> {
    all().find(|clause| clause.id == id)
}

/// An example until the areas have their files.
static KEEPALIVE_STAYS: Clause = Clause {
    id: "keepalive.stays",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "The keepalive goes on while nothing happens.",
    method: "After `apply` the keepalive is started and ended again; it must not have ended by \
             itself before.",
    needs: &[],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: |_| true,
    tests: Tests::None,
    judge: keepalive_stays,
};

fn keepalive_stays(cx: &mut Context) -> Result<Judgement, Trouble> {
    cx.events.note("apply");
    cx.applier.apply()?;
    cx.events.note("keepalive");
    let had_one = cx.applier.keepalive()?.stop()?;
    let judgement = Judgement::holds_if(had_one, || "there is no keepalive".to_owned());
    Ok(judgement.with("lines", cx.lines().len()))
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
