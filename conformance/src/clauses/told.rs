//! What a dead line's connections get (how-to 2.3.3).

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use multiwan::config::{Config, Established};
use multiwan_lab::Fault;
use multiwan_lab::traffic::{Flow, FlowId, Outcome, Protocol};

use super::fits::{self, needs};
use super::sticky::{Moved, count_unanswered};
use crate::clause::{Clause, Feature, Fit, Kind, Need, Tests};
use crate::configuration::{
    THREE_LINES_RELEASE, TWO_LINES, TWO_LINES_RELEASE_AFTER, TWO_LINES_RESET, TWO_LINES_TARGETS,
};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, outcome, protocol};

pub(super) const CLAUSES: &[&Clause] = &[
    &PROHIBIT,
    &PROHIBIT_CARRIER,
    &PROHIBIT_ADMIN_DOWN,
    &PROHIBIT_HALF_DEAD,
    &PROHIBIT_UPSTREAM,
    &PROHIBIT_DEVICE_REMOVED,
    &CLIENT_TOLD,
    &RELEASED,
];

/// The line that dies.
const DEAD: usize = 0;

static PROHIBIT: Clause = Clause {
    how_to: &["2.3.3", "3.2"],
    judge: |cx| prohibited(cx, Fault::Silent),
    ..PROHIBITED
};

static PROHIBIT_CARRIER: Clause = Clause {
    id: "dead.prohibit-carrier",
    method: "The first line's cable comes out where, for `dead.prohibit`, its modem hangs; all else \
        is as there.",
    fits: fits::prohibits,
    judge: |cx| prohibited(cx, Fault::Carrier),
    ..PROHIBITED
};

static PROHIBIT_ADMIN_DOWN: Clause = Clause {
    id: "dead.prohibit-admin-down",
    method: "The router's card of the first line is taken down where, for `dead.prohibit`, its \
        modem hangs; all else is as there.",
    fits: prohibits_by_card,
    judge: |cx| prohibited(cx, Fault::AdminDown),
    ..PROHIBITED
};

static PROHIBIT_HALF_DEAD: Clause = Clause {
    id: "dead.prohibit-half-dead",
    method: "The first line's modem drops all that it gets, and can send, where, for \
        `dead.prohibit`, it hangs; all else is as there.",
    judge: |cx| prohibited(cx, Fault::HalfDead),
    ..PROHIBITED
};

static PROHIBIT_UPSTREAM: Clause = Clause {
    id: "dead.prohibit-upstream",
    method: "The first line's modem answers for itself, but passes nothing on, where, for \
        `dead.prohibit`, it hangs; a target beyond the gateways is described, and all else is as \
        there.",
    needs: &[Need::Settings, Need::Claimed(Feature::Targets)],
    configurations: &[TWO_LINES_TARGETS],
    fits: fits::prohibits_with_targets,
    judge: |cx| prohibited(cx, Fault::Upstream),
    ..PROHIBITED
};

static PROHIBIT_DEVICE_REMOVED: Clause = Clause {
    id: "dead.prohibit-device-removed",
    method: "The router's device of the first line goes away where, for `dead.prohibit`, its modem \
        hangs; all else is as there.",
    fits: prohibits_by_card,
    judge: |cx| prohibited(cx, Fault::DeviceRemoved),
    ..PROHIBITED
};

/// What these clauses have in common, whatever the line dies of.
const PROHIBITED: Clause = Clause {
    id: "dead.prohibit",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Who sends on a dead line's connection is told at once, by ICMP type 3 code 13 from \
        the router's own address in the LAN; nothing of it leaves by another line, and the other \
        lines' connections go on.",
    method: "64 clients that the router has not told anything yet, or as many as the LAN has room \
        for, open connections, TCP and UDP by turns, until some of them are on the first line. Its \
        modem hangs, new connections avoid it, and the time in which a keepalive acts (failures + 3 \
        intervals) goes by. Two of the dead line's connections ask at a time, until both are told \
        or the contract's time is over; then the others ask once, in a small LAN some of them as \
        the router's limit on ICMP errors allows, UDP only before `release_after` is over: each \
        must be told, with that type, code and source. Those of the other lines ask too, and must \
        be answered. None may change line or source, and no packet may leave with a source that is \
        not its line's.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::prohibits(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: |cx| prohibited(cx, Fault::Silent),
};

