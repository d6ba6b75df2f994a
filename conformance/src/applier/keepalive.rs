//! An applier's daemon while it runs.

use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{Error, NONE};
use crate::process::{self, Output};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// How long the kernel may take to end a killed process.
const KILLED: Duration = Duration::from_secs(10);

/// `keepalive` in a session of its own. Dropped, it is killed with its whole process group.
#[derive(Debug)]
pub struct Keepalive {
    command: String,
    child: Child,
    output: Output,
}

impl Keepalive {
    pub(super) fn new(command: String, child: Child, output: Output) -> Self {
        Keepalive {
            command,
            child,
            output,
        }
    }

    /// Whether it runs; not if the applier has none.
    ///
    /// # Errors
    ///
    /// If it has ended otherwise than by saying so.
    pub fn is_running(&mut self) -> Result<bool, Error> {
        match self.child.try_wait().map_err(|source| self.run(source))? {
            None => Ok(true),
            Some(status) if status.code() == Some(NONE) => Ok(false),
            Some(status) => Err(self.ended(status)),
        }
    }

    /// Ends it: SIGTERM to its process group, SIGKILL two seconds later. True if there was one.
    ///
    /// # Errors
    ///
    /// If it had ended before.
    pub fn stop(mut self) -> Result<bool, Error> {
        if !self.is_running()? {
            return Ok(false);
        }
        self.signal(Signal::TERM);
        let ended = process::wait(&mut self.child, GRACE).map_err(|source| self.run(source))?;
        if ended.is_none() {
            self.signal(Signal::KILL);
            process::wait(&mut self.child, KILLED).map_err(|source| self.run(source))?;
        }
        Ok(true)
    }

    /// What it has printed so far, or the end of that.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.tail()
    }

    /// To its group, which it leads once it has a session; before that to itself.
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        if kill_process_group(pid, signal).is_err() {
            let _ = kill_process(pid, signal);
        }
    }

    fn run(&self, source: std::io::Error) -> Error {
        Error::Run {
            command: self.command.clone(),
            source,
        }
    }

    fn ended(&self, status: ExitStatus) -> Error {
        let ending = format!("was to stay, and {}", process::ending(status));
        Error::Ended {
            command: self.command.clone(),
            ending,
            output: self.output.tail(),
        }
    }
}

impl Drop for Keepalive {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::KILL);
            let _ = process::wait(&mut self.child, KILLED);
        }
    }
}
