//! What is counted of each line, for `status` and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::runtime::{Counted, Probes};

/// Nothing was answered yet.
const NEVER: u64 = u64::MAX;

/// What the watcher of one line counts.
#[derive(Debug, Clone)]
pub(super) struct Counts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sent: AtomicU64,
    missed: AtomicU64,
    /// Of the last answer, in microseconds.
    round_trip: AtomicU64,
}

impl Counts {
    pub(super) fn sent(&self) {
        self.0.sent.fetch_add(1, Relaxed);
    }

    pub(super) fn missed(&self) {
        self.0.missed.fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self, after: Duration) {
        let micros = u64::try_from(after.as_micros()).unwrap_or(NEVER);
        self.0.round_trip.store(micros, Relaxed);
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self(Arc::new(Inner {
            sent: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            round_trip: AtomicU64::new(NEVER),
        }))
    }
}

/// The counts of all lines that were ever watched, and of what was done for them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    lines: BTreeMap<String, (Counts, u64)>,
    reconciles: u64,
    reconcile_failures: u64,
}

impl Tally {
    /// The counts of this line, which go on if it was watched before.
    pub(super) fn of(&mut self, line: &str) -> Counts {
        let (counts, _) = self.lines.entry(line.to_owned()).or_default();
        counts.clone()
    }

    pub(super) fn verdict_changed(&mut self, line: &str) {
        let (_, changes) = self.lines.entry(line.to_owned()).or_default();
        *changes += 1;
    }

    pub(super) fn reconciled(&mut self, done: bool) {
        self.reconciles += 1;
        self.reconcile_failures += u64::from(!done);
    }

    /// As it is now.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of seconds")]
    pub(super) fn counted(&self) -> Counted {
        let lines = self.lines.iter().map(|(name, (counts, changes))| {
            let round_trip = counts.0.round_trip.load(Relaxed);
            let probes = Probes {
                sent: counts.0.sent.load(Relaxed),
                missed: counts.0.missed.load(Relaxed),
                round_trip_ms: (round_trip != NEVER).then(|| round_trip as f64 / 1000.0),
                verdict_changes: *changes,
            };
            (name.clone(), probes)
        });
        Counted {
            reconciles: self.reconciles,
            reconcile_failures: self.reconcile_failures,
            lines: lines.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_when_a_line_is_watched_again() {
        let mut tally = Tally::default();
        tally.of("dsl1").sent();
        tally.of("dsl1").sent();
        tally.of("dsl1").missed();
        assert_eq!(tally.counted().lines["dsl1"].round_trip_ms, None);
        tally.of("dsl1").answered(Duration::from_micros(1500));
        tally.verdict_changed("dsl1");
        tally.reconciled(true);
        tally.reconciled(false);
        let counted = tally.counted();
        assert_eq!(
            counted.lines["dsl1"],
            Probes {
                sent: 2,
                missed: 1,
                round_trip_ms: Some(1.5),
                verdict_changes: 1,
            }
        );
        assert_eq!((counted.reconciles, counted.reconcile_failures), (2, 1));
    }
}
