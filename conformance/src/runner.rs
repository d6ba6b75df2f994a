//! Starts a worker process for each job, so many at a time, and hears what they say.
//!
//! A worker's standard input is a pipe that nothing is written to: it ends when this process
//! does, and then so does the worker. The sandbox asks for the kernel's parent death signal too,
//! which comes when the thread ends that started it, so each is started and awaited by one thread.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::clauses;
use crate::job::{Job, Message};
use crate::judgement::Judgement;
use crate::pause;
use crate::process::{self, MYSELF, Output};
use crate::report::Record;
use crate::worker;

/// How long a clause may take. They take seconds; this ends one that hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// How long a worker that has said its last word may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Why no worker can work here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No lab can be built; the text has the reason and what to do.
    #[error("{0}")]
    Unavailable(String),
    /// The worker could not be started, or said nothing of use.
    #[error("no worker process could be started: {0}")]
    Worker(String),
}

/// Tries with a first worker whether a sandbox can be entered; its mode.
///
/// # Errors
///
/// If not.
pub fn doctor() -> Result<String, Error> {
    let error = |error: io::Error| Error::Worker(error.to_string());
    let output = Command::new(MYSELF)
        .arg(worker::ARGUMENT)
        .stdin(Stdio::null())
        .output()
        .map_err(error)?;
    match messages(&output.stdout[..]).next() {
        Some(Message::Started { mode }) => Ok(mode),
        Some(Message::Unavailable { why }) => Err(Error::Unavailable(why)),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(Error::Worker(format!(
                "it {}: {said}",
                process::ending(output.status)
            )))
        }
    }
}

/// Does all jobs, at most `at_once` at a time, and calls `hear` with each job's index and each of
/// its messages; the records, in the order of the jobs.
pub fn run(jobs: &[Job], at_once: usize, mut hear: impl FnMut(usize, &Message)) -> Vec<Record> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..jobs.len()).collect());
    let next = || queue.lock().expect("no holder panics").pop_front();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, jobs.len().max(1)) {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(index) = next() {
                    supervise(&jobs[index], |message| {
                        // The receiver lives as long as this scope.
                        let _ = sender.send((index, message));
                    });
                }
            });
        }
        drop(sender);
        let mut records: Vec<Option<Record>> = vec![None; jobs.len()];
        for (index, message) in receiver {
            hear(index, &message);
            if let Message::Finished { record } = message {
                records[index] = Some(*record);
            }
        }
        records.into_iter().flatten().collect()
    })
}

/// Runs one worker to its end. Whatever becomes of it, the last message is its record.
fn supervise(job: &Job, mut hear: impl FnMut(Message)) {
    let since = Instant::now();
    let record = watch(job, since, &mut hear).unwrap_or_else(|lost| lost.record(job, since));
    hear(Message::Finished {
        record: Box::new(record),
    });
}

/// Starts a worker and hears it until its record, its end or the limit.
fn watch(job: &Job, since: Instant, hear: &mut impl FnMut(Message)) -> Result<Record, Lost> {
    let job = serde_json::to_string(job).map_err(io::Error::from)?;
    let stderr = Output::new()?;
    let mut child = Command::new(MYSELF)
        .args([worker::ARGUMENT, &job])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr.stdio()?)
        .spawn()?;
    let said = listen(child.stdout.take().expect("piped"));
    let mut doing = "starting".to_owned();
    let mut held = Duration::ZERO;
    let reason = loop {
        match said.recv_timeout((LIMIT + held).saturating_sub(since.elapsed())) {
            Ok(Message::Finished { record }) => {
                end(&mut child, GRACE)?;
                return Ok(*record);
            }
            Ok(Message::Unavailable { why }) => break why,
            Ok(Message::Paused { hosts, user, .. }) => {
                let worker = child.id();
                hear(Message::Paused {
                    hosts,
                    user,
                    worker,
                });
                held += pause::until_enter(&mut child)?;
            }
            Ok(message) => {
                if let Message::Progress { text, .. } = &message {
                    doing.clone_from(text);
                }
                hear(message);
            }
            Err(RecvTimeoutError::Timeout) => {
                break format!(
                    "it had not ended after {} s, at \"{doing}\": the machine may be starved",
                    LIMIT.as_secs()
                );
            }
            Err(RecvTimeoutError::Disconnected) => {
                let ending = process::wait(&mut child, GRACE)?.map(process::ending);
                let ending = ending.unwrap_or_else(|| "fell silent".to_owned());
                break format!("its worker {ending} before the verdict, at \"{doing}\"");
            }
        }
    };
    end(&mut child, Duration::ZERO)?;
    Err(Lost {
        reason,
        detail: stderr.tail(),
    })
}

/// Waits a little for a worker's end, then brings it about.
fn end(child: &mut Child, grace: Duration) -> io::Result<()> {
    if process::wait(child, grace)?.is_none() {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

/// Reads a worker's messages in a thread of its own, so that hearing them can have a limit.
fn listen(stdout: ChildStdout) -> Receiver<Message> {
    let (sender, receiver) = mpsc::channel();
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

/// A worker without a verdict.
struct Lost {
    reason: String,
    detail: String,
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        let reason = format!("its worker cannot be run: {error}");
        Lost {
            reason,
            detail: String::new(),
        }
    }
}

impl Lost {
    fn record(self, job: &Job, since: Instant) -> Record {
        let clause = clauses::find(&job.clause).expect("jobs are made of clauses");
        let judgement = Judgement::inconclusive(self.reason);
        Record::new(clause, &job.configuration, judgement, since.elapsed())
            .with_detail(Some(self.detail))
    }
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
