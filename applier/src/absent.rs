//! What is described and not there: lines and LANs whose interfaces are missing.

use crate::config::{Config, Line};
use crate::state::State;
use crate::verdicts::{Verdict, Verdicts};

/// The interfaces that are described and not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Absent {
    /// Of lines.
    pub lines: Vec<AbsentLine>,
    /// Of LANs.
    pub lans: Vec<String>,
}

/// A line without its interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsentLine {
    /// Its name.
    pub name: String,
    /// The interface.
    pub interface: String,
}

impl Absent {
    /// Those that are not in `found`.
    pub fn of(config: &Config, found: &State) -> Self {
        let missing = |interface: &String| !found.links.contains_key(interface);
        let line = |line: &Line| AbsentLine {
            name: line.name.clone(),
            interface: line.interface.clone(),
        };
        let lines = config.lines.iter().filter(|line| missing(&line.interface));
        let lans = config.lans.iter().map(|lan| &lan.interface);
        Self {
            lines: lines.map(line).collect(),
            lans: lans.filter(|lan| missing(lan)).cloned().collect(),
        }
    }

    /// The verdicts, with these lines dead.
    #[must_use]
    pub fn verdicts(&self, mut verdicts: Verdicts) -> Verdicts {
        for line in &self.lines {
            verdicts.set(&line.name, Verdict::Dead);
        }
        verdicts
    }

    /// Leaves these LANs out of what a kernel should hold.
    pub fn leave_out_of(&self, wanted: &mut State) {
        wanted
            .links
            .retain(|interface, _| !self.lans.contains(interface));
    }
}
