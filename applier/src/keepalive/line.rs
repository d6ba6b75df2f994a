//! One line's state as a pure machine: what was seen goes in, with the time at which it was seen,
//! and a change of state comes out.
//!
//! ```text
//!            missed                 missed × failures
//!      ┌──── Up ────────► Suspect ────────────────────┐
//!      │     ▲ ▲ answered    │                        │
//!      │     │ └─────────────┘                        ▼
//!      │     │ answered × successes, and held       Dead ◄─┐ missed
//!      │     └─────────────────────── Returning ◄─────┘    │
//!      │                                 │ answered        │
//!      │                                 └─────────────────┤
//!      └── no carrier, down, gone: at once, from anywhere ─┘
//! ```
//!
//! An address that was only renewed is no death to remember: the line is up again at once, and as
//! trusted as before. While no line is up at all, one that answers is used at once: holding it back
//! would only lengthen the outage. It stays used when others come back, but its return counts as any
//! other does, so that it relapses where it dies soon.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::config::Keepalive;
use crate::resolve::Lack;
use crate::verdicts::Verdict;

/// Time since the keepalive started, on a clock that never goes back.
pub(super) type Moment = Duration;

/// A line that dies again so soon after its return has relapsed.
pub(super) const RELAPSE_WITHIN: Duration = Duration::from_secs(60);
/// A device that has its address back so soon had it renewed, which says nothing against the line.
pub(super) const RENEWED_WITHIN: Duration = Duration::from_secs(1);
/// The longest that a relapsing line is held back, unless one interval is longer.
pub(super) const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// Where a line is between up and dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The last probe was answered.
    Up,
    /// Probes are unanswered, too few yet to call it dead.
    Suspect,
    /// It cannot be used.
    Dead,
    /// It answers again, not yet for as long as it must.
    Returning,
}

impl State {
    /// Whether a line in this state is given new connections.
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Up | Self::Suspect => Verdict::Up,
            Self::Dead | Self::Returning => Verdict::Dead,
        }
    }

    /// The word for logs and files.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Returning => "returning",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What the device itself says against the line, without any probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is no such device.
    DeviceMissing,
    /// The administrator has set it down.
    AdminDown,
    /// It has no carrier.
    NoCarrier,
    /// It lacks something to be used with.
    Lacks(Lack),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeviceMissing => "the device is not there",
            Self::AdminDown => "the device was set down",
            Self::NoCarrier => "the device has no carrier",
            Self::Lacks(lack) => return lack.fmt(f),
        })
    }
}

/// Who did not answer a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// The gateway.
    Gateway(Ipv4Addr),
    /// All targets beyond a gateway that itself answers.
    Targets(Ipv4Addr),
    /// All targets beyond a point-to-point link, at the other end of which nobody is asked.
    Beyond,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(gateway) => write!(f, "gateway {gateway} does not answer"),
            Self::Targets(gateway) => {
                write!(f, "gateway {gateway} answers, but no target beyond it does")
            }
            Self::Beyond => f.write_str("no target answers"),
        }
    }
}

/// What is seen of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// A probe was answered.
    Answered,
    /// A probe's time is over without an answer.
    Missed(Silence),
    /// The device cannot carry a probe.
    Unusable(Fault),
    /// The device can carry probes.
    Usable,
    /// Whether it is needed as soon as it answers: no line is up.
    Needed(bool),
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// The state before.
    pub(super) from: State,
    /// The state now; the same where only the reason is another.
    pub(super) to: State,
    /// Why, as a sentence.
    pub(super) reason: String,
    /// How long the state before had lasted.
    pub(super) lasted: Duration,
}

/// How quickly a line is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    /// Unanswered probes in a row until it is dead.
    pub(super) failures: u32,
    /// Answered probes in a row until it is back.
    pub(super) successes: u32,
    /// What a first relapse doubles.
    pub(super) interval: Duration,
}

