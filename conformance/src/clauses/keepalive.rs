//! How lines are watched (how-to 2.4).

use std::time::Instant;

use multiwan_lab::Fault;

use super::dead::milliseconds;
use super::{first_is_point_to_point, several_lines_share};
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::{POINT_TO_POINT, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[&NO_ECHO, &MAC_CHANGE, &NO_ARP];

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
    fits: several_lines_share,
    tests: Tests::None,
    judge: no_echo,
};

fn no_echo(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::set(cx)?;
    scene.cx.events.note("gateways drop echo");
    for line in 0..scene.cx.lines().len() {
        scene
            .lab
            .modem(line)
            .set("ipv4/icmp_echo_ignore_all", "1")?;
    }
    stays_alive(scene, |_, _| Ok(()))
}

static MAC_CHANGE: Clause = Clause {
    id: "keepalive.mac-change",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A gateway whose Ethernet address toggles is not dead.",
    method: "Each modem changes its Ethernet address at every look, back and forth between two, and \
        says so as a modem would. For as long as it would take to call a line dead, new \
        connections are opened: each must be answered, and at the end all lines must carry new \
        ones.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: several_lines_share,
    tests: Tests::None,
    judge: mac_change,
};

fn mac_change(cx: &mut Context) -> Result<Judgement, Trouble> {
    let scene = Scene::set(cx)?;
    stays_alive(scene, |scene, look| {
        for line in 0..scene.cx.lines().len() {
            scene.lab.change_modem_mac(line, look.is_multiple_of(2))?;
        }
        Ok(())
    })
}

static NO_ARP: Clause = Clause {
    id: "keepalive.no-arp",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A line without ARP lives and dies with what its driver says.",
    method: "The first line is a point-to-point link without ARP and gateway. It loses its carrier, \
        and gets it back: new connections must avoid it, and use it again, in the time that the \
        contract gives. Then, for as long as it would take to call a line dead, new ones are \
        opened: each must be answered, and at the end all lines must carry new ones.",
    needs: &[Need::Settings, Need::Claimed(Feature::Dynamic)],
    configurations: &[POINT_TO_POINT],
    fits: |config| several_lines_share(config) && first_is_point_to_point(config),
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
    let began = Instant::now();
    let mut connections = 0;
    let mut unanswered = 0;
    let mut last = Vec::new();
    let mut look = 0;
    while began.elapsed() < long {
        disturb(&mut scene, look)?;
        last = scene.open(BATCH)?;
        connections += last.len();
        let answered = last
            .iter()
            .filter(|&&flow| scene.traffic.flow(flow).answered())
            .count();
        unanswered += last.len() - answered;
        look += 1;
        scene.pause(scene.cx.config.keepalive.interval / 4)?;
    }
    let ledger = scene.traffic.ledger();
    let idle = (0..scene.cx.lines().len())
        .find(|&line| !last.iter().any(|&flow| ledger.line(flow) == Some(line)));
    let judgement = match idle {
        _ if unanswered > 0 => {
            Judgement::failed(format!("{unanswered} of {connections} were not answered"))
        }
        Some(line) => Judgement::failed(format!(
            "{} carried none of the last {BATCH} new connections",
            scene.name(line)
        )),
        None => Judgement::passed(),
    };
    scene.verdict(judgement.with("connections", connections))
}
