//! A keepalive that is listened to.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// What is waited for comes within milliseconds, or where the kernel tells nobody, every 10 s.
const DEADLINE: Duration = Duration::from_secs(30);

/// Killed by force at the end.
pub(crate) struct Watched {
    daemon: Child,
    said: Receiver<String>,
}

impl Watched {
    /// Starts it, and listens to its log.
    pub(crate) fn begin(mut command: Command) -> Self {
        let mut daemon = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
        let (say, said) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Nobody listens any more once the test is over.
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Self { daemon, said }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// How it ended, after its last word.
    pub(crate) fn ends(mut self) -> ExitStatus {
        self.daemon.wait().unwrap()
    }

    /// The next line with this, where none before has what it must not say; all that was said where
    /// none has it until the keepalive ends or the deadline is over.
    #[track_caller]
    pub(crate) fn hears_without(&mut self, what: &str, never: Option<&str>) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut said = String::new();
        let left = || deadline.saturating_duration_since(Instant::now());
        while let Ok(line) = self.said.recv_timeout(left()) {
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
