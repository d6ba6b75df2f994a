//! Starts a worker process for each job, so many at a time, and hears what they say.
//!
//! A worker's standard input is a pipe that ends when this process does, and then so does the
//! worker; only leave to go on after a pause, and that it has been enough, are written to it. The sandbox asks for the kernel's parent death signal too,
//! which comes when the thread ends that started it, so each is started and awaited by one thread.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::bundle;
use crate::clauses;
use crate::events::Event;
use crate::job::{Job, Message};
use crate::judgement::Judgement;
use crate::pause;
use crate::process::{self, MYSELF, Output};
use crate::report::Record;
use crate::worker;

/// How long a clause may take beside what it waits for. They take seconds; this ends one that hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// How long a worker that is told that it has been enough may take to say what it has: as long as a
/// command of the applier, and some.
const LAST_WORDS: Duration = Duration::from_secs(30);

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
    let mut log = Log::new(since);
    let mut limit = Limit::default();
    let mut enough = None;
    let reason = loop {
        match said.recv_timeout(limit.at().saturating_sub(since.elapsed())) {
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
                limit.prolong(pause::until_enter(&mut child)?);
            }
            Ok(Message::Waiting { ms }) => limit.wait(Duration::from_millis(ms)),
            Ok(message) => {
                if let Message::Progress { text, .. } = &message {
                    log.note(text);
                }
                hear(message);
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(reason) = enough {
                    break reason;
                }
                let reason = format!("{limit}, at \"{}\"", log.last);
                if let Some(worker) = &mut child.stdin {
                    writeln!(worker, "{reason}")?;
                }
                limit.prolong(LAST_WORDS);
                enough = Some(reason);
            }
            Err(RecvTimeoutError::Disconnected) => {
                let ending = process::wait(&mut child, GRACE)?.map(process::ending);
                let ending = ending.unwrap_or_else(|| "fell silent".to_owned());
                break format!(
                    "its worker {ending} before the verdict, at \"{}\"",
                    log.last
                );
            }
        }
    };
    end(&mut child, Duration::ZERO)?;
    log.lines.push(stderr.tail());
    Err(Lost {
        reason,
        detail: log.lines.join("\n"),
    })
}

/// Until when a worker may say nothing of its end, from its start.
#[derive(Debug, Default)]
struct Limit {
    /// What all its waits together may take.
    waits: Duration,
    /// What it was held up, and what it is given to come to an end.
    more: Duration,
}

impl Limit {
    fn at(&self) -> Duration {
        LIMIT + self.waits + self.more
    }

    fn wait(&mut self, at_most: Duration) {
        self.waits = self.waits.saturating_add(at_most);
    }

    fn prolong(&mut self, by: Duration) {
        self.more = self.more.saturating_add(by);
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it had not ended {} s after the {} s that all it waits for may take",
            LIMIT.as_secs(),
            self.waits.as_secs()
        )
    }
}

/// What a worker said that it does.
struct Log {
    since: Instant,
    lines: Vec<String>,
    last: String,
}

impl Log {
    fn new(since: Instant) -> Self {
        Log {
            since,
            lines: Vec::new(),
            last: "starting".to_owned(),
        }
    }

    fn note(&mut self, what: &str) {
        what.clone_into(&mut self.last);
        let event = Event {
            at: self.since.elapsed(),
            what: what.to_owned(),
            mark: None,
        };
        self.lines.push(event.to_string());
    }
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
        let mut record = Record::new(clause, &job.configuration, judgement, since.elapsed())
            .with_detail(Some(self.detail));
        // What the worker had taken down is gone with it.
        bundle::keep(&job.keep, None, &mut record, &job.toml, &job.repeat());
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_clause_waits_for_is_not_taken_for_a_clause_that_hangs() {
        let mut limit = Limit::default();
        assert_eq!(limit.at(), LIMIT);
        limit.wait(Duration::from_secs(42));
        limit.wait(Duration::from_secs(42));
        limit.prolong(Duration::from_secs(7));
        assert_eq!(limit.at(), LIMIT + Duration::from_secs(91));
        assert_eq!(
            limit.to_string(),
            "it had not ended 120 s after the 84 s that all it waits for may take"
        );
    }

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
