//! A flow: what one client says to one server, packet by packet.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::frame::{ACK, Ends, FIN, Header, PSH, Protocol, RST, Refusal, SYN};
use super::server::Request;

/// The number of a flow, in the order of their beginnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub(crate) u32);

/// Who begins a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The client of this number, from 0, which asks a server on the Internet.
    Client(usize),
    /// A host on the Internet, which asks something behind this line, counted from 0, by way of
    /// its modem.
    Outside(usize),
    /// Somebody's sockets, such as the router's own: the flow is only watched.
    Sockets,
}

/// One host's conversation with another, one of them on the Internet.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Who begins it.
    pub origin: Origin,
    /// The protocol.
    pub protocol: Protocol,
    /// Who is asked, by its address and port. Of an ICMP echo the port is the identifier that who asks
    /// gave it; NAT may give it another.
    pub server: SocketAddrV4,
    /// Who asks, as it knows itself; unspecified for a watched flow.
    pub local: SocketAddrV4,
    /// The address and port that the server saw, once it has answered.
    pub seen_as: Option<SocketAddrV4>,
    /// When the first packet of the last exchange was sent.
    pub asked: Option<Instant>,
    /// What became of the last exchange, once that is known.
    pub outcome: Option<Outcome>,
    /// How often a packet had to be sent again.
    pub retransmissions: u32,
    pub(crate) step: Step,
    /// How the Internet refuses what it asks.
    pub(crate) refusal: Option<Refusal>,
    /// How many bytes it asks with.
    pub(crate) size: usize,
    /// How many bytes the answer has to a request by TCP; 0 for what says no more than whom it saw.
    pub(crate) wants: u32,
    /// How many of these have come.
    pub(crate) received: u32,
    /// Whether it closes by itself once it has its first answer.
    pub(crate) brief: bool,
    pub(crate) exchanges: u32,
    pub(crate) attempts: u32,
    sequence: u32,
    acknowledgement: u32,
}

/// What became of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered, so long after the first packet.
    Answered(Duration),
    /// An ICMP error came back, from this router.
    Refused {
        /// Who sent it.
        from: Ipv4Addr,
        /// ICMP type: 3 is destination unreachable.
        kind: u8,
        /// ICMP code: 13 is administratively prohibited, 1 host unreachable, 0 net unreachable.
        code: u8,
    },
    /// TCP was reset.
    Reset,
    /// Nothing came back, however often it was asked.
    Silent,
}

/// Where a flow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Waits for its turn, or rests between exchanges.
    Idle,
    /// TCP's first packet is out.
    Opening,
    /// A request is out.
    Asking,
    /// The client's FIN is out.
    Closing,
    /// Over.
    Closed,
}

/// What a packet from the server means for a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing new.
    None,
    /// The next packet is to be sent now.
    Send,
    /// The exchange is over.
    Done,
    /// The exchange is over, and a last packet is to be sent.
    DoneAndSend,
}

impl Flow {
    pub(crate) fn new(
        origin: Origin,
        protocol: Protocol,
        local: SocketAddrV4,
        server: SocketAddrV4,
        sequence: u32,
    ) -> Self {
        Self {
            origin,
            protocol,
            server,
            local,
            seen_as: None,
            asked: None,
            outcome: None,
            retransmissions: 0,
            step: Step::Idle,
            refusal: None,
            size: Request::LENGTH,
            wants: 0,
            received: 0,
            brief: false,
            exchanges: 0,
            attempts: 0,
            sequence,
            acknowledgement: 0,
        }
    }

