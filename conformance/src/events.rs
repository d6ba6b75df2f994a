//! What happened while a clause was judged, with times.

use std::fmt;
use std::time::{Duration, Instant};

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
        let what = what.into();
        (self.send)(&Message::Progress {
            text: what.clone(),
            fraction: None,
        });
        self.kept.push(Event {
            at: self.since.elapsed(),
            what,
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
