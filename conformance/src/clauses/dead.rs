//! What happens when a line dies (how-to 2.3.3).

mod all_lines;
mod device_removed;
mod half_dead;
mod live;

use multiwan_lab::Fault;
use multiwan_lab::traffic::FlowId;

use super::several_lines_share;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, TWO_LINES, TWO_LINES_TARGETS};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[
    &CARRIER,
    &SILENT,
    &ADMIN_DOWN,
    &UPSTREAM,
    &half_dead::HALF_DEAD,
    &device_removed::DEVICE_REMOVED,
    &all_lines::ALL_LINES,
    &live::OTHERS_UNTOUCHED,
    &live::NO_WAIT,
];

static CARRIER: Clause = Clause {
    id: "dead.carrier",
    kind: Kind::Behaviour,
    how_to: &["1.3", "2.3.3", "3.2"],
    promise: "When a line loses its carrier, new connections use the lines that work.",
    method: "The first line's cable comes out. Once a batch of new connections succeeds without \
        it (in the time that the contract gives), 1,000 more are opened: each must be answered, \
        and none may leave by the dead line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: several_lines_share,
    tests: Tests::None,
    judge: |cx| new_connections_avoid_it(cx, Fault::Carrier),
};

static SILENT: Clause = Clause {
    id: "dead.silent",
    kind: Kind::Behaviour,
    how_to: &["1.3", "2.3.3", "3.2"],
    promise: "When a line's modem hangs with its carrier up, that is found out, and new \
        connections use the lines that work.",
    method: "The first line's modem drops all that it gets and would send, ARP too. Once a batch \
        of new connections succeeds without it (in the time that the contract gives), 1,000 more \
        are opened: each must be answered, and none may leave by the dead line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: several_lines_share,
    tests: Tests::None,
    judge: |cx| new_connections_avoid_it(cx, Fault::Silent),
};

static ADMIN_DOWN: Clause = Clause {
    id: "dead.admin-down",
    kind: Kind::Behaviour,
    how_to: &["2.3.3", "3.2"],
    promise: "When somebody takes a line's card down, new connections use the lines that work.",
    method: "The router's card of the first line is taken down. Once a batch of new connections \
        succeeds without it (in the time that the contract gives), 1,000 more are opened: each \
        must be answered, and none may leave by the dead line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: several_lines_share,
    tests: Tests::None,
    judge: |cx| new_connections_avoid_it(cx, Fault::AdminDown),
};

static UPSTREAM: Clause = Clause {
    id: "dead.upstream",
    kind: Kind::Behaviour,
    how_to: &["1.3"],
    promise: "When a provider is dead behind a modem that lives, new connections use the lines \
        that work.",
    method: "The first line's modem answers for itself, but passes nothing on; a target beyond the \
        gateways is described. Once a batch of new connections succeeds without the line (in the \
        time that the contract gives), 1,000 more are opened: each must be answered, and none may \
        leave by the dead line.",
    needs: &[Need::Settings, Need::Claimed(Feature::Targets)],
    configurations: &[TWO_LINES_TARGETS],
    fits: |config| several_lines_share(config) && !config.keepalive.targets.is_empty(),
    tests: Tests::None,
    judge: |cx| new_connections_avoid_it(cx, Fault::Upstream),
};

fn new_connections_avoid_it(cx: &mut Context, fault: Fault) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 1000;
    const DEAD: usize = 0;
    let mut scene = Scene::set(cx)?;
    let fault_at = scene.break_line(DEAD, fault)?;
    let switched_at = scene.until_avoided(DEAD)?;
    let flows = scene.open(FLOWS)?;
    let judgement = avoid(&scene, &flows, DEAD);
    // What is sent into a line without carrier is seen nowhere: it comes out as a retransmission.
    let judgement = scene.unless_lossy(&flows, judgement);
    let switch = switched_at.duration_since(fault_at);
    scene.verdict(
        judgement
            .with("connections", FLOWS)
            .with("switch_ms", milliseconds(switch)),
    )
}

/// The verdict on new connections beside a dead line: each is answered, and none left by it.
fn avoid(scene: &Scene<'_>, flows: &[FlowId], dead: usize) -> Judgement {
    let mut unanswered = 0;
    let mut by_dead = 0;
    for &flow in flows {
        unanswered += usize::from(!scene.traffic.flow(flow).answered());
        let seen = scene.traffic.ledger().sightings(flow);
        by_dead += usize::from(seen.iter().any(|seen| seen.line == dead));
    }
    Judgement::holds_if(unanswered + by_dead == 0, || {
        format!(
            "of {} connections after the switch {unanswered} were not answered and {by_dead} left \
             by the dead line",
            flows.len()
        )
    })
}

pub(super) fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
