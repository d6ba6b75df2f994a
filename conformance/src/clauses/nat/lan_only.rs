//! Whose addresses are translated: the LAN's, nobody else's (how-to 2.2).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan_lab::traffic::FlowId;

use super::super::fits::{apart_from, needs};
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, protocol};

pub(super) static LAN_ONLY: Clause = Clause {
    id: "nat.lan-only",
    kind: Kind::Behaviour,
    how_to: &["2.2"],
    promise: "Only what comes from the LAN's own addresses is translated.",
    method: "Behind one host of the LAN is another network, which every provider routes to the \
        router, as it does with a block of public addresses. 200 connections are opened from \
        there, TCP and UDP by turns, and ask once more: each exchange must be answered, and every \
        packet must leave with the address of the host that sent it.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        needs(
            apart_from(config, BEHIND),
            "networks apart from 10.77.0.0/24, which the lab takes for this",
        )
    },
    tests: Tests::None,
    judge: lan_only,
};

/// The network that is not the LAN's.
const BEHIND: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 77, 0, 0), 24);

fn lan_only(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 200;
    const HOST: usize = 0;
    let mut scene = Scene::set(cx)?;
    scene.lab.route_behind(HOST, BEHIND)?;
    let sources: Vec<Ipv4Addr> = BEHIND.hosts().take(FLOWS).collect();
    let flows: Vec<FlowId> = sources
        .iter()
        .enumerate()
        .map(|(number, &source)| {
            let server = scene.server();
            scene
                .traffic
                .begin_from(HOST, source, server, protocol(number))
        })
        .collect();
    scene.finish()?;
    let answered = |flow: &&FlowId| scene.traffic.flow(**flow).answered();
    let unanswered = FLOWS - flows.iter().filter(answered).count();
    let unanswered = unanswered + scene.unanswered(&flows)?;
    let translated = flows.iter().zip(&sources).filter(|&(&flow, &source)| {
        let seen = scene.traffic.ledger().sightings(flow);
        seen.iter().any(|seen| *seen.source.ip() != source)
    });
    let translated = translated.count();
    let judgement = Judgement::holds_if(unanswered + translated == 0, || {
        format!(
            "of {FLOWS} connections from {BEHIND}, which is not the LAN, {translated} left with an \
             address that is not their own, and {unanswered} exchanges were not answered"
        )
    });
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("connections", FLOWS))
}
