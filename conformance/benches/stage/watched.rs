//! A keepalive that is listened to.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};

/// Killed by force at the end.
pub(crate) struct Watched {
    daemon: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Watched {
    /// Starts it, and listens to its log.
    pub(crate) fn begin(mut command: Command) -> Self {
        let mut daemon = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(daemon.stderr.take().unwrap()).lines();
        Self { daemon, said }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// The next line with this, where none before has what it must not say; all that was said where
    /// none has it until the keepalive ends.
    #[track_caller]
    pub(crate) fn hears_without(&mut self, what: &str, never: Option<&str>) -> String {
        let mut said = String::new();
        for line in self.said.by_ref().map(Result::unwrap) {
            if line.contains(what) {
                return line;
            }
            assert!(!never.is_some_and(|never| line.contains(never)), "{line}");
            said.push_str(&line);
            said.push('\n');
        }
        panic!("it did not say {what:?}:\n{said}");
    }

    /// As there, whatever it says before.
    #[track_caller]
    pub(crate) fn hears(&mut self, what: &str) -> String {
        self.hears_without(what, None)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
