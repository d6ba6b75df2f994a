//! All flows, what they wait for, and what left of them: state without a socket.

use std::collections::VecDeque;
use std::hash::BuildHasherDefault;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use ipnet::Ipv4Net;
use multiwan_kernel::packet::{Burst, Captured};
use rustc_hash::FxHasher;

use super::Patience;
use super::download::{self, Arrival};
use super::flow::{Flow, FlowId, Origin, Outcome, Progress, Step};
use super::frame::{self, Ends, FIN, Frame, Header, Protocol, Refusal, SYN};
use super::ledger::{Ledger, Stray};
use super::port::Port;
use super::server::{self, Answer, Request};
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
    next_port: HashMap<(Protocol, Ipv4Addr), u16>,
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
            next_port: HashMap::default(),
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
        let number = self.all.len() as u32;
        let address = match origin {
            Origin::Client(client) => self.clients[client].address,
            Origin::Outside(_) | Origin::Sockets => Ipv4Addr::UNSPECIFIED,
        };
        let port = match protocol {
            Protocol::Echo => server.port(),
            Protocol::Tcp | Protocol::Udp => FRAME_PORTS_START + (number % PORTS) as u16,
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
        let end = SocketAddrV4::new(host, *next);
        *next = if *next == FRAME_PORTS_END {
            FRAME_PORTS_START
        } else {
            *next + 1
        };
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

    /// Begins what waits, as far as the window allows.
    pub(super) fn begin_waiting(&mut self, ports: &mut Ports) -> bool {
        let now = Instant::now();
        let mut happened = false;
        while self.under_way < self.window
            && let Some((number, errand)) = self.waiting.pop_front()
        {
            let flow = &mut self.all[number as usize];
            if flow.origin == Origin::Sockets {
                continue;
            }
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
                if let Some(burst) = self.burst(number, ports) {
                    self.send(number, burst);
                }
                happened = true;
            }
        }
        happened
    }

    /// Where the frames of who asks on a flow go in.
    fn burst<'a>(&self, number: u32, ports: &'a mut Ports) -> Option<&'a mut Burst> {
        let port = match self.all[number as usize].origin {
            Origin::Client(client) => &mut ports.clients[self.clients[client].port],
            Origin::Outside(line) => &mut ports.servers[line],
            Origin::Sockets => return None,
        };
        Some(&mut port.burst)
    }

    /// Who asks on a flow, and its gateway.
    fn macs(&self, origin: Origin) -> Option<(Mac, Mac)> {
        match origin {
            Origin::Client(client) => Some((self.clients[client].mac, self.router)),
            Origin::Outside(line) => Some(self.uplinks[line]),
            Origin::Sockets => None,
        }
    }

    /// Sends the packet of a flow's step, for the first time or again, and minds when it will be
    /// due once more.
    fn send(&mut self, number: u32, burst: &mut Burst) {
        let flow = &mut self.all[number as usize];
        flow.attempts += 1;
        flow.received = 0;
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
        let Some(macs) = self.macs(flow.origin) else {
            return;
        };
        let (header, request) = flow.packet();
        let asked = Request {
            flow: number,
            exchange: flow.exchanges,
        }
        .to_bytes();
        // Over and over, so that each fragment of a large one says whose it is.
        let long = asked.repeat(if flow.size > asked.len() {
            flow.size.div_ceil(asked.len())
        } else {
            0
        });
        let payload = match (request, long.is_empty()) {
            (false, _) => &[],
            (true, true) => &asked[..],
            (true, false) => &long,
        };
        frame::write(burst, macs, flow.ends(), header, payload);
    }

    /// Sends the last packet of a flow once more, for no answer.
    pub(super) fn repeat(&self, flow: FlowId, ports: &mut Ports) {
        if let Some(burst) = self.burst(flow.0, ports) {
            self.write(flow.0, burst);
        }
    }

    /// Has the Internet refuse what a flow asks.
    pub(super) fn refuse(&mut self, flow: FlowId, refusal: Refusal) {
        self.all[flow.0 as usize].refusal = Some(refusal);
        self.lively = true;
    }

    /// Sends an ICMP error from who asks on a flow, about the last answer.
    pub(super) fn complain(&self, flow: FlowId, refusal: Refusal, ports: &mut Ports) {
        let Some(burst) = self.burst(flow.0, ports) else {
            return;
        };
        let flow = &self.all[flow.0 as usize];
        let Some(macs) = self.macs(flow.origin) else {
            return;
        };
        let hosts = (*flow.local.ip(), *flow.server.ip());
        let about = (flow.protocol, flow.ends().reversed());
        frame::write_refusal(burst, macs, hosts, refusal, about);
    }

    /// Writes a segment that makes no sense: SYN and FIN at once.
    pub(super) fn write_invalid(&self, flow: FlowId, ports: &mut Ports) {
        let Some(burst) = self.burst(flow.0, ports) else {
            return;
        };
        let flow = &self.all[flow.0 as usize];
        let Some(macs) = self.macs(flow.origin) else {
            return;
        };
        let header = Header::Tcp {
            sequence: 0,
            acknowledgement: 0,
            flags: SYN | FIN,
        };
        frame::write(burst, macs, flow.ends(), header, &[]);
    }

    /// Takes in a frame that reached a client's port.
    pub(super) fn hear(
        &mut self,
        port: usize,
        seen: &Captured<'_>,
        now: Instant,
        burst: &mut Burst,
    ) {
        match frame::read(seen.bytes) {
            Frame::Segment {
                from,
                ends,
                header,
                payload,
            } => {
                let protocol = frame::protocol(header);
                let source = SocketAddrV4::new(ends.source, ends.source_port);
                if let Some(number) = self.asker(port, protocol, ends.reversed()) {
                    self.hear_download(number, header, payload, seen);
                    let length = payload.len() + seen.length - seen.bytes.len();
                    self.hear_server(number, header, (payload, length), now, burst);
                    return;
                }
                let to = ends.destination;
                let ours = |client: &&Endpoint| client.port == port && client.address == to;
                let Some(client) = self.clients.iter().find(ours) else {
                    return;
                };
                match self.index.get(&(protocol, source)) {
                    Some(&number) => {
                        let origin = self.all[number as usize].origin;
                        if matches!(origin, Origin::Outside(_)) {
                            server::reply(burst, (client.mac, from), ends, header, payload);
                        }
                    }
                    None => self.strays.push(Stray { source, to }),
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
            Frame::Fragment { .. } | Frame::OtherIpv4 { .. } | Frame::Other => {}
        }
    }

    /// The flow of a client at this port that has sent a packet with these ends, and waits.
    fn asker(&self, port: usize, protocol: Protocol, ends: Ends) -> Option<u32> {
        let server = SocketAddrV4::new(ends.destination, ends.destination_port);
        let number = *self.index.get(&(protocol, server))?;
        let flow = &self.all[number as usize];
        let Origin::Client(client) = flow.origin else {
            return None;
        };
        let here = self.clients[client].port == port;
        (here && flow.pending() && flow.ends() == ends).then_some(number)
    }

    /// Takes in a frame that reached the Internet by a line, and appends what is said to it.
    pub(super) fn serve(
        &mut self,
        line: usize,
        mac: Mac,
        bytes: &[u8],
        now: Instant,
        burst: &mut Burst,
    ) {
        let frame = frame::read(bytes);
        if !(self.lively && self.hear_outside(line, mac, &frame, now, burst)) {
            server::answer(burst, mac, self.servers, &frame);
        }
    }

    /// Whether the frame was for a host that asks from outside, or is refused.
    fn hear_outside(
        &mut self,
        line: usize,
        mac: Mac,
        frame: &Frame<'_>,
        now: Instant,
        burst: &mut Burst,
    ) -> bool {
        let (protocol, ends) = match *frame {
            Frame::Segment { ends, header, .. } => (frame::protocol(header), ends),
            Frame::IcmpError { quoted, .. } => (quoted.0, quoted.1.reversed()),
            _ => return false,
        };
        let here = SocketAddrV4::new(ends.destination, ends.destination_port);
        let Some(&number) = self.index.get(&(protocol, here)) else {
            return false;
        };
        let flow = &mut self.all[number as usize];
        let Origin::Outside(by) = flow.origin else {
            let &Frame::Segment {
                from,
                header,
                payload,
                ..
            } = frame
            else {
                return false;
            };
            let Some(refusal) = flow.refusal else {
                return Self::deliver(flow, (mac, from), ends, header, payload, burst);
            };
            let hosts = (ends.destination, ends.source);
            frame::write_refusal(burst, (mac, from), hosts, refusal, (protocol, ends));
            return true;
        };
        // What comes by another line is no answer to it, as for a provider that looks at sources.
        if by != line || !flow.pending() || flow.ends() != ends.reversed() {
            return true;
        }
        match *frame {
            Frame::Segment {
                header, payload, ..
            } => self.hear_server(number, header, (payload, payload.len()), now, burst),
            Frame::IcmpError {
                from, kind, code, ..
            } => {
                flow.end(Outcome::Refused { from, kind, code });
                self.under_way -= 1;
            }
            _ => {}
        }
        true
    }

    /// Whether what a client asks is for a download, whose answer is appended then.
    fn deliver(
        flow: &Flow,
        macs: (Mac, Mac),
        ends: Ends,
        header: Header,
        request: &[u8],
        burst: &mut Burst,
    ) -> bool {
        let Header::Tcp {
            sequence,
            acknowledgement,
            ..
        } = header
        else {
            return false;
        };
        if flow.wants == 0 || request.is_empty() {
            return false;
        }
        let numbers = (sequence, acknowledgement);
        download::deliver(burst, macs, ends, numbers, request, flow.wants);
        true
    }

    /// Notes a frame of a download at its client, if it is the next of those that it waits for.
    fn hear_download(&mut self, number: u32, header: Header, payload: &[u8], seen: &Captured<'_>) {
        let flow = &self.all[number as usize];
        if flow.wants > 0 && !payload.is_empty() && flow.is_next(header) {
            self.arrivals.push(Arrival {
                flow: FlowId(number),
                at: seen.time,
                bytes: u32::try_from(seen.length).unwrap_or(u32::MAX),
            });
        }
    }

    fn hear_server(
        &mut self,
        number: u32,
        header: Header,
        (payload, length): (&[u8], usize),
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
        match flow.receive(header, length, Request::LENGTH, now) {
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
                } else {
                    self.ledger.note_destination(line, destination);
                }
            }
            Frame::IcmpError {
                from,
                to,
                quoted: (protocol, about),
                ..
            } => {
                self.ledger.note_source(line, from);
                self.ledger.note_destination(line, to);
                let server = SocketAddrV4::new(about.source, about.source_port);
                if let Some(&number) = self.index.get(&(protocol, server)) {
                    let source = SocketAddrV4::new(from, about.destination_port);
                    self.ledger.note(FlowId(number), line, source, time);
                }
            }
            Frame::Fragment { source, body } => {
                self.ledger.note_source(line, source);
                if let Some(flow) = self.whose(body) {
                    self.ledger.note_part(flow, line, source, time);
                }
            }
            Frame::OtherIpv4 { source, to } => {
                self.ledger.note_source(line, source);
                self.ledger.note_destination(line, to);
            }
            Frame::ArpRequest(_, wanted) => self.ledger.note_question(line, wanted),
            Frame::Other => {}
        }
    }

    /// The flow that a fragment of a large request is of.
    fn whose(&self, body: &[u8]) -> Option<FlowId> {
        let Request { flow, .. } = Request::from_bytes(body)?;
        let large = self.all.get(flow as usize)?.size > Request::LENGTH;
        large.then_some(FlowId(flow))
    }

    /// Sends again what was not answered in time, or gives up.
    pub(super) fn expire(&mut self, ports: &mut Ports) -> bool {
        let now = Instant::now();
        let mut happened = false;
        while let Some(timer) = self.timers.pop_front_if(|timer| timer.at <= now) {
            let flow = &mut self.all[timer.flow as usize];
            let same = (flow.attempts, flow.exchanges, flow.step)
                == (timer.attempts, timer.exchange, timer.step);
            if !same || !flow.pending() {
                continue;
            }
            happened = true;
            if timer.attempts < self.patience.attempts {
                flow.retransmissions += 1;
                if let Some(burst) = self.burst(timer.flow, ports) {
                    self.send(timer.flow, burst);
                }
            } else {
                flow.end(Outcome::Silent);
                self.under_way -= 1;
            }
        }
        happened
    }
}
