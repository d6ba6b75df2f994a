//! ICMP echo to a target beyond the gateway.

use libc::sock_filter;
use pnet::packet::Packet;
use pnet::packet::icmp::echo_reply::EchoReplyPacket;
use pnet::packet::icmp::echo_request::MutableEchoRequestPacket;
use pnet::packet::icmp::{self, IcmpPacket, IcmpTypes};
use pnet::packet::ip::IpNextHeaderProtocols;

use super::filter::{EQUAL, LOAD_BYTE, LOAD_HALF_X, RETURN, op};
use super::ip::{self, Received, Way};

const ICMP: usize = MutableEchoRequestPacket::minimum_packet_size();
/// Tells an administrator who looks at a capture whose echo it is.
const PAYLOAD: &[u8; 8] = b"multiwan";

/// An echo request, by the identifier that tells our answers from others'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Echo {
    pub(super) identifier: u16,
}

impl Echo {
    pub(super) fn packet(self, way: Way, sequence: u16) -> Vec<u8> {
        let mut body = [0; ICMP + PAYLOAD.len()];
        let mut echo = MutableEchoRequestPacket::new(&mut body).expect("it fits");
        echo.set_icmp_type(IcmpTypes::EchoRequest);
        echo.set_identifier(self.identifier);
        echo.set_sequence_number(sequence);
        echo.set_payload(PAYLOAD);
        let checksum = icmp::checksum(&IcmpPacket::new(echo.packet()).expect("it is longer"));
        echo.set_checksum(checksum);
        ip::packet(way, IpNextHeaderProtocols::Icmp, &body)
    }

    /// Whether what a target sent is its answer.
    pub(super) fn is_answer(self, received: Received<'_>) -> bool {
        received.protocol == IpNextHeaderProtocols::Icmp
            && EchoReplyPacket::new(received.body).is_some_and(|echo| {
                echo.get_icmp_type() == IcmpTypes::EchoReply
                    && echo.get_identifier() == self.identifier
            })
    }

    /// The part of a filter that accepts our echo replies, from whomever.
    pub(super) fn filter(self) -> [sock_filter; 7] {
        [
            op(LOAD_BYTE, 9, 0, 0),
            op(EQUAL, u32::from(IpNextHeaderProtocols::Icmp.0), 0, 5),
            // Type and code of an echo reply are both 0.
            op(LOAD_HALF_X, 0, 0, 0),
            op(EQUAL, 0, 0, 3),
            op(LOAD_HALF_X, 4, 0, 0),
            op(EQUAL, u32::from(self.identifier), 0, 1),
            op(RETURN, u32::MAX, 0, 0),
        ]
    }
}
