//! All flows, what they wait for, and what left of them: state without a socket.

use std::collections::VecDeque;
use std::hash::BuildHasherDefault;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use multiwan_kernel::packet::Burst;
use rustc_hash::FxHasher;

use super::Patience;
use super::flow::{Flow, FlowId, Outcome, Progress, Step};
use super::frame::{self, Ends, FIN, Frame, Header, Protocol, SYN};
use super::ledger::Ledger;
use super::port::Port;
use super::server::{Answer, Request};
use crate::host::{FRAME_PORTS_END, FRAME_PORTS_START, Mac};

type HashMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<FxHasher>>;

/// A client as a source of frames.
pub(super) struct Endpoint {
    pub(super) address: Ipv4Addr,
    pub(super) mac: Mac,
    /// The number of the port that its frames go in by and come out of.
    pub(super) port: usize,
}

/// Flows and their clients.
pub(super) struct Flows {
    pub(super) clients: Vec<Endpoint>,
    /// The router's card, the clients' gateway.
    pub(super) router: Mac,
    pub(super) all: Vec<Flow>,
    pub(super) ledger: Ledger,
    patience: Patience,
    /// How many exchanges may be under way at once.
    pub(super) window: usize,
    under_way: usize,
    index: HashMap<(Protocol, SocketAddrV4), u32>,
    next_port: HashMap<(Protocol, Ipv4Addr), u16>,
    waiting: VecDeque<(u32, Errand)>,
    timers: VecDeque<Timer>,
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

impl Flows {
    pub(super) fn new(clients: Vec<Endpoint>, router: Mac, window: usize) -> Self {
        Self {
            clients,
            router,
            all: Vec::new(),
            ledger: Ledger::default(),
            patience: Patience::default(),
            window,
            under_way: 0,
            index: HashMap::default(),
            next_port: HashMap::default(),
            waiting: VecDeque::new(),
            timers: VecDeque::new(),
        }
    }

