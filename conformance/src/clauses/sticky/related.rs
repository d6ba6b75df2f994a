//! What belongs to a connection without being of it: ICMP errors, late packets, fragments.

use std::net::Ipv4Addr;

use multiwan_lab::Fault;
use multiwan_lab::traffic::{FlowId, Outcome, Protocol, Refusal};

use super::{Moved, count_unanswered};
use crate::clause::{Clause, Kind, Need, Tests};
use crate::clauses::fits;
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(in crate::clauses) static RELATED: Clause = Clause {
    id: "sticky.related",
    kind: Kind::Behaviour,
    how_to: &["2.2"],
    promise: "ICMP errors about a connection find their way both ways, on its line.",
    method: "102 connections, TCP and UDP by turns, have an answer. About that the clients' side says \
        port unreachable, or a router behind the client fragmentation needed or time exceeded: each \
        error must leave by its connection's line, with that line's address. Then the Internet \
        answers the next packets by ICMP errors instead: the server fragmentation needed (path MTU \
        discovery, RFC 1191) to TCP and port unreachable to UDP, or a router on the way fragmentation \
        needed or time exceeded (traceroute): each client must get it, from whom it is.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: related,
};

fn related(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 102;
    let mut scene = Scene::set(cx)?;
    let flows = scene.open(FLOWS)?;
    let unanswered = count_unanswered(&scene, &flows);
    let before = packets(&scene, &flows);
    let clients: Vec<Ipv4Addr> = scene.lab.topology().client_addresses().collect();
    for (number, &flow) in flows.iter().enumerate() {
        let hop = clients[number % clients.len()];
        let complaint = error(number, hop, Refusal::PORT_UNREACHABLE);
        scene.traffic.complain(flow, complaint);
    }
    scene.finish()?;
    let after = packets(&scene, &flows);
    let swallowed = before.iter().zip(&after).filter(|(b, a)| b >= a).count();
    let hop = scene.server();
    let mut due = Vec::new();
    for (number, &flow) in flows.iter().enumerate() {
        let state = scene.traffic.flow(flow);
        let of_the_server = match state.protocol {
            Protocol::Tcp => TOO_BIG,
            Protocol::Udp | Protocol::Echo => Refusal::PORT_UNREACHABLE,
        };
        let refusal = error(number, hop, of_the_server);
        due.push(Outcome::Refused {
            from: refusal.hop.unwrap_or(*state.server.ip()),
            kind: refusal.kind,
            code: refusal.code,
        });
        scene.traffic.refuse(flow, refusal);
    }
    scene.ask_in_vain(&flows)?;
    let met = flows.iter().map(|&flow| scene.traffic.flow(flow).outcome);
    let untold = met.zip(due).filter(|&(met, due)| met != Some(due)).count();
    let judgement = if unanswered + swallowed + untold > 0 {
        Judgement::failed(format!(
            "of {FLOWS} connections {unanswered} were not answered, {untold} clients did not get \
             the ICMP error from the server or a router before it, and {swallowed} servers not the \
             one from the client's side"
        ))
    } else {
        Moved::among(&scene, &flows).judgement()
    };
    scene.verdict(judgement.with("connections", FLOWS))
}

/// Of a link that carries less than Ethernet does.
const TOO_BIG: Refusal = Refusal::too_big(1400);

/// What a host says itself and what a router before it says, by turns, and alike of TCP and UDP.
fn error(number: usize, hop: Ipv4Addr, by_host: Refusal) -> Refusal {
    match number / 2 % 3 {
        0 => by_host,
        1 => TOO_BIG.by(hop),
        _ => Refusal::TIME_EXCEEDED.by(hop),
    }
}

fn packets(scene: &Scene<'_>, flows: &[FlowId]) -> Vec<u32> {
    let of = |&flow: &FlowId| {
        let seen = scene.traffic.ledger().sightings(flow);
        seen.iter().map(|seen| seen.packets).sum()
    };
    flows.iter().map(of).collect()
}

pub(in crate::clauses) static AFTER_CLOSE: Clause = Clause {
    id: "sticky.after-close",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "A connection's late packets keep its line and source, also after its end.",
    method: "200 TCP connections ask and close. The first line loses its carrier, new connections \
        avoid it, and every client sends its last acknowledgement again, as TCP does when the \
        other's FIN is repeated; once more after the repair. No packet of a connection may leave \
        by a second line or with a second source.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: after_close,
};

fn after_close(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 200;
    const DEAD: usize = 0;
    let mut scene = Scene::set(cx)?;
    let flows: Vec<FlowId> = (0..FLOWS).map(|_| scene.begin(Protocol::Tcp)).collect();
    scene.finish()?;
    let unanswered = count_unanswered(&scene, &flows);
    for &flow in &flows {
        scene.traffic.close(flow);
    }
    scene.finish()?;
    let unclosed = count_unanswered(&scene, &flows);
    scene.break_line(DEAD, Fault::Carrier)?;
    scene.until_avoided(DEAD)?;
    say_again(&mut scene, &flows)?;
    scene.repair(DEAD)?;
    scene.until_used(DEAD)?;
    say_again(&mut scene, &flows)?;
    let judgement = if unanswered + unclosed > 0 {
        Judgement::failed(format!(
            "of {FLOWS} connections of healthy lines {unanswered} were not answered and {unclosed} \
             could not be closed"
        ))
    } else {
        Moved::among(&scene, &flows).judgement()
    };
    scene.verdict(judgement.with("connections", FLOWS))
}

fn say_again(scene: &mut Scene<'_>, flows: &[FlowId]) -> Result<(), Trouble> {
    for &flow in flows {
        scene.traffic.repeat(flow);
    }
    scene.finish()
}

pub(in crate::clauses) static FRAGMENTS: Clause = Clause {
    id: "sticky.fragments",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "A datagram that needs several packets leaves by one line, whole.",
    method: "100 clients' connections of distinct pairs ask twice by UDP datagrams of 4,000 bytes, \
        which Ethernet carries in three fragments each. Each must be answered, and all fragments \
        of a connection must leave, by one line and with one source.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::first_shares,
    tests: Tests::None,
    judge: fragments,
};

fn fragments(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 100;
    const BYTES: usize = 4000;
    const FRAGMENTS: u32 = 3;
    let mut scene = Scene::set(cx)?;
    let flows: Vec<FlowId> = (0..FLOWS).map(|_| scene.begin_large(BYTES)).collect();
    scene.finish()?;
    let mut unanswered = count_unanswered(&scene, &flows);
    scene.ask(&flows)?;
    unanswered += count_unanswered(&scene, &flows);
    let broken = packets(&scene, &flows);
    let broken = broken.iter().filter(|&packets| packets % FRAGMENTS != 0);
    let broken = broken.count();
    let judgement = if unanswered + broken > 0 {
        Judgement::failed(format!(
            "of {FLOWS} connections with large datagrams {broken} did not leave whole, and \
             {unanswered} times there was no answer"
        ))
    } else {
        Moved::among(&scene, &flows).judgement()
    };
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("connections", FLOWS))
}
