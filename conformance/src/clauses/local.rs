//! What the router itself says (how-to 2.3.3).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use multiwan_lab::traffic::{FlowId, Protocol};
use socket2::{Domain, Socket, Type};

use super::several_lines_share;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, protocol};

pub(super) const CLAUSES: &[&Clause] = &[&UNBOUND, &BOUND];

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
    fits: several_lines_share,
    tests: Tests::Shares(1),
    judge: unbound,
};

fn unbound(cx: &mut Context) -> Result<Judgement, Trouble> {
    let (pairs, level) = (cx.pairs(), cx.level);
    let mut scene = Scene::set(cx)?;
    let calls = call(
        &mut scene,
        usize::try_from(pairs).unwrap_or(usize::MAX),
        None,
    )?;
    let own = scene.own_addresses();
    let judgement = match calls.wrong(&scene, |line, source| source == own[line]) {
        Some(wrong) => Judgement::failed(wrong),
        None => {
            let flows: Vec<FlowId> = calls.0.iter().map(|&(flow, _)| flow).collect();
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
    fits: |_| true,
    tests: Tests::None,
    judge: bound,
};

fn bound(cx: &mut Context) -> Result<Judgement, Trouble> {
    const CALLS: usize = 300;
    let mut scene = Scene::set(cx)?;
    let mut wrong = Vec::new();
    let own = scene.own_addresses();
    for (line, &address) in own.iter().enumerate() {
        let calls = call(&mut scene, CALLS, Some(address))?;
        let right = |by: usize, source: Ipv4Addr| by == line && source == address;
        wrong.extend(
            calls
                .wrong(&scene, right)
                .map(|wrong| format!("bound to {address}: {wrong}")),
        );
    }
    let judgement = Judgement::holds_if(wrong.is_empty(), || wrong.join("; "));
    scene.verdict(judgement.with("connections", CALLS * own.len()))
}

/// Sockets' flows, and why one had no answer.
struct Calls(Vec<(FlowId, Option<String>)>);

impl Calls {
    /// What was not answered or left otherwise than `right` says of a line and a source.
    fn wrong(&self, scene: &Scene<'_>, right: impl Fn(usize, Ipv4Addr) -> bool) -> Option<String> {
        let failures = self.0.iter().filter_map(|(_, failure)| failure.as_ref());
        let astray: Vec<String> = self
            .0
            .iter()
            .flat_map(|(flow, _)| scene.traffic.ledger().sightings(*flow))
            .filter(|seen| !right(seen.line, *seen.source.ip()))
            .map(|seen| format!("one by {} from {}", scene.name(seen.line), seen.source.ip()))
            .collect();
        let unanswered: Vec<_> = failures.collect();
        let first = unanswered
            .first()
            .map(|why| why.as_str())
            .or(astray.first().map(String::as_str));
        first.map(|first| {
            format!(
                "of {} connections {} were not answered and {} left by a wrong line or with a \
                 wrong source: {first}",
                self.0.len(),
                unanswered.len(),
                astray.len(),
            )
        })
    }
}

/// Makes so many sockets on the router, which is where this process lives, and lets each ask one
/// server, a few at a time.
fn call(scene: &mut Scene<'_>, count: usize, from: Option<Ipv4Addr>) -> Result<Calls, Trouble> {
    const AT_ONCE: usize = 64;
    let mut calls = Vec::with_capacity(count);
    while calls.len() < count {
        let mut open = Vec::with_capacity(AT_ONCE);
        for number in calls.len()..count.min(calls.len() + AT_ONCE) {
            let server = scene.server();
            let flow = scene.traffic.watch(server, protocol(number));
            let server = scene.traffic.flow(flow).server;
            open.push((flow, connect(protocol(number), from, server)));
        }
        let deadline = Instant::now() + scene.cx.deadlines.drain;
        let mut last_look = false;
        loop {
            let turned = scene.traffic.turn(Duration::from_millis(5));
            turned.map_err(|source| Trouble::System {
                doing: "answering",
                source,
            })?;
            let waiting = open
                .iter()
                .any(|(_, call)| call.as_ref().is_ok_and(|call| !call.answered()));
            if !waiting || last_look {
                break;
            }
            // One more look after the deadline: what came while we were not running counts.
            last_look = Instant::now() > deadline;
        }
        calls.extend(open.into_iter().map(|(flow, call)| {
            let failure = match call {
                Ok(call) if call.answered() => None,
                Ok(call) => Some(call.failure()),
                Err(error) => Some(error.to_string()),
            };
            (flow, failure)
        }));
    }
    // What closing the last ones has sent is judged too.
    scene.finish()?;
    Ok(Calls(calls))
}

/// A socket that has asked.
struct Call {
    socket: Socket,
    protocol: Protocol,
}

fn connect(
    protocol: Protocol,
    from: Option<Ipv4Addr>,
    server: SocketAddrV4,
) -> std::io::Result<Call> {
    let kind = match protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let socket = Socket::new(Domain::IPV4, kind.nonblocking(), None)?;
    if let Some(from) = from {
        socket.bind(&SocketAddrV4::new(from, 0).into())?;
    }
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
        other => other?,
    }
    match protocol {
        // Closing sends a reset: nothing of it stays behind.
        Protocol::Tcp => socket.set_linger(Some(Duration::ZERO))?,
        Protocol::Udp => {
            socket.send(b"question")?;
        }
    }
    Ok(Call { socket, protocol })
}

/// A connection that is under way (`EINPROGRESS`).
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

impl Call {
    fn answered(&self) -> bool {
        match self.protocol {
            Protocol::Tcp => self.socket.peer_addr().is_ok(),
            Protocol::Udp => {
                let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
                self.socket.peek(&mut buffer).is_ok_and(|length| length > 0)
            }
        }
    }

    fn failure(&self) -> String {
        match self.socket.take_error() {
            Ok(Some(error)) | Err(error) => error.to_string(),
            Ok(None) => "no answer".to_owned(),
        }
    }
}
