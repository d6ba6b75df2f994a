//! What a clause is: one promise, and how it is judged.

use std::collections::BTreeSet;
use std::fmt;

use multiwan::config::{Config, Line};
use serde::{Deserialize, Serialize};

use crate::configuration::Builtin;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Pins;

/// One promise of the how-to, or of today's kernels, and the function that judges it.
///
/// A clause is a `static` beside its function, in the file of its area under `clauses/`.
#[derive(Debug)]
pub struct Clause {
    /// `area.what`, as in the list of claims: `spread.even`.
    pub id: &'static str,
    /// Whether packets are judged or the exact tables of the how-to.
    pub kind: Kind,
    /// The how-to's sections that promise it; none for a fact of today's kernels.
    pub how_to: &'static [&'static str],
    /// The promise, as one sentence.
    pub promise: &'static str,
    /// How it is measured, as a short paragraph for `explain`.
    pub method: &'static str,
    /// What must be there; without it the clause is skipped.
    pub needs: &'static [Need],
    /// The configurations of the suite's own that it runs with.
    pub configurations: &'static [Builtin],
    /// Whether it says anything about a described configuration: asked for each `-c FILE`.
    pub fits: fn(&Config) -> Fit,
    /// How many statistical tests it makes with one configuration.
    pub tests: Tests,
    /// Judges it, in a worker of its own.
    pub judge: fn(&mut Context) -> Result<Judgement, Trouble>,
}

impl Clause {
    /// The part of the identifier before the dot: `spread`.
    #[must_use]
    pub fn area(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(area, _)| area)
    }

    /// What becomes of a configuration's pins where it is judged.
    #[must_use]
    pub fn pins(&self) -> Pins {
        if self.needs.contains(&Need::Claimed(Feature::Pin)) {
            Pins::Met
        } else {
            Pins::Avoided
        }
    }

    /// The how-to's sections as text: `2.3.3, 2.4`.
    #[must_use]
    pub fn sections(&self) -> String {
        self.how_to.join(", ")
    }
}

/// Whether a clause says anything about a described configuration; if not, what it needs.
pub type Fit = Result<(), &'static str>;

/// What a clause is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What packets do: judged for every applier.
    Behaviour,
    /// The how-to's exact tables and rules: counted apart for a foreign applier.
    Layout,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Behaviour => "behaviour",
            Kind::Layout => "layout",
        })
    }
}

/// What must be there for a clause to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A sandbox in which the kernel's settings can be changed: not where `/proc/sys` is
    /// read-only, as in many containers.
    Settings,
    /// A setting of the kernel by its path below `/proc/sys`, which is there or not by version
    /// and configuration: `net/ipv4/fib_multipath_use_neigh`.
    Sysctl(&'static str),
    /// A kernel that can limit what a line carries (`sch_tbf`).
    TokenBucket,
    /// The applier says that it has this feature.
    Claimed(Feature),
    /// The shipped applier: about what it promises beyond the contract for any.
    Shipped,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Settings => f.write_str("a writable /proc/sys"),
            Need::Sysctl(path) => write!(f, "the kernel's {}", path.replace('/', ".")),
            Need::TokenBucket => f.write_str("the kernel's token bucket (sch_tbf)"),
            Need::Claimed(feature) => write!(f, "an applier that claims `{feature}`"),
            Need::Shipped => f.write_str("the shipped applier"),
        }
    }
}

/// What an applier may say of itself (`PATH features`), beyond what the how-to promises for
/// fixed lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// Probes of addresses beyond the gateway.
    Targets,
    /// Lines whose address and gateway come from the interface.
    Dynamic,
    /// Several lines on one card.
    SharedCard,
    /// A changed configuration applied while connections run.
    Reload,
    /// Removal of all that was put there.
    Down,
    /// Traffic that must use one line.
    Pin,
    /// Lines that are used while no other is up.
    Backup,
    /// Connections from outside, answered by the line they came in on.
    Inbound,
    /// What a dead line's connections get, as the configuration says: `established` and
    /// `release_after`.
    Established,
}

impl Feature {
    /// Every word of the contract, in its order.
    pub const ALL: [Feature; 9] = [
        Feature::Targets,
        Feature::Dynamic,
        Feature::SharedCard,
        Feature::Reload,
        Feature::Down,
        Feature::Pin,
        Feature::Backup,
        Feature::Inbound,
        Feature::Established,
    ];

    /// What an applier must know of to do anything right with these lines.
    pub fn described_by(config: &Config) -> impl Iterator<Item = Self> {
        let cards: BTreeSet<_> = config.lines.iter().map(|line| &line.interface).collect();
        let shared = cards.len() < config.lines.len();
        let any = |is: fn(&Line) -> bool| config.lines.iter().any(is);
        [
            (Feature::Dynamic, any(|line| line.dynamic)),
            (Feature::SharedCard, shared),
            (Feature::Backup, any(|line| line.backup)),
        ]
        .into_iter()
        .filter_map(|(feature, asked)| asked.then_some(feature))
    }

    /// The contract's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Feature::Targets => "targets",
            Feature::Dynamic => "dynamic",
            Feature::SharedCard => "shared-card",
            Feature::Reload => "reload",
            Feature::Down => "down",
            Feature::Pin => "pin",
            Feature::Backup => "backup",
            Feature::Inbound => "inbound",
            Feature::Established => "established",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How many statistical tests a clause makes with one configuration: the run's false alarms
/// are shared out among them (see [`crate::judge`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// Judged by zero violations or by the kernel's own answers.
    None,
    /// So many, whatever the configuration.
    Fixed(u32),
    /// So many times the tests of all lines' shares: one for two lines, since the second line's
    /// count follows from the first's, and one per line for more.
    Shares(u32),
}

impl Tests {
    /// The number for a configuration of so many lines.
    #[must_use]
    pub fn count(self, lines: usize) -> u32 {
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        match self {
            Tests::None => 0,
            Tests::Fixed(tests) => tests,
            Tests::Shares(times) => times * if lines == 2 { 1 } else { lines },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{BACKUP, Configuration, DYNAMIC, SHARED_CARD, TWO_LINES};

    #[test]
    fn two_lines_are_one_test() {
        assert_eq!(Tests::Shares(2).count(2), 2);
        assert_eq!(Tests::Shares(2).count(3), 6);
        assert_eq!(Tests::Fixed(3).count(8), 3);
        assert_eq!(Tests::None.count(8), 0);
    }

    #[test]
    fn lines_that_not_every_applier_knows_need_a_feature() {
        let of = |builtin: &Builtin| {
            let config = Configuration::builtin(builtin).config;
            Feature::described_by(&config).collect::<Vec<_>>()
        };
        assert_eq!(of(&TWO_LINES), []);
        assert_eq!(of(&DYNAMIC), [Feature::Dynamic]);
        assert_eq!(of(&SHARED_CARD), [Feature::SharedCard]);
        assert_eq!(of(&BACKUP), [Feature::Backup]);
    }

    #[test]
    fn features_are_written_as_in_the_contract() {
        for feature in Feature::ALL {
            let written = serde_json::to_value(feature).unwrap();
            assert_eq!(written, feature.word());
        }
    }
}
