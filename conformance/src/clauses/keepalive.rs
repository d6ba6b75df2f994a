//! How lines are watched (how-to 2.4).

mod interval;
mod missed;

use std::time::Instant;

use multiwan_lab::Fault;

use super::dead::milliseconds;
use super::fits;
use super::sticky::count_unanswered;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::{POINT_TO_POINT, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[
    &interval::INTERVAL,
    &missed::MISSED,
    &NO_ECHO,
    &MAC_CHANGE,
    &ARP_PROBE,
    &SLOW_GATEWAY,
    &BOUND,
    &NO_ARP,
];

static NO_ECHO: Clause = Clause {
    id: "keepalive.no-echo",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A gateway that drops echo requests is not dead.",
    method: "Every modem stops answering ICMP echo requests to itself; ARP is answered. For as \
        long as it would take to call a line dead, new connections are opened: each must be \
        answered, and at the end all lines must carry new ones.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: no_echo,
};

fn no_echo(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::set(cx)?;
    scene.drop_echo()?;
    stays_alive(scene, |_, _| Ok(()))
}

static MAC_CHANGE: Clause = Clause {
    id: "keepalive.mac-change",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A gateway whose Ethernet address toggles is not dead.",
    method: "Each modem changes its Ethernet address at every look, back and forth between two, \
        and says so as a modem would. For as long as it would take to call a line dead, new \
        connections are opened: each must be answered, and at the end all lines must carry new \
        ones.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::have_arp,
    tests: Tests::None,
    judge: mac_change,
};

fn mac_change(cx: &mut Context) -> Result<Judgement, Trouble> {
    let scene = Scene::set(cx)?;
    stays_alive(scene, |scene, look| {
        change_macs(scene, look.is_multiple_of(2))
    })
}

fn change_macs(scene: &mut Scene<'_>, other: bool) -> Result<(), Trouble> {
    for line in 0..scene.cx.lines().len() {
        scene.lab.change_modem_mac(line, other)?;
    }
    Ok(())
}

static ARP_PROBE: Clause = Clause {
    id: "keepalive.arp-probe",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A gateway that answers nothing but ARP, and has another Ethernet address now and \
        then, is not dead.",
    method: "No modem answers ICMP echo requests to itself. Each changes its Ethernet address \
        every ten intervals of the keepalive, back and forth between two, and says so as a modem \
        would. For as long as it would take to call a line dead, new connections are opened: each \
        must be answered, and at the end all lines must carry new ones.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::have_arp,
    tests: Tests::None,
    judge: arp_probe,
};

fn arp_probe(cx: &mut Context) -> Result<Judgement, Trouble> {
    // Who waits out an echo at each look takes some five for it, and what it has seen is no longer
    // so when the address changes meanwhile: between two changes there is a whole look.
    const INTERVALS: u32 = 10;
    let mut scene = Scene::set(cx)?;
    scene.drop_echo()?;
    let each = scene.cx.config.keepalive.interval * INTERVALS;
    let mut next = Instant::now();
    let mut other = false;
    stays_alive(scene, move |scene, _| {
        if Instant::now() < next {
            return Ok(());
        }
        next += each;
        other = !other;
        change_macs(scene, other)
    })
}

static SLOW_GATEWAY: Clause = Clause {
    id: "keepalive.slow-gateway",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A gateway that takes a fifth of a second to answer is not dead.",
    method: "Every modem answers for itself, by ARP and echo, only after 200 ms; what it passes on \
        is as quick as ever. For as long as it would take to call a line dead, new connections are \
        opened: each must be answered, and at the end all lines must carry new ones.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: slow_gateway,
};

fn slow_gateway(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::set(cx)?;
    for line in 0..scene.cx.lines().len() {
        scene.break_line(line, Fault::SlowGateway)?;
    }
    stays_alive(scene, |_, _| Ok(()))
}

static BOUND: Clause = Clause {
    id: "keepalive.bound",
    kind: Kind::Behaviour,
    how_to: &["2.4", "3.2"],
    promise: "A probe leaves by the line that it is about, or not at all.",
    method: "The first line's card is taken down, so that the kernel has no route to its gateway \
        left but those by other lines. While that is found out, and for some intervals of the \
        keepalive after it, no packet for that gateway may leave by another line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::own_cards(config)
    },
    tests: Tests::None,
    judge: bound,
};

