//! A long run (how-to 3.1).

use std::time::{Duration, Instant};

use multiwan_lab::traffic::FlowId;

use super::{Moved, count_unanswered};
use crate::clause::{Clause, Kind, Need, Tests};
use crate::clauses::fits;
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static SOAK: Clause = Clause {
    id: "sticky.soak",
    kind: Kind::Behaviour,
    how_to: &["3.1"],
    promise: "Over a long run no connection fails or moves, and nothing leaves with a source that is \
        not its line's.",
    method: "For three seconds connections of distinct pairs, TCP and UDP, are opened one after the \
        other, 256 at a time, and 512 that were opened first ask again in each round. A round's \
        connections ask once more and close in the next. Every exchange must be answered; no packet \
        of a connection may leave by a second line or with a second source, and none at all with a \
        source that is not its line's.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: soak,
};

/// So long, and at least so many rounds, however slow the machine is.
const TIME: Duration = Duration::from_secs(3);
const ROUNDS: usize = 4;

const KEPT: usize = 512;
const EACH_ROUND: usize = 256;

fn soak(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::set(cx)?;
    let kept = scene.open(KEPT)?;
    let mut unanswered = count_unanswered(&scene, &kept);
    let mut all = kept.clone();
    let mut last: Vec<FlowId> = Vec::new();
    let began = Instant::now();
    let mut rounds = 0;
    while began.elapsed() < TIME || rounds < ROUNDS {
        scene.ask(&[&kept[..], &last[..]].concat())?;
        unanswered += count_unanswered(&scene, &kept) + count_unanswered(&scene, &last);
        for &flow in &last {
            scene.traffic.close(flow);
        }
        let opened = scene.open(EACH_ROUND)?;
        unanswered += count_unanswered(&scene, &opened) + count_unanswered(&scene, &last);
        all.extend(&opened);
        last = opened;
        rounds += 1;
    }
    let took = began.elapsed();
    let (moved, foreign) = (Moved::among(&scene, &all), scene.foreign());
    let judgement = if unanswered > 0 || foreign.packets() > 0 {
        Judgement::failed(format!(
            "{unanswered} exchanges were not answered, and {foreign}"
        ))
    } else {
        moved.judgement()
    };
    let judgement = scene
        .unless_lossy(&all, judgement)
        .with("connections", all.len())
        .with("took_ms", took.as_millis() as u64);
    scene.verdict(judgement)
}
