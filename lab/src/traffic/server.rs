//! The Internet's side of every flow: answers made from the packet alone, with no state.

use std::net::SocketAddrV4;

use ipnet::Ipv4Net;
use multiwan_kernel::packet::Burst;

use super::frame::{self, ACK, Ends, FIN, Frame, Header, PSH, RST, SYN};
use crate::host::Mac;

/// What a request says: which exchange of which flow it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) flow: u32,
    pub(crate) exchange: u32,
}

impl Request {
    /// Its length in bytes.
    pub(crate) const LENGTH: usize = 8;

    pub(crate) fn to_bytes(self) -> [u8; Self::LENGTH] {
        (u64::from(self.flow) << 32 | u64::from(self.exchange)).to_be_bytes()
    }

    /// From the beginning of some bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let number = u64::from_be_bytes(*bytes.first_chunk()?);
        Some(Self {
            flow: (number >> 32) as u32,
            exchange: number as u32,
        })
    }
}

/// What an answer says: the request again, and the source that it was seen to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) request: Request,
    pub(crate) seen_as: SocketAddrV4,
}

impl Answer {
    const LENGTH: usize = Request::LENGTH + 6;

    pub(super) fn to_bytes(request: &[u8], seen: Ends) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let (head, tail) = bytes.split_at_mut(Request::LENGTH);
        let known = request.len().min(head.len());
        head[..known].copy_from_slice(&request[..known]);
        tail[..4].copy_from_slice(&seen.source.octets());
        tail[4..].copy_from_slice(&seen.source_port.to_be_bytes());
        bytes
    }

    /// From the beginning of some bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = bytes.first_chunk()?;
        let word = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let port = u16::from_be_bytes([bytes[12], bytes[13]]);
        Some(Self {
            request: Request {
                flow: word(0),
                exchange: word(4),
            },
            seen_as: SocketAddrV4::new(word(8).into(), port),
        })
    }
}

/// Appends the answer to a frame that reached the Internet, if it asks one of the servers.
///
/// What a server has said comes back when no line has the address that it was said to.
pub(crate) fn answer(burst: &mut Burst, mac: Mac, servers: Ipv4Net, frame: &Frame<'_>) {
    let &Frame::Segment {
        from,
        ends,
        header,
        payload,
    } = frame
    else {
        return;
    };
    if servers.contains(&ends.destination) {
        reply(burst, (mac, from), ends, header, payload);
    }
}

const DOMAIN: u16 = 53;
const RESPONSE: u8 = 0x80;

/// Whether it asks one question of a name server (RFC 1035, 4.1.1): no [`Request`] looks so before its
/// 65,536th exchange.
fn is_query(message: &[u8]) -> bool {
    message.len() > 12 && message[2] & RESPONSE == 0 && message[4..6] == [0, 1]
}

/// Appends what a server says to a packet of these ends. A name server gives a query back with no
/// records, which is an answer.
pub(crate) fn reply(
    burst: &mut Burst,
    macs: (Mac, Mac),
    ends: Ends,
    header: Header,
    payload: &[u8],
) {
    match header {
        // The hosts' kernels answer by themselves.
        Header::Echo { .. } => {}
        Header::Udp if ends.destination_port == DOMAIN && is_query(payload) => {
            let mut answer = payload.to_vec();
            answer[2] |= RESPONSE;
            frame::write(burst, macs, ends.reversed(), header, &answer);
        }
        Header::Udp => {
            let answer = Answer::to_bytes(payload, ends);
            frame::write(burst, macs, ends.reversed(), header, &answer);
        }
        Header::Tcp { flags, .. } if flags & RST != 0 => {}
        Header::Tcp {
            sequence,
            acknowledgement,
            flags,
        } => {
            let asked = payload.len() as u32;
            let (sequence, acknowledgement, flags) = if flags & SYN != 0 {
                // Any number will do, as long as a retransmission gets the same.
                (!sequence, sequence.wrapping_add(1), SYN | ACK)
            } else if flags & FIN != 0 {
                (acknowledgement, sequence.wrapping_add(asked + 1), ACK | FIN)
            } else if asked > 0 {
                (acknowledgement, sequence.wrapping_add(asked), ACK | PSH)
            } else {
                return;
            };
            let header = Header::Tcp {
                sequence,
                acknowledgement,
                flags,
            };
            let answer = Answer::to_bytes(payload, ends);
            let payload = if flags & PSH != 0 { &answer[..] } else { &[] };
            frame::write(burst, macs, ends.reversed(), header, payload);
        }
    }
}
