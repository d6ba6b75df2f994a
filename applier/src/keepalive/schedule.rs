//! When one line's probes go out and when they count as missed: pure arithmetic on moments.

use std::collections::VecDeque;
use std::time::Duration;

use super::line::Moment;

/// Between the first two probes of an eager start; each further one waits twice as long.
const EAGER: Duration = Duration::from_millis(10);

/// The probes of one line.
///
/// Probes may overlap where the timeout is longer than the interval. An answer answers every
/// probe that waits, since ARP does not say which one it was: a gateway that takes 200 ms is
/// heard, whatever the interval.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    interval: Duration,
    timeout: Duration,
    spacing: Duration,
    next: Option<Moment>,
    deadlines: VecDeque<Moment>,
}

impl Schedule {
    /// No probe is due before [`Schedule::start`].
    pub(super) fn new(interval: Duration, timeout: Duration) -> Self {
        Self {
            interval,
            timeout,
            spacing: interval,
            next: None,
            deadlines: VecDeque::new(),
        }
    }

    /// Probes go out from `now` on.
    pub(super) fn start(&mut self, now: Moment) {
        self.deadlines.clear();
        self.spacing = self.interval;
        self.next = Some(now);
    }

    /// As [`Schedule::start`], with the first probes close together until one is answered: the
    /// other end of a cable often takes some milliseconds longer than ours.
    pub(super) fn start_eagerly(&mut self, now: Moment) {
        self.start(now);
        self.spacing = EAGER.min(self.interval);
    }

    /// No probe goes out, and none that waits counts any more.
    pub(super) fn stop(&mut self) {
        self.deadlines.clear();
        self.next = None;
    }

    /// Whether probes go out at all.
    pub(super) fn is_running(&self) -> bool {
        self.next.is_some()
    }

    /// The next moment at which something is due.
    pub(super) fn wake(&self) -> Option<Moment> {
        self.deadlines
            .front()
            .into_iter()
            .chain(&self.next)
            .min()
            .copied()
    }

    /// Takes one probe whose time is over; whether there was one.
    pub(super) fn take_missed(&mut self, now: Moment) -> bool {
        let over = self
            .deadlines
            .front()
            .is_some_and(|deadline| *deadline <= now);
        if over {
            self.deadlines.pop_front();
        }
        over
    }

    /// Whether a probe is to go out.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// A probe went out.
    pub(super) fn sent(&mut self, now: Moment) {
        self.deadlines.push_back(now + self.timeout);
        self.next = Some(now + self.spacing);
        self.spacing = (self.spacing * 2).min(self.interval);
    }

    /// The last probe did not go out after all, and is not waited for.
    pub(super) fn withdraw(&mut self) {
        self.deadlines.pop_back();
    }

    /// An answer came; whether a probe waited for one.
    pub(super) fn answered(&mut self) -> bool {
        let waited = !self.deadlines.is_empty();
        self.deadlines.clear();
        self.spacing = self.interval;
        waited
    }

    /// The next probe goes out at once, unless one waits for its answer already.
    pub(super) fn hurry(&mut self, now: Moment) {
        if self.is_running() && self.deadlines.is_empty() {
            self.next = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Plays a schedule against a gateway that is silent from the start, hurrying after each
    /// miss, until `misses` probes were missed; when that was.
    fn silent(mut schedule: Schedule, misses: usize) -> Moment {
        schedule.start(ms(0));
        let mut missed = 0;
        loop {
            let now = schedule.wake().expect("a running schedule always wakes");
            while schedule.take_missed(now) {
                missed += 1;
                if missed == misses {
                    return now;
                }
                schedule.hurry(now);
            }
            if schedule.is_due(now) {
                schedule.sent(now);
            }
        }
    }

    #[test]
    fn a_silent_gateway_costs_one_timeout_per_failure() {
        assert_eq!(silent(Schedule::new(ms(100), ms(100)), 2), ms(200));
        assert_eq!(silent(Schedule::new(ms(1000), ms(250)), 3), ms(750));
        assert_eq!(silent(Schedule::new(ms(200), ms(1000)), 2), ms(1200));
    }

    #[test]
    fn an_answer_answers_all_probes_that_wait() {
        let mut schedule = Schedule::new(ms(100), ms(1000));
        schedule.start(ms(0));
        schedule.sent(ms(0));
        schedule.sent(ms(100));
        schedule.sent(ms(200));
        assert!(schedule.answered());
        assert!(!schedule.answered(), "a second answer answers nothing");
        assert!(!schedule.take_missed(ms(5000)));
        assert_eq!(schedule.wake(), Some(ms(300)));
    }

    #[test]
    fn nothing_is_hurried_while_a_probe_waits() {
        let mut schedule = Schedule::new(ms(100), ms(100));
        schedule.start(ms(0));
        schedule.sent(ms(0));
        schedule.hurry(ms(50));
        assert!(!schedule.is_due(ms(50)));
        schedule.answered();
        schedule.hurry(ms(50));
        assert!(schedule.is_due(ms(50)));
    }

    #[test]
    fn what_did_not_go_out_is_not_missed() {
        let mut schedule = Schedule::new(ms(100), ms(100));
        schedule.start(ms(0));
        schedule.sent(ms(0));
        schedule.withdraw();
        assert!(!schedule.take_missed(ms(5000)));
        assert_eq!(schedule.wake(), Some(ms(100)));
    }

    #[test]
    fn a_stopped_schedule_never_wakes() {
        let mut schedule = Schedule::new(ms(100), ms(100));
        schedule.start(ms(0));
        schedule.sent(ms(0));
        schedule.stop();
        assert_eq!(schedule.wake(), None);
        assert!(!schedule.take_missed(ms(500)));
        schedule.hurry(ms(500));
        assert!(!schedule.is_due(ms(500)));
    }

    #[test]
    fn an_eager_start_slows_down_to_the_interval() {
        let mut schedule = Schedule::new(ms(100), ms(100));
        schedule.start_eagerly(ms(0));
        let mut sent = Vec::new();
        while sent.len() < 7 {
            let now = schedule.wake().unwrap();
            while schedule.take_missed(now) {}
            if schedule.is_due(now) {
                schedule.sent(now);
                sent.push(now);
            }
        }
        assert_eq!(sent, [0, 10, 30, 70, 150, 250, 350].map(ms));
        schedule.start_eagerly(ms(1000));
        schedule.sent(ms(1000));
        schedule.answered();
        schedule.sent(ms(1010));
        assert_eq!(schedule.next, Some(ms(1110)));
    }

    #[test]
    fn a_late_wake_does_not_send_a_burst() {
        let mut schedule = Schedule::new(ms(100), ms(100));
        schedule.start(ms(0));
        schedule.sent(ms(2500));
        assert!(!schedule.is_due(ms(2599)));
        assert!(schedule.is_due(ms(2600)));
    }
}
