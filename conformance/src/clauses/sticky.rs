//! A connection stays on its line (how-to 2.3.3).

mod related;
mod soak;

use std::time::Duration;

use multiwan_lab::Fault;
use multiwan_lab::traffic::FlowId;

use super::fits;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[
    &EVERY_PACKET,
    &ACROSS_LINE_LOSS,
    &ACROSS_RECOVERY,
    &related::RELATED,
    &related::AFTER_CLOSE,
    &related::FRAGMENTS,
    &soak::SOAK,
];

static EVERY_PACKET: Clause = Clause {
    id: "sticky.every-packet",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Every packet of a connection leaves by the line of its first, with one source.",
    method: "1,500 connections of distinct pairs, TCP and UDP, ask five times each while others \
        open beside them, and close. Every packet that leaves is attributed to its connection: \
        none may leave by a second line or with a second source, and each request is answered.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: fits::always,
    tests: Tests::None,
    judge: every_packet,
};

fn every_packet(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 1500;
    const EXCHANGES: usize = 5;
    let mut scene = Scene::set(cx)?;
    let flows = scene.open(FLOWS)?;
    let mut unanswered = count_unanswered(&scene, &flows);
    let mut beside = Vec::new();
    for _ in 1..EXCHANGES {
        // New neighbours in the hash, the connection table and the route caches.
        let others = scene.open(FLOWS / 10)?;
        scene.ask(&flows)?;
        unanswered += count_unanswered(&scene, &flows) + count_unanswered(&scene, &others);
        beside.extend(others);
    }
    for &flow in &flows {
        scene.traffic.close(flow);
    }
    scene.finish()?;
    unanswered += count_unanswered(&scene, &flows);
    let all = [flows, beside].concat();
    let moved = Moved::among(&scene, &all);
    let judgement = if unanswered > 0 {
        Judgement::failed(format!(
            "{unanswered} exchanges of healthy lines were not answered"
        ))
    } else {
        moved.judgement()
    };
    let judgement = scene.unless_lossy(&all, judgement);
    scene.verdict(judgement.with("connections", all.len()))
}

static ACROSS_LINE_LOSS: Clause = Clause {
    id: "sticky.across-line-loss",
    kind: Kind::Behaviour,
    how_to: &["1.2", "2.3.3"],
    promise: "A dead line's connections are lost, not moved: none of their packets leaves by \
        another line, and the other lines' connections go on.",
    method: "256 connections are opened, TCP, UDP and ICMP echo by turns. Then the first line dies, by carrier loss and in a second \
        pass by a modem that hangs, and new connections avoid it. Every old connection asks again, \
        while it is dead and after its repair, but for 128 more that are idle until the line is back: \
        no packet of a connection may leave by a second line or with a second source, and those of \
        live lines are answered.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::keeps_the_dead(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: across_line_loss,
};

fn across_line_loss(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 256;
    const IDLE: usize = 128;
    const DEAD: usize = 0;
    let mut scene = Scene::set(cx)?;
    let mut unanswered = 0;
    let mut all = Vec::new();
    for fault in [Fault::Carrier, Fault::Silent] {
        let flows = scene.open_any(FLOWS)?;
        let idle = scene.open_idle(IDLE)?;
        let ledger = scene.traffic.ledger();
        let dead = |flow: &FlowId| ledger.line(*flow) == Some(DEAD);
        let (mut on_dead, mut on_live): (Vec<_>, Vec<_>) = flows.into_iter().partition(dead);
        let (idle_on_dead, idle_on_live): (Vec<_>, Vec<_>) = idle.into_iter().partition(dead);
        scene.break_line(DEAD, fault)?;
        scene.until_avoided(DEAD)?;
        for _ in 0..2 {
            scene.ask_in_vain(&on_dead)?;
            scene.ask(&on_live)?;
            unanswered += count_unanswered(&scene, &on_live);
        }
        scene.repair(DEAD)?;
        scene.until_used(DEAD)?;
        on_dead.extend(idle_on_dead);
        on_live.extend(idle_on_live);
        scene.ask_in_vain(&on_dead)?;
        scene.ask(&on_live)?;
        unanswered += count_unanswered(&scene, &on_live);
        all.extend([on_dead, on_live].concat());
    }
    let moved = Moved::among(&scene, &all);
    let judgement = if unanswered > 0 {
        Judgement::failed(format!(
            "{unanswered} exchanges of live lines were not answered"
        ))
    } else {
        moved.judgement()
    };
    scene.verdict(judgement.with("connections", all.len()))
}

