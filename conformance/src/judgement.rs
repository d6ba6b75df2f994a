//! What a clause's function says in the end.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::applier;
use crate::judge::Share;

/// The verdict on one clause with one configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The promise holds.
    Passed,
    /// The promise is broken.
    Failed,
    /// Something that the clause needs is not there.
    Skipped,
    /// It could not be judged: a lossy capture, a starved machine.
    Inconclusive,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
            Status::Inconclusive => "inconclusive",
        })
    }
}

/// What was measured: names and values in the order in which they were said.
pub type Measured = Map<String, Value>;

/// A verdict with its reason and what was measured for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub status: Status,
    /// Why, as a sentence, for every verdict but [`Status::Passed`].
    pub reason: Option<String>,
    /// What the verdict rests on.
    pub measured: Measured,
    /// Each line's share of new connections, where that was judged.
    pub shares: Vec<Share>,
}

impl Judgement {
    /// The promise holds.
    #[must_use]
    pub fn passed() -> Self {
        Judgement {
            status: Status::Passed,
            reason: None,
            measured: Measured::new(),
            shares: Vec::new(),
        }
    }

    /// The promise is broken, because.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::because(Status::Failed, reason)
    }

    /// Something needed is not there.
    #[must_use]
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self::because(Status::Skipped, reason)
    }

    /// It could not be judged, because.
    #[must_use]
    pub fn inconclusive(reason: impl Into<String>) -> Self {
        Self::because(Status::Inconclusive, reason)
    }

    /// Passed if `holds`, else failed with this reason.
    #[must_use]
    pub fn holds_if(holds: bool, else_reason: impl FnOnce() -> String) -> Self {
        if holds {
            Self::passed()
        } else {
            Self::failed(else_reason())
        }
    }

    /// Whether it is one that somebody will want to look into.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(self.status, Status::Failed | Status::Inconclusive)
    }

    /// The same verdict with what was measured for another.
    #[must_use]
    pub fn measured_as(self, other: Judgement) -> Self {
        Judgement {
            measured: other.measured,
            shares: other.shares,
            ..self
        }
    }

    /// The same verdict with one more measured value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.measured.insert(name.to_owned(), value.into());
        self
    }

    fn because(status: Status, reason: impl Into<String>) -> Self {
        Judgement {
            status,
            reason: Some(reason.into()),
            measured: Measured::new(),
            shares: Vec::new(),
        }
    }
}

/// What kept a clause's function from measuring at all.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The applier did not do what the contract asks of any applier: the clause fails.
    #[error(transparent)]
    Applier(#[from] applier::Error),
    /// Its `apply` failed on a router as it is described, to which nothing had been done: the clause
    /// fails, and so would others.
    #[error(transparent)]
    Unapplied(applier::Error),
    /// What was promised did not come in its time: the clause fails.
    #[error("{promise}: not within {} ms; {seen}", waited.as_millis())]
    Unmet {
        /// What was waited for.
        promise: String,
        /// The deadline.
        waited: std::time::Duration,
        /// What was there instead.
        seen: String,
        /// What the applier's daemon had said by then.
        output: String,
    },
    /// The lab, the capture or the machine did not: the clause is inconclusive.
    #[error("{0}")]
    Lab(String),
    /// A system call of the suite's own failed: the clause is inconclusive.
    #[error("{doing}: {source}")]
    System {
        /// What was attempted.
        doing: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
}

impl From<multiwan_lab::Error> for Trouble {
    fn from(error: multiwan_lab::Error) -> Self {
        Trouble::Lab(error.to_string())
    }
}

impl Trouble {
    /// The same of an `apply` that was the first thing done to the router.
    #[must_use]
    pub fn at_first(self) -> Self {
        match self {
            Trouble::Applier(error) => Trouble::Unapplied(error),
            other => other,
        }
    }

    /// The verdict that it amounts to.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        match self {
            Trouble::Applier(_) | Trouble::Unapplied(_) | Trouble::Unmet { .. } => {
                Judgement::failed(self.to_string())
            }
            Trouble::Lab(_) | Trouble::System { .. } => Judgement::inconclusive(self.to_string()),
        }
    }

    /// Text of several lines to show beside the reason: the applier's own output.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Trouble::Applier(error) | Trouble::Unapplied(error) => error.output(),
            Trouble::Unmet { output, .. } => Some(output.as_str()).filter(|said| !said.is_empty()),
            Trouble::Lab(_) | Trouble::System { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_values_keep_their_order() {
        let judgement = Judgement::passed()
            .with("line2", 1)
            .with("line1", 2)
            .with("p", 0.5);
        let text = serde_json::to_string(&judgement.measured).unwrap();
        assert_eq!(text, r#"{"line2":1,"line1":2,"p":0.5}"#);
    }

    #[test]
    fn a_reason_is_only_made_when_it_fails() {
        assert_eq!(
            Judgement::holds_if(true, || unreachable!()).status,
            Status::Passed
        );
        let failed = Judgement::holds_if(false, || "3 leaks".into());
        assert_eq!(
            (failed.status, failed.reason.as_deref()),
            (Status::Failed, Some("3 leaks"))
        );
    }
}
