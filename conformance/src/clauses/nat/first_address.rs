//! A card with several addresses (how-to 2.3.3).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan_lab::traffic::FlowId;

use super::super::fits;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::DYNAMIC;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static FIRST_ADDRESS: Clause = Clause {
    id: "nat.first-address",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Of several addresses on a line's card, the first in the gateway's network is the \
        line's.",
    method: "Each card has an address first by which the administrator reaches the modem's own \
        pages, then the one that the provider gives, then another in the same network. 200 \
        connections of clients and 100 of the router, which binds to nothing, are opened: each \
        must be answered, and every packet must have the address that the provider gave.",
    needs: &[Need::Settings, Need::Claimed(Feature::Dynamic)],
    configurations: &[DYNAMIC],
    fits: fits::dynamic,
    tests: Tests::None,
    judge: first_address,
};

fn first_address(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 200;
    const CALLS: usize = 100;
    /// The last number of the address that comes too late.
    const ANOTHER: u32 = 200;
    let mut scene = Scene::bare(cx)?;
    let own = scene.own_addresses();
    for (line, &given) in own.iter().enumerate() {
        let pages = Ipv4Addr::new(192, 168, 100 + line as u8, 2);
        let another = Ipv4Addr::from(u32::from(given) & !0xff | ANOTHER);
        scene.lab.end_lease(line)?;
        for address in [pages, given, another] {
            if address == given {
                scene.lab.lease(line)?;
            } else {
                let net = Ipv4Net::new_assert(address, 24);
                scene.lab.add_router_address(line, net)?;
            }
        }
    }
    scene.apply()?;
    // Which address the first ones have is judged too, whether a line gets to carry any or not.
    scene.watch()?;
    let flows = scene.open(FLOWS)?;
    let answered = |flow: &&FlowId| scene.traffic.flow(**flow).answered();
    let unanswered = FLOWS - flows.iter().filter(answered).count();
    let right = |line: usize, source: Ipv4Addr| source == own[line];
    let calls = scene.call(CALLS, None)?;
    let wrong = scene.wrong_calls(&calls, right);
    let wrong = wrong.map(|wrong| format!("of the router's own: {wrong}"));
    let wrong = scene.foreign_to(right).told().or(wrong);
    let wrong = wrong.or((unanswered > 0)
        .then(|| format!("of {FLOWS} connections of clients {unanswered} were not answered")));
    let judgement = wrong.map_or_else(Judgement::passed, Judgement::failed);
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("connections", FLOWS + CALLS))
}
