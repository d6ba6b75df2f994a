//! Traffic made frame by frame: many clients' conversations with many servers, and what of them
//! left by which line with which source.
//!
//! Every frame enters at its client's own card and crosses the switch, the router under test, a
//! modem and the Internet; the answer comes back the same way. Packets are attributed where they
//! arrive from the router's lines, at the modems, and a capture that lost one says so.

mod flow;
mod frame;
mod ledger;
mod server;

use std::collections::VecDeque;
use std::hash::BuildHasherDefault;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use multiwan_kernel::packet::{self, Burst, Direction, PacketSocket, Ring};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustc_hash::FxHasher;

pub use flow::{Flow, FlowId, Outcome};
pub use frame::Protocol;
pub use ledger::{Ledger, Sighting};

use crate::error::Error;
use crate::host::{Device, FRAME_PORTS_END, FRAME_PORTS_START, Host, Mac};
use crate::lab::Lab;
use flow::{Progress, Step};
use frame::{Ends, Frame, Header};
use server::{Answer, Request};

type HashMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<FxHasher>>;

/// Bytes kept of a captured frame: all headers and what the lab writes behind them.
const KEPT: usize = 160;

/// How a client goes on when no answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long it waits before it sends a packet again.
    pub interval: Duration,
    /// How often it sends one before it gives up.
    pub attempts: u32,
}

impl Default for Patience {
    /// Five packets in a second and a half: a stall of the machine is no failure, a dead line is.
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(300),
            attempts: 5,
        }
    }
}

/// Which parts of a lab take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether what leaves is captured and attributed.
    pub capture: bool,
    /// How many exchanges are under way at once. The kernel queues at most 1000 frames per core
    /// between two hosts (`net.core.netdev_max_backlog`), over all labs of a machine.
    pub window: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            capture: true,
            window: 128,
        }
    }
}

/// Traffic in a lab. It holds nothing of the [`Lab`], which can be broken and repaired meanwhile.
pub struct Traffic {
    clients: Vec<Endpoint>,
    ports: Vec<Port>,
    servers: Vec<Port>,
    taps: Vec<Ring>,
    router: Mac,
    flows: Vec<Flow>,
    index: HashMap<(Protocol, SocketAddrV4), u32>,
    next_port: HashMap<(Protocol, Ipv4Addr), u16>,
    ledger: Ledger,
    waiting: VecDeque<(u32, Errand)>,
    timers: VecDeque<Timer>,
    under_way: usize,
    window: usize,
    patience: Patience,
}

/// What a flow waits to do.
#[derive(Clone, Copy)]
enum Errand {
    Ask,
    Close,
}

/// A client as a source of frames.
struct Endpoint {
    address: Ipv4Addr,
    mac: Mac,
    port: usize,
}

/// Where frames go in and come out.
struct Port {
    ring: Ring,
    burst: Burst,
    mac: Mac,
}

/// When a flow's packet must be sent again, unless it has moved on by then.
struct Timer {
    at: Instant,
    flow: u32,
    attempts: u32,
    exchange: u32,
    step: Step,
}

impl Lab {
    /// Gets ready to make traffic and to capture what leaves.
    ///
    /// # Errors
    ///
    /// Says which socket could not be opened.
    pub fn traffic(&self, options: Options) -> Result<Traffic, Error> {
        let mut clients = Vec::with_capacity(self.clients.len());
        let mut ports = Vec::with_capacity(self.clients.len());
        for client in &self.clients {
            clients.push(Endpoint {
                address: client.address,
                mac: client.card.mac,
                port: ports.len(),
            });
            ports.push(open(&client.host, &client.card, packet::IPV4, 512)?);
        }
        let cards = self.modems.iter().map(|modem| &modem.internet_card);
        let servers = cards.map(|card| open(&self.internet, card, packet::IPV4, 4096));
        let taps = self.modems.iter().filter(|_| options.capture);
        // All protocols, since only such a capture comes before a silent modem's drop.
        let taps = taps.map(|modem| Ok(open(&modem.host, &modem.lan, packet::ALL, 16384)?.ring));
        Ok(Traffic {
            servers: servers.collect::<Result<_, Error>>()?,
            taps: taps.collect::<Result<_, Error>>()?,
            clients,
            ports,
            router: self.lan_card.mac,
            flows: Vec::new(),
            index: HashMap::default(),
            next_port: HashMap::default(),
            ledger: Ledger::default(),
            waiting: VecDeque::new(),
            timers: VecDeque::new(),
            under_way: 0,
            window: options.window,
            patience: Patience::default(),
        })
    }
}

