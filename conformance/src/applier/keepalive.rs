//! An applier's daemon while it runs.

use std::io;
use std::process::{Child, ExitStatus};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    began: Instant,
    ending: Ending,
}

/// What is known of the daemon's end.
#[derive(Debug)]
enum Ending {
    /// It is waited for.
    Awaited(JoinHandle<Instant>),
    /// It was then.
    At(Instant),
}

impl Keepalive {
    pub(super) fn new(command: String, child: Child, output: Output) -> io::Result<Self> {
        let ending = Ending::Awaited(process::end_of(&child)?);
        Ok(Keepalive {
            command,
            child,
            output,
            began: Instant::now(),
            ending,
        })
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

    /// When it ended by itself, and the error that this is; none while it runs, or if the applier has
    /// none.
    pub fn early_end(&mut self) -> Option<(Instant, Error)> {
        let error = self.is_running().err()?;
        Some((self.end(), error))
    }

    /// Whether the applier has none: it has so long to say so.
    ///
    /// # Errors
    ///
    /// If it has ended otherwise.
    pub fn is_none(&mut self, patience: Duration) -> Result<bool, Error> {
        process::wait(&mut self.child, patience).map_err(|source| self.run(source))?;
        Ok(!self.is_running()?)
    }

    /// Ends it: SIGTERM to its process group, SIGKILL two seconds later. True if there was one.
    ///
    /// # Errors
    ///
    /// If it had ended before.
    pub fn stop(&mut self) -> Result<bool, Error> {
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

    /// All that it has printed so far.
    #[must_use]
    pub fn all_output(&self) -> String {
        self.output.all()
    }

    /// Its command line.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }

    /// To its group, which it leads once it has a session; before that to itself.
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        if kill_process_group(pid, signal).is_err() {
            let _ = kill_process(pid, signal);
        }
    }

    fn run(&self, source: io::Error) -> Error {
        Error::Run {
            command: self.command.clone(),
            source,
        }
    }

    fn ended(&mut self, status: ExitStatus) -> Error {
        let after = self.end().saturating_duration_since(self.began);
        let output = self.output.tail();
        let mut ending = format!(
            "was to stay, and {} by itself after {} ms",
            process::ending(status),
            after.as_millis()
        );
        if let Some(last) = output.lines().last() {
            ending.push_str(&format!(", its last words \"{}\"", last.trim()));
        }
        Error::Ended {
            command: self.command.clone(),
            ending,
            output,
        }
    }

    /// When it ended, once it has.
    fn end(&mut self) -> Instant {
        let at = match std::mem::replace(&mut self.ending, Ending::At(self.began)) {
            Ending::Awaited(thread) => thread.join().expect("it only waits"),
            Ending::At(at) => at,
        };
        self.ending = Ending::At(at);
        at
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    /// A shell as the daemon, leading its group as it would its session.
    fn daemon(script: &str) -> Keepalive {
        let output = Output::new().unwrap();
        let child = Command::new("sh")
            .args(["-c", script])
            .process_group(0)
            .stdout(output.stdio().unwrap())
            .stderr(output.stdio().unwrap())
            .spawn()
            .unwrap();
        Keepalive::new("./mine.sh keepalive".to_owned(), child, output).unwrap()
    }

    fn wait_for(keepalive: &Keepalive, said: &str) {
        let until = Instant::now() + Duration::from_secs(10);
        while keepalive.output() != said {
            assert!(Instant::now() < until, "{}", keepalive.output());
            std::thread::yield_now();
        }
    }

    fn wait_for_end(keepalive: &mut Keepalive) {
        process::wait(&mut keepalive.child, KILLED)
            .unwrap()
            .unwrap();
    }

    #[test]
    fn sigterm_ends_the_whole_group() {
        let mut keepalive = daemon("trap 'echo bye; exit 0' TERM; sleep 60 & echo up; wait");
        wait_for(&keepalive, "up");
        let output = keepalive.output.clone();
        let since = Instant::now();
        assert!(keepalive.stop().unwrap());
        assert!(since.elapsed() < GRACE, "{:?}", since.elapsed());
        assert_eq!(output.tail(), "up\nbye");
    }

    #[test]
    fn one_that_does_not_heed_sigterm_is_killed_after_the_grace() {
        let mut keepalive = daemon("trap '' TERM; echo up; while :; do sleep 1; done");
        wait_for(&keepalive, "up");
        let since = Instant::now();
        assert!(keepalive.stop().unwrap());
        assert!(since.elapsed() >= GRACE);
    }

    #[test]
    fn sixty_four_says_that_there_is_none() {
        let mut keepalive = daemon("exit 64");
        assert!(keepalive.is_none(KILLED).unwrap());
        assert!(!keepalive.is_running().unwrap());
        assert!(!keepalive.stop().unwrap());
    }

    #[test]
    fn one_that_stays_is_one() {
        let mut keepalive = daemon("while :; do sleep 1; done");
        assert!(!keepalive.is_none(Duration::from_millis(1)).unwrap());
    }

    #[test]
    fn an_early_end_is_told_with_its_output() {
        let before = Instant::now();
        let mut keepalive = daemon("echo one; echo no probes today; exit 3");
        wait_for_end(&mut keepalive);
        let (at, error) = keepalive.early_end().unwrap();
        assert!((before..=Instant::now()).contains(&at));
        let text = error.to_string();
        let (begin, rest) = text.split_once(" by itself after ").unwrap();
        assert_eq!(begin, "`./mine.sh keepalive` was to stay, and ended with 3");
        assert!(
            rest.ends_with(" ms, its last words \"no probes today\""),
            "{rest}"
        );
        assert_eq!(error.output(), Some("one\nno probes today"));
        assert_eq!(keepalive.stop().unwrap_err().to_string(), text);
    }
}