impl From<&Keepalive> for Policy {
    fn from(keepalive: &Keepalive) -> Self {
        Self {
            failures: keepalive.failures,
            successes: keepalive.successes,
            interval: keepalive.interval,
        }
    }
}

/// One line's state.
#[derive(Debug, Clone)]
pub(super) struct Line {
    policy: Policy,
    state: State,
    since: Moment,
    fault: Option<Fault>,
    /// Who is said not to answer while it is dead; none where something else was said, such as a fault
    /// that is gone.
    silent: Option<Silence>,
    /// Whether no line is up.
    needed: bool,
    /// Unanswered probes while suspect, answered ones while returning, and while dead those that another
    /// left unanswered than it is said.
    in_a_row: u32,
    standing: Standing,
    /// What it was before the device lost its address or gateway, which may come back at once.
    before_loss: Option<Standing>,
}

/// What is held against a line, or for it.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    /// When it last came back.
    returned: Option<Moment>,
    /// How often in a row it died soon after.
    relapses: u32,
}

impl Line {
    /// A line that is taken to be in this state until something is seen of it.
    pub(super) fn new(policy: Policy, now: Moment, state: State) -> Self {
        Self {
            policy,
            state,
            since: now,
            fault: None,
            silent: None,
            needed: false,
            in_a_row: 0,
            standing: Standing::default(),
            before_loss: None,
        }
    }

    /// The state now.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Judges by other numbers from now on; the state stays.
    pub(super) fn judge_by(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// How long the line must answer without a miss before it is used again: nothing at a first
    /// return, then two intervals, doubling with each relapse up to [`LONGEST_HOLD`]. Nothing holds it
    /// back while no line is up.
    pub(super) fn hold(&self) -> Duration {
        let relapses = self.standing.relapses;
        if relapses == 0 {
            return Duration::ZERO;
        }
        let factor = 1u32.checked_shl(relapses).unwrap_or(u32::MAX);
        let longest = LONGEST_HOLD.max(self.policy.interval);
        self.policy.interval.saturating_mul(factor).min(longest)
    }

    /// Takes in what was seen at `now`.
    pub(super) fn step(&mut self, now: Moment, input: Input) -> Option<Change> {
        match input {
            Input::Unusable(fault) => self.unusable(now, fault),
            Input::Usable => self.usable(now),
            Input::Needed(needed) => self.needed(now, needed),
            // A frame that was still queued when the device went down proves nothing.
            Input::Answered | Input::Missed(_) if self.fault.is_some() => None,
            Input::Answered => self.answered(now),
            Input::Missed(silence) => self.missed(now, silence),
        }
    }

    fn unusable(&mut self, now: Moment, fault: Fault) -> Option<Change> {
        if self.fault.replace(fault) == Some(fault) {
            return None;
        }
        let lacks = matches!(fault, Fault::Lacks(Lack::Address | Lack::Gateway));
        // A gateway may come back later than the address does.
        let before = match self.state.verdict() {
            Verdict::Up => Some(self.standing),
            Verdict::Dead => self.before_loss,
        };
        self.before_loss = before.filter(|_| lacks);
        self.silent = None;
        Some(self.fall(now, fault.to_string()))
    }

    fn usable(&mut self, now: Moment) -> Option<Change> {
        self.fault = None;
        let dead_for = now.saturating_sub(self.since);
        let before = self.before_loss.take();
        self.standing = before.filter(|_| dead_for <= RENEWED_WITHIN)?;
        Some(self.enter(now, State::Up, "the device's address was renewed".into()))
    }

    fn needed(&mut self, now: Moment, needed: bool) -> Option<Change> {
        self.needed = needed;
        (needed && self.state == State::Returning).then(|| self.come_back(now))
    }

    fn answered(&mut self, now: Moment) -> Option<Change> {
        match self.state {
            State::Up => None,
            State::Suspect => {
                let reason = format!("answers again after {}", probes(self.in_a_row));
                Some(self.enter(now, State::Up, reason))
            }
            State::Dead => {
                self.in_a_row = 1;
                if self.is_back(now, now) {
                    return Some(self.come_back(now));
                }
                let hold = self.hold();
                let reason = if hold.is_zero() {
                    format!(
                        "answers again; used after {} in a row",
                        answers(self.policy.successes)
                    )
                } else {
                    format!("answers again; died soon after its last return, used after {hold:?}")
                };
                let change = self.enter(now, State::Returning, reason);
                self.in_a_row = 1;
                Some(change)
            }
            State::Returning => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                self.is_back(self.since, now).then(|| self.come_back(now))
            }
        }
    }

