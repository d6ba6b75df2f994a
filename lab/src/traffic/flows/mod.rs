//! All flows, what they wait for, and what left of them: state without a socket.

mod attribute;
mod receive;
mod send;

use std::collections::VecDeque;
use std::hash::BuildHasherDefault;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use ipnet::Ipv4Net;
use rustc_hash::FxHasher;

use super::Patience;
use super::download::Arrival;
use super::flow::{Flow, FlowId, Origin, Step};
use super::frame::{Protocol, Refusal};
use super::ledger::{Ledger, Stray};
use super::port::Port;
use crate::host::{FRAME_PORTS_END, FRAME_PORTS_START, Mac};

/// So many ports, of clients and on the Internet, are for frames.
const PORTS: u32 = (FRAME_PORTS_END - FRAME_PORTS_START) as u32 + 1;

type HashMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<FxHasher>>;

/// A client as a source of frames.
pub(super) struct Endpoint {
    pub(super) address: Ipv4Addr,
    pub(super) mac: Mac,
    /// The number of the port that its frames go in by and come out of.
    pub(super) port: usize,
}

/// Where frames go in and come out, by what is there.
pub(super) struct Ports {
    /// Clients.
    pub(super) clients: Vec<Port>,
    /// The Internet, line by line.
    pub(super) servers: Vec<Port>,
    /// The modems' ends of the lines, where all that leaves is seen.
    pub(super) taps: Vec<Port>,
}

impl Ports {
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Port> {
        let Self {
            clients,
            servers,
            taps,
        } = self;
        clients.iter_mut().chain(servers).chain(taps)
    }
}

/// Flows and their clients.
pub(super) struct Flows {
    pub(super) clients: Vec<Endpoint>,
    /// The router's card, the clients' gateway.
    pub(super) router: Mac,
    /// The Internet's and the modem's end of each line's uplink.
    pub(super) uplinks: Vec<(Mac, Mac)>,
    pub(super) servers: Ipv4Net,
    pub(super) all: Vec<Flow>,
    pub(super) ledger: Ledger,
    patience: Patience,
    /// How many exchanges may be under way at once.
    pub(super) window: usize,
    under_way: usize,
    index: HashMap<(Protocol, SocketAddrV4), u32>,
    /// By a host on the Internet, and the address and identifier that an echo flow was seen with there.
    echoes: HashMap<(Ipv4Addr, SocketAddrV4), u32>,
    next_port: HashMap<(Protocol, Ipv4Addr), u16>,
    /// Ports on the Internet that only who names them gets.
    pub(super) reserved: Vec<u16>,
    waiting: VecDeque<(u32, Errand)>,
    timers: VecDeque<Timer>,
    /// Whether the Internet does more than answer.
    pub(super) lively: bool,
    pub(super) strays: Vec<Stray>,
    pub(super) arrivals: Vec<Arrival>,
}

/// What a flow waits to do.
#[derive(Clone, Copy)]
pub(super) enum Errand {
    Ask,
    Close,
}

/// When a flow's packet must be sent again, unless it has moved on by then.
struct Timer {
    at: Instant,
    flow: u32,
    attempts: u32,
    exchange: u32,
    step: Step,
}

/// The port of a client that asks this end of the Internet, which no other flow has: it follows from
/// the end, and from nothing that went on before.
fn port_of(server: SocketAddrV4) -> u16 {
    let end = u32::from(*server.ip()).wrapping_add(u32::from(server.port()));
    FRAME_PORTS_START + (end % PORTS) as u16
}

impl Flows {
    pub(super) fn new(
        clients: Vec<Endpoint>,
        router: Mac,
        uplinks: Vec<(Mac, Mac)>,
        servers: Ipv4Net,
        window: usize,
    ) -> Self {
        Self {
            clients,
            router,
            uplinks,
            servers,
            all: Vec::new(),
            ledger: Ledger::default(),
            patience: Patience::default(),
            window,
            under_way: 0,
            index: HashMap::default(),
            echoes: HashMap::default(),
            next_port: HashMap::default(),
            reserved: Vec::new(),
            waiting: VecDeque::new(),
            timers: VecDeque::new(),
            lively: false,
            strays: Vec::new(),
            arrivals: Vec::new(),
        }
    }

    /// A new flow of a client or of somebody's sockets, to a port of the server that no other flow
    /// uses.
    pub(super) fn add(&mut self, origin: Origin, server: Ipv4Addr, protocol: Protocol) -> FlowId {
        let server = self.on_the_internet(server, protocol);
        self.add_at(origin, server, protocol)
    }

    /// A new flow of a client or of somebody's sockets to this port.
    pub(super) fn add_at(
        &mut self,
        origin: Origin,
        server: SocketAddrV4,
        protocol: Protocol,
    ) -> FlowId {
        let address = match origin {
            Origin::Client(client) => self.clients[client].address,
            Origin::Outside(_) | Origin::Sockets => Ipv4Addr::UNSPECIFIED,
        };
        let port = match protocol {
            Protocol::Echo => server.port(),
            Protocol::Tcp | Protocol::Udp => port_of(server),
        };
        self.push(origin, protocol, SocketAddrV4::new(address, port), server)
    }

    /// A new flow from a port of a host on the Internet, that no other flow uses, to what is behind
    /// a line.
    pub(super) fn add_outside(
        &mut self,
        line: usize,
        from: Ipv4Addr,
        to: SocketAddrV4,
        protocol: Protocol,
    ) -> FlowId {
        let from = self.on_the_internet(from, protocol);
        let to = match protocol {
            Protocol::Echo => SocketAddrV4::new(*to.ip(), from.port()),
            Protocol::Tcp | Protocol::Udp => to,
        };
        self.lively = true;
        self.push(Origin::Outside(line), protocol, from, to)
    }

    /// The next flow's end at this host of the Internet.
    fn on_the_internet(&mut self, host: Ipv4Addr, protocol: Protocol) -> SocketAddrV4 {
        let next = self
            .next_port
            .entry((protocol, host))
            .or_insert(FRAME_PORTS_START);
        let after = |port| match port {
            FRAME_PORTS_END => FRAME_PORTS_START,
            port => port + 1,
        };
        while self.reserved.contains(next) {
            *next = after(*next);
        }
        let end = SocketAddrV4::new(host, *next);
        *next = after(*next);
        end
    }

    fn push(
        &mut self,
        origin: Origin,
        protocol: Protocol,
        local: SocketAddrV4,
        server: SocketAddrV4,
    ) -> FlowId {
        let number = self.all.len() as u32;
        // Any first sequence number will do; the flow's number makes a capture readable.
        let sequence = number.wrapping_mul(0x0001_0000);
        let flow = Flow::new(origin, protocol, local, server, sequence);
        self.index
            .insert((protocol, flow.on_the_internet()), number);
        self.all.push(flow);
        self.ledger.grow();
        FlowId(number)
    }

    pub(super) fn wait(&mut self, flow: FlowId, errand: Errand) {
        self.waiting.push_back((flow.0, errand));
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// From the next packet on.
    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
        // Their order is that of the packets as long as patience is the same for all.
        if self.under_way == 0 {
            self.timers.clear();
        }
    }

    pub(super) fn busy(&self) -> bool {
        self.under_way > 0 || !self.waiting.is_empty()
    }

    /// When the next packet must be sent again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.timers.front().map(|timer| timer.at)
    }

    /// Has the Internet refuse what a flow asks.
    pub(super) fn refuse(&mut self, flow: FlowId, refusal: Refusal) {
        self.all[flow.0 as usize].refusal = Some(refusal);
        self.lively = true;
    }
}
