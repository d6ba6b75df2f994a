//! What happens when a line comes back (how-to 2.4).

mod flap;
mod unprobed;

use multiwan_lab::Fault;

use super::dead::milliseconds;
use super::fits;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, TWO_LINES, TWO_LINES_TARGETS};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, is_point_to_point};

pub(super) const CLAUSES: &[&Clause] = &[
    &KEEPALIVE,
    &CARRIER,
    &NO_ECHO,
    &UPSTREAM,
    &ROUTES_RESTORED,
    &MAC_CHANGE,
    &flap::FLAP,
    &unprobed::NOT_UNPROBED,
];

static KEEPALIVE: Clause = Clause {
    id: "recover.keepalive",
    kind: Kind::Behaviour,
    how_to: &["2.3.3", "2.4"],
    promise: "A repaired line is noticed by the keepalive and gets its share of new connections \
        again.",
    method: "The first line's modem hangs until new connections avoid it, and is repaired without \
        a word of its own: it does not ask for the router by ARP. That its gateway has failed is not \
        forgotten meanwhile, as the kernel does now and then where a machine has many neighbours. In \
        the time that the contract gives, new connections must use the line again; then distinct \
        pairs are tested for each line's share by the exact binomial test, and 400 of them ask twice \
        more.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::Shares(1),
    judge: |cx| used_again(cx, Fault::Silent),
};

static CARRIER: Clause = Clause {
    id: "recover.carrier",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "A line whose carrier is back gets its share of new connections again.",
    method: "The first line's cable comes out, until new connections avoid it and for some \
        intervals of the keepalive, and in again. In the time that the contract gives, new \
        connections must use the line again; then distinct pairs are tested for each line's share \
        by the exact binomial test, and 400 of them ask twice more.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::first_two_share,
    tests: Tests::Shares(1),
    judge: |cx| used_again(cx, Fault::Carrier),
};

static NO_ECHO: Clause = Clause {
    id: "recover.no-echo",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A line is noticed when it is back, whether or not its gateway answers echo requests.",
    method: "No modem answers ICMP echo requests to itself; ARP is answered. The first line's \
        modem hangs until new connections avoid it, and is repaired. In the time that the contract \
        gives, new connections must use the line again; then distinct pairs are tested for each \
        line's share by the exact binomial test, and 400 of them ask twice more.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::Shares(1),
    judge: |cx| {
        let mut scene = Scene::set(cx)?;
        scene.drop_echo()?;
        used_again_on(scene, Fault::Silent)
    },
};

static UPSTREAM: Clause = Clause {
    id: "recover.upstream",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A provider that is back behind a modem that never was dead is noticed.",
    method: "The first line's modem passes nothing on until new connections avoid it, and is \
        repaired. In the time that the contract gives, new connections must use the line again; \
        then distinct pairs are tested for each line's share by the exact binomial test, and 400 \
        of them ask twice more.",
    needs: &[Need::Settings, Need::Claimed(Feature::Targets)],
    configurations: &[TWO_LINES_TARGETS],
    fits: fits::targets,
    tests: Tests::Shares(1),
    judge: |cx| used_again(cx, Fault::Upstream),
};

static ROUTES_RESTORED: Clause = Clause {
    id: "recover.routes-restored",
    kind: Kind::Behaviour,
    how_to: &["2.4", "3.2"],
    promise: "A line whose card was down works again once it is up, for connections that are \
        pinned to it too: the kernel drops its routes, and somebody restores them.",
    method: "The router's card of the first line is taken down until new connections avoid it, and \
        up again. In the time that the contract gives, new connections must use the line again; \
        then distinct pairs are tested for each line's share by the exact binomial test, and 400 \
        of them ask twice more: all but the first packet go by the line's own table.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::own_cards(config)
    },
    tests: Tests::Shares(1),
    judge: |cx| used_again(cx, Fault::AdminDown),
};

static MAC_CHANGE: Clause = Clause {
    id: "recover.mac-change",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A line is noticed when it is back behind a gateway with another Ethernet address, as \
        a new modem has.",
    method: "The first line's modem hangs until new connections avoid it; it has another Ethernet \
        address when it is repaired, and says nothing of that by itself. In the time that the \
        contract gives, new connections must use the line again; then distinct pairs are tested \
        for each line's share by the exact binomial test, and 400 of them ask twice more.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)?;
        fits::have_arp(config)
    },
    tests: Tests::Shares(1),
    judge: |cx| {
        // What it announces while it hangs is not heard.
        used_again_after(Scene::set(cx)?, Fault::Silent, |scene| {
            Ok(scene.lab.change_modem_mac(LINE, true)?)
        })
    },
};

/// The line that dies and returns.
const LINE: usize = 0;

fn used_again(cx: &mut Context, fault: Fault) -> Result<Judgement, Trouble> {
    used_again_on(Scene::set(cx)?, fault)
}

fn used_again_on(scene: Scene<'_>, fault: Fault) -> Result<Judgement, Trouble> {
    used_again_after(scene, fault, |_| Ok(()))
}

/// Whether a line is used again that has died and was repaired after `meanwhile`.
fn used_again_after(
    mut scene: Scene<'_>,
    fault: Fault,
    meanwhile: impl FnOnce(&mut Scene<'_>) -> Result<(), Trouble>,
) -> Result<Judgement, Trouble> {
    let (pairs, level) = (scene.cx.pairs(), scene.cx.level);
    if fault == Fault::Silent && !is_point_to_point(&scene.cx.lines()[LINE]) {
        // Where the kernel forgets that the gateway has failed, new connections try it themselves.
        scene.lab.keep_gateway_entry(LINE)?;
    }
    scene.break_line(LINE, fault)?;
    scene.until_avoided(LINE)?;
    if fault == Fault::Carrier {
        // The kernel alone is quick here; who else watches is to see it too.
        scene.pause(scene.cx.deadlines.reaction)?;
    }
    meanwhile(&mut scene)?;
    let repaired_at = scene.repair(LINE)?;
    let used_at = scene.until_used(LINE)?;
    let flows = scene.open(usize::try_from(pairs).unwrap_or(usize::MAX))?;
    let mut judgement = scene.shares_of(&flows, level);
    let some = &flows[..flows.len().min(400)];
    for _ in 0..2 {
        scene.ask(some)?;
        let unanswered = some
            .iter()
            .filter(|&&flow| !scene.traffic.flow(flow).answered())
            .count();
        if unanswered > 0 {
            judgement = Judgement::failed(format!(
                "{unanswered} of {} later exchanges were not answered",
                some.len()
            ));
        }
    }
    let judgement = scene.unless_lossy(&flows, judgement);
    let took = used_at.duration_since(repaired_at);
    scene.verdict(judgement.with("return_ms", milliseconds(took)))
}
