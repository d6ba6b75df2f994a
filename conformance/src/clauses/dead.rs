//! What happens when a line dies (how-to 2.3.3).

mod all_lines;
mod device_removed;
mod half_dead;
mod live;
mod switch_time;

use multiwan_lab::Fault;
use multiwan_lab::traffic::{FlowId, Origin};

use super::fits;
use super::sticky::{Moved, count_unanswered};
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::{BACKUP, FOUR_TO_ONE, TWO_LINES, TWO_LINES_TARGETS};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[
    &CARRIER,
    &SILENT,
    &ADMIN_DOWN,
    &UPSTREAM,
    &RECONNECT,
    &BACKUP_LINE,
    &half_dead::HALF_DEAD,
    &device_removed::DEVICE_REMOVED,
    &all_lines::ALL_LINES,
    &live::OTHERS_UNTOUCHED,
    &live::NO_WAIT,
    &switch_time::SWITCH_TIME,
];

static CARRIER: Clause = Clause {
    id: "dead.carrier",
    kind: Kind::Behaviour,
    how_to: &["1.3", "2.3.3", "3.2"],
    promise: "When a line loses its carrier, new connections use the lines that work.",
    method: "The first line's cable comes out. Once a batch of new connections succeeds without it \
        (in the time that the contract gives), 1,000 more are opened over the time in which a \
        keepalive acts (failures + 3 intervals): each must be answered, and none may leave by the \
        dead line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: fits::first_two_share,
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
        are opened over the time in which a keepalive acts (failures + 3 intervals): each must be \
        answered, and none may leave by the dead line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: |cx| new_connections_avoid_it(cx, Fault::Silent),
};

static ADMIN_DOWN: Clause = Clause {
    id: "dead.admin-down",
    kind: Kind::Behaviour,
    how_to: &["2.3.3", "3.2"],
    promise: "When somebody takes a line's card down, new connections use the lines that work.",
    method: "The router's card of the first line is taken down. Once a batch of new connections \
        succeeds without it (in the time that the contract gives), 1,000 more are opened over the \
        time in which a keepalive acts (failures + 3 intervals): each must be answered, and none \
        may leave by the dead line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::own_cards(config)
    },
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
        time that the contract gives), 1,000 more are opened over the time in which a keepalive \
        acts (failures + 3 intervals): each must be answered, and none may leave by the dead \
        line.",
    needs: &[Need::Settings, Need::Claimed(Feature::Targets)],
    configurations: &[TWO_LINES_TARGETS],
    fits: fits::targets,
    tests: Tests::None,
    judge: |cx| new_connections_avoid_it(cx, Fault::Upstream),
};

fn new_connections_avoid_it(cx: &mut Context, fault: Fault) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 1000;
    const DEAD: usize = 0;
    let mut scene = Scene::set(cx)?;
    let fault_at = scene.break_line(DEAD, fault)?;
    let switched_at = scene.until_avoided(DEAD)?;
    // The kernel alone may be quick; what else watches lines has acted when the last ones open.
    let flows = scene.open_over(FLOWS, scene.cx.deadlines.reaction)?;
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

static RECONNECT: Clause = Clause {
    id: "dead.reconnect",
    kind: Kind::Behaviour,
    how_to: &["1.2", "2.3.3"],
    promise: "A client whose connection was lost with its line reaches the same server at once by \
        a new one.",
    method: "256 connections are opened. The first line's modem hangs, and new connections avoid \
        it. Each client with a connection on the dead line opens a second one to the same server: \
        each must be answered, and none may leave by the dead line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: reconnect,
};