/// The card that goes down is no other line's.
fn prohibits_by_card(config: &Config) -> Fit {
    fits::prohibits(config)?;
    fits::own_cards(config)
}

fn prohibited(cx: &mut Context, fault: Fault) -> Result<Judgement, Trouble> {
    let inside = inside(&cx.config);
    told(cx, fault, &|flow| {
        let (kind, code) = (3, 13);
        flow.outcome
            == Some(Outcome::Refused {
                from: inside,
                kind,
                code,
            })
    })
}

static CLIENT_TOLD: Clause = Clause {
    id: "dead.client-told",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Where a dead line's TCP is to be reset, its next segment is answered so, and other \
        protocols are told by ICMP.",
    method: "As for `dead.prohibit`, but that TCP must be reset and UDP told by an ICMP error.",
    needs: &[Need::Settings, Need::Claimed(Feature::Established)],
    configurations: &[TWO_LINES_RESET],
    fits: |config| {
        fits::resets(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: |cx| {
        told(cx, Fault::Silent, &|flow| match flow.protocol {
            Protocol::Tcp => flow.outcome == Some(Outcome::Reset),
            Protocol::Udp | Protocol::Echo => {
                matches!(flow.outcome, Some(Outcome::Refused { kind: 3, .. }))
            }
        })
    },
};

fn inside(config: &Config) -> Ipv4Addr {
    config
        .lans
        .first()
        .map_or(Ipv4Addr::UNSPECIFIED, |lan| lan.address.addr())
}

/// What a dead line's connections get, and that nothing else becomes of them or of the others'.
fn told(
    cx: &mut Context,
    fault: Fault,
    as_wanted: &dyn Fn(&Flow) -> bool,
) -> Result<Judgement, Trouble> {
    let mut scene = Scene::set_with(cx, FRESH)?;
    let Running { dying, living } = Running::open(&mut scene)?;
    let mut waiting = dying.clone();
    let fault_at = scene.break_line(DEAD, fault)?;
    scene.until_avoided(DEAD)?;
    // The kernel alone may be quick; who else watches lines is to have acted too.
    scene.pause(scene.cx.deadlines.reaction)?;
    let honoured = scene.cx.deadlines.honoured;
    let released_at = fault_at + scene.cx.config.release_after;
    for _ in 0..TRIES {
        let pair: Vec<FlowId> = [Protocol::Tcp, Protocol::Udp]
            .iter()
            .filter_map(|&protocol| take(&scene, &mut waiting, protocol))
            .collect();
        let asked = ask_told(&mut scene, pair, released_at, usize::MAX, |scene, flows| {
            scene.ask_in_vain(flows)
        })?;
        let told = |&flow: &FlowId| as_wanted(scene.traffic.flow(flow));
        let late = fault_at.elapsed() > honoured;
        if asked.iter().all(told) || late {
            break;
        }
        scene.pause(honoured / (TRIES - 1))?;
    }
    let waiting = ask_told(&mut scene, waiting, released_at, ENOUGH, |scene, flows| {
        scene.ask(flows)
    })?;
    scene.ask(&living)?;
    let unanswered = count_unanswered(&scene, &living);
    let foreign = scene.foreign().told();
    let wrong: Vec<&Flow> = waiting
        .iter()
        .map(|&flow| scene.traffic.flow(flow))
        .filter(|flow| !as_wanted(flow))
        .collect();
    let moved = Moved::among(&scene, &[dying, living].concat()).judgement();
    let judgement = if let Some(foreign) = foreign {
        Judgement::failed(foreign)
    } else if let Some(flow) = wrong.first() {
        Judgement::failed(format!(
            "of {} connections of the dead line {} were not told so: one by {} was {}",
            waiting.len(),
            wrong.len(),
            flow.protocol,
            outcome(flow)
        ))
    } else if unanswered > 0 {
        Judgement::failed(format!(
            "{unanswered} connections of live lines were not answered"
        ))
    } else if waiting.len() < ENOUGH {
        Judgement::inconclusive(format!(
            "only {} connections were left on the dead line to be judged",
            waiting.len()
        ))
    } else {
        moved
    };
    let told = waiting.len() - wrong.len();
    scene.verdict(judgement.with("asked", waiting.len()).with("told", told))
}

/// Clients that the router has not told anything yet.
const FRESH: usize = 64;

/// So often two of the dead line's connections are tried: the last time after the contract's time.
const TRIES: u32 = 6;

/// Fewer that are told prove nothing.
const ENOUGH: usize = 8;

/// Connections of these clients, by the line that is to die.
struct Running {
    /// Its own, of a client no more than it takes to have enough: the router's limit on ICMP errors
    /// grants each some two, and then one in two seconds.
    dying: Vec<FlowId>,
    /// Those of the other lines.
    living: Vec<FlowId>,
}

impl Running {
    /// Opens a connection of each client, and another of those that had none on the line, until
    /// there are enough on it, however small its share.
    fn open(scene: &mut Scene<'_>) -> Result<Self, Trouble> {
        /// So many are told at once: the router's limit for all clients together is a burst of 50.
        const MOST: usize = 40;
        /// For each protocol one to be tried each time, and enough to be judged beside.
        const WANTED: usize = 2 * (TRIES as usize + ENOUGH);
        const ROUNDS: usize = 100;
        let mut clients: Vec<usize> = scene.listeners().collect();
        let each = WANTED.div_ceil(clients.len());
        let mut of_client = vec![0; scene.traffic.clients()];
        let (mut dying, mut living) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let flows: Vec<FlowId> = clients
                .iter()
                .map(|&client| {
                    let server = scene.server();
                    scene
                        .traffic
                        .begin(client, server, protocol(client + round))
                })
                .collect();
            scene.finish()?;
            let mut others = Vec::new();
            for (client, flow) in clients.into_iter().zip(flows) {
                match scene.traffic.ledger().line(flow) {
                    Some(DEAD) => {
                        dying.push(flow);
                        of_client[client] += 1;
                    }
                    _ => living.push(flow),
                }
                if of_client[client] < each {
                    others.push(client);
                }
            }
            clients = others;
            if dying.len() >= WANTED || clients.is_empty() {
                break;
            }
        }
        dying.truncate(MOST);
        Ok(Self { dying, living })
    }
}

/// One more exchange on one of each client's flows at a time, when the router has a word for all of
/// them, until so many were asked or none is left; which they were. UDP is left out when it may be
/// released soon.
fn ask_told(
    scene: &mut Scene<'_>,
    mut waiting: Vec<FlowId>,
    released_at: Instant,
    enough: usize,
    ask: fn(&mut Scene<'_>, &[FlowId]) -> Result<(), Trouble>,
) -> Result<Vec<FlowId>, Trouble> {
    /// A stall of the machine.
    const STALL: Duration = Duration::from_secs(1);
    let released = |scene: &Scene<'_>, flow: FlowId| {
        scene.traffic.flow(flow).protocol != Protocol::Tcp && Instant::now() + STALL > released_at
    };
    let mut asked = Vec::new();
    loop {
        waiting.retain(|&flow| !released(scene, flow));
        if waiting.is_empty() || asked.len() >= enough {
            return Ok(asked);
        }
        let mut round = scene.rested_flows(&waiting)?;
        round.retain(|&flow| !released(scene, flow));
        ask(scene, &round)?;
        waiting.retain(|flow| !round.contains(flow));
        asked.extend(round);
    }
}

fn take(scene: &Scene<'_>, waiting: &mut Vec<FlowId>, protocol: Protocol) -> Option<FlowId> {
    let at = waiting
        .iter()
        .position(|&flow| scene.traffic.flow(flow).protocol == protocol)?;
    Some(waiting.remove(at))
}

fn by_line(scene: &Scene<'_>, flows: &[FlowId], line: usize) -> Vec<FlowId> {
    let left = |flow: &&FlowId| scene.traffic.ledger().line(**flow) == Some(line);
    flows.iter().filter(left).copied().collect()
}

static RELEASED: Clause = Clause {
    id: "dead.released",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "A dead line's UDP goes on by a line that lives, with the same five-tuple and that \
        line's address, when it is to be released; nothing of live lines is touched.",
    method: "300 connections are opened, TCP and UDP by turns. The first line's modem hangs, and \
        new connections avoid it. The dead line's UDP keeps asking: in the time that the contract \
        gives, and `release_after` where it is told first, all of it must be answered. Live lines' \
        connections ask too, and all again after the repair: none of them may change its line or \
        source, nor what was released once more. TCP, where it is to be told, may not move.",
    needs: &[Need::Settings, Need::Claimed(Feature::Established)],
    configurations: &[THREE_LINES_RELEASE, TWO_LINES_RELEASE_AFTER],
    fits: |config| {
        fits::silence_is_found(config)?;
        fits::first_two_share(config)?;
        needs(
            config.established == Established::Release
                || config.release_after < Duration::from_secs(3),
            "`established = \"release\"`, or a `release_after` of less than three seconds",
        )
    },
    tests: Tests::None,
    judge: released,
};

fn released(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 300;
    let mut scene = Scene::set(cx)?;
    let config = scene.cx.config.clone();
    let told_first = config.established != Established::Release;
    let patience = scene.cx.deadlines.honoured
        + if told_first {
            config.release_after
        } else {
            Duration::ZERO
        };
    let flows = scene.open(FLOWS)?;
    let on_dead = by_line(&scene, &flows, DEAD);
    let on_live: Vec<FlowId> = flows
        .iter()
        .filter(|flow| !on_dead.contains(flow))
        .copied()
        .collect();
    let (tcp, udp): (Vec<_>, Vec<_>) = on_dead
        .into_iter()
        .partition(|&flow| scene.traffic.flow(flow).protocol == Protocol::Tcp);
    let fault_at = scene.break_line(DEAD, Fault::Silent)?;
    scene.until_avoided(DEAD)?;
    let released_at: Instant = scene.until_asked(
        &udp,
        patience,
        "all of the dead line's UDP is answered",
        |flow| flow.answered(),
    )?;
    scene.ask_in_vain(&tcp)?;
    scene.ask(&on_live)?;
    let mut unanswered = count_unanswered(&scene, &on_live);
    scene.repair(DEAD)?;
    scene.until_used(DEAD)?;
    let steady: Vec<FlowId> = [&udp[..], &on_live].concat();
    scene.ask(&steady)?;
    unanswered += count_unanswered(&scene, &steady);
    // By the dead line first, then by one other, for good.
    let twice = |flow: &&FlowId| scene.traffic.ledger().sightings(**flow).len() != 2;
    let astray = udp.iter().filter(twice).count();
    let foreign = scene.foreign();
    let staying = if told_first {
        [&tcp[..], &on_live].concat()
    } else {
        on_live
    };
    let judgement = if unanswered + astray > 0 || foreign.packets() > 0 {
        Judgement::failed(format!(
            "{unanswered} exchanges were not answered, {astray} of {} released connections did not \
             move once to a line that lives, and {foreign}",
            udp.len()
        ))
    } else {
        Moved::among(&scene, &staying).judgement()
    };
    let took = super::dead::milliseconds(released_at.duration_since(fault_at));
    scene.verdict(
        judgement
            .with("released", udp.len())
            .with("released_ms", took),
    )
}
