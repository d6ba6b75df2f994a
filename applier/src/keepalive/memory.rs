//! The verdicts as the keepalive holds them, and as it leaves them for other commands.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use tracing::warn;

use super::error::Error;
use super::line::{Change, State};
use crate::config::Config;
use crate::runtime::{
    ChangeLock, Counted, Directory, KeepaliveLock, LockError, Remembered, RunningKeepalive,
};
use crate::verdicts::{Verdict, Verdicts};

/// Why a line is taken to be up that nothing is known of.
const NOT_PROBED: &str = "not probed yet";

/// What is known of each line, kept in the runtime folder where there is one.
#[derive(Debug)]
pub struct Memory {
    directory: Option<Directory>,
    _lock: Option<KeepaliveLock>,
    lines: Vec<Remembered>,
}

/// Whose turn it is to change the kernel.
pub(super) enum Turn {
    /// Ours, until the lock is dropped.
    Ours(#[expect(dead_code, reason = "held, not read")] Option<ChangeLock>),
    /// Another process's.
    Anothers,
}

impl Memory {
    /// Takes the keepalive's lock, and up what an earlier keepalive left of the lines that are
    /// still described so.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyRunning`] while another keepalive runs in this network namespace.
    pub fn open(config: &Config, file: &Path) -> Result<Self, Error> {
        // It is found by others, who may be elsewhere.
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let locked = Directory::of_this_namespace()
            .map_err(LockError::Unavailable)
            .and_then(|directory| {
                directory
                    .lock_keepalive(Some(&file))
                    .map(|lock| (directory, lock))
            });
        match locked {
            Ok((directory, lock)) => {
                let mut lines = directory.remembered();
                lines.retain(|held| config.lines.iter().any(|line| held.is_about(line)));
                for line in &mut lines {
                    line.state = state_of(line.verdict).word().into();
                }
                Ok(Self {
                    directory: Some(directory),
                    _lock: Some(lock),
                    lines,
                })
            }
            Err(LockError::Unavailable(error)) => {
                give_up(&error);
                Ok(Self {
                    directory: None,
                    _lock: None,
                    lines: Vec::new(),
                })
            }
            Err(LockError::Taken { pid }) => Err(Error::AlreadyRunning { pid }),
        }
    }

    /// The turn to change the kernel: under a lock where there is a folder for it.
    pub(super) fn turn(&self) -> Turn {
        match self.directory.as_ref().map(Directory::lock_changes) {
            Some(Ok(lock)) => Turn::Ours(Some(lock)),
            Some(Err(LockError::Taken { .. })) => Turn::Anothers,
            Some(Err(LockError::Unavailable(_))) | None => Turn::Ours(None),
        }
    }

    /// Keeps the lines of this configuration, in its order; a new one is up.
    pub(super) fn keep(&mut self, config: &Config) {
        let mut known = std::mem::take(&mut self.lines);
        self.lines = config
            .lines
            .iter()
            .map(
                |line| match known.iter().position(|held| held.name == line.name) {
                    Some(place) => Remembered {
                        interface: line.interface.clone(),
                        gateway: line.gateway,
                        ..known.swap_remove(place)
                    },
                    None => Remembered {
                        name: line.name.clone(),
                        interface: line.interface.clone(),
                        gateway: line.gateway,
                        state: State::Up.word().into(),
                        verdict: Verdict::Up,
                        since: SystemTime::now(),
                        reason: NOT_PROBED.into(),
                    },
                },
            )
            .collect();
    }

    /// The line's state when a watch on it begins: up, or dead where an earlier keepalive found
    /// it so and left the kernel that way.
    pub(super) fn state(&self, line: &str) -> State {
        let held = self.lines.iter().find(|held| held.name == line);
        state_of(held.map(|held| held.verdict).unwrap_or_default())
    }

    /// Takes in that a line has answered; whether nothing was known of it before.
    pub(super) fn answers(&mut self, line: &str) -> bool {
        let unknown = |held: &&mut Remembered| held.name == line && held.reason == NOT_PROBED;
        let Some(held) = self.lines.iter_mut().find(unknown) else {
            return false;
        };
        held.reason = "it answers".into();
        true
    }

    /// Takes in a change; whether the verdict is another now.
    pub(super) fn change(&mut self, line: &str, change: &Change) -> bool {
        let Some(held) = self.lines.iter_mut().find(|held| held.name == line) else {
            return false;
        };
        let before = held.verdict;
        if held.state != change.to.word() {
            held.since = SystemTime::now();
        }
        held.state = change.to.word().into();
        held.verdict = change.to.verdict();
        held.reason.clone_from(&change.reason);
        held.verdict != before
    }

    /// The verdicts.
    pub fn verdicts(&self) -> Verdicts {
        self.lines
            .iter()
            .map(|held| (held.name.clone(), held.verdict))
            .collect()
    }

    /// Whether all lines are dead, backups too.
    pub(super) fn none_is_up(&self) -> bool {
        let dead = |held: &Remembered| held.verdict == Verdict::Dead;
        self.lines.iter().all(dead)
    }

    /// Writes what was counted for other commands; that it cannot was said of the verdicts.
    pub(super) fn count(&self, counted: &Counted) {
        if let Some(directory) = &self.directory {
            let _ = directory.count(counted);
        }
    }

    /// This keepalive, as other commands see it.
    pub(super) fn running(&self) -> RunningKeepalive {
        RunningKeepalive {
            pid: Some(std::process::id()),
            config: None,
            lines: self.lines.clone(),
        }
    }

    /// The lines that are up, of how many, and the names of those that are not.
    pub(super) fn summary(&self) -> String {
        let dead: Vec<_> = self
            .lines
            .iter()
            .filter(|held| held.verdict == Verdict::Dead)
            .map(|held| held.name.as_str())
            .collect();
        let up = self.lines.len() - dead.len();
        match dead.as_slice() {
            [] => format!("{up} of {up} lines up"),
            dead => format!(
                "{up} of {} lines up; dead: {}",
                self.lines.len(),
                dead.join(", ")
            ),
        }
    }

    /// Writes it all for other commands. Where that fails it is said, and not tried again.
    pub(super) fn write(&mut self) {
        if let Some(directory) = &self.directory
            && let Err(error) = directory.remember(&self.lines)
        {
            give_up(&error);
            self.directory = None;
        }
    }
}

/// What a verdict stands for until something is seen of the line.
fn state_of(verdict: Verdict) -> State {
    match verdict {
        Verdict::Up => State::Up,
        Verdict::Dead => State::Dead,
    }
}

fn give_up(error: &io::Error) {
    warn!(
        %error,
        "cannot write the runtime folder: apply, plan and status will not know the verdicts"
    );
}
