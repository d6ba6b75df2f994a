//! What the keepalive found out about each line.

use std::collections::BTreeMap;

/// Whether a line can be given new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// It can.
    #[default]
    Up,
    /// It cannot: it is left out of the balance table, and its own connections meet `prohibit`
    /// (how-to 2.3.3).
    Dead,
}

/// A verdict per line, by its name; a line without one is up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdicts(BTreeMap<String, Verdict>);

impl Verdicts {
    /// The verdict on the line of that name.
    pub fn of(&self, line: &str) -> Verdict {
        self.0.get(line).copied().unwrap_or_default()
    }

    /// Whether the line of that name is up.
    pub fn is_up(&self, line: &str) -> bool {
        self.of(line) == Verdict::Up
    }

    /// Records a verdict and returns the one before.
    pub fn set(&mut self, line: impl Into<String>, verdict: Verdict) -> Verdict {
        self.0.insert(line.into(), verdict).unwrap_or_default()
    }

    /// All lines that a verdict was recorded for.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Verdict)> {
        self.0
            .iter()
            .map(|(name, verdict)| (name.as_str(), *verdict))
    }
}

impl<N: Into<String>> FromIterator<(N, Verdict)> for Verdicts {
    fn from_iter<I: IntoIterator<Item = (N, Verdict)>>(verdicts: I) -> Self {
        Self(
            verdicts
                .into_iter()
                .map(|(name, verdict)| (name.into(), verdict))
                .collect(),
        )
    }
}
