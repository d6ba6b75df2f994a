//! The verdict on which lines flows took, and by which share.

use multiwan::config::Line;
use multiwan_lab::traffic::{FlowId, Origin};

use super::Scene;
use crate::judge::{shares, sharing};
use crate::judgement::{Judgement, Status};

impl Scene<'_> {
    /// The verdict on which lines these flows took: each was answered (of watched ones, whose
    /// sockets know, that is not asked) and took one, each line got its share, at this level, and a
    /// backup none.
    pub fn shares_of(&self, flows: &[FlowId], level: f64) -> Judgement {
        let sharing: Vec<Line> = sharing(self.cx.lines()).cloned().collect();
        self.shares_among(&sharing, flows, level)
    }

    /// As [`Scene::shares_of`], where only these lines get any.
    pub fn shares_among(&self, lines: &[Line], flows: &[FlowId], level: f64) -> Judgement {
        let mut seen = vec![0; self.cx.lines().len()];
        let (mut unanswered, mut nowhere, mut split) = (0, 0, 0);
        for &flow in flows {
            let state = self.traffic.flow(flow);
            unanswered += usize::from(state.origin != Origin::Sockets && !state.answered());
            match self.traffic.ledger().line(flow) {
                Some(line) => seen[line] += 1,
                None if self.traffic.ledger().sightings(flow).is_empty() => nowhere += 1,
                None => split += 1,
            }
        }
        let (mut among, mut others) = (Vec::new(), 0);
        for (line, seen) in self.cx.lines().iter().zip(seen) {
            if lines.contains(line) {
                among.push(seen);
            } else {
                others += seen;
            }
        }
        if unanswered + nowhere + split == 0 && others == 0 {
            return Judgement::of_shares(&shares(lines, &among, level));
        }
        Judgement::failed(format!(
            "of {} connections {unanswered} were not answered, {nowhere} left by no line, \
             {split} by several and {others} by one that gets none{}",
            flows.len(),
            self.first_unanswered(flows)
        ))
    }

    /// Where to look: `; the first that was not answered left by dsl1 from 192.0.2.254`.
    fn first_unanswered(&self, flows: &[FlowId]) -> String {
        let unanswered = |flow: &&FlowId| {
            let state = self.traffic.flow(**flow);
            state.origin != Origin::Sockets && !state.answered()
        };
        let Some(&flow) = flows.iter().find(unanswered) else {
            return String::new();
        };
        match self.traffic.ledger().sightings(flow).first() {
            Some(seen) => format!(
                "; the first that was not answered left by {} from {}",
                self.name(seen.line),
                seen.source.ip()
            ),
            None => "; the first that was not answered left by no line".to_owned(),
        }
    }

    /// The verdict on flows of healthy lines: where more than one in a hundred needed a
    /// retransmission, something loses packets, and no promise about where they go is judged.
    pub fn unless_lossy(&self, flows: &[FlowId], judgement: Judgement) -> Judgement {
        let again = |flow: &&FlowId| self.traffic.flow(**flow).retransmissions > 0;
        let lossy = flows.iter().filter(again).count();
        if judgement.status != Status::Passed || lossy * 100 <= flows.len() {
            return judgement;
        }
        let lossy = Judgement::inconclusive(format!(
            "{lossy} of {} connections of healthy lines needed a retransmission: the router or the \
             machine loses packets",
            flows.len()
        ));
        lossy.measured_as(judgement)
    }
}
