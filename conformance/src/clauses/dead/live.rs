//! What does not happen to the lines that live.

use std::time::{Duration, Instant};

use multiwan_lab::Fault;
use multiwan_lab::traffic::{FlowId, Protocol};

use super::fits;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::{THREE_LINES, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

/// The line that dies.
const DEAD: usize = 0;

pub(super) static OTHERS_UNTOUCHED: Clause = Clause {
    id: "dead.others-untouched",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "A line's death and return touch nothing on the lines that live.",
    method: "Of 256 connections, TCP, UDP and ICMP echo by turns, those on other lines than the first ask without pause while the \
        first line's modem hangs, is found dead, is repaired and is used again, and then the same \
        with its device removed. What asks without pause may take up unnoticed what was forgotten of \
        it; so 128 more are idle each time until the line is found dead, and 128 are opened then \
        and idle until it is back. Each exchange must be answered, every packet must have left, and \
        no connection may change line or source.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, THREE_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)?;
        fits::own_cards(config)?;
        fits::described_addresses(config)
    },
    tests: Tests::None,
    judge: others_untouched,
};

fn others_untouched(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 256;
    const IDLE: usize = 128;
    let mut scene = Scene::set(cx)?;
    let flows = scene.open_any(FLOWS)?;
    let live = on_live(&scene, flows);
    let mut idle = Vec::new();
    let mut rounds = 0;
    let mut unanswered = 0;
    // As long as a death or return takes with these timings, and some.
    let long = scene.cx.config.keepalive.interval * (scene.cx.config.keepalive.failures + 2);
    let mut ask_for_long = |scene: &mut Scene<'_>| {
        scene.cx.events.wait(long);
        let began = Instant::now();
        while began.elapsed() < long {
            rounds += 1;
            unanswered += scene.unanswered(&live)?;
            scene.pause(Duration::from_millis(10))?;
        }
        Ok::<_, Trouble>(())
    };
    let mut idle_unanswered = 0;
    for fault in [Fault::Silent, Fault::DeviceRemoved] {
        let flows = scene.open_idle(IDLE)?;
        let before = on_live(&scene, flows);
        scene.break_line(DEAD, fault)?;
        ask_for_long(&mut scene)?;
        scene.until_avoided(DEAD)?;
        idle_unanswered += scene.unanswered(&before)?;
        let beside = scene.open_idle(IDLE)?;
        scene.repair(DEAD)?;
        ask_for_long(&mut scene)?;
        scene.until_used(DEAD)?;
        idle_unanswered += scene.unanswered(&beside)?;
        idle.extend([before, beside].concat());
    }
    let unanswered = unanswered + idle_unanswered;
    let kept = |flows: &[FlowId], asked| -> u32 {
        let kept = flows.iter().map(|&flow| kept_back(&scene, flow, asked));
        kept.sum()
    };
    let kept = kept(&live, rounds) + kept(&idle, 1);
    let exchanges = rounds as usize * live.len() + idle.len();
    let connections = [live, idle].concat();
    let ledger = scene.traffic.ledger();
    let moved = connections
        .iter()
        .filter(|&&flow| ledger.sightings(flow).len() > 1);
    let moved = moved.count();
    let judgement = Judgement::holds_if(unanswered + moved == 0 && kept == 0, || {
        format!(
            "on live lines {unanswered} of {exchanges} exchanges were not answered, {kept} packets \
             did not leave at first, and {moved} of {} connections changed line or source",
            connections.len()
        )
    });
    scene.verdict(
        judgement
            .with("connections", connections.len())
            .with("exchanges", exchanges),
    )
}

/// Those of these connections that are on other lines than the one that dies.
fn on_live(scene: &Scene<'_>, mut flows: Vec<FlowId>) -> Vec<FlowId> {
    let ledger = scene.traffic.ledger();
    flows.retain(|&flow| ledger.line(flow).is_some_and(|line| line != DEAD));
    flows
}

pub(super) static NO_WAIT: Clause = Clause {
    id: "dead.no-wait",
    kind: Kind::Behaviour,
    how_to: &["1.3", "2.4"],
    promise: "Beside a dead line, new connections open without delay: nobody tries the dead one \
        first, and nobody has to do anything.",
    method: "The first line's modem hangs, and no command is given. Once a batch of new connections \
        succeeds without the line (in the time that the contract gives), connections are opened \
        for some intervals of the keepalive: of what each sent, every packet must have left, and \
        none by the dead line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: no_wait,
};

fn no_wait(cx: &mut Context) -> Result<Judgement, Trouble> {
    const BATCH: usize = 64;
    const INTERVALS: u32 = 8;
    let mut scene = Scene::set(cx)?;
    scene.break_line(DEAD, Fault::Silent)?;
    scene.until_avoided(DEAD)?;
    let long = scene.cx.config.keepalive.interval * INTERVALS;
    scene.cx.events.wait(long);
    let began = Instant::now();
    let mut flows = Vec::new();
    while began.elapsed() < long {
        flows.extend(scene.open(BATCH)?);
        scene.pause(Duration::from_millis(5))?;
    }
    let mut held_up = 0;
    for &flow in &flows {
        let seen = scene.traffic.ledger().sightings(flow);
        let astray = seen.iter().any(|seen| seen.line == DEAD);
        let answered = scene.traffic.flow(flow).answered();
        held_up += usize::from(!answered || astray || kept_back(&scene, flow, 0) > 0);
    }
    let judgement = Judgement::holds_if(held_up == 0, || {
        format!(
            "of {} connections beside a dead line {held_up} did not open at once: the router kept \
             their first packet, or gave it to the dead line",
            flows.len()
        )
    });
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("connections", flows.len()))
}

/// How many packets of a flow the router kept, which has asked so many times more after its first
/// exchange. Where only an answer was late, both the packet and the one that repeats it have left.
fn kept_back(scene: &Scene<'_>, flow: FlowId, asked: u32) -> u32 {
    let state = scene.traffic.flow(flow);
    let first = match state.protocol {
        Protocol::Tcp => 2,
        Protocol::Udp | Protocol::Echo => 1,
    };
    let sent = first + asked + state.retransmissions;
    let seen = scene.traffic.ledger().sightings(flow);
    sent.saturating_sub(seen.iter().map(|seen| seen.packets).sum())
}
