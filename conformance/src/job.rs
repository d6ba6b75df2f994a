//! What the orchestrator and its workers say to each other.
//!
//! A [`Job`] is a worker's only argument; [`Message`]s come back on its standard output, one JSON
//! object a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::report::Record;

/// One clause with one configuration, for one worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The clause's identifier.
    pub clause: String,
    /// The configuration's name, for the report.
    pub configuration: String,
    /// The configuration's text.
    pub toml: String,
    /// What is judged.
    pub subject: Subject,
    /// The run's seed.
    pub seed: u64,
    /// The level of each statistical test in this run.
    pub level: f64,
}

/// The thing under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The applier inside this very binary.
    Shipped,
    /// Any executable.
    Foreign {
        /// As it was asked for: the report calls it so.
        name: String,
        /// Where it is, absolute.
        path: PathBuf,
    },
    /// A program that is embedded in this binary.
    Embedded {
        /// Its name.
        name: String,
        /// Where it is when it is [unpacked](crate::fixtures::unpack).
        path: PathBuf,
    },
    /// The shipped applier with a mistake (see [`crate::mutant`]).
    Mutant {
        /// As it was asked for.
        name: String,
        /// Its file's text.
        toml: String,
    },
}

impl Subject {
    /// What the report calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Subject::Shipped => "multiwan",
            Subject::Foreign { name, .. }
            | Subject::Embedded { name, .. }
            | Subject::Mutant { name, .. } => name,
        }
    }

    /// Whether it is not the shipped applier.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        *self != Subject::Shipped
    }
}

/// A line from a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Message {
    /// The sandbox is entered and work begins.
    Started {
        /// The sandbox's mode: `full`, or what it lacks.
        mode: String,
    },
    /// No sandbox can be entered here.
    Unavailable {
        /// Why, and what to do about it.
        why: String,
    },
    /// What goes on.
    Progress {
        /// In a few words.
        text: String,
        /// How far it has come, where that is known.
        fraction: Option<f64>,
    },
    /// The verdict; nothing follows.
    Finished {
        /// As it is reported.
        record: Record,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_each_and_come_back() {
        let message = Message::Progress {
            text: "two\nlines".into(),
            fraction: Some(0.5),
        };
        let line = serde_json::to_string(&message).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Message>(&line).unwrap(), message);
    }
}
