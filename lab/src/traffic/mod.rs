//! Traffic made frame by frame: many clients' conversations with many servers, and what of them
//! left by which line with which source.
//!
//! Every frame enters at its client's own card and crosses the switch, the router under test, a
//! modem and the Internet; the answer comes back the same way. Packets are attributed where they
//! arrive from the router's lines, at the modems, and a capture that lost one says so.

mod download;
mod flow;
mod flows;
pub(crate) mod frame;
mod ledger;
mod open;
mod port;
mod recording;
mod server;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use multiwan_kernel::packet::Direction;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::SocketError;

pub use download::{Arrival, SEGMENT};
pub use flow::{Flow, FlowId, Origin, Outcome};
pub use frame::{Protocol, Refusal};
pub use ledger::{Ledger, Sighting, Stray};
pub use recording::Recording;

use crate::host::Mac;
use flows::{Errand, Flows, Ports};
use frame::{Ends, Header, SYN};

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

/// How traffic is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether what leaves is captured and attributed.
    pub capture: bool,
    /// How many exchanges are under way at once. The kernel queues at most 1000 frames per core
    /// between two hosts (`net.core.netdev_max_backlog`), over all labs of a machine.
    pub window: usize,
    /// How many frames of each of the router's cables are kept to be looked at, the last ones;
    /// 0 for none.
    pub record: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            capture: true,
            window: 128,
            record: 0,
        }
    }
}

/// How long a lab is waited for to become quiet.
const QUIET: Duration = Duration::from_secs(1);

/// Traffic in a lab. It holds nothing of the [`Lab`](crate::Lab), which can be broken and repaired meanwhile.
pub struct Traffic {
    flows: Flows,
    ports: Ports,
    /// The router's end of each line.
    cards: Vec<Mac>,
    /// Of each line, whether its modem hears on its cable what is for others too.
    on_hub: Vec<bool>,
    /// Of the lines, then of the LAN, whose tap is the last.
    recordings: Vec<Recording>,
}

impl Traffic {
    /// Sets how clients go on without an answer, from the next packet on.
    pub fn set_patience(&mut self, patience: Patience) {
        self.flows.set_patience(patience);
    }

    /// From now on no flow gets one of these ports on the Internet that does not ask for it.
    pub fn reserve(&mut self, ports: &[u16]) {
        self.flows.reserved = ports.to_vec();
    }

    /// How many clients there are; those without a namespace come last.
    pub fn clients(&self) -> usize {
        self.flows.clients.len()
    }

    /// Begins a new flow from a client to a server, with an exchange. It is sent when its turn
    /// comes, see [`Traffic::turn`].
    ///
    /// Its port at the server is used by no other flow, which is how its packets are told apart; an ICMP
    /// echo says whose it is in what it carries.
    pub fn begin(&mut self, client: usize, server: Ipv4Addr, protocol: Protocol) -> FlowId {
        let flow = self.flows.add(Origin::Client(client), server, protocol);
        self.ask(flow);
        flow
    }

    /// As [`Traffic::begin`], to a port of the caller's choice. Its port and the server's address
    /// must be no other flow's of that protocol, and it must be 1024 to 32767, which are the lab's.
    pub fn begin_at(&mut self, client: usize, server: SocketAddrV4, protocol: Protocol) -> FlowId {
        let origin = Origin::Client(client);
        let flow = self.flows.add_at(origin, server, protocol);
        self.ask(flow);
        flow
    }

    /// As [`Traffic::begin`], from a host of another network that is behind this client (see
    /// [`Lab::route_behind`](crate::Lab::route_behind)).
    pub fn begin_from(
        &mut self,
        client: usize,
        source: Ipv4Addr,
        server: Ipv4Addr,
        protocol: Protocol,
    ) -> FlowId {
        let flow = self.flows.add(Origin::Client(client), server, protocol);
        self.flows.all[flow.0 as usize].local.set_ip(source);
        self.ask(flow);
        flow
    }

