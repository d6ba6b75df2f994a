//! What the how-to of 2001 says, claim by claim, and what judges it.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::clause::Clause;

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
    /// The identifiers of the clauses that judge it.
    #[serde(default)]
    pub clauses: Vec<String>,
    /// What judges it in place of a clause, where it is not about an applier under test.
    pub elsewhere: Option<String>,
    /// Why nothing does.
    pub why_not: Option<String>,
}

/// What judges a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// The clauses that are listed for it.
    ByClauses,
    /// A test or a document, as it is not about an applier under test.
    Elsewhere,
    /// Nothing, for a reason.
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
    /// What judges it.
    #[must_use]
    pub fn judged(&self) -> Judged {
        if !self.clauses.is_empty() {
            Judged::ByClauses
        } else if self.elsewhere.is_some() {
            Judged::Elsewhere
        } else {
            Judged::Never
        }
    }
}

impl Judged {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Judged::ByClauses => "judged",
            Judged::Elsewhere => "elsewhere",
            Judged::Never => "not judged",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clauses;

    #[test]
    fn every_claim_has_its_clause_or_a_reason() {
        assert_eq!(all().len(), 127);
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
    fn every_clause_that_a_claim_names_is_there() {
        let named = all().iter().flat_map(|claim| &claim.clauses);
        let missing: HashSet<_> = named.filter(|id| clauses::find(id).is_none()).collect();
        assert!(missing.is_empty(), "no clauses: {missing:?}");
    }
}
