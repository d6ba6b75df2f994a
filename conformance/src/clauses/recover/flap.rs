//! A line that dies again and again.

use multiwan_lab::Fault;
use rand::seq::SliceRandom as _;

use super::fits;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static FLAP: Clause = Clause {
    id: "recover.flap",
    kind: Kind::Behaviour,
    how_to: &["3.1"],
    promise: "A line that dies and returns several times is used in the end, and nothing leaves by \
        a wrong line meanwhile.",
    method: "The first line's modem hangs twice, and in between or before or after it the line loses \
        its carrier; each time new connections avoid it, it is repaired, and they use it again. \
        Connections of the other lines, TCP, UDP and ICMP echo by turns, ask all the while: each exchange must be answered. Every \
        packet that leaves must have its line's address.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: flap,
};

fn flap(cx: &mut Context) -> Result<Judgement, Trouble> {
    const LINE: usize = 0;
    const FLOWS: usize = 64;
    // No more: an applier may make a line wait that keeps dying, ever longer.
    let mut faults = [Fault::Silent, Fault::Carrier, Fault::Silent];
    faults.shuffle(&mut cx.rng);
    let mut scene = Scene::set(cx)?;
    let mut steady = scene.open_any(FLOWS)?;
    steady.retain(|&flow| scene.traffic.ledger().line(flow) != Some(LINE));
    let mut unanswered = 0;
    for fault in faults {
        scene.break_line(LINE, fault)?;
        scene.until_avoided(LINE)?;
        unanswered += scene.unanswered(&steady)?;
        scene.repair(LINE)?;
        scene.until_used(LINE)?;
        unanswered += scene.unanswered(&steady)?;
    }
    let foreign = scene.foreign();
    let judgement = Judgement::holds_if(unanswered == 0 && foreign.packets() == 0, || {
        format!("{unanswered} exchanges of live lines were not answered, and {foreign}")
    });
    scene.verdict(judgement)
}
