//! Frames, written and read with pnet.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::net::Ipv4Addr;

use pnet::packet::tcp::TcpFlags;

pub(crate) use read::read;
pub(crate) use write::{write, write_arp_reply, write_arp_request, write_refusal};

use crate::host::Mac;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const TCP: usize = 20;
const UDP: usize = 8;
const ECHO: usize = 8;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, with a handshake and a close.
    Tcp,
    /// UDP: one datagram asks, one answers.
    Udp,
    /// ICMP echo: a request and its reply, by an identifier.
    Echo,
}

/// An ICMP error about a packet (RFC 792).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The router on the way that says so; none for the host that the packet is for.
    pub hop: Option<Ipv4Addr>,
    /// ICMP type: 3 is destination unreachable, 11 time exceeded.
    pub kind: u8,
    /// ICMP code: of type 3, 3 is port unreachable, 4 fragmentation needed, 13 administratively
    /// prohibited; of type 11, 0 is in transit.
    pub code: u8,
    /// With type 3 code 4, the largest packet that would pass, in bytes (RFC 1191).
    pub mtu: u16,
}

impl Refusal {
    /// The host has no such port: type 3 code 3.
    pub const PORT_UNREACHABLE: Self = Self {
        hop: None,
        kind: 3,
        code: 3,
        mtu: 0,
    };

    /// A packet has passed too many routers: type 11 code 0.
    pub const TIME_EXCEEDED: Self = Self {
        hop: None,
        kind: 11,
        code: 0,
        mtu: 0,
    };

    /// No more than so many bytes pass, and the packet may not be taken apart: type 3 code 4.
    pub const fn too_big(mtu: u16) -> Self {
        Self {
            hop: None,
            kind: 3,
            code: 4,
            mtu,
        }
    }

    /// The same from a router on the way.
    pub const fn by(self, hop: Ipv4Addr) -> Self {
        Self {
            hop: Some(hop),
            ..self
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Echo => "ICMP echo",
        })
    }
}

/// Where a packet comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) source: Ipv4Addr,
    pub(crate) source_port: u16,
    pub(crate) destination: Ipv4Addr,
    pub(crate) destination_port: u16,
}

impl Ends {
    /// The ends of the answer.
    pub(crate) fn reversed(self) -> Self {
        Self {
            source: self.destination,
            source_port: self.destination_port,
            destination: self.source,
            destination_port: self.source_port,
        }
    }
}

/// What a transport header says beside the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    Tcp {
        sequence: u32,
        acknowledgement: u32,
        flags: u8,
    },
    Udp,
    /// The identifier is in both ports.
    Echo {
        reply: bool,
        sequence: u16,
    },
}

pub(crate) const SYN: u8 = TcpFlags::SYN;
pub(crate) const ACK: u8 = TcpFlags::ACK;
pub(crate) const FIN: u8 = TcpFlags::FIN;
pub(crate) const RST: u8 = TcpFlags::RST;
pub(crate) const PSH: u8 = TcpFlags::PSH;

/// A frame, as far as the lab understands it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A TCP segment or UDP datagram.
    Segment {
        from: Mac,
        ends: Ends,
        header: Header,
        payload: &'a [u8],
    },
    /// An ICMP error about a packet of ours, quoted by its ends.
    IcmpError {
        from: Ipv4Addr,
        to: Ipv4Addr,
        kind: u8,
        code: u8,
        quoted: (Protocol, Ends),
    },
    /// A further part of a datagram, which has no ports.
    Fragment { source: Ipv4Addr, body: &'a [u8] },
    /// Any other IPv4 packet.
    OtherIpv4 { source: Ipv4Addr, to: Ipv4Addr },
    /// Who has this address?
    ArpRequest(ArpRequest, Ipv4Addr),
    /// Not understood.
    Other,
}

/// Who asked by ARP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArpRequest {
    pub(crate) mac: Mac,
    pub(crate) address: Ipv4Addr,
}

/// The protocol of a transport header.
pub(crate) fn protocol(header: Header) -> Protocol {
    match header {
        Header::Tcp { .. } => Protocol::Tcp,
        Header::Udp => Protocol::Udp,
        Header::Echo { .. } => Protocol::Echo,
    }
}