static ACROSS_RECOVERY: Clause = Clause {
    id: "sticky.across-recovery",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "A line's return moves no connection that began while it was dead.",
    method: "The first line loses its carrier, and when a keepalive has had the time to act too \
        (failures + 3 intervals), 256 connections are opened without it, TCP, UDP and ICMP echo by turns. When it is repaired and new \
        connections use it again, every connection asks again, at once and after that time: each \
        must be answered, and no packet may leave by a second line or with a second source.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::first_two_share,
    tests: Tests::None,
    judge: across_recovery,
};

fn across_recovery(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 256;
    const DEAD: usize = 0;
    let mut scene = Scene::set(cx)?;
    scene.break_line(DEAD, Fault::Carrier)?;
    scene.until_avoided(DEAD)?;
    // The kernel by itself was quicker.
    let reaction = scene.cx.deadlines.reaction;
    scene.pause(reaction)?;
    let flows = scene.open_any(FLOWS)?;
    let mut unanswered = count_unanswered(&scene, &flows);
    scene.repair(DEAD)?;
    scene.until_used(DEAD)?;
    for wait in [Duration::ZERO, reaction] {
        scene.pause(wait)?;
        scene.ask(&flows)?;
        unanswered += count_unanswered(&scene, &flows);
    }
    let moved = Moved::among(&scene, &flows);
    let judgement = if moved.connections == 0 && unanswered > 0 {
        Judgement::failed(format!(
            "{unanswered} exchanges of live lines were not answered"
        ))
    } else {
        moved.judgement()
    };
    scene.verdict(judgement.with("connections", FLOWS))
}

/// How many of these flows' last exchanges had no answer.
pub(super) fn count_unanswered(scene: &Scene<'_>, flows: &[FlowId]) -> usize {
    flows
        .iter()
        .filter(|&&flow| !scene.traffic.flow(flow).answered())
        .count()
}

/// Connections with packets on several lines or from several sources.
pub(super) struct Moved {
    connections: usize,
    packets: u64,
    example: Option<String>,
}

impl Moved {
    pub(super) fn among(scene: &Scene<'_>, flows: &[FlowId]) -> Self {
        let mut moved = Self {
            connections: 0,
            packets: 0,
            example: None,
        };
        for &flow in flows {
            let [first, rest @ ..] = scene.traffic.ledger().sightings(flow) else {
                continue;
            };
            let Some(other) = rest.first() else { continue };
            moved.connections += 1;
            moved.packets += rest.iter().map(|seen| u64::from(seen.packets)).sum::<u64>();
            moved.example.get_or_insert_with(|| {
                format!(
                    "{} to {} left by {} from {}, then by {} from {}",
                    scene.traffic.flow(flow).local,
                    scene.traffic.flow(flow).server,
                    scene.name(first.line),
                    first.source,
                    scene.name(other.line),
                    other.source,
                )
            });
        }
        moved
    }

    pub(super) fn judgement(&self) -> Judgement {
        let Self {
            connections,
            packets,
            example,
        } = self;
        Judgement::holds_if(*connections == 0, || {
            let example = example.as_deref().unwrap_or_default();
            format!(
                "{connections} connections changed line or source ({packets} packets): {example}"
            )
        })
        .with("moved", *connections)
    }
}
