//! A DNS query to a target beyond the gateway (RFC 1035, 4.1).

use libc::sock_filter;
use pnet::packet::Packet;
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::udp::{self, MutableUdpPacket, UdpPacket};

use super::filter::{EQUAL, LOAD_BYTE, LOAD_HALF_X, RETURN, op};
use super::ip::{self, Received, Way};

const UDP: usize = UdpPacket::minimum_packet_size();
const DOMAIN: u16 = 53;
const HEADER: usize = 12;
/// The name `.`, type NS, class IN: every resolver knows that, and every authoritative server says
/// at least that it does not.
const QUESTION: [u8; 5] = [0, 0, 2, 0, 1];
/// A resolver may refuse who does not want recursion.
const RECURSION_DESIRED: u8 = 1;
const RESPONSE: u8 = 0x80;

/// A query for the root's name servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Query {
    /// Nothing else on this router has it.
    pub(super) port: u16,
    /// Tells our answers from others'.
    pub(super) identifier: u16,
}

impl Query {
    pub(super) fn packet(self, way: Way) -> Vec<u8> {
        let mut body = [0; UDP + HEADER + QUESTION.len()];
        let (message, question) = body[UDP..].split_at_mut(HEADER);
        message[..2].copy_from_slice(&self.identifier.to_be_bytes());
        message[2] = RECURSION_DESIRED;
        message[5] = 1;
        question.copy_from_slice(&QUESTION);
        let length = body.len() as u16;
        let mut datagram = MutableUdpPacket::new(&mut body).expect("it fits");
        datagram.set_source(self.port);
        datagram.set_destination(DOMAIN);
        datagram.set_length(length);
        let checksum = udp::ipv4_checksum(&datagram.to_immutable(), &way.source, &way.target);
        // 0 would say that there is none (RFC 768).
        datagram.set_checksum(if checksum == 0 { u16::MAX } else { checksum });
        ip::packet(way, IpNextHeaderProtocols::Udp, &body)
    }

    /// Whether what a target sent is its answer, whatever it says.
    pub(super) fn is_answer(self, received: Received<'_>) -> bool {
        let answers = |datagram: &UdpPacket<'_>| {
            let message = datagram.payload();
            datagram.get_source() == DOMAIN
                && datagram.get_destination() == self.port
                && message.starts_with(&self.identifier.to_be_bytes())
                && message.get(2).is_some_and(|flags| flags & RESPONSE != 0)
        };
        received.protocol == IpNextHeaderProtocols::Udp
            && UdpPacket::new(received.body).as_ref().is_some_and(answers)
    }

    /// The part of a filter that accepts answers to us, from whomever.
    pub(super) fn filter(self) -> [sock_filter; 7] {
        [
            op(LOAD_BYTE, 9, 0, 0),
            op(EQUAL, u32::from(IpNextHeaderProtocols::Udp.0), 0, 5),
            op(LOAD_HALF_X, 2, 0, 0),
            op(EQUAL, u32::from(self.port), 0, 3),
            op(LOAD_HALF_X, UDP as u32, 0, 0),
            op(EQUAL, u32::from(self.identifier), 0, 1),
            op(RETURN, u32::MAX, 0, 0),
        ]
    }
}
