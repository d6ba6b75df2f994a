//! What the orchestrator and its workers say to each other.
//!
//! A [`Task`] is a worker's only argument; [`Message`]s come back on its standard output, one JSON
//! object a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::bundle::Keep;
use crate::clause::Feature;
use crate::configuration;
use crate::report::Record;

/// What a worker is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Judge a clause.
    Judge(Box<Job>),
    /// Ask an applier.
    Ask(Question),
}

/// What an applier is asked before the first clause: what it claims.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked.
    pub subject: Subject,
    /// The configuration's name.
    pub configuration: String,
    /// The configuration's text.
    pub toml: String,
}

/// What an applier claims beyond what the how-to promises for fixed lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Of the contract's features.
    pub features: Vec<Feature>,
    /// Words that the contract does not know: of a later one, or misspelt.
    pub unknown: Vec<String>,
}

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
    /// What it claims.
    pub features: Vec<Feature>,
    /// The run's seed.
    pub seed: u64,
    /// The level of each statistical test in this run.
    pub level: f64,
    /// Where what is kept of a clause that goes wrong goes.
    pub keep: Keep,
    /// Whether the lab of a clause that goes wrong is held until somebody has looked.
    pub pause: bool,
}

impl Job {
    /// The command that judges this alone, wherever it is given.
    #[must_use]
    pub fn repeat(&self) -> String {
        let applier = self.subject.is_foreign().then(|| {
            let name = self.subject.name();
            // One without a slash is a fixture's.
            if name.contains('/') {
                absolute(name)
            } else {
                name.to_owned()
            }
        });
        let configuration = if configuration::is_builtin(&self.configuration) {
            self.configuration.clone()
        } else {
            absolute(&self.configuration)
        };
        repeat(applier.as_deref(), &self.clause, &configuration, self.seed)
    }
}

/// The command that judges one clause with one configuration alone, with the same flows.
#[must_use]
pub fn repeat(applier: Option<&str>, clause: &str, configuration: &str, seed: u64) -> String {
    let applier = applier.map_or_else(String::new, |name| format!(" --applier {}", quoted(name)));
    format!(
        "multiwan-conformance run{applier} --only {clause} -c {} --seed {seed}",
        quoted(configuration)
    )
}

/// A path from the root; as it is where this process's own folder is gone.
fn absolute(path: &str) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    absolute.to_string_lossy().into_owned()
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
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
    /// It waits for something, or lets time pass.
    Waiting {
        /// So long at most.
        ms: u64,
    },
    /// The clause went wrong and its lab is held until a line is written to the worker.
    Paused {
        /// How its hosts are entered, the router first.
        hosts: Vec<Namespace>,
        /// The worker's user namespace, by its inode.
        user: u64,
        /// The worker's process, as the orchestrator knows it; the worker does not.
        worker: u32,
    },
    /// The verdict; nothing follows.
    Finished {
        /// As it is reported.
        record: Box<Record>,
        /// Why no other clause of this applier is worth judging, if it is so.
        hopeless: Option<Hopeless>,
    },
    /// What the applier claims; nothing follows.
    Claims(Claims),
    /// The applier does not say what it claims; nothing follows.
    Unfit {
        /// What it did instead.
        why: String,
        /// What it printed.
        output: String,
    },
}

/// What an applier does that every clause would meet with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hopeless {
    /// What it does.
    pub what: String,
    /// Whether with any configuration: a command that does not end. An `apply` that refuses one may do
    /// with another.
    pub with_any: bool,
}

/// A host's network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// The host's name.
    pub host: String,
    /// Where it is in the worker's view of `/proc`.
    pub path: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_the_command_as_it_is_meant() {
        assert_eq!(
            repeat(Some("./it's mine.sh"), "a.b", "my lines.toml", 7),
            r"multiwan-conformance run --applier './it'\''s mine.sh' --only a.b -c 'my lines.toml' --seed 7"
        );
    }

    #[test]
    fn what_is_kept_repeats_from_any_folder() {
        let repeat = |name: &str, configuration: &str| {
            let job = Job {
                clause: "a.b".to_owned(),
                configuration: configuration.to_owned(),
                toml: String::new(),
                subject: Subject::Foreign {
                    name: name.to_owned(),
                    path: "/elsewhere".into(),
                },
                features: Vec::new(),
                seed: 7,
                level: 0.0,
                keep: Keep::Nothing,
                pause: false,
            };
            job.repeat()
        };
        let here = std::env::current_dir().unwrap();
        let here = here.display();
        assert_eq!(
            repeat("./mine.sh", "lines.toml"),
            format!(
                "multiwan-conformance run --applier {here}/mine.sh --only a.b -c {here}/lines.toml \
                 --seed 7"
            )
        );
        assert_eq!(
            repeat("drawn", "two-lines"),
            "multiwan-conformance run --applier drawn --only a.b -c two-lines --seed 7"
        );
    }

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