fn open(host: &Host, device: &Device, ethertype: u16, frames: usize) -> Result<Port, Error> {
    let ring = host.enter(|| {
        let socket = PacketSocket::open(device.index, ethertype)?;
        socket.ignore_outgoing()?;
        socket.bypass_queueing()?;
        Ring::new(socket, frames, KEPT)
    })?;
    Ok(Port {
        ring,
        burst: Burst::default(),
        mac: device.mac,
    })
}

impl Traffic {
    /// Sets how clients go on without an answer, from the next packet on.
    pub fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Begins a new flow from a client to a server, with an exchange. It is sent when its turn
    /// comes, see [`Traffic::turn`].
    ///
    /// Its port at the server is used by no other flow, which is how its packets are told apart.
    pub fn begin(&mut self, client: usize, server: Ipv4Addr, protocol: Protocol) -> FlowId {
        let flow = self.add(Some(client), server, protocol);
        self.ask(flow);
        flow
    }

    /// Gets ready for a flow that somebody's sockets will make, such as the router's own: the
    /// Internet answers it at the flow's server address and port, and what leaves is attributed.
    pub fn watch(&mut self, server: Ipv4Addr, protocol: Protocol) -> FlowId {
        self.add(None, server, protocol)
    }

    /// Sends a TCP segment that no connection tracking can make sense of, SYN and FIN at once, from
    /// a client to a server. Such packets pass address translation untouched.
    pub fn send_invalid(&mut self, client: usize, server: Ipv4Addr) -> FlowId {
        let flow = self.add(Some(client), server, Protocol::Tcp);
        let client = &self.clients[client];
        let header = Header::Tcp {
            sequence: 0,
            acknowledgement: 0,
            flags: frame::SYN | frame::FIN,
        };
        let burst = &mut self.ports[client.port].burst;
        let macs = (client.mac, self.router);
        frame::write(burst, macs, self.flows[flow.0 as usize].ends(), header, &[]);
        flow
    }

    fn add(&mut self, client: Option<usize>, server: Ipv4Addr, protocol: Protocol) -> FlowId {
        const PORTS: u32 = (FRAME_PORTS_END - FRAME_PORTS_START) as u32 + 1;
        let number = self.flows.len() as u32;
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
        self.flows
            .push(Flow::new(client, protocol, local, server, sequence));
        self.index.insert((protocol, server), number);
        self.ledger.grow();
        FlowId(number)
    }

    /// Asks once more on a flow, when its turn comes.
    pub fn ask(&mut self, flow: FlowId) {
        self.waiting.push_back((flow.0, Errand::Ask));
    }

    /// Closes a flow, as the end of its conversation, when its turn comes.
    pub fn close(&mut self, flow: FlowId) {
        self.waiting.push_back((flow.0, Errand::Close));
    }

    /// A flow as it stands.
    pub fn flow(&self, flow: FlowId) -> &Flow {
        &self.flows[flow.0 as usize]
    }

    /// All flows, oldest first.
    pub fn flows(&self) -> impl DoubleEndedIterator<Item = (FlowId, &Flow)> + ExactSizeIterator {
        self.flows
            .iter()
            .enumerate()
            .map(|(number, flow)| (FlowId(number as u32), flow))
    }

    /// What left by each line.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many frames the captures lost. A verdict on what they saw is none unless it is 0.
    ///
    /// # Errors
    ///
    /// When a capture cannot say.
    pub fn lost(&mut self) -> io::Result<u64> {
        let rings = self.taps.iter_mut();
        let rings = rings.chain(
            self.servers
                .iter_mut()
                .chain(&mut self.ports)
                .map(|port| &mut port.ring),
        );
        rings.map(|ring| Ok(ring.statistics()?.drops)).sum()
    }

    /// Whether anything is still to be sent or answered.
    pub fn busy(&self) -> bool {
        self.under_way > 0 || !self.waiting.is_empty()
    }

