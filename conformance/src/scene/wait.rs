//! Waiting for new flows to go where they should, within the contract's time.

use std::time::{Duration, Instant};

use multiwan::config::Config;
use multiwan_lab::traffic::{Flow, FlowId, Outcome, Patience};

use super::{Scene, protocol};
use crate::events::Mark;
use crate::judge::expected;
use crate::judgement::Trouble;

/// The chance that none of the new flows of a look meets a line that gets its share of them.
const MISSED: f64 = 1e-9;

/// How long such a look waits for answers, which take well under a millisecond each. An answer
/// that a stalled machine delays makes it look once more.
const GLANCE: Patience = Patience {
    interval: Duration::from_millis(60),
    attempts: 1,
};

/// A look takes less, also on a slow machine: what it takes beyond this, and so much for each of its
/// flows, the machine stood still.
const UNHURRIED: Duration = Duration::from_millis(250);
const EACH: Duration = Duration::from_micros(100);

impl Scene<'_> {
    /// Waits until new flows avoid a line and all succeed. When the first batch that did was
    /// begun.
    ///
    /// # Errors
    ///
    /// If they do not in the time that the contract gives for a line's death.
    pub fn until_avoided(&mut self, line: usize) -> Result<Instant, Trouble> {
        let what = format!("all new flows succeed without {}", self.name(line));
        self.until(&what, |seen| {
            seen.all_answered && seen.answered_by[line] == 0
        })
    }

    /// Waits until new flows use a line again and all succeed. When the first batch that did was
    /// begun.
    ///
    /// # Errors
    ///
    /// If they do not in the time that the contract gives for a line's return.
    pub fn until_used(&mut self, line: usize) -> Result<Instant, Trouble> {
        let what = format!("new flows use {} and all succeed", self.name(line));
        self.until(&what, |seen| {
            seen.all_answered && seen.answered_by[line] > 0
        })
    }

    /// As [`Scene::until_used`], for all lines that are to share new flows.
    ///
    /// # Errors
    ///
    /// If one of them is not used in time.
    pub fn until_all_used(&mut self) -> Result<(), Trouble> {
        for line in self.sharing() {
            self.until_used(line)?;
        }
        Ok(())
    }

    /// Lets the rest of the time pass that the contract gives for the death of a line that broke at this
    /// time. The kernel alone may have new flows avoid it much sooner, and no packet tells when who
    /// watches lines has done what is left to do.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn until_honoured(&mut self, fault_at: Instant) -> Result<(), Trouble> {
        let due = fault_at + self.cx.deadlines.honoured;
        self.pause(due.saturating_duration_since(Instant::now()))
    }

    /// Which lines that are to share new flows get none now, by one look at so many that a line with
    /// its share is met but for a chance of 1e-9.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn unused(&mut self) -> Result<Vec<String>, Trouble> {
        let flows = self.open(batch(&self.cx.config))?;
        let ledger = self.traffic.ledger();
        let used = |line| flows.iter().any(|&flow| ledger.line(flow) == Some(line));
        let unused = self.sharing().into_iter().filter(|&line| !used(line));
        Ok(unused.map(|line| self.name(line)).collect())
    }

    /// Looks at batches of new flows until they are as wanted.
    pub(super) fn until(
        &mut self,
        what: &str,
        wanted: impl Fn(&Glance) -> bool,
    ) -> Result<Instant, Trouble> {
        let patience = self.cx.deadlines.honoured;
        self.look_until(what, patience, |scene| {
            let seen = scene.glance()?;
            Ok(Look {
                done: wanted(&seen),
                of: seen.of,
                seen: seen.describe(&scene.cx.config),
            })
        })
    }

    /// Asks on these flows, which have been answered before, until what has become of each is as
    /// wanted. When the first round in which it was so was begun.
    ///
    /// # Errors
    ///
    /// If it is not so for all in `patience`.
    pub fn until_asked(
        &mut self,
        flows: &[FlowId],
        patience: Duration,
        what: &str,
        wanted: impl Fn(&Flow) -> bool,
    ) -> Result<Instant, Trouble> {
        self.look_until(what, patience, |scene| {
            scene.ask(flows)?;
            let other = |flow: &&Flow| !wanted(flow);
            let states = flows.iter().map(|&flow| scene.traffic.flow(flow));
            let others: Vec<&Flow> = states.filter(other).collect();
            let seen = others.first().map_or_else(String::new, |flow| {
                format!(
                    "of {} connections {} were not so: one by {} was {}",
                    flows.len(),
                    others.len(),
                    flow.protocol,
                    outcome(flow)
                )
            });
            Ok(Look {
                done: others.is_empty(),
                of: flows.len(),
                seen,
            })
        })
    }

    fn look_until(
        &mut self,
        what: &str,
        patience: Duration,
        look: impl FnMut(&mut Self) -> Result<Look, Trouble>,
    ) -> Result<Instant, Trouble> {
        self.cx.events.wait(patience);
        self.traffic.set_patience(GLANCE);
        let result = self.look_again(what, patience, look);
        self.traffic.set_patience(Patience::default());
        self.cx.events.mark(
            Mark::Seen,
            if result.is_ok() { what } else { "not in time" },
        );
        result
    }

    fn look_again(
        &mut self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut(&mut Self) -> Result<Look, Trouble>,
    ) -> Result<Instant, Trouble> {
        let began = Instant::now();
        let mut stalled = Duration::ZERO;
        loop {
            let batch_began = Instant::now();
            let Look { done, of, seen } = look(self)?;
            if done {
                return Ok(batch_began);
            }
            let unhurried = UNHURRIED + EACH * u32::try_from(of).unwrap_or(u32::MAX);
            stalled += batch_began.elapsed().saturating_sub(unhurried);
            // A batch that begins before the deadline is looked at to its end.
            if began.elapsed() <= patience {
                let next = batch_began + spacing(patience, of);
                self.let_pass(next.saturating_duration_since(Instant::now()))?;
                continue;
            }
            if stalled > patience / 4 {
                return Err(Trouble::Lab(format!(
                    "{what}: not seen, but the machine stood still for {} ms of {}",
                    stalled.as_millis(),
                    patience.as_millis()
                )));
            }
            self.crowded()?;
            return Err(self.unmet(what, patience, seen));
        }
    }

    fn glance(&mut self) -> Result<Glance, Trouble> {
        let flows: Vec<FlowId> = (0..batch(&self.cx.config))
            .map(|number| {
                let (client, server) = self.looks.next();
                self.traffic.begin(client, server, protocol(number))
            })
            .collect();
        self.finish()?;
        let mut seen = Glance {
            all_answered: true,
            of: flows.len(),
            answered_by: vec![0; self.lab.topology().lines.len()],
            answered: 0,
        };
        for flow in flows {
            if !self.traffic.flow(flow).answered() {
                seen.all_answered = false;
                continue;
            }
            seen.answered += 1;
            if let Some(line) = self.traffic.ledger().line(flow) {
                seen.answered_by[line] += 1;
            }
        }
        Ok(seen)
    }
}

