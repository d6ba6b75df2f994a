//! The connections that the kernel tracks: what is there, and how to forget one (`conntrack -L`, `conntrack -D`).

use std::{fmt, net::Ipv4Addr};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP};
use nix::errno::Errno;

use super::{
    error::Error,
    netfilter::Netfilter,
    socket::Reply,
    statement::{Mark, Protocol},
    wire::{Attributes, Nest, frame},
};

/// `IPCTNL_MSG_CT_GET`, `IPCTNL_MSG_CT_DELETE` of the subsystem `NFNL_SUBSYS_CTNETLINK`.
const GET: u16 = message(1);
const DELETE: u16 = message(2);

/// Attributes of `linux/netfilter/nfnetlink_conntrack.h`.
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_TIMEOUT: u16 = 7;
const CTA_MARK: u16 = 8;
const CTA_ID: u16 = 12;
const CTA_MARK_MASK: u16 = 21;
const CTA_ZONE: u16 = 18;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_PROTO_ICMP_ID: u16 = 4;
const CTA_PROTO_ICMP_TYPE: u16 = 5;
const CTA_PROTO_ICMP_CODE: u16 = 6;

/// A tracked IPv4 connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// As its first packet came.
    pub original: Tuple,
    /// As its answers are expected: with source NAT, to the address that was put in.
    pub reply: Tuple,
    /// Its mark (`ct mark`).
    pub mark: u32,
    /// How far it has come, and what is done to it.
    pub status: Status,
    /// Seconds until it is forgotten without another packet.
    pub timeout: u32,
    /// Tells it from a later one with the same tuples.
    pub id: u32,
    /// The zone, 0 unless a rule has put it into another.
    zone: u16,
}

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Who sends.
    pub source: Ipv4Addr,
    /// Whom it is for.
    pub destination: Ipv4Addr,
    /// The protocol above IPv4.
    pub protocol: Protocol,
    /// What tells connections between the same two apart.
    pub ports: Ports,
}

/// What tells connections between the same two hosts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ports {
    /// TCP, UDP and other protocols with ports.
    Ports {
        /// The sender's.
        source: u16,
        /// The receiver's.
        destination: u16,
    },
    /// ICMP.
    Icmp {
        /// The identifier of an echo.
        id: u16,
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
    },
    /// Protocols that are tracked by address alone.
    None,
}

/// The kernel's bits for a connection (`IPS_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

impl Status {
    /// An answer has been seen.
    pub fn seen_reply(self) -> bool {
        self.0 & (1 << 1) != 0
    }

    /// It is not thrown away when the table is full.
    pub fn assured(self) -> bool {
        self.0 & (1 << 2) != 0
    }

    /// Its source is translated.
    pub fn source_nat(self) -> bool {
        self.0 & (1 << 4) != 0
    }

    /// Its destination is translated.
    pub fn destination_nat(self) -> bool {
        self.0 & (1 << 5) != 0
    }
}

impl Netfilter {
    /// All IPv4 connections of this network namespace. Needs CAP_NET_ADMIN.
    ///
    /// Not a snapshot: one that begins or ends meanwhile may be there or not.
    pub fn connections(&mut self) -> Result<Vec<Connection>, Error> {
        let mut connections = Vec::new();
        self.conntrack(GET, NLM_F_DUMP, &[], "listing connections", |attributes| {
            connections.extend(Connection::read(attributes));
        })?;
        Ok(connections)
    }

    /// As [`connections`](Self::connections), only those with this mark: the kernel looks through them, and what does not
    /// match costs nothing here.
    pub fn connections_marked(&mut self, mark: Mark) -> Result<Vec<Connection>, Error> {
        let mut filter = Attributes::new();
        filter.u32(CTA_MARK, mark.value());
        filter.u32(CTA_MARK_MASK, mark.mask());
        let attempt = format!("listing connections of mark {mark}");
        let mut connections = Vec::new();
        self.conntrack(
            GET,
            NLM_F_DUMP,
            &filter.into_bytes(),
            &attempt,
            |attributes| {
                connections.extend(Connection::read(attributes));
            },
        )?;
        Ok(connections)
    }

    /// Forgets a connection: its next packet begins a new one, with a new route, mark and translation. False where it
    /// was gone already. Needs CAP_NET_ADMIN.
    pub fn forget(&mut self, connection: &Connection) -> Result<bool, Error> {
        let attempt = format!("forgetting connection {}", connection.original);
        match self.conntrack(DELETE, NLM_F_ACK, &connection.name(), &attempt, |_| {}) {
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(false),
            answer => answer.map(|()| true),
        }
    }

