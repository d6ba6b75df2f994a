//! Probes as frames on packet sockets of the line's device: below routing and netfilter, so that
//! they cannot leave by another line and do not need the tables that they judge.

use std::io;
use std::net::Ipv4Addr;

use multiwan_kernel::packet::{self, CookedSocket, PacketSocket};
use nix::sys::socket::SockType;
use pnet::util::MacAddr;
use tokio::io::unix::AsyncFd;

use super::arp::{self, Question};
use super::beyond::Questions;
use super::echo::Echo;
use super::port::Port;
use super::query::Query;
use super::readable::readable;
use super::syn::{self, Syn};
use crate::config::Target;

/// Longer than any frame that the filters let through and that is looked at.
const RECEIVED: usize = 128;

/// What came in on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// What was asked is answered.
    Answer,
    /// The gateway answers; the targets beyond it are what counts.
    Gateway,
    /// The gateway shows a sign of life of its own: a reason to ask.
    Sign,
}

/// Who is asked on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The gateway, and the targets through it.
    Gateway(Question),
    /// The targets alone, through whoever gets all that is sent on a point-to-point link.
    OtherEnd(OtherEnd),
}

/// Who gets all that is sent on a link without ARP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OtherEnd {
    /// IPEi.
    pub(super) source: Ipv4Addr,
    /// What Ethernet frames are addressed to there: as the kernel does it, the device's own address
    /// (`arp_constructor` in `net/ipv4/arp.c`). None where frames have no address.
    pub(super) hardware: Option<MacAddr>,
}

impl Asked {
    fn source(&self) -> Ipv4Addr {
        match self {
            Self::Gateway(question) => question.source,
            Self::OtherEnd(end) => end.source,
        }
    }
}

/// Asks on one line and hears the answers.
pub(super) struct Prober {
    index: u32,
    asked: Asked,
    /// Where a gateway is asked.
    arp: Option<Arp>,
    beyond: Option<Beyond>,
    /// Where the gateway last answered from.
    gateway: Option<MacAddr>,
}

/// The part that asks the gateway.
struct Arp {
    question: Question,
    socket: AsyncFd<PacketSocket>,
}

/// The part that asks targets beyond the gateway.
struct Beyond {
    questions: Questions,
    /// Those of TCP and DNS, where they are asked.
    _ports: Vec<Port>,
    socket: AsyncFd<CookedSocket>,
    sequence: u16,
    /// Where the last went to.
    to: Option<MacAddr>,
}

impl Prober {
    /// Opens the sockets on the device with this index. Without targets, the gateway's word is
    /// enough.
    pub(super) fn open(index: u32, asked: Asked, targets: &[Target]) -> io::Result<Self> {
        let arp = match asked {
            Asked::Gateway(question) => Some(Arp::open(index, question)?),
            Asked::OtherEnd(_) => None,
        };
        let beyond = if targets.is_empty() {
            None
        } else {
            Some(Beyond::open(index, asked.source(), targets)?)
        };
        Ok(Self {
            index,
            asked,
            arp,
            beyond,
            gateway: None,
        })
    }

    /// Whether it asks this, there.
    pub(super) fn asks(&self, index: u32, asked: Asked, targets: &[Target]) -> bool {
        let asked_beyond = self
            .beyond
            .as_ref()
            .map_or(&[][..], |beyond| &beyond.questions.targets);
        self.index == index && self.asked == asked && asked_beyond == targets
    }

    /// The hardware address that the gateway last answered from.
    pub(super) fn gateway(&self) -> Option<MacAddr> {
        self.gateway
    }

    /// Asks once. A broadcast finds a gateway whose hardware address alternates; after a miss the
    /// last known one is asked by itself too, for where broadcasts get lost.
    pub(super) fn ask(&mut self, after_a_miss: bool) -> io::Result<()> {
        let Some(arp) = &self.arp else {
            return self.ask_beyond(match self.asked {
                Asked::OtherEnd(end) => end.hardware,
                Asked::Gateway(_) => self.gateway,
            });
        };
        arp.ask(MacAddr::broadcast())?;
        if let Some(gateway) = self.gateway {
            if after_a_miss {
                arp.ask(gateway)?;
            }
            self.ask_beyond(Some(gateway))?;
        }
        Ok(())
    }

    fn ask_beyond(&mut self, to: Option<MacAddr>) -> io::Result<()> {
        let Some(beyond) = &mut self.beyond else {
            return Ok(());
        };
        beyond.sequence = beyond.sequence.wrapping_add(1);
        beyond.to = to;
        let mut packets = beyond.questions.packets(beyond.sequence);
        packets.try_for_each(|packet| beyond.send(&packet))
    }

    /// Waits for something to be heard.
    pub(super) async fn heard(&mut self) -> io::Result<Heard> {
        tokio::select! {
            heard = gateway_heard(self.arp.as_ref()) => heard.map(|heard| self.note(heard)),
            answer = answered(self.beyond.as_ref()) => answer.map(|()| Heard::Answer),
        }
    }