    /// A new flow to a port of the server that no other flow uses.
    pub(super) fn add(
        &mut self,
        client: Option<usize>,
        server: Ipv4Addr,
        protocol: Protocol,
    ) -> FlowId {
        const PORTS: u32 = (FRAME_PORTS_END - FRAME_PORTS_START) as u32 + 1;
        let number = self.all.len() as u32;
        let next = self
            .next_port
            .entry((protocol, server))
            .or_insert(FRAME_PORTS_START);
        let server = SocketAddrV4::new(server, *next);
        *next = if *next == FRAME_PORTS_END {
            FRAME_PORTS_START
        } else {
            *next + 1
        };
        let address = client.map_or(Ipv4Addr::UNSPECIFIED, |client| self.clients[client].address);
        let local = SocketAddrV4::new(address, FRAME_PORTS_START + (number % PORTS) as u16);
        // Any first sequence number will do; the flow's number makes a capture readable.
        let sequence = number.wrapping_mul(0x0001_0000);
        self.all
            .push(Flow::new(client, protocol, local, server, sequence));
        self.index.insert((protocol, server), number);
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

    /// Begins what waits, as far as the window allows.
    pub(super) fn begin_waiting(&mut self, ports: &mut [Port]) -> bool {
        let now = Instant::now();
        let mut happened = false;
        while self.under_way < self.window
            && let Some((number, errand)) = self.waiting.pop_front()
        {
            let flow = &mut self.all[number as usize];
            let Some(client) = flow.client else { continue };
            // One exchange at a time, and none after the end.
            if flow.pending() || flow.step == Step::Closed {
                continue;
            }
            match errand {
                Errand::Ask => flow.ask(now),
                Errand::Close => flow.close(now),
            }
            if flow.pending() {
                self.under_way += 1;
                let port = self.clients[client].port;
                self.send(number, &mut ports[port].burst);
                happened = true;
            }
        }
        happened
    }

    /// Sends the packet of a flow's step, for the first time or again, and minds when it will be
    /// due once more.
    fn send(&mut self, number: u32, burst: &mut Burst) {
        let flow = &mut self.all[number as usize];
        flow.attempts += 1;
        self.timers.push_back(Timer {
            at: Instant::now() + self.patience.interval,
            flow: number,
            attempts: flow.attempts,
            exchange: flow.exchanges,
            step: flow.step,
        });
        self.write(number, burst);
    }

    fn write(&self, number: u32, burst: &mut Burst) {
        let flow = &self.all[number as usize];
        let Some(client) = flow.client.map(|client| &self.clients[client]) else {
            return;
        };
        let (header, request) = flow.packet();
        let asked = Request {
            flow: number,
            exchange: flow.exchanges,
        }
        .to_bytes();
        let payload = if request { &asked[..] } else { &[] };
        frame::write(
            burst,
            (client.mac, self.router),
            flow.ends(),
            header,
            payload,
        );
    }

    /// Writes a segment that makes no sense: SYN and FIN at once.
    pub(super) fn write_invalid(&self, flow: FlowId, ports: &mut [Port]) {
        let flow = &self.all[flow.0 as usize];
        let Some(client) = flow.client.map(|client| &self.clients[client]) else {
            return;
        };
        let header = Header::Tcp {
            sequence: 0,
            acknowledgement: 0,
            flags: SYN | FIN,
        };
        let burst = &mut ports[client.port].burst;
        frame::write(burst, (client.mac, self.router), flow.ends(), header, &[]);
    }

    /// Takes in a frame that reached a client's port.
    pub(super) fn hear(&mut self, port: usize, bytes: &[u8], now: Instant, burst: &mut Burst) {
        match frame::read(bytes) {
            Frame::Segment {
                ends,
                header,
                payload,
                ..
            } => {
                let protocol = frame::protocol(header);
                if let Some(number) = self.asker(port, protocol, ends.reversed()) {
                    self.hear_server(number, header, payload, now, burst);
                }
            }
            Frame::IcmpError {
                from,
                kind,
                code,
                quoted: (protocol, ends),
                ..
            } => {
                if let Some(number) = self.asker(port, protocol, ends) {
                    self.all[number as usize].end(Outcome::Refused { from, kind, code });
                    self.under_way -= 1;
                }
            }
            Frame::ArpRequest(asker, wanted) => {
                let ours = |client: &&Endpoint| client.port == port && client.address == wanted;
                if let Some(client) = self.clients.iter().find(ours) {
                    frame::write_arp_reply(burst, client.mac, wanted, &asker);
                }
            }
            Frame::OtherIpv4 { .. } | Frame::Other => {}
        }
    }

    /// The flow of a client at this port that has sent a packet with these ends, and waits.
    fn asker(&self, port: usize, protocol: Protocol, ends: Ends) -> Option<u32> {
        let server = SocketAddrV4::new(ends.destination, ends.destination_port);
        let number = *self.index.get(&(protocol, server))?;
        let flow = &self.all[number as usize];
        let here = self.clients[flow.client?].port == port;
        (here && flow.pending() && flow.ends() == ends).then_some(number)
    }

    fn hear_server(
        &mut self,
        number: u32,
        header: Header,
        payload: &[u8],
        now: Instant,
        burst: &mut Burst,
    ) {
        let flow = &mut self.all[number as usize];
        if let Some(answer) = Answer::from_bytes(payload) {
            if answer.request
                != (Request {
                    flow: number,
                    exchange: flow.exchanges,
                })
            {
                return;
            }
            flow.seen_as = Some(answer.seen_as);
        }
        match flow.receive(header, payload.len(), Request::LENGTH, now) {
            Progress::None => {}
            Progress::Send => self.send(number, burst),
            Progress::Done => {
                self.under_way -= 1;
                if flow.brief && flow.answered() && flow.step == Step::Idle {
                    self.waiting.push_back((number, Errand::Close));
                }
            }
            Progress::DoneAndSend => {
                self.under_way -= 1;
                self.write(number, burst);
            }
        }
    }

    /// Notes a frame that reached a line's modem from the router.
    pub(super) fn note(&mut self, line: usize, bytes: &[u8], time: std::time::Duration) {
        match frame::read(bytes) {
            Frame::Segment { ends, header, .. } => {
                let Ends {
                    source,
                    source_port,
                    destination,
                    destination_port,
                } = ends;
                self.ledger.note_source(line, source);
                let server = SocketAddrV4::new(destination, destination_port);
                if let Some(&number) = self.index.get(&(frame::protocol(header), server)) {
                    let source = SocketAddrV4::new(source, source_port);
                    self.ledger.note(FlowId(number), line, source, time);
                }
            }
            Frame::IcmpError { from: source, .. } | Frame::OtherIpv4 { source } => {
                self.ledger.note_source(line, source);
            }
            Frame::ArpRequest(..) | Frame::Other => {}
        }
    }

    /// Sends again what was not answered in time, or gives up.
    pub(super) fn expire(&mut self, ports: &mut [Port]) -> bool {
        let now = Instant::now();
        let mut happened = false;
        while let Some(timer) = self.timers.pop_front_if(|timer| timer.at <= now) {
            let flow = &mut self.all[timer.flow as usize];
            let same = (flow.attempts, flow.exchanges, flow.step)
                == (timer.attempts, timer.exchange, timer.step);
            let Some(client) = flow.client.filter(|_| same && flow.pending()) else {
                continue;
            };
            happened = true;
            if timer.attempts < self.patience.attempts {
                flow.retransmissions += 1;
                let port = self.clients[client].port;
                self.send(timer.flow, &mut ports[port].burst);
            } else {
                flow.end(Outcome::Silent);
                self.under_way -= 1;
            }
        }
        happened
    }
}
