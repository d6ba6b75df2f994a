//! A pass over the kernel: it is made to hold what it should, and what somebody else had changed is told.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tracing::{debug, warn};

use super::line::Moment;
use super::memory::Turn;
use super::{Keepalive, notify};
use crate::difference::Changes;
use crate::error::Error;
use crate::kept::Undescribed;
use crate::reconcile::{self, Reconciled};
use crate::verdicts::Verdicts;

/// From one word about what somebody else had changed to the next.
const SAY_AGAIN: Duration = Duration::from_secs(10);

impl Keepalive {
    /// Most settings change without a word.
    pub(super) async fn compare_settings(&mut self) {
        let verdicts = self.memory.verdicts();
        match reconcile::settings_differ(&mut self.kernel, &self.now, &verdicts).await {
            Ok(true) => self.pace.want_soon(self.moment()),
            Ok(false) => {}
            Err(error) => warn!("{error}"),
        }
    }

    async fn hold(&mut self, verdicts: &Verdicts) -> Result<Reconciled, Error> {
        let found = self.look().await?;
        reconcile::keep(&mut self.kernel, &found, &self.now, verdicts).await
    }

    /// Makes the kernel hold what it should with the verdicts of now.
    pub(super) async fn pass(&mut self) {
        let turn @ Turn::Ours(_) = self.memory.turn() else {
            return self.pace.give_way(self.moment());
        };
        let verdicts = self.memory.verdicts();
        let begun = Instant::now();
        let result = self.hold(&verdicts).await;
        self.tally.reconciled(result.is_ok());
        let status = match result {
            Ok(Reconciled {
                changes,
                gone,
                taken,
                ..
            }) => {
                for address in taken {
                    self.say_taken(address);
                }
                for route in gone {
                    warn!(
                        route = route.to_string(),
                        "a route went with an address that is no longer described, and the kernel does not take it back"
                    );
                }
                let changed = !changes.is_empty();
                debug!(changed, took = ?begun.elapsed(), "looked at the kernel");
                let now = self.moment();
                self.say_drifted(&changes, &verdicts, now);
                self.pace.passed(now, changed);
                // Only now do the routes lead past the dead lines.
                self.releases.heed(&self.config, &verdicts, now);
                self.memory.summary()
            }
            Err(error) => {
                warn!("{error}; trying again");
                self.pace.failed(self.moment());
                format!("{}; {error}", self.memory.summary())
            }
        };
        drop(turn);
        notify(&[NotifyState::Status(&status)]);
        if !std::mem::replace(&mut self.ready, true) {
            notify(&[NotifyState::Ready]);
        }
    }

    /// Where somebody puts it there again and again, that is drift, and told as such.
    fn say_taken(&mut self, address: Undescribed) {
        if self.said_taken.insert(address.clone()) {
            warn!(
                address = address.place(),
                "an address was taken away: {address}"
            );
        }
    }

    /// Where nothing else was asked for than before, somebody else has changed what is ours. Where that
    /// goes on, it is said again now and then.
    fn say_drifted(&mut self, changes: &Changes, verdicts: &Verdicts, now: Moment) {
        let asked = (verdicts.clone(), self.now.clone());
        if self.held.replace(asked.clone()) != Some(asked) {
            return;
        }
        let Some(first) = changes.steps().first() else {
            return;
        };
        let (changes, first) = (changes.steps().len(), first.to_string());
        let said = self.said_drifted;
        if said.is_some_and(|said| now.saturating_sub(said) < SAY_AGAIN) {
            debug!(changes, first, "put back again what somebody else changes");
        } else {
            self.said_drifted = Some(now);
            warn!(changes, first, "put back what somebody else had changed");
        }
    }
}
