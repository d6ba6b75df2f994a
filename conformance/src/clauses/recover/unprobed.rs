//! The control to all recoveries: what nobody asks is not noticed.

use std::time::Duration;

use multiwan_lab::Fault;

use super::fits;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static NOT_UNPROBED: Clause = Clause {
    id: "recover.not-unprobed",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "Control: without a keepalive nobody notices that a line is repaired which nothing \
        uses.",
    method: "After `apply` no keepalive is started; the kernel itself leaves out a nexthop whose \
        neighbour has failed (`fib_multipath_use_neigh`), and is told to find that out quickly. \
        The first line's modem hangs until new connections avoid the line (where they never do, \
        whoever leaves this to the keepalive alone is not judged), and is repaired without a word of \
        its own. For as long as the contract gives for a line's return, none of the new \
        connections may use it. Then its gateway is pinged once, and they must use it again. Whose \
        `apply` starts what asks for the gateways, and who has no `keepalive` beside that, is not \
        judged.",
    needs: &[
        Need::Settings,
        Need::Sysctl("net/ipv4/fib_multipath_use_neigh"),
        // Linux 5.10 hides it in the namespaces of ordinary users (`neigh_sysctl_register`).
        Need::Sysctl("net/ipv4/neigh/lo/base_reachable_time_ms"),
    ],
    configurations: &[TWO_LINES],
    fits: fits::first_two_share,
    tests: Tests::None,
    judge: not_unprobed,
};

/// Neighbour timers of a line's card so quick that they are for a lab only.
const TIMERS: [(&str, &str); 5] = [
    ("base_reachable_time_ms", "500"),
    ("delay_first_probe_time", "0"),
    ("retrans_time_ms", "50"),
    ("ucast_solicit", "1"),
    ("mcast_solicit", "1"),
];

fn not_unprobed(cx: &mut Context) -> Result<Judgement, Trouble> {
    const LINE: usize = 0;
    const EVERY: Duration = Duration::from_millis(4);
    let mut scene = Scene::applied(cx)?;
    let router = scene.lab.router();
    router.set("ipv4/fib_multipath_use_neigh", "1")?;
    for line in 0..scene.cx.lines().len() {
        let card = scene.cx.lines()[line].interface.clone();
        for (timer, value) in TIMERS {
            let setting = format!("ipv4/neigh/{card}/{timer}");
            scene.lab.router().set(&setting, value)?;
        }
        scene.lab.keep_gateway_entry(line)?;
    }
    scene.break_line(LINE, Fault::Silent)?;
    match scene.until_avoided(LINE) {
        Err(Trouble::Unmet { waited, .. }) => {
            let skipped = Judgement::skipped(format!(
                "this applier does not leave it to the kernel: without its keepalive new connections \
                 went on meeting the dead line for {} ms",
                waited.as_millis()
            ));
            return scene.verdict(skipped);
        }
        avoided => avoided?,
    };
    // Nothing uses the line, so the kernel by itself asks for nobody there.
    let before = scene.asked_for_gateways()[LINE];
    scene.pause(scene.cx.deadlines.reaction)?;
    let asked = scene.asked_for_gateways()[LINE] > before;
    if asked
        && scene
            .cx
            .applier
            .keepalive()?
            .is_none(scene.cx.deadlines.reaction)?
    {
        let skipped = "something asks for the gateway though no keepalive was started";
        return scene.verdict(Judgement::skipped(skipped));
    }
    scene.repair(LINE)?;
    let long = scene.cx.deadlines.honoured;
    let unnoticed = scene.stream(long, Some(EVERY))?.flows;
    scene.finish()?;
    let ledger = scene.traffic.ledger();
    let by_line = |flow: &&_| {
        ledger
            .sightings(**flow)
            .iter()
            .any(|seen| seen.line == LINE)
    };
    let used = unnoticed.iter().filter(by_line).count();
    let gateway = scene.lab.topology().lines[LINE].gateway;
    scene.ping(&[gateway])?;
    scene.until_used(LINE)?;
    let judgement = Judgement::holds_if(used == 0, || {
        format!(
            "{used} of {} new connections used a repaired line though no keepalive runs: somebody asks \
             for its gateway all the same",
            unnoticed.len()
        )
    });
    scene.verdict(judgement.with("connections", unnoticed.len()))
}
