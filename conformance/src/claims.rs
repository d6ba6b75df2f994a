//! What the how-to of 2001 says, claim by claim, and what judges it.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::clause::Clause;
use crate::clauses;

/// One thing that the how-to says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The section that says it and a number: `H-2.3.3-40`.
    pub id: String,
    /// The how-to's section.
    pub section: String,
    /// What it says, in short.
    pub says: String,
    /// What a stock kernel of today does with it by itself.
    pub stock: String,
    /// The identifiers of the clauses that judge it, those that the suite does not have yet too.
    #[serde(default)]
    pub clauses: Vec<String>,
    /// What judges it in place of a clause, where it is not about an applier under test.
    pub elsewhere: Option<String>,
    /// Why nothing does.
    pub why_not: Option<String>,
}

/// How far the suite judges a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// By all clauses that are listed for it.
    Fully,
    /// By some of them; the others are not there yet.
    Partly,
    /// By none yet.
    NotYet,
    /// By a test of its own, as it is not about an applier under test.
    Elsewhere,
    /// By none, for a reason.
    Never,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    claim: Vec<Claim>,
}

static CLAIMS: LazyLock<Vec<Claim>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../claims.toml")).expect("claims.toml is right");
    file.claim
});

/// Every claim, in the how-to's order.
#[must_use]
pub fn all() -> &'static [Claim] {
    &CLAIMS
}

/// The claims that a clause judges.
pub fn of(clause: &Clause) -> impl Iterator<Item = &'static Claim> {
    let id = clause.id;
    all()
        .iter()
        .filter(move |claim| claim.clauses.iter().any(|judge| judge == id))
}

impl Claim {
    /// How far the suite judges it.
    #[must_use]
    pub fn judged(&self) -> Judged {
        let there = |id: &&String| clauses::find(id).is_some();
        match (
            self.clauses.len(),
            self.clauses.iter().filter(there).count(),
        ) {
            (0, _) if self.elsewhere.is_some() => Judged::Elsewhere,
            (0, _) => Judged::Never,
            (_, 0) => Judged::NotYet,
            (listed, there) if there < listed => Judged::Partly,
            _ => Judged::Fully,
        }
    }
}

impl Judged {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Judged::Fully => "judged",
            Judged::Partly => "partly",
            Judged::NotYet => "not yet",
            Judged::Elsewhere => "elsewhere",
            Judged::Never => "not judged",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    /// So many clauses of claims are not written yet. It only ever gets smaller.
    const NOT_WRITTEN: usize = 0;

    #[test]
    fn every_claim_has_its_clause_or_a_reason() {
        assert_eq!(all().len(), 126);
        let mut seen = HashSet::new();
        for claim in all() {
            assert!(seen.insert(&claim.id), "{} twice", claim.id);
            assert!(
                claim.id.starts_with(&format!("H-{}-", claim.section)),
                "{}",
                claim.id
            );
            let judges = [
                !claim.clauses.is_empty(),
                claim.elsewhere.is_some(),
                claim.why_not.is_some(),
            ];
            let judges = judges.into_iter().filter(|&there| there).count();
            assert_eq!(judges, 1, "{}", claim.id);
        }
    }

    #[test]
    fn clauses_of_claims_that_are_not_written_get_fewer() {
        let named: BTreeSet<&str> = all()
            .iter()
            .flat_map(|claim| claim.clauses.iter().map(String::as_str))
            .collect();
        let areas: HashSet<&str> = clauses::all().map(Clause::area).collect();
        let missing: Vec<&str> = named
            .into_iter()
            .filter(|id| clauses::find(id).is_none())
            .collect();
        for id in &missing {
            let area = id.split_once('.').map_or(*id, |(area, _)| area);
            assert!(areas.contains(area), "{id}");
        }
        assert!(
            missing.len() <= NOT_WRITTEN,
            "{} clauses are not written: {}",
            missing.len(),
            missing.join(", ")
        );
        println!("not written yet: {}", missing.join(", "));
    }
}
