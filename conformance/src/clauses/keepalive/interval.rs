//! How often lines are asked (how-to 2.4).

use multiwan_lab::Fault;

use super::{fits, milliseconds};
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static INTERVAL: Clause = Clause {
    id: "keepalive.interval",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "Every line is asked by itself, used or not, alive or dead: often enough for the \
        contract's time, and not many times as often as described. So a repaired one is noticed.",
    method: "The first line's modem hangs until new connections avoid it. Then nothing uses any \
        line for as long as the contract gives for a death or return, and what leaves each line \
        for its gateway is counted, ARP and else: as many packets as answers bring a dead line \
        back, or as failures end a living one, at least, and ten for each described interval at \
        most. Then the modem is repaired without a word of its own, and new connections must use \
        the line in the time that the contract gives.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::no_targets(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: interval,
};

fn interval(cx: &mut Context) -> Result<Judgement, Trouble> {
    const DEAD: usize = 0;
    /// Packets in a described interval.
    const MANY: u64 = 10;
    let mut scene = Scene::set(cx)?;
    let keepalive = scene.cx.config.keepalive.clone();
    scene.break_line(DEAD, Fault::Silent)?;
    scene.until_avoided(DEAD)?;
    let before = scene.asked_for_gateways();
    let passed = scene.stream(scene.cx.deadlines.honoured, None)?;
    let intervals = passed.lasted.as_nanos() / keepalive.interval.as_nanos().max(1);
    let most = MANY * u64::try_from(intervals + 1).unwrap_or(u64::MAX);
    let mut wrong = Vec::new();
    for (line, (after, before)) in scene
        .asked_for_gateways()
        .into_iter()
        .zip(before)
        .enumerate()
    {
        let fewest = if line == DEAD {
            keepalive.successes
        } else {
            keepalive.failures
        };
        let packets = after - before;
        if !(u64::from(fewest)..=most).contains(&packets) {
            wrong.push(format!(
                "in {} ms, {intervals} intervals, {packets} packets asked for {}'s gateway; {fewest} \
                 to {most} were due",
                passed.lasted.as_millis(),
                scene.name(line)
            ));
        }
    }
    if let (false, Some(starved)) = (wrong.is_empty(), passed.starved()) {
        return Err(starved);
    }
    let repaired_at = scene.repair(DEAD)?;
    let back = scene.until_used(DEAD)? - repaired_at;
    let judgement = Judgement::holds_if(wrong.is_empty(), || wrong.join("; "));
    scene.verdict(judgement.with("return_ms", milliseconds(back)))
}
