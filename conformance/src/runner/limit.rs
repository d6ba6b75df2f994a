//! Until when a worker is waited for, and what is known of it then.

use std::fmt;
use std::time::{Duration, Instant};

use crate::events::Event;

/// How long a clause may take beside what it waits for. They take seconds; this ends one that hangs.
const BESIDE: Duration = Duration::from_secs(120);

/// Until when a worker may say nothing of its end, from its start.
#[derive(Debug, Default)]
pub(super) struct Limit {
    /// What all its waits together may take.
    waits: Duration,
    /// What it was held up, and what it is given to come to an end.
    more: Duration,
}

impl Limit {
    /// When it is over.
    pub(super) fn at(&self) -> Duration {
        BESIDE.saturating_add(self.waits).saturating_add(self.more)
    }

    /// It waits for something, so long at most.
    pub(super) fn wait(&mut self, at_most: Duration) {
        self.waits = self.waits.saturating_add(at_most);
    }

    /// It is given more time.
    pub(super) fn prolong(&mut self, by: Duration) {
        self.more = self.more.saturating_add(by);
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it had not ended {} s after the {} s that all it waits for may take",
            BESIDE.as_secs(),
            self.waits.as_secs()
        )
    }
}

/// What a worker said that it does.
pub(super) struct Log {
    since: Instant,
    lines: Vec<String>,
    last: String,
}

impl Log {
    /// Of one that has been started then.
    pub(super) fn new(since: Instant) -> Self {
        Log {
            since,
            lines: Vec::new(),
            last: "starting".to_owned(),
        }
    }

    /// It does this from now on.
    pub(super) fn note(&mut self, what: &str) {
        what.clone_into(&mut self.last);
        let event = Event {
            at: self.since.elapsed(),
            what: what.to_owned(),
            mark: None,
        };
        self.lines.push(event.to_string());
    }

    /// What it did last.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    /// All of it, a line each, and more behind it.
    pub(super) fn and(mut self, more: String) -> String {
        self.lines.push(more);
        self.lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_clause_waits_for_is_not_taken_for_a_clause_that_hangs() {
        let mut limit = Limit::default();
        assert_eq!(limit.at(), BESIDE);
        limit.wait(Duration::from_secs(42));
        limit.wait(Duration::from_secs(42));
        limit.prolong(Duration::from_secs(7));
        assert_eq!(limit.at(), BESIDE + Duration::from_secs(91));
        assert_eq!(
            limit.to_string(),
            "it had not ended 120 s after the 84 s that all it waits for may take"
        );
    }
}