    fn conntrack(
        &mut self,
        message: u16,
        flags: u16,
        attributes: &[u8],
        attempt: &str,
        mut take: impl FnMut(Nest<'_>),
    ) -> Result<(), Error> {
        let first = self.socket.sequences(1);
        let family = (libc::NFPROTO_IPV4 as u8, 0);
        let mut bytes = Vec::new();
        frame(&mut bytes, message, flags, first, family, attributes);
        self.socket.send(&bytes)?;
        let mut refused = None;
        self.socket.receive(first, 1, |reply| match reply {
            Reply::Message { attributes, .. } => {
                take(attributes);
                false
            }
            Reply::Done => true,
            Reply::Refused { refusal, .. } => {
                refused = Some(refusal);
                true
            }
        })?;
        refused.map_or(Ok(()), |refusal| {
            Err(refusal.into_error(attempt.to_owned(), None))
        })
    }
}

impl Connection {
    /// None for a connection of IPv6.
    fn read(attributes: Nest<'_>) -> Option<Self> {
        Some(Self {
            original: Tuple::read(attributes.nest(CTA_TUPLE_ORIG)?)?,
            reply: Tuple::read(attributes.nest(CTA_TUPLE_REPLY)?)?,
            mark: attributes.u32(CTA_MARK).unwrap_or(0),
            status: Status(attributes.u32(CTA_STATUS).unwrap_or(0)),
            timeout: attributes.u32(CTA_TIMEOUT).unwrap_or(0),
            id: attributes.u32(CTA_ID).unwrap_or(0),
            zone: attributes.u16(CTA_ZONE).unwrap_or(0),
        })
    }

    /// What it takes to find it, and no other one.
    fn name(&self) -> Vec<u8> {
        let mut attributes = Attributes::new();
        attributes.nest(CTA_TUPLE_ORIG, |tuple| self.original.write(tuple));
        attributes.u32(CTA_ID, self.id);
        if self.zone != 0 {
            attributes.bytes(CTA_ZONE, &self.zone.to_be_bytes());
        }
        attributes.into_bytes()
    }
}

impl Tuple {
    fn read(tuple: Nest<'_>) -> Option<Self> {
        let (ip, proto) = (tuple.nest(CTA_TUPLE_IP)?, tuple.nest(CTA_TUPLE_PROTO)?);
        Some(Self {
            source: ip.array::<4>(CTA_IP_V4_SRC)?.into(),
            destination: ip.array::<4>(CTA_IP_V4_DST)?.into(),
            protocol: Protocol(proto.u8(CTA_PROTO_NUM)?),
            ports: Ports::read(proto).unwrap_or(Ports::None),
        })
    }

    fn write(&self, tuple: &mut Attributes) {
        tuple.nest(CTA_TUPLE_IP, |ip| {
            ip.bytes(CTA_IP_V4_SRC, &self.source.octets());
            ip.bytes(CTA_IP_V4_DST, &self.destination.octets());
        });
        tuple.nest(CTA_TUPLE_PROTO, |proto| {
            proto.bytes(CTA_PROTO_NUM, &[self.protocol.0]);
            match self.ports {
                Ports::Ports {
                    source,
                    destination,
                } => {
                    proto.bytes(CTA_PROTO_SRC_PORT, &source.to_be_bytes());
                    proto.bytes(CTA_PROTO_DST_PORT, &destination.to_be_bytes());
                }
                Ports::Icmp { id, kind, code } => {
                    proto.bytes(CTA_PROTO_ICMP_ID, &id.to_be_bytes());
                    proto.bytes(CTA_PROTO_ICMP_TYPE, &[kind]);
                    proto.bytes(CTA_PROTO_ICMP_CODE, &[code]);
                }
                Ports::None => {}
            }
        });
    }
}

impl Ports {
    fn read(proto: Nest<'_>) -> Option<Self> {
        Some(match proto.u16(CTA_PROTO_SRC_PORT) {
            Some(source) => Self::Ports {
                source,
                destination: proto.u16(CTA_PROTO_DST_PORT)?,
            },
            None => Self::Icmp {
                id: proto.u16(CTA_PROTO_ICMP_ID)?,
                kind: proto.u8(CTA_PROTO_ICMP_TYPE)?,
                code: proto.u8(CTA_PROTO_ICMP_CODE)?,
            },
        })
    }
}

/// `udp 192.0.2.1:4000 > 198.51.100.1:53`
impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            destination,
            protocol,
            ports,
        } = self;
        match ports {
            Ports::Ports {
                source: from,
                destination: to,
            } => {
                write!(f, "{protocol} {source}:{from} > {destination}:{to}")
            }
            Ports::Icmp { id, .. } => write!(f, "{protocol} {source} > {destination} id {id}"),
            Ports::None => write!(f, "{protocol} {source} > {destination}"),
        }
    }
}

const fn message(number: u16) -> u16 {
    (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | number
}
