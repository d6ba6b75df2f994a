//! Where a table departs from what it should be, rule by rule.

use std::fmt;

use super::table::{Base, Chain, Rule, Table};

/// One departure of what the kernel holds from what it should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A chain is not there.
    ChainMissing(String),
    /// A chain is there that should not be.
    ChainForeign(String),
    /// A chain is not hooked in as it should be.
    BaseChanged(String),
    /// The chains are there, in another order; without effect.
    ChainsReordered,
    /// A rule is not there, or not in its place.
    RuleMissing {
        /// Of this chain.
        chain: String,
        /// The rule.
        rule: Rule,
    },
    /// A rule is there that should not be, or not in that place.
    RuleForeign {
        /// In this chain.
        chain: String,
        /// The rule.
        rule: Rule,
    },
    /// The table is dormant where it should not be, or the other way round.
    Dormancy,
}

impl Table {
    /// Where `current` departs from this table; empty exactly when both are equal (families and names not regarded).
    pub fn difference(&self, current: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        if self.dormant != current.dormant {
            differences.push(Difference::Dormancy);
        }
        for chain in &self.chains {
            match current.chain(&chain.name) {
                None => differences.push(Difference::ChainMissing(chain.name.clone())),
                Some(now) => chain.difference(now, &mut differences),
            }
        }
        let foreign = current
            .chains
            .iter()
            .filter(|chain| self.chain(&chain.name).is_none());
        differences.extend(foreign.map(|chain| Difference::ChainForeign(chain.name.clone())));
        if differences.is_empty() && self.chains != current.chains {
            differences.push(Difference::ChainsReordered);
        }
        differences
    }
}

impl Table {
    /// The chains whose rules are others than in `current`, where that is all that differs: the table
    /// is there, and its chains are hooked in as they should be.
    pub fn changed_chains(&self, current: &Self) -> Option<Vec<&Chain>> {
        fn without_rules(table: &Table) -> impl Iterator<Item = (&String, &Option<Base>)> {
            let chains = table.chains.iter();
            chains.map(|chain| (&chain.name, &chain.base))
        }
        let same = (self.family, &self.name, self.dormant)
            == (current.family, &current.name, current.dormant)
            && without_rules(self).eq(without_rules(current));
        let both = self.chains.iter().zip(&current.chains);
        let changed = both.filter(|(new, old)| new != old).map(|(new, _)| new);
        same.then(|| changed.collect())
    }
}

impl Chain {
    fn difference(&self, current: &Self, differences: &mut Vec<Difference>) {
        if self.base != current.base {
            differences.push(Difference::BaseChanged(self.name.clone()));
        }
        let chain = || self.name.clone();
        let common = longest_common(&self.rules, &current.rules);
        let missing = unpaired(&self.rules, common.iter().map(|(ours, _)| *ours));
        differences.extend(missing.map(|rule| Difference::RuleMissing {
            chain: chain(),
            rule,
        }));
        let foreign = unpaired(&current.rules, common.iter().map(|(_, theirs)| *theirs));
        differences.extend(foreign.map(|rule| Difference::RuleForeign {
            chain: chain(),
            rule,
        }));
    }
}

fn unpaired(rules: &[Rule], paired: impl Iterator<Item = usize>) -> impl Iterator<Item = Rule> {
    let paired: Vec<_> = paired.collect();
    rules
        .iter()
        .enumerate()
        .filter(move |(index, _)| !paired.contains(index))
        .map(|(_, rule)| rule.clone())
}

/// The places of the longest common subsequence.
fn longest_common(ours: &[Rule], theirs: &[Rule]) -> Vec<(usize, usize)> {
    // length[i][j]: of what is common to ours[i..] and theirs[j..].
    let mut length = vec![vec![0_usize; theirs.len() + 1]; ours.len() + 1];
    for i in (0..ours.len()).rev() {
        for j in (0..theirs.len()).rev() {
            length[i][j] = if ours[i] == theirs[j] {
                length[i + 1][j + 1] + 1
            } else {
                length[i + 1][j].max(length[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut common) = (0, 0, Vec::new());
    while i < ours.len() && j < theirs.len() {
        if ours[i] == theirs[j] {
            common.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if length[i + 1][j] >= length[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    common
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChainMissing(chain) => write!(f, "chain {chain} is missing"),
            Self::ChainForeign(chain) => write!(f, "chain {chain} is somebody else's"),
            Self::BaseChanged(chain) => {
                write!(f, "chain {chain} has another hook, priority or policy")
            }
            Self::ChainsReordered => f.write_str("the chains are in another order"),
            Self::RuleMissing { chain, rule } => write!(f, "chain {chain}: `{rule}` is missing"),
            Self::RuleForeign { chain, rule } => {
                write!(f, "chain {chain}: `{rule}` is somebody else's")
            }
            Self::Dormancy => f.write_str("the table is dormant, or should be"),
        }
    }
}
