//! What a scene leaves behind for the report: new connections over time, and where a clause went
//! wrong, the state of its router.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use multiwan_lab::traffic::{Flow, FlowId, Origin};

use super::Scene;
use crate::bundle;
use crate::events::Mark;
use crate::timeline::{Begun, Timeline};

impl Scene<'_> {
    /// Keeps what the router is like now, and lets it be looked at, as the clause went wrong; once.
    pub(super) fn keep(&mut self) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        self.hear_router();
        let daemon = self.keepalive.as_mut();
        bundle::take(self.cx, &mut self.lab, Some(&self.traffic), daemon);
    }

    /// Adds the timeline of this lab to the clause's, if a line was broken in it; once.
    pub(super) fn draw(&mut self) {
        if std::mem::replace(&mut self.drawn, true) {
            return;
        }
        self.hear_router();
        let names: Vec<&str> = self
            .cx
            .config
            .lines
            .iter()
            .map(|line| line.name.as_str())
            .collect();
        let events = &self.cx.events.kept()[self.first_event..];
        let timeline = Timeline::new(&names, events, &self.begun());
        self.cx.evidence.timelines.extend(timeline);
    }

    fn hear_router(&mut self) {
        if let Some((at, error)) = self.early_end() {
            let what = error.to_string();
            if !std::mem::replace(&mut self.end_noted, true) {
                self.cx.events.insert(at, Mark::Change, what);
            }
        }
        for (at, what) in self.news.take() {
            self.cx.events.insert(at, Mark::Change, what);
        }
    }

    /// Every connection that was begun: by the clock of the captures if it was seen to leave.
    fn begun(&self) -> Vec<Begun> {
        let now = (Instant::now(), SystemTime::now());
        let epoch = now.1.duration_since(UNIX_EPOCH).unwrap_or_default();
        let events = &self.cx.events;
        let ledger = self.traffic.ledger();
        // Those from outside come in by the line that they are for.
        let ours = |(_, flow): &(FlowId, &Flow)| !matches!(flow.origin, Origin::Outside(_));
        let flows = self.traffic.flows().filter(ours).filter_map(|(id, flow)| {
            let first = ledger.sightings(id).first();
            let seen = |first: Duration| now.0.checked_sub(epoch.saturating_sub(first));
            let at = first.and_then(|first| seen(first.first)).or(flow.asked)?;
            Some(Begun {
                at: events.at(at),
                by: first.map(|first| first.line),
                answered: flow.origin == Origin::Sockets || flow.seen_as.is_some(),
            })
        });
        flows.collect()
    }
}

impl Drop for Scene<'_> {
    /// A scene that ends without a verdict ends in trouble.
    fn drop(&mut self) {
        self.keep();
        self.draw();
    }
}