    /// Begins a new flow from a host on the Internet to an address and port behind a line, by way
    /// of its modem; of an ICMP echo the port says nothing. What leaves of it, the answers, is
    /// attributed as that of any flow; an answer by another line is not heard.
    ///
    /// Sockets of the router answer, its kernel, or clients (see [`FRAME_PORTS_START`]) to which a
    /// port is forwarded.
    ///
    /// [`FRAME_PORTS_START`]: crate::FRAME_PORTS_START
    pub fn begin_outside(
        &mut self,
        line: usize,
        from: Ipv4Addr,
        to: SocketAddrV4,
        protocol: Protocol,
    ) -> FlowId {
        let flow = self.flows.add_outside(line, from, to, protocol);
        self.ask(flow);
        flow
    }

    /// Begins a new flow from a client to a server whose UDP datagrams ask with so many bytes, in
    /// fragments where Ethernet has no room for them.
    pub fn begin_large(&mut self, client: usize, server: Ipv4Addr, bytes: usize) -> FlowId {
        let flow = self.begin(client, server, Protocol::Udp);
        self.flows.all[flow.0 as usize].size = bytes;
        flow
    }

    /// Begins a whole conversation: it opens, asks once, and closes.
    pub fn converse(&mut self, client: usize, server: Ipv4Addr, protocol: Protocol) -> FlowId {
        let flow = self.begin(client, server, protocol);
        self.flows.all[flow.0 as usize].brief = true;
        flow
    }

    /// Gets ready for a flow that somebody's sockets will make, such as the router's own: the
    /// Internet answers it at the flow's server address and port, and what leaves is attributed. It is TCP
    /// or UDP: a stranger's echo does not say whose it is.
    pub fn watch(&mut self, server: Ipv4Addr, protocol: Protocol) -> FlowId {
        self.flows.add(Origin::Sockets, server, protocol)
    }

    /// Sends a TCP segment that no connection tracking can make sense of, SYN and FIN at once, from
    /// a client to a server. Such packets pass address translation untouched.
    pub fn send_invalid(&mut self, client: usize, server: Ipv4Addr) -> FlowId {
        let origin = Origin::Client(client);
        let flow = self.flows.add(origin, server, Protocol::Tcp);
        self.flows.write_invalid(flow, &mut self.ports);
        flow
    }

    /// Sends the last packet of a flow once more, as a late retransmission, and waits for no answer.
    pub fn repeat(&mut self, flow: FlowId) {
        self.flows.repeat(flow, &mut self.ports);
    }

    /// Has the Internet answer what a client asks on a flow by this ICMP error, from now on.
    pub fn refuse(&mut self, flow: FlowId, refusal: Refusal) {
        self.flows.refuse(flow, refusal);
    }

    /// Sends an ICMP error from a flow's client, or a router before it, to its server, about the answer
    /// that it got. It is attributed to the flow.
    pub fn complain(&mut self, flow: FlowId, refusal: Refusal) {
        self.flows.complain(flow, refusal, &mut self.ports);
    }

    /// Sends a packet into a line at its modem's end, whatever source it claims: a TCP SYN, a UDP
    /// datagram or an ICMP echo request, of no flow.
    ///
    /// There is an end to send it from only with a capture.
    pub fn inject(
        &mut self,
        line: usize,
        from: SocketAddrV4,
        to: SocketAddrV4,
        protocol: Protocol,
    ) {
        let Some(tap) = self.ports.taps.get_mut(line) else {
            return;
        };
        let ends = Ends {
            source: *from.ip(),
            source_port: from.port(),
            destination: *to.ip(),
            destination_port: to.port(),
        };
        let header = match protocol {
            Protocol::Tcp => Header::Tcp {
                sequence: 0,
                acknowledgement: 0,
                flags: SYN,
            },
            Protocol::Udp => Header::Udp,
            Protocol::Echo => Header::Echo {
                reply: false,
                sequence: 1,
            },
        };
        let macs = (tap.mac, self.cards[line]);
        frame::write(&mut tap.burst, macs, ends, header, &[]);
    }

    /// The packets that reached a client and belong to no flow.
    pub fn strays(&self) -> &[Stray] {
        &self.flows.strays
    }

    /// Asks once more on a flow, when its turn comes.
    pub fn ask(&mut self, flow: FlowId) {
        self.flows.wait(flow, Errand::Ask);
    }

