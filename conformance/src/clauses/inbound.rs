//! Connections from outside (how-to 2.3.3).

use std::net::SocketAddrV4;

use multiwan_kernel::nft::{
    Base, Chain, Family, Hook, Kind as ChainKind, Netfilter, Statement, Table, Test,
};
use multiwan_lab::traffic::{FlowId, Protocol};

use super::fits;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::FOUR_TO_ONE;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, Service};

pub(super) const CLAUSES: &[&Clause] = &[&ROUTER, &FORWARDED];

static ROUTER: Clause = Clause {
    id: "inbound.router",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "The router answers who asks it from outside by the line that it was asked by.",
    method: "Hosts on the Internet ask services of the router at each line's address, 100 by TCP, \
        UDP and ping each, twice, by way of that line, while new connections prefer one line. \
        Each must be answered, and every packet of the answers must leave by that line with its \
        address.",
    needs: &[Need::Settings, Need::Claimed(Feature::Inbound)],
    configurations: &[FOUR_TO_ONE],
    fits: fits::always,
    tests: Tests::None,
    judge: router,
};

fn router(cx: &mut Context) -> Result<Judgement, Trouble> {
    const EACH: usize = 100;
    let mut scene = Scene::set(cx)?;
    let own = scene.own_addresses();
    let mut service = Service::at(&own)?;
    let mut asked = Vec::new();
    for line in 0..own.len() {
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Echo] {
            let to = service.address(line, protocol);
            for _ in 0..EACH {
                let from = scene.server();
                let flow = scene.traffic.begin_outside(line, from, to, protocol);
                asked.push((line, flow));
            }
        }
    }
    scene.finish_with(&mut service)?;
    let mut unanswered = count_unanswered(&scene, &asked);
    for &(_, flow) in &asked {
        scene.traffic.ask(flow);
    }
    scene.finish_with(&mut service)?;
    unanswered += count_unanswered(&scene, &asked);
    let judgement = answered_by_their_lines(&scene, &asked, unanswered);
    scene.verdict(judgement)
}

static FORWARDED: Clause = Clause {
    id: "inbound.forwarded",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "A host of the LAN to which a port is forwarded answers by the line that it was asked \
        by.",
    method: "The suite forwards a TCP and a UDP port of each line to a client each, in an nftables \
        table of its own, as an administrator would beside the applier. 200 hosts on the Internet \
        ask each twice, by way of that line, while new connections prefer one line. Each must be \
        answered, and every packet of the answers must leave by that line with its address.",
    needs: &[Need::Settings, Need::Claimed(Feature::Inbound)],
    configurations: &[FOUR_TO_ONE],
    fits: fits::always,
    tests: Tests::None,
    judge: forwarded,
};

/// A port of those that clients leave to the lab.
const PORT: u16 = 8080;

fn forwarded(cx: &mut Context) -> Result<Judgement, Trouble> {
    const EACH: usize = 200;
    let mut scene = Scene::set(cx)?;
    forward_ports(&mut scene)?;
    let own = scene.own_addresses();
    let mut asked = Vec::new();
    for (line, &address) in own.iter().enumerate() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let to = SocketAddrV4::new(address, PORT);
            for _ in 0..EACH {
                let from = scene.server();
                let flow = scene.traffic.begin_outside(line, from, to, protocol);
                asked.push((line, flow));
            }
        }
    }
    scene.finish()?;
    let mut unanswered = count_unanswered(&scene, &asked);
    let flows: Vec<FlowId> = asked.iter().map(|&(_, flow)| flow).collect();
    scene.ask(&flows)?;
    unanswered += count_unanswered(&scene, &asked);
    let judgement = answered_by_their_lines(&scene, &asked, unanswered);
    scene.verdict(judgement)
}

/// Forwards [`PORT`] of each line to a client, each line's to another.
fn forward_ports(scene: &mut Scene<'_>) -> Result<(), Trouble> {
    const DESTINATION_NAT: i32 = -100;
    let base = Base::new(ChainKind::Nat, Hook::Prerouting, DESTINATION_NAT);
    let mut chain = Chain::base("incoming", base);
    let clients = scene.lab.topology().clients;
    for (number, line) in scene.cx.config.lines.iter().enumerate() {
        let client = scene.lab.client(number % clients).address();
        for protocol in [
            multiwan_kernel::nft::Protocol::TCP,
            multiwan_kernel::nft::Protocol::UDP,
        ] {
            let mut rule = vec![Statement::InputInterface(Test::Is, line.interface.clone())];
            if let Some(address) = line.address {
                rule.push(Statement::Destination(Test::Is, address.addr().into()));
            }
            rule.push(Statement::Protocol(Test::Is, protocol));
            rule.push(Statement::DestinationPort(Test::Is, PORT));
            rule.push(Statement::DestinationNat(client));
            chain.rule(rule);
        }
    }
    let mut table = Table::new(Family::Ip, "forwarded");
    table.chains.push(chain);
    Netfilter::open()
        .and_then(|mut netfilter| netfilter.replace(&table))
        .map_err(|error| Trouble::Lab(format!("forwarding ports: {error}")))
}

fn count_unanswered(scene: &Scene<'_>, asked: &[(usize, FlowId)]) -> usize {
    let unanswered = |asked: &&(usize, FlowId)| !scene.traffic.flow(asked.1).answered();
    asked.iter().filter(unanswered).count()
}

/// Whether all answers left by the line that was asked by, with its address.
fn answered_by_their_lines(
    scene: &Scene<'_>,
    asked: &[(usize, FlowId)],
    unanswered: usize,
) -> Judgement {
    let own = scene.own_addresses();
    let mut astray = 0;
    let mut example = String::new();
    for &(line, flow) in asked {
        for seen in scene.traffic.ledger().sightings(flow) {
            if (seen.line, *seen.source.ip()) != (line, own[line]) {
                astray += seen.packets;
                example = format!(
                    ": an answer to what came by {} left by {} from {}",
                    scene.name(line),
                    scene.name(seen.line),
                    seen.source
                );
            }
        }
    }
    let judgement = Judgement::holds_if(unanswered == 0 && astray == 0, || {
        format!(
            "{unanswered} questions were not answered, and {astray} packets left by another line \
             or with another source{example}"
        )
    });
    let flows: Vec<FlowId> = asked.iter().map(|&(_, flow)| flow).collect();
    scene
        .unless_lossy(&flows, judgement)
        .with("connections", asked.len())
}