    /// Goes on until every exchange has its outcome, and everything that left was captured.
    ///
    /// # Errors
    ///
    /// When a socket fails.
    pub fn finish(&mut self) -> io::Result<()> {
        while self.busy() {
            self.turn(self.patience.interval)?;
        }
        // What still is on its way, such as the last packet of a close, has no answer to wait for.
        while self.turn(Duration::from_millis(5))? {}
        Ok(())
    }

    /// One turn: sends what is due, answers what came, notes what left. Where there is nothing to
    /// do it waits for that, `patience` at most. Whether anything happened.
    ///
    /// # Errors
    ///
    /// When a socket fails.
    pub fn turn(&mut self, patience: Duration) -> io::Result<bool> {
        if self.work()? {
            return Ok(true);
        }
        let now = Instant::now();
        let due = self
            .timers
            .front()
            .map(|timer| timer.at.saturating_duration_since(now));
        let timeout = due.map_or(patience, |due| due.min(patience));
        let timeout =
            PollTimeout::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
        let rings = self
            .ports
            .iter()
            .chain(&self.servers)
            .map(|port| &port.ring)
            .chain(&self.taps);
        let mut polled: Vec<_> = rings
            .map(|ring| PollFd::new(ring.as_fd(), PollFlags::POLLIN))
            .collect();
        match poll(&mut polled, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.work()
    }

    fn work(&mut self) -> io::Result<bool> {
        let mut happened = self.send_waiting();
        flush(&mut self.ports)?;
        happened |= self.answer()?;
        happened |= self.receive();
        flush(&mut self.ports)?;
        happened |= self.note();
        // Only after all that came was read: an answer that waited for us is not late.
        happened |= !happened && self.expire();
        flush(&mut self.ports)?;
        Ok(happened)
    }

    /// Begins the exchanges that wait, as far as the window allows.
    fn send_waiting(&mut self) -> bool {
        if self.waiting.is_empty() || self.under_way >= self.window {
            return false;
        }
        let now = Instant::now();
        while self.under_way < self.window
            && let Some((number, errand)) = self.waiting.pop_front()
        {
            let flow = &mut self.flows[number as usize];
            // One exchange at a time, none after the end, and none for others.
            if flow.pending() || flow.step == Step::Closed || flow.client.is_none() {
                continue;
            }
            match errand {
                Errand::Ask => flow.ask(now),
                Errand::Close => flow.close(now),
            }
            if flow.pending() {
                self.under_way += 1;
                self.send(number);
            }
        }
        true
    }

    /// Sends the packet of a flow's step, for the first time or again.
    fn send(&mut self, number: u32) {
        let flow = &mut self.flows[number as usize];
        let Some(client) = flow.client.map(|client| &self.clients[client]) else {
            return;
        };
        flow.attempts += 1;
        push(
            &mut self.ports[client.port].burst,
            (client.mac, self.router),
            number,
            flow,
        );
        self.timers.push_back(Timer {
            at: Instant::now() + self.patience.interval,
            flow: number,
            attempts: flow.attempts,
            exchange: flow.exchanges,
            step: flow.step,
        });
    }

    /// Answers what reached the Internet.
    fn answer(&mut self) -> io::Result<bool> {
        let mut happened = false;
        for Port { ring, burst, mac } in &mut self.servers {
            happened |= ring.drain(|captured| server::answer(burst, *mac, captured.bytes)) > 0;
        }
        flush(&mut self.servers)?;
        Ok(happened)
    }

    /// Takes in what reached the clients.
    fn receive(&mut self) -> bool {
        let mut happened = false;
        let now = Instant::now();
        let mut moved_on = Vec::new();
        let Self {
            ports,
            flows,
            index,
            clients,
            router,
            under_way,
            ..
        } = self;
        for Port { ring, burst, .. } in ports {
            happened |= ring.drain(|captured| match frame::read(captured.bytes) {
                Frame::Segment {
                    ends,
                    header,
                    payload,
                    ..
                } => {
                    let server = SocketAddrV4::new(ends.source, ends.source_port);
                    let Some(&number) = index.get(&(frame::protocol(header), server)) else {
                        return;
                    };
                    let flow = &mut flows[number as usize];
                    if ends.reversed() != flow.ends() || !flow.pending() {
                        return;
                    }
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
                    let progress = flow.receive(header, payload.len(), Request::LENGTH, now);
                    if matches!(progress, Progress::Done | Progress::DoneAndSend) {
                        *under_way -= 1;
                    }
                    match progress {
                        Progress::Send => moved_on.push(number),
                        Progress::DoneAndSend => {
                            if let Some(client) = flow.client {
                                push(burst, (clients[client].mac, *router), number, flow);
                            }
                        }
                        Progress::None | Progress::Done => {}
                    }
                }
                Frame::IcmpError {
                    from,
                    kind,
                    code,
                    quoted: (protocol, ends),
                    ..
                } => {
                    let server = SocketAddrV4::new(ends.destination, ends.destination_port);
                    let Some(&number) = index.get(&(protocol, server)) else {
                        return;
                    };
                    let flow = &mut flows[number as usize];
                    if flow.pending() && ends == flow.ends() {
                        flow.end(Outcome::Refused { from, kind, code });
                        *under_way -= 1;
                    }
                }
                Frame::OtherIpv4 { .. } | Frame::ArpRequest(..) | Frame::Other => {}
            }) > 0;
        }
        for number in moved_on {
            self.send(number);
        }
        happened
    }

    /// Notes what reached the modems from the router.
    fn note(&mut self) -> bool {
        let mut happened = false;
        let Self {
            taps,
            index,
            ledger,
            ..
        } = self;
        for (line, ring) in taps.iter_mut().enumerate() {
            happened |= ring.drain(|captured| {
                if captured.direction != Direction::In {
                    return;
                }
                match frame::read(captured.bytes) {
                    Frame::Segment { ends, header, .. } => {
                        let Ends {
                            source,
                            source_port,
                            destination,
                            destination_port,
                        } = ends;
                        ledger.note_source(line, source);
                        let server = SocketAddrV4::new(destination, destination_port);
                        if let Some(&number) = index.get(&(frame::protocol(header), server)) {
                            let source = SocketAddrV4::new(source, source_port);
                            ledger.note(FlowId(number), line, source, captured.time);
                        }
                    }
                    Frame::IcmpError { from, .. } => ledger.note_source(line, from),
                    Frame::OtherIpv4 { source } => ledger.note_source(line, source),
                    Frame::ArpRequest(..) | Frame::Other => {}
                }
            }) > 0;
        }
        happened
    }

    /// Sends again what was not answered in time, or gives up.
    fn expire(&mut self) -> bool {
        let now = Instant::now();
        let mut happened = false;
        while let Some(timer) = self.timers.pop_front_if(|timer| timer.at <= now) {
            let flow = &mut self.flows[timer.flow as usize];
            let same = (flow.attempts, flow.exchanges, flow.step)
                == (timer.attempts, timer.exchange, timer.step);
            if !same || !flow.pending() {
                continue;
            }
            happened = true;
            if timer.attempts < self.patience.attempts {
                flow.retransmissions += 1;
                self.send(timer.flow);
            } else {
                flow.end(Outcome::Silent);
                self.under_way -= 1;
            }
        }
        happened
    }
}

/// Appends the packet that a flow is at.
fn push(burst: &mut Burst, macs: (Mac, Mac), number: u32, flow: &Flow) {
    let (header, request) = flow.packet();
    let request = request.then(|| {
        Request {
            flow: number,
            exchange: flow.exchanges,
        }
        .to_bytes()
    });
    frame::write(
        burst,
        macs,
        flow.ends(),
        header,
        request.as_ref().map_or(&[], |bytes| &bytes[..]),
    );
}

/// Sends all that was appended. What a device that is down or full does not take is lost, as on
/// any Ethernet.
fn flush(ports: &mut [Port]) -> io::Result<()> {
    for Port { ring, burst, .. } in ports {
        if burst.is_empty() {
            continue;
        }
        match ring.socket().send_burst(burst) {
            Ok(_) => {}
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOBUFS | libc::ENETDOWN | libc::EAGAIN) => {}
                _ => return Err(error),
            },
        }
        burst.clear();
    }
    Ok(())
}