    /// Closes a flow, as the end of its conversation, when its turn comes.
    pub fn close(&mut self, flow: FlowId) {
        self.flows.wait(flow, Errand::Close);
    }

    /// A flow as it stands.
    pub fn flow(&self, flow: FlowId) -> &Flow {
        &self.flows.all[flow.0 as usize]
    }

    /// All flows in the order of their beginnings.
    pub fn flows(&self) -> impl Iterator<Item = (FlowId, &Flow)> {
        (0..).map(FlowId).zip(&self.flows.all)
    }

    /// What was kept of the frames on the router's cables: its lines', and last its LAN's.
    pub fn recordings(&self) -> &[Recording] {
        &self.recordings
    }

    /// How many packets of all flows had to be sent again.
    pub fn retransmissions(&self) -> u64 {
        self.flows
            .all
            .iter()
            .map(|flow| u64::from(flow.retransmissions))
            .sum()
    }

    /// Whether an exchange waits for its turn or its outcome.
    pub fn busy(&self) -> bool {
        self.flows.busy()
    }

    /// What left by each line.
    pub fn ledger(&self) -> &Ledger {
        &self.flows.ledger
    }

    /// How many frames the captures lost. A verdict on what they saw is none unless it is 0.
    ///
    /// # Errors
    ///
    /// When a capture cannot say.
    pub fn lost(&mut self) -> io::Result<u64> {
        let ports = self.ports.all();
        ports.map(|port| Ok(port.ring.statistics()?.drops)).sum()
    }

    /// Goes on until every exchange has its outcome, and everything that left was captured.
    ///
    /// # Errors
    ///
    /// When a socket fails.
    pub fn finish(&mut self) -> io::Result<()> {
        while self.flows.busy() {
            self.turn(self.flows.patience().interval)?;
        }
        // What still is on its way, such as the last packet of a close, has no answer to wait for;
        // and a router that never stops sending must not keep us here.
        let end = Instant::now() + QUIET;
        while self.turn(Duration::from_millis(5))? && Instant::now() < end {}
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
            .flows
            .next_due()
            .map(|due| due.saturating_duration_since(now));
        let wait = due
            .map_or(patience, |due| due.min(patience))
            .as_micros()
            .div_ceil(1000);
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
        let ports = self.ports.all();
        let polled = ports.map(|port| PollFd::new(port.ring.as_fd(), PollFlags::POLLIN));
        let mut polled: Vec<_> = polled.collect();
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        for polled in polled {
            let failed = |events: PollFlags| events.contains(PollFlags::POLLERR);
            if polled.revents().is_some_and(failed) {
                // That a device went down is said until somebody asks.
                getsockopt(&polled.as_fd(), SocketError)?;
            }
        }
        self.work()
    }

    fn work(&mut self) -> io::Result<bool> {
        let Self {
            flows,
            ports,
            on_hub,
            recordings,
            ..
        } = self;
        let mut happened = flows.begin_waiting(ports);
        for port in ports.all() {
            port.flush()?;
        }
        let now = Instant::now();
        for (line, server) in ports.servers.iter_mut().enumerate() {
            let mac = server.mac;
            happened |= server.read(|seen, burst| flows.serve(line, mac, seen.bytes, now, burst));
            server.flush()?;
        }
        let now = Instant::now();
        for (number, port) in ports.clients.iter_mut().enumerate() {
            happened |= port.read(|seen, burst| flows.hear(number, &seen, now, burst));
            port.flush()?;
        }
        let lines = ports.servers.len();
        for (number, tap) in ports.taps.iter_mut().enumerate() {
            happened |= tap.read(|seen, _| {
                if let Some(recording) = recordings.get_mut(number) {
                    recording.add(&seen);
                }
                // Also what is for another address: it has left the line, unless others are there.
                let by_line = match seen.direction {
                    _ if number >= lines => false,
                    Direction::Out => false,
                    Direction::In => true,
                    _ => !on_hub[number],
                };
                if by_line {
                    flows.note(number, seen.bytes, seen.time);
                }
            });
        }
        // Only after all that came was read: an answer that waited for us is not late.
        if !happened && flows.expire(ports) {
            for port in ports.all() {
                port.flush()?;
            }
            happened = true;
        }
        Ok(happened)
    }
}