/// From a look at so many flows to the next, where a wait is long: no more flows are begun in one
/// than the router's connection tracking has room for, beside those that are judged.
fn spacing(patience: Duration, flows: usize) -> Duration {
    const ROOM: u32 = 10_000;
    patience * u32::try_from(flows).unwrap_or(u32::MAX) / ROOM
}

/// So many new flows are looked at that each line meets one, but for a chance of [`MISSED`].
fn batch(config: &Config) -> usize {
    let least = expected(&config.lines)
        .filter(|&share| share > 0.0)
        .fold(1.0, f64::min);
    // With one line there is nothing to miss, and all of it is 1.
    let enough = if least < 1.0 {
        (MISSED.ln() / (1.0 - least).ln()).ceil()
    } else {
        1.0
    };
    (enough as usize).max(128)
}

/// What became of a flow's last exchange, in words.
pub fn outcome(flow: &Flow) -> String {
    in_words(flow.outcome)
}

/// What an exchange met, in words.
pub fn in_words(outcome: Option<Outcome>) -> String {
    match outcome {
        None => "not asked".to_owned(),
        Some(Outcome::Answered(_)) => "answered".to_owned(),
        Some(Outcome::Refused { from, kind, code }) => {
            format!("refused by {from} with ICMP type {kind} code {code}")
        }
        Some(Outcome::Reset) => "reset".to_owned(),
        Some(Outcome::Silent) => "told nothing".to_owned(),
    }
}

/// What one look came to.
struct Look {
    done: bool,
    of: usize,
    seen: String,
}

/// Where a batch of new flows went.
pub(super) struct Glance {
    pub(super) all_answered: bool,
    of: usize,
    answered: usize,
    pub(super) answered_by: Vec<usize>,
}

impl Glance {
    fn describe(&self, config: &Config) -> String {
        let by = config.lines.iter().zip(&self.answered_by);
        let by: Vec<String> = by
            .map(|(line, count)| format!("{count} by {}", line.name))
            .collect();
        format!(
            "of the last {} new flows {} were answered ({})",
            self.of,
            self.answered,
            by.join(", ")
        )
    }
}
