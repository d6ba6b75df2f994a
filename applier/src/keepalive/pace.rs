//! When the kernel is looked at again: at once for a verdict, soon for an event, later where
//! somebody else keeps undoing what we do or the kernel keeps refusing it.

use std::time::Duration;

use super::line::Moment;

/// Events come in bursts; this long is waited for the rest of one.
const QUIET: Duration = Duration::from_millis(5);
/// Between passes that each had to change something again.
const SHORTEST_GAP: Duration = Duration::from_millis(20);
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// While another process changes the kernel.
const AFTER_OTHERS: Duration = Duration::from_millis(10);
/// After a pass that failed.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// Nothing had to be changed for so long: what comes next is no quarrel.
const CALM: Duration = Duration::from_secs(10);

/// The moments of passes over the kernel.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    due: Option<Moment>,
    last: Moment,
    last_change: Option<Moment>,
    gap: Duration,
    retry: Duration,
}

impl Pace {
    /// Something may differ now.
    pub(super) fn want_soon(&mut self, now: Moment) {
        let at = (now + QUIET).max(self.last + self.gap.max(self.retry.min(SHORTEST_RETRY)));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Something must differ now.
    pub(super) fn want_now(&mut self, now: Moment) {
        self.due = Some(now);
    }

    /// Another process is at work on the kernel: a look when it may be done.
    pub(super) fn give_way(&mut self, now: Moment) {
        self.due = Some(now + AFTER_OTHERS);
    }

    /// When the next pass is due.
    pub(super) fn due(&self) -> Option<Moment> {
        self.due
    }

    /// Whether a pass is due.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Whether something had to be changed a short while ago too.
    fn is_quarrel(&self, now: Moment) -> bool {
        self.last_change
            .is_some_and(|at| now.saturating_sub(at) < CALM)
    }

    /// A pass ended; whether it had to change anything.
    pub(super) fn passed(&mut self, now: Moment, changed: bool) {
        if changed {
            self.gap = if self.is_quarrel(now) {
                (self.gap * 2).clamp(SHORTEST_GAP, LONGEST_GAP)
            } else {
                Duration::ZERO
            };
            self.last_change = Some(now);
        }
        self.due = None;
        self.last = now;
        self.retry = Duration::ZERO;
    }

    /// A pass was refused by the kernel: the next one comes by itself.
    pub(super) fn failed(&mut self, now: Moment) {
        self.retry = (self.retry * 2).clamp(SHORTEST_RETRY, LONGEST_RETRY);
        self.last = now;
        self.due = Some(now + self.retry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Moment {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_burst_of_events_is_one_pass() {
        let mut pace = Pace::default();
        for at in [1000, 1001, 1004] {
            pace.want_soon(ms(at));
        }
        assert_eq!(pace.due(), Some(ms(1005)));
        assert!(!pace.is_due(ms(1004)));
        assert!(pace.is_due(ms(1005)));
        pace.passed(ms(1006), false);
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn a_verdict_never_waits() {
        let mut pace = Pace::default();
        for at in 0..50 {
            pace.passed(ms(at), true);
        }
        pace.want_soon(ms(50));
        pace.want_now(ms(51));
        assert!(pace.is_due(ms(51)));
    }

    #[test]
    fn own_echo_costs_one_pass() {
        let mut pace = Pace::default();
        pace.want_now(ms(1000));
        pace.passed(ms(1002), true);
        pace.want_soon(ms(1002));
        assert_eq!(pace.due(), Some(ms(1007)));
        pace.passed(ms(1008), false);
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn a_quarrel_slows_down_to_one_pass_a_second() {
        let mut pace = Pace::default();
        let mut now = ms(1000);
        let mut passes = 0;
        while now < ms(31_000) {
            pace.want_soon(now);
            now = pace.due().unwrap();
            pace.passed(now, true);
            passes += 1;
        }
        assert!((30..45).contains(&passes), "{passes} passes in 30 s");
        now += ms(11_000);
        pace.want_soon(now);
        pace.passed(now, true);
        pace.want_soon(now);
        assert_eq!(pace.due(), Some(now + QUIET), "forgiven after a calm");
    }

    #[test]
    fn a_refusal_is_tried_again_ever_later_and_at_once_when_something_happens() {
        let mut pace = Pace::default();
        let mut now = ms(0);
        for expected in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            pace.failed(now);
            assert_eq!(pace.due(), Some(now + ms(expected)));
            now += ms(expected);
        }
        pace.failed(now);
        pace.want_soon(now + ms(1000));
        assert_eq!(pace.due(), Some(now + ms(1005)));
        pace.failed(now + ms(1005));
        pace.want_soon(now + ms(1006));
        assert_eq!(
            pace.due(),
            Some(now + ms(1105)),
            "no spinning between two refusals"
        );
    }
}
