//! Starts a worker process for each job, so many at a time, and hears what they say.
//!
//! A worker's standard input is a pipe that ends when this process does, and then so does the
//! worker; only leave to go on after a pause, and that it has been enough, are written to it. The
//! sandbox asks for the kernel's parent death signal too, which comes when the thread ends that
//! started it, so each is started and awaited by one thread.

mod child;
mod limit;

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::bundle;
use crate::clauses;
use crate::job::{Claims, Job, Message, Question, Task};
use crate::judgement::Judgement;
use crate::pause;
use crate::report::Record;
use crate::stop::{Stop, Why};
use child::{GRACE, Heard, Worker};
use limit::{Limit, Log};

/// How long a worker that is told that it has been enough may take to say what it has: as long as a
/// command of the applier, and some.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Why no worker can work here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No lab can be built; the text has the reason and what to do.
    #[error("{0}")]
    Unavailable(String),
    /// The worker could not be started, or said nothing of use.
    #[error("no worker process could be started: {0}")]
    Worker(String),
    /// The applier does not say what it is asked before the first clause.
    #[error("this applier cannot be judged: {why}{}", quoted(output))]
    Unfit {
        /// What it did against the contract.
        why: String,
        /// What it printed.
        output: String,
    },
    /// It is to end before anything was judged.
    #[error("{0}")]
    Stopped(Why),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Worker(error.to_string())
    }
}

/// An applier's output below an error, a line each.
fn quoted(output: &str) -> String {
    output.lines().map(|line| format!("\n  | {line}")).collect()
}

/// Tries with a first worker whether a sandbox can be entered; its mode.
///
/// # Errors
///
/// If not, or if the run is to end.
pub fn doctor(stop: &Stop) -> Result<String, Error> {
    answer(None, stop, |message| match message {
        Message::Started { mode } => Some(Ok(mode)),
        _ => None,
    })
}

/// Asks an applier what it claims, once for all clauses.
///
/// # Errors
///
/// If it does not answer as the contract has it, no sandbox can be entered, or the run is to end.
pub fn ask(question: Question, stop: &Stop) -> Result<Claims, Error> {
    answer(Some(&Task::Ask(question)), stop, |message| match message {
        Message::Claims(claims) => Some(Ok(claims)),
        Message::Unfit { why, output } => Some(Err(Error::Unfit { why, output })),
        _ => None,
    })
}

/// Runs a worker until it has said what is looked for.
fn answer<T>(
    task: Option<&Task>,
    stop: &Stop,
    look: impl Fn(Message) -> Option<Result<T, Error>>,
) -> Result<T, Error> {
    let mut worker = Worker::start(task)?;
    loop {
        let found = match worker.hear(None, stop) {
            Heard::Said(Message::Unavailable { why }) => Err(Error::Unavailable(why)),
            Heard::Said(message) => match look(message) {
                Some(found) => found,
                None => continue,
            },
            Heard::Stopped => {
                worker.end(Duration::ZERO)?;
                let why = stop.why().cloned().expect("there is a reason to stop");
                return Err(Error::Stopped(why));
            }
            Heard::Over | Heard::Late => {
                let ending = worker.ending()?;
                Err(Error::Worker(format!("it {ending}: {}", worker.stderr())))
            }
        };
        worker.end(GRACE)?;
        return found;
    }
}

/// Does the jobs, at most `at_once` at a time, and calls `hear` with each job's index and each of
/// its messages; the records, in the order of the jobs. When what `stop` has for a job is to end, the
/// job that is under way is broken off, and has no record, as what was not begun.
pub fn run<'a>(
    jobs: &[Job],
    at_once: usize,
    stop: impl Fn(usize) -> &'a Stop + Sync,
    mut hear: impl FnMut(usize, &Message),
) -> Vec<Option<Record>> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..jobs.len()).collect());
    let next = || {
        let mut queue = queue.lock().expect("no holder panics");
        while let Some(index) = queue.pop_front() {
            if stop(index).why().is_none() {
                return Some(index);
            }
        }
        None
    };
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, jobs.len().max(1)) {
            let sender = sender.clone();
            let (next, stop) = (&next, &stop);
            scope.spawn(move || {
                while let Some(index) = next() {
                    supervise(&jobs[index], stop(index), |message| {
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
            if let Message::Finished { record, .. } = message {
                records[index] = Some(*record);
            }
        }
        records
    })
}

/// Runs one worker to its end. Whatever becomes of it, the last message is its record, unless it is
/// broken off.
fn supervise(job: &Job, stop: &Stop, mut hear: impl FnMut(Message)) {
    let since = Instant::now();
    match watch(job, since, stop, &mut hear) {
        Ok(Some(finished)) => hear(finished),
        // It may have died of the signal that this process heeds.
        Ok(None) => (),
        Err(_) if stop.why().is_some() => (),
        Err(lost) => hear(Message::Finished {
            record: Box::new(lost.record(job, since)),
            hopeless: None,
        }),
    }
}

/// Starts a worker and hears it until its last message, its end or the limit; none when the run is
/// to end.
fn watch(
    job: &Job,
    since: Instant,
    stop: &Stop,
    hear: &mut impl FnMut(Message),
) -> Result<Option<Message>, Lost> {
    let mut worker = Worker::start(Some(&Task::Judge(Box::new(job.clone()))))?;
    let mut log = Log::new(since);
    let mut limit = Limit::default();
    let mut enough = None;
    let (mut heeded, not_again) = (stop, Stop::new());
    let reason = loop {
        let left = limit.at().saturating_sub(since.elapsed());
        match worker.hear(Some(left), heeded) {
            Heard::Said(finished @ Message::Finished { .. }) => {
                worker.end(GRACE)?;
                return Ok(Some(finished));
            }
            Heard::Said(Message::Unavailable { why }) => break why,
            Heard::Said(Message::Paused { hosts, user, .. }) => {
                let id = worker.child.id();
                hear(Message::Paused {
                    hosts,
                    user,
                    worker: id,
                });
                limit.prolong(pause::until_enter(&mut worker.child, stop)?);
                // It has gone wrong, and has no more to do than to say so.
                if stop.why().is_some() {
                    heeded = &not_again;
                }
            }
            Heard::Said(Message::Waiting { ms }) => limit.wait(Duration::from_millis(ms)),
            Heard::Said(message) => {
                if let Message::Progress { text, .. } = &message {
                    log.note(text);
                }
                hear(message);
            }
            Heard::Stopped => {
                worker.end(Duration::ZERO)?;
                return Ok(None);
            }
            Heard::Late => {
                if let Some(reason) = enough {
                    break reason;
                }
                let reason = format!("{limit}, at \"{}\"", log.last());
                worker.ask_for_last_words(&reason);
                limit.prolong(LAST_WORDS);
                enough = Some(reason);
            }
            Heard::Over => {
                let ending = worker.ending()?;
                let last = log.last();
                break format!("its worker {ending} before the verdict, at \"{last}\"");
            }
        }
    };
    let detail = log.and(worker.stderr());
    worker.end(Duration::ZERO)?;
    Err(Lost { reason, detail })
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
