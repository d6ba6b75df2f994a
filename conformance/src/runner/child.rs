//! A worker's process, as the orchestrator has it.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, never, select_biased, unbounded};

use crate::job::{Message, Task};
use crate::process::{self, MYSELF, Output};
use crate::stop::Stop;
use crate::worker;

/// How long a worker that has said its last word may take to end.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// A worker that has been started.
pub(super) struct Worker {
    pub(super) child: Child,
    said: Receiver<Message>,
    stderr: Output,
}

/// What comes of listening to a worker.
pub(super) enum Heard {
    /// It says something.
    Said(Message),
    /// It has ended, with all that it started.
    Over,
    /// Nothing within the limit.
    Late,
    /// The run is to end.
    Stopped,
}

impl Worker {
    /// Starts one for a task, or only to try whether a sandbox can be entered. It has a process group
    /// of its own, so that Ctrl-C in a terminal is the orchestrator's to heed.
    pub(super) fn start(task: Option<&Task>) -> io::Result<Self> {
        let stderr = Output::new()?;
        let task = task.map(serde_json::to_string).transpose()?;
        let mut child = Command::new(MYSELF)
            .arg(worker::ARGUMENT)
            .args(task)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.stdio()?)
            .spawn()?;
        let said = listen(child.stdout.take().expect("piped"));
        Ok(Worker {
            child,
            said,
            stderr,
        })
    }

    /// The next that it says: what was said before the run is to end is heard yet.
    pub(super) fn hear(&self, limit: Option<Duration>, stop: &Stop) -> Heard {
        let late = limit.map_or_else(never, after);
        select_biased! {
            recv(self.said) -> said => said.map_or(Heard::Over, Heard::Said),
            recv(stop.asked()) -> _ => Heard::Stopped,
            recv(late) -> _ => Heard::Late,
        }
    }

    /// Tells it that it has been enough, and why. One that is gone already is found to be so at once.
    pub(super) fn ask_for_last_words(&mut self, why: &str) {
        if let Some(stdin) = &mut self.child.stdin {
            let _ = writeln!(stdin, "{why}");
        }
    }

    /// Waits a little for its end; in words.
    pub(super) fn ending(&mut self) -> io::Result<String> {
        let ending = process::wait(&mut self.child, GRACE)?.map(process::ending);
        Ok(ending.unwrap_or_else(|| "fell silent".to_owned()))
    }

    /// What it wrote to standard error.
    pub(super) fn stderr(&self) -> String {
        self.stderr.tail()
    }

    /// Waits so long for its end, then brings it about: the kernel takes the sandbox back with it.
    pub(super) fn end(mut self, grace: Duration) -> io::Result<()> {
        if process::wait(&mut self.child, grace)?.is_some() {
            return Ok(());
        }
        self.child.kill()?;
        self.child.wait()?;
        // All of the sandbox's own processes hold the pipe.
        let until = Instant::now() + GRACE;
        while self.said.recv_deadline(until).is_ok() {}
        Ok(())
    }
}

/// Reads a worker's messages in a thread of its own, so that hearing them can have a limit.
fn listen(stdout: ChildStdout) -> Receiver<Message> {
    let (sender, receiver) = unbounded();
    thread::spawn(move || messages(stdout).all(|message| sender.send(message).is_ok()));
    receiver
}

/// The messages among the lines; others, as a clause's stray print, are passed over.
fn messages(lines: impl io::Read) -> impl Iterator<Item = Message> {
    BufReader::new(lines)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_lines_are_passed_over() {
        let said = "hello\n{\"event\":\"started\",\"mode\":\"full\"}\n\n{\"event\":1}\n";
        let heard: Vec<Message> = messages(said.as_bytes()).collect();
        assert_eq!(
            heard,
            [Message::Started {
                mode: "full".to_owned()
            }]
        );
    }
}