    /// Takes what was heard, where something waits, or what has become of a socket.
    pub(super) fn waiting(&mut self) -> Option<io::Result<Heard>> {
        let of_beyond = self
            .beyond
            .as_ref()
            .and_then(|beyond| drain(|| beyond.receive()));
        if of_beyond.is_some() {
            return of_beyond;
        }
        let arp = self.arp.as_ref()?;
        let heard = drain(|| arp.receive(arp.socket.get_ref()))?;
        Some(heard.map(|heard| self.note(heard)))
    }

    fn note(&mut self, heard: arp::Heard) -> Heard {
        let arp::Heard::Reply(hardware) = heard else {
            return Heard::Sign;
        };
        let before = self.gateway.replace(hardware);
        if self.beyond.is_none() {
            return Heard::Answer;
        }
        if before != Some(hardware) {
            // The targets could not be asked before, or went to where the gateway is no more. A
            // frame that cannot be sent is missed like one that gets lost.
            let _ = self.ask_beyond(Some(hardware));
        }
        Heard::Gateway
    }

    /// Closes the sockets aside: the kernel waits some milliseconds for the last frames on their
    /// way.
    pub(super) fn retire(self) {
        let sockets = (
            self.arp.map(|arp| arp.socket.into_inner()),
            self.beyond.map(|beyond| beyond.socket.into_inner()),
        );
        tokio::task::spawn_blocking(move || drop(sockets));
    }
}

impl Arp {
    fn open(index: u32, question: Question) -> io::Result<Self> {
        let socket = PacketSocket::open(index, packet::ARP)?;
        socket.attach_filter(&question.filter())?;
        Ok(Self {
            question,
            socket: readable(socket)?,
        })
    }

    fn ask(&self, to: MacAddr) -> io::Result<()> {
        self.socket.get_ref().send(&self.question.frame(to))
    }

    fn receive(&self, socket: &PacketSocket) -> io::Result<Option<arp::Heard>> {
        let mut frame = [0; RECEIVED];
        let length = socket.receive(&mut frame)?.min(RECEIVED);
        Ok(self.question.heard(&frame[..length]))
    }
}

impl Beyond {
    fn open(index: u32, source: Ipv4Addr, targets: &[Target]) -> io::Result<Self> {
        let mut ports = Vec::new();
        let mut hold = |kind, asked: fn(&Target) -> bool| {
            if !targets.iter().any(asked) {
                return Ok(0);
            }
            let port = Port::hold(source, kind)?;
            let number = port.number();
            ports.push(port);
            io::Result::Ok(number)
        };
        let mut tcp = [0; syn::PORTS];
        for port in &mut tcp {
            *port = hold(SockType::Stream, |to| matches!(to, Target::Tcp(_)))?;
        }
        let udp = hold(SockType::Datagram, |to| matches!(to, Target::Dns(_)))?;
        let identifier = (std::process::id() & 0xffff) as u16;
        let questions = Questions {
            source,
            targets: targets.to_vec(),
            echo: Echo { identifier },
            syn: Syn { ports: tcp },
            query: Query {
                port: udp,
                identifier,
            },
        };
        let socket = CookedSocket::open(index, packet::IPV4)?;
        socket.attach_filter(&questions.filter())?;
        Ok(Self {
            questions,
            _ports: ports,
            socket: readable(socket)?,
            sequence: 0,
            to: None,
        })
    }

    fn send(&self, packet: &[u8]) -> io::Result<()> {
        let socket = self.socket.get_ref();
        socket.send(packet, self.to.map(Into::into))
    }

    fn receive(&self) -> io::Result<Option<Heard>> {
        let mut packet = [0; RECEIVED];
        let length = self.socket.get_ref().receive(&mut packet)?.min(RECEIVED);
        let packet = &packet[..length];
        if !self.questions.is_answer(packet) {
            return Ok(None);
        }
        if let Some(reset) = self.questions.reset(packet) {
            // Where it cannot be sent it is lost, as on the way.
            let _ = self.send(&reset);
        }
        Ok(Some(Heard::Answer))
    }
}

/// Waits for a sign of the gateway; for ever where none is asked.
async fn gateway_heard(arp: Option<&Arp>) -> io::Result<arp::Heard> {
    let Some(arp) = arp else {
        return std::future::pending().await;
    };
    loop {
        let mut ready = arp.socket.readable().await?;
        match ready.try_io(|socket| arp.receive(socket.get_ref())) {
            Ok(Ok(Some(heard))) => return Ok(heard),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(None)) | Err(_) => {}
        }
    }
}

/// Waits for a target's answer; for ever where no target is asked.
async fn answered(beyond: Option<&Beyond>) -> io::Result<()> {
    let Some(beyond) = beyond else {
        return std::future::pending().await;
    };
    loop {
        let mut ready = beyond.socket.readable().await?;
        match ready.try_io(|_| beyond.receive()) {
            Ok(Ok(Some(_))) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(None)) | Err(_) => {}
        }
    }
}

/// Takes frames until one says something or none is left.
fn drain<T>(mut receive: impl FnMut() -> io::Result<Option<T>>) -> Option<io::Result<T>> {
    loop {
        match receive() {
            Ok(None) => {}
            Ok(Some(heard)) => return Some(Ok(heard)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => return Some(Err(error)),
        }
    }
}