    /// Whether the last exchange was answered.
    pub fn answered(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Answered(_)))
    }

    /// Its end on the Internet, which no other flow of the protocol has.
    pub(crate) fn on_the_internet(&self) -> SocketAddrV4 {
        match self.origin {
            Origin::Outside(_) => self.local,
            Origin::Client(_) | Origin::Sockets => self.server,
        }
    }

    /// Whether an exchange is under way.
    pub fn pending(&self) -> bool {
        matches!(self.step, Step::Opening | Step::Asking | Step::Closing)
    }

    pub(crate) fn ends(&self) -> Ends {
        Ends {
            source: *self.local.ip(),
            source_port: self.local.port(),
            destination: *self.server.ip(),
            destination_port: self.server.port(),
        }
    }

    /// Begins the next exchange; TCP opens first.
    pub(crate) fn ask(&mut self, now: Instant) {
        let fresh = self.exchanges == 0;
        self.begin(now);
        self.step = if fresh && self.protocol == Protocol::Tcp {
            Step::Opening
        } else {
            Step::Asking
        };
        self.exchanges += 1;
    }

    /// Begins to close; only TCP has something to say then.
    pub(crate) fn close(&mut self, now: Instant) {
        self.begin(now);
        self.step = if self.protocol == Protocol::Tcp {
            Step::Closing
        } else {
            Step::Closed
        };
        if self.step == Step::Closed {
            self.outcome = Some(Outcome::Answered(Duration::ZERO));
        }
    }

    fn begin(&mut self, now: Instant) {
        self.asked = Some(now);
        self.outcome = None;
        self.attempts = 0;
    }

    /// The packet of the step that the flow is at; the same again for a retransmission.
    pub(crate) fn packet(&self) -> (Header, bool) {
        let (flags, request) = match self.step {
            Step::Opening => (SYN, false),
            Step::Asking => (ACK | PSH, true),
            Step::Closing => (ACK | FIN, false),
            Step::Idle | Step::Closed => (ACK, false),
        };
        let header = match self.protocol {
            Protocol::Udp => Header::Udp,
            Protocol::Echo => Header::Echo {
                reply: false,
                sequence: self.exchanges as u16,
            },
            Protocol::Tcp => Header::Tcp {
                sequence: self.sequence,
                acknowledgement: self.acknowledgement,
                flags,
            },
        };
        // An echo is known by what it says alone.
        (header, request || self.protocol == Protocol::Echo)
    }

    /// Takes in a packet from the server; `request` is the length of what was asked.
    pub(crate) fn receive(
        &mut self,
        header: Header,
        payload: usize,
        request: usize,
        now: Instant,
    ) -> Progress {
        let Header::Tcp {
            sequence,
            acknowledgement,
            flags,
        } = header
        else {
            let answers = match header {
                Header::Echo { reply, sequence } => reply && sequence == self.exchanges as u16,
                _ => true,
            };
            return if answers && self.step == Step::Asking {
                self.done(Step::Idle, now)
            } else {
                Progress::None
            };
        };
        if flags & RST != 0 {
            self.end(Outcome::Reset);
            return Progress::Done;
        }
        let expected = match self.step {
            Step::Opening | Step::Closing => self.sequence.wrapping_add(1),
            Step::Asking => self.sequence.wrapping_add(request as u32),
            Step::Idle | Step::Closed => return Progress::None,
        };
        if acknowledgement != expected {
            return Progress::None;
        }
        match self.step {
            Step::Opening if flags & SYN != 0 => {
                self.sequence = expected;
                self.acknowledgement = sequence.wrapping_add(1);
                self.attempts = 0;
                self.step = Step::Asking;
                Progress::Send
            }
            Step::Asking if payload > 0 => {
                if !self.is_next(header) {
                    return Progress::None;
                }
                self.received += payload as u32;
                if self.received < self.wants {
                    return Progress::None;
                }
                self.sequence = expected;
                self.acknowledgement = self.acknowledgement.wrapping_add(self.received);
                self.done(Step::Idle, now)
            }
            Step::Closing if flags & FIN != 0 => {
                self.sequence = expected;
                self.acknowledgement = sequence.wrapping_add(1);
                self.done(Step::Closed, now);
                Progress::DoneAndSend
            }
            _ => Progress::None,
        }
    }

    /// Whether a segment is the next of the answer that it waits for.
    pub(crate) fn is_next(&self, header: Header) -> bool {
        let next = self.acknowledgement.wrapping_add(self.received);
        let Header::Tcp { sequence, .. } = header else {
            return false;
        };
        self.step == Step::Asking && sequence == next
    }

    fn done(&mut self, step: Step, now: Instant) -> Progress {
        let took = self
            .asked
            .map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked));
        self.outcome = Some(Outcome::Answered(took));
        self.step = step;
        Progress::Done
    }

    /// Ends the exchange without an answer. What was not opened stays so, and can be tried again.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if self.step == Step::Opening {
            self.exchanges = 0;
        }
        self.step = match (self.step, outcome) {
            (Step::Closing, _) | (_, Outcome::Reset) => Step::Closed,
            _ => Step::Idle,
        };
        self.outcome = Some(outcome);
    }
}