    fn missed(&mut self, now: Moment, silence: Silence) -> Option<Change> {
        match self.state {
            State::Up | State::Suspect => {
                let missed = match self.state {
                    State::Suspect => self.in_a_row.saturating_add(1),
                    _ => 1,
                };
                if missed >= self.policy.failures {
                    return Some(self.fall_silent(now, silence, missed));
                }
                let change = (self.state == State::Up)
                    .then(|| self.enter(now, State::Suspect, silence.to_string()));
                self.in_a_row = missed;
                change
            }
            State::Returning => {
                self.silent = Some(silence);
                Some(self.enter(now, State::Dead, format!("{silence} all of the time")))
            }
            State::Dead => self.still_dead(now, silence),
        }
    }

    /// Another reason than was said. Where that was another silence, it takes as many probes as a death
    /// does: a gateway that answers now and then would be told of with each.
    fn still_dead(&mut self, now: Moment, silence: Silence) -> Option<Change> {
        if self.silent == Some(silence) {
            self.in_a_row = 0;
            return None;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let told = self.silent.is_none() || self.in_a_row >= self.policy.failures;
        told.then(|| self.fall_silent(now, silence, self.in_a_row))
    }

    fn fall_silent(&mut self, now: Moment, silence: Silence, missed: u32) -> Change {
        self.silent = Some(silence);
        let reason = format!("{silence}: {} in a row unanswered", probes(missed));
        self.fall(now, reason)
    }

    fn is_back(&self, answering_since: Moment, now: Moment) -> bool {
        let held = now.saturating_sub(answering_since);
        self.needed || (self.in_a_row >= self.policy.successes && held >= self.hold())
    }

    fn come_back(&mut self, now: Moment) -> Change {
        let mut reason = match self.in_a_row {
            1 => "answers again".into(),
            count => format!("answers again: {} in a row", answers(count)),
        };
        if self.needed {
            reason.push_str("; no other line is up");
        }
        self.standing.returned = Some(now);
        self.enter(now, State::Up, reason)
    }

    fn fall(&mut self, now: Moment, reason: String) -> Change {
        if self.state.verdict() == Verdict::Up {
            let Standing { returned, relapses } = self.standing;
            let relapsed = returned.is_some_and(|at| now.saturating_sub(at) <= RELAPSE_WITHIN);
            self.standing = Standing {
                returned: None,
                relapses: if relapsed {
                    relapses.saturating_add(1)
                } else {
                    0
                },
            };
        }
        self.enter(now, State::Dead, reason)
    }

    fn enter(&mut self, now: Moment, to: State, reason: String) -> Change {
        let change = Change {
            from: self.state,
            to,
            reason,
            lasted: now.saturating_sub(self.since),
        };
        if self.state != to {
            self.since = now;
        }
        self.state = to;
        self.in_a_row = 0;
        change
    }
}

/// A time for people: to the second where it is long, else to the millisecond.
pub(super) fn rounded(time: Duration) -> Duration {
    if time >= Duration::from_secs(10) {
        Duration::from_secs(time.as_secs())
    } else {
        Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

fn probes(count: u32) -> String {
    if count == 1 {
        "1 probe".into()
    } else {
        format!("{count} probes")
    }
}

fn answers(count: u32) -> String {
    if count == 1 {
        "1 answer".into()
    } else {
        format!("{count} answers")
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
