//! What happened while a clause was judged, with times.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::job::Message;

/// A clause's log: each event is kept for the report of a failure and sent on at once as
/// progress.
pub struct Events {
    since: Instant,
    kept: Vec<Event>,
    send: Box<dyn FnMut(&Message)>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, from the clause's start.
    pub at: Duration,
    /// What, in a few words: `dsl1: carrier lost`.
    pub what: String,
    /// What it is on a timeline; none for what is only of use in a log.
    pub mark: Option<Mark>,
}

/// What an event is on a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// A line was broken.
    Fault,
    /// A line was repaired.
    Repair,
    /// The router's kernel changed: a link, a default route.
    Change,
    /// What was waited for was seen, or not in time.
    Seen,
}

impl Events {
    /// An empty log whose progress goes to `send`.
    #[must_use]
    pub fn new(send: impl FnMut(&Message) + 'static) -> Self {
        Events {
            since: Instant::now(),
            kept: Vec::new(),
            send: Box::new(send),
        }
    }

    /// A log that only keeps.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    /// Notes that something happened just now.
    pub fn note(&mut self, what: impl Into<String>) {
        self.add(what.into(), None);
    }

    /// Notes that something happened just now that belongs on a timeline.
    pub fn mark(&mut self, mark: Mark, what: impl Into<String>) {
        self.add(what.into(), Some(mark));
    }

    /// Adds what somebody else saw happen; it takes its place by its time.
    pub fn insert(&mut self, at: Instant, mark: Mark, what: String) {
        let at = self.at(at);
        let place = self.kept.partition_point(|event| event.at <= at);
        let mark = Some(mark);
        self.kept.insert(place, Event { at, what, mark });
    }

    /// A moment as a time since the clause began.
    #[must_use]
    pub fn at(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.since)
    }

    fn add(&mut self, what: String, mark: Option<Mark>) {
        (self.send)(&Message::Progress {
            text: what.clone(),
            fraction: None,
        });
        let at = self.since.elapsed();
        self.kept.push(Event { at, what, mark });
    }

    /// Says that the clause waits for something from now on, so long at most: the orchestrator does not
    /// take that for a clause that hangs.
    pub fn wait(&mut self, at_most: Duration) {
        (self.send)(&Message::Waiting {
            ms: u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// Says how far the present phase has come, from 0 to 1; not kept.
    pub fn progress(&mut self, text: impl Into<String>, fraction: f64) {
        let fraction = Some(fraction.clamp(0.0, 1.0));
        (self.send)(&Message::Progress {
            text: text.into(),
            fraction,
        });
    }

    /// What was noted, in order.
    #[must_use]
    pub fn kept(&self) -> &[Event] {
        &self.kept
    }

    /// Since the clause began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.3} s  {}", self.at.as_secs_f64(), self.what)
    }
}
