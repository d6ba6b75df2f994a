//! What the router itself says (how-to 2.3.3).

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use multiwan_lab::Fault;
use multiwan_lab::traffic::FlowId;

use super::fits;
use super::sticky::Moved;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{NO_ANSWER, Scene};

pub(super) const CLAUSES: &[&Clause] = &[&UNBOUND, &BOUND, &BOUND_DEAD, &SOURCE, &STICKY];

static UNBOUND: Clause = Clause {
    id: "local.unbound",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "The router's own unbound connections are spread by weight, each with its line's \
        address.",
    method: "Sockets of the router, TCP and UDP by turns, connect to distinct servers without \
        binding. Each must be answered; every packet must have the address of the line that it \
        leaves by; the lines' counts are tested by the exact binomial test.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: fits::several_beside_backups,
    tests: Tests::Shares(1),
    judge: unbound,
};

fn unbound(cx: &mut Context) -> Result<Judgement, Trouble> {
    let (pairs, level) = (cx.pairs(), cx.level);
    let mut scene = Scene::set(cx)?;
    let calls = scene.call(usize::try_from(pairs).unwrap_or(usize::MAX), None)?;
    let own = scene.own_addresses();
    let judgement = match scene.wrong_calls(&calls, |line, source| source == own[line]) {
        Some(wrong) => Judgement::failed(wrong),
        None => {
            let flows: Vec<FlowId> = calls.iter().map(|call| call.flow).collect();
            scene.shares_of(&flows, level)
        }
    };
    scene.verdict(judgement)
}

static BOUND: Clause = Clause {
    id: "local.bound",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "What the router says from a line's address leaves by that line.",
    method: "Sockets of the router, TCP and UDP by turns, bind to each line's address and connect \
        to 300 servers. Each must be answered, and every packet must leave by the line whose \
        address it has.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: fits::always,
    tests: Tests::None,
    judge: bound,
};

fn bound(cx: &mut Context) -> Result<Judgement, Trouble> {
    const CALLS: usize = 300;
    let mut scene = Scene::set(cx)?;
    let mut wrong = Vec::new();
    let own = scene.own_addresses();
    for (line, &address) in own.iter().enumerate() {
        let calls = scene.call(CALLS, Some(address))?;
        let right = |by: usize, source: Ipv4Addr| by == line && source == address;
        wrong.extend(
            scene
                .wrong_calls(&calls, right)
                .map(|wrong| format!("bound to {address}: {wrong}")),
        );
    }
    let judgement = Judgement::holds_if(wrong.is_empty(), || wrong.join("; "));
    scene.verdict(judgement.with("connections", CALLS * own.len()))
}

static BOUND_DEAD: Clause = Clause {
    id: "local.bound-dead",
    kind: Kind::Behaviour,
    how_to: &["3.2"],
    promise: "What the router would say from a dead line's address is refused, not swallowed.",
    method: "The first line's modem hangs, new connections avoid it, and the contract's time for a \
        line's death goes by: the kernel may avoid the line before whoever refuses has heard of its \
        death. 32 sockets of the router, TCP and UDP by turns, bind to its address and connect: each \
        must get an error, and no packet may leave by another line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: bound_dead,
};

fn bound_dead(cx: &mut Context) -> Result<Judgement, Trouble> {
    const CALLS: usize = 32;
    const DEAD: usize = 0;
    let mut scene = Scene::set(cx)?;
    let fault_at = scene.break_line(DEAD, Fault::Silent)?;
    scene.until_avoided(DEAD)?;
    scene.until_honoured(fault_at)?;
    let from = scene.own_addresses()[DEAD];
    let calls = scene.call(CALLS, Some(from))?;
    let untold = calls
        .iter()
        .filter(|call| call.failure.as_ref().is_none_or(|why| why == NO_ANSWER))
        .count();
    let seen = calls
        .iter()
        .flat_map(|call| scene.traffic.ledger().sightings(call.flow));
    let astray = seen.filter(|seen| seen.line != DEAD).count();
    let judgement = Judgement::holds_if(untold + astray == 0, || {
        format!(
            "of {CALLS} connections from {from}, a dead line's address, {untold} got no error, and \
             {astray} left by another line"
        )
    });
    scene.verdict(judgement.with("connections", CALLS))
}

static SOURCE: Clause = Clause {
    id: "local.source",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "An unbound connection of the router has the address of the way that it takes.",
    method: "The kernel is asked for a socket's address after connecting it: to 127.0.0.1 it must be \
        127.0.0.1, to each client the router's on the LAN, to each gateway the line's own. 100 \
        connections to the Internet must be answered, each packet with the address of the line \
        that it leaves by.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::own_networks,
    tests: Tests::None,
    judge: source,
};

fn source(cx: &mut Context) -> Result<Judgement, Trouble> {
    const CALLS: usize = 100;
    let mut scene = Scene::set(cx)?;
    let own = scene.own_addresses();
    let topology = scene.lab.topology();
    let lan = topology.lan.router.addr();
    let mut expected = vec![(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST)];
    expected.extend(topology.client_addresses().map(|client| (client, lan)));
    let gateways = topology.lines.iter().map(|line| line.gateway);
    expected.extend(gateways.zip(own.iter().copied()));
    let mut wrong = Vec::new();
    for (to, expected) in expected {
        match source_towards(to) {
            Ok(source) if source == IpAddr::V4(expected) => {}
            Ok(source) => wrong.push(format!("to {to} from {source}, not {expected}")),
            Err(error) => wrong.push(format!("to {to}: {error}")),
        }
    }
    let calls = scene.call(CALLS, None)?;
    wrong.extend(scene.wrong_calls(&calls, |line, source| source == own[line]));
    let judgement = Judgement::holds_if(wrong.is_empty(), || wrong.join("; "));
    scene.verdict(judgement.with("connections", CALLS))
}

/// The address that routing gives a socket of the router which has none.
fn source_towards(to: Ipv4Addr) -> std::io::Result<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // Discard (RFC 863): nothing is sent there.
    socket.connect((to, 9))?;
    Ok(socket.local_addr()?.ip())
}

static STICKY: Clause = Clause {
    id: "local.sticky",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "The router's own connections keep the line that they began on.",
    method: "The second line loses its carrier, and 64 sockets of the router connect without binding, \
        TCP and UDP by turns. When the line is repaired and new connections use it again, each asks \
        twice more: each must be answered, and none may leave by a second line or with a second \
        source.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::first_two_share,
    tests: Tests::None,
    judge: sticky,
};

fn sticky(cx: &mut Context) -> Result<Judgement, Trouble> {
    const CALLS: usize = 64;
    const DEAD: usize = 1;
    let mut scene = Scene::set(cx)?;
    scene.break_line(DEAD, Fault::Carrier)?;
    scene.until_avoided(DEAD)?;
    let mut calls = scene.hold(CALLS, None)?;
    scene.repair(DEAD)?;
    scene.until_used(DEAD)?;
    for _ in 0..2 {
        scene.call_again(&mut calls)?;
    }
    let own = scene.own_addresses();
    let flows: Vec<FlowId> = calls.iter().map(|call| call.flow).collect();
    let judgement = match scene.wrong_calls(&calls, |line, source| source == own[line]) {
        Some(wrong) => Judgement::failed(wrong),
        None => Moved::among(&scene, &flows).judgement(),
    };
    drop(calls);
    scene.verdict(judgement.with("connections", CALLS))
}