fn reconnect(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 256;
    const DEAD: usize = 0;
    let mut scene = Scene::set(cx)?;
    let flows = scene.open(FLOWS)?;
    scene.break_line(DEAD, Fault::Silent)?;
    scene.until_avoided(DEAD)?;
    let mut again = Vec::new();
    for flow in flows {
        let state = scene.traffic.flow(flow);
        let (server, protocol) = (*state.server.ip(), state.protocol);
        if let Origin::Client(client) = state.origin
            && scene.traffic.ledger().line(flow) == Some(DEAD)
        {
            again.push(scene.traffic.begin(client, server, protocol));
        }
    }
    scene.finish()?;
    let unanswered = count_unanswered(&scene, &again);
    let by_dead = |flow: &&FlowId| scene.traffic.ledger().line(**flow) == Some(DEAD);
    let by_dead = again.iter().filter(by_dead).count();
    let judgement = Judgement::holds_if(unanswered + by_dead == 0, || {
        format!(
            "of {} connections to a server again {unanswered} were not answered and {by_dead} left \
             by the dead line",
            again.len()
        )
    });
    let judgement = scene.unless_lossy(&again, judgement);
    scene.verdict(judgement.with("again", again.len()))
}

static BACKUP_LINE: Clause = Clause {
    id: "dead.backup",
    kind: Kind::Behaviour,
    how_to: &[],
    promise: "A backup line gets new connections while no other line is up, and no longer; what \
        runs on it then stays.",
    method: "The lines that are no backup hang one after the other, and the last of them is \
        repaired. In each phase 200 new connections are opened, TCP, UDP and ICMP echo by turns, once the batch before has settled: \
        all must be answered, none by a backup while another line is up. Those of the backup ask \
        again in the end: each must be answered, by the same line with the same source.",
    needs: &[Need::Settings, Need::Claimed(Feature::Backup)],
    configurations: &[BACKUP],
    fits: |config| {
        fits::backup_and_other(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: backup,
};

fn backup(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 200;
    let (backups, primaries): (Vec<usize>, Vec<usize>) =
        (0..cx.lines().len()).partition(|&line| cx.lines()[line].backup);
    let mut scene = Scene::set(cx)?;
    let mut wrong = Vec::new();
    let by_backup = |scene: &Scene<'_>, flows: &[FlowId]| -> Vec<FlowId> {
        let line = |flow| scene.traffic.ledger().line(flow);
        let backup = |flow: &&FlowId| line(**flow).is_some_and(|line| backups.contains(&line));
        flows.iter().filter(backup).copied().collect()
    };
    let mut look = |scene: &mut Scene<'_>, when: &str, in_use: bool| {
        let flows = scene.open_any(FLOWS)?;
        let unanswered = count_unanswered(scene, &flows);
        let by_backup = by_backup(scene, &flows);
        if unanswered > 0
            || in_use != (by_backup.len() == FLOWS)
            || !in_use && !by_backup.is_empty()
        {
            wrong.push(format!(
                "of {FLOWS} new connections {when} {unanswered} were not answered and {} left by a \
                 backup line",
                by_backup.len()
            ));
        }
        Ok::<_, Trouble>(by_backup)
    };
    look(&mut scene, "while all lines were up", false)?;
    for (at, &line) in primaries.iter().enumerate() {
        scene.break_line(line, Fault::Silent)?;
        scene.until_avoided(line)?;
        if at + 1 < primaries.len() {
            look(&mut scene, "while one other line was up", false)?;
        }
    }
    let running = look(&mut scene, "while no other line was up", true)?;
    if let Some(&line) = primaries.last() {
        scene.repair(line)?;
        scene.until_used(line)?;
    }
    for &line in &backups {
        scene.until_avoided(line)?;
    }
    look(&mut scene, "after another line's return", false)?;
    scene.ask(&running)?;
    let unanswered = count_unanswered(&scene, &running);
    if unanswered > 0 {
        wrong.push(format!(
            "{unanswered} of the backup's {} connections were not answered after that return",
            running.len()
        ));
    }
    let judgement = if wrong.is_empty() {
        Moved::among(&scene, &running).judgement()
    } else {
        Judgement::failed(wrong.join("; "))
    };
    scene.verdict(judgement.with("connections", running.len()))
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