fn bound(cx: &mut Context) -> Result<Judgement, Trouble> {
    const DOWN: usize = 0;
    const INTERVALS: u32 = 8;
    let mut scene = Scene::set(cx)?;
    let gateway = scene.lab.topology().lines[DOWN].gateway;
    scene.break_line(DOWN, Fault::AdminDown)?;
    scene.until_avoided(DOWN)?;
    scene.pause(scene.cx.config.keepalive.interval * INTERVALS)?;
    let astray: u64 = scene
        .traffic
        .ledger()
        .destinations()
        .filter(|&(line, to, _)| line != DOWN && to == gateway)
        .map(|(_, _, packets)| packets)
        .sum();
    let judgement = Judgement::holds_if(astray == 0, || {
        format!(
            "{astray} packets for {}'s gateway {gateway} left by another line",
            scene.name(DOWN)
        )
    });
    scene.verdict(judgement)
}

static NO_ARP: Clause = Clause {
    id: "keepalive.no-arp",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A line without ARP lives and dies with what its driver says.",
    method: "The first line is a point-to-point link without ARP and gateway. It loses its \
        carrier, and gets it back: new connections must avoid it, and use it again, in the time \
        that the contract gives. Then, for as long as it would take to call a line dead, new ones \
        are opened: each must be answered, and at the end all lines must carry new ones.",
    needs: &[Need::Settings, Need::Claimed(Feature::Dynamic)],
    configurations: &[POINT_TO_POINT],
    fits: fits::first_is_point_to_point,
    tests: Tests::None,
    judge: no_arp,
};

fn no_arp(cx: &mut Context) -> Result<Judgement, Trouble> {
    const LINE: usize = 0;
    let mut scene = Scene::set(cx)?;
    let broken_at = scene.break_line(LINE, Fault::Carrier)?;
    let avoided_at = scene.until_avoided(LINE)?;
    let repaired_at = scene.repair(LINE)?;
    let used_at = scene.until_used(LINE)?;
    let (switch, back) = (avoided_at - broken_at, used_at - repaired_at);
    let judgement = stays_alive(scene, |_, _| Ok(()))?;
    Ok(judgement
        .with("switch_ms", milliseconds(switch))
        .with("return_ms", milliseconds(back)))
}

/// New connections in batches for as long as a death takes to be honoured, each batch after
/// `disturb` with its number.
fn stays_alive(
    mut scene: Scene<'_>,
    mut disturb: impl FnMut(&mut Scene<'_>, usize) -> Result<(), Trouble>,
) -> Result<Judgement, Trouble> {
    const BATCH: usize = 64;
    // As long as an applier may take to call a line dead.
    let long = scene.cx.deadlines.honoured;
    scene.cx.events.wait(long);
    let began = Instant::now();
    let mut connections = 0;
    let mut unanswered = 0;
    let mut look = 0;
    while began.elapsed() < long {
        disturb(&mut scene, look)?;
        let flows = scene.open(BATCH)?;
        connections += flows.len();
        unanswered += count_unanswered(&scene, &flows);
        look += 1;
        scene.pause(scene.cx.config.keepalive.interval / 4)?;
    }
    let idle = scene.unused()?;
    let judgement = if unanswered > 0 {
        Judgement::failed(format!("{unanswered} of {connections} were not answered"))
    } else if idle.is_empty() {
        Judgement::passed()
    } else {
        Judgement::failed(format!(
            "at the end no new connection used {}",
            idle.join(", ")
        ))
    };
    scene.verdict(judgement.with("connections", connections))
}
