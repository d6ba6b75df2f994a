//! The first segment of a TCP connection to a target beyond the gateway.
//!
//! No connection comes of it: this router's kernel knows of none, and answers the target's SYN/ACK
//! with a reset. That the target refuses tells as much of the line.

use std::net::SocketAddrV4;

use libc::sock_filter;
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::tcp::{self, MutableTcpPacket, TcpFlags, TcpPacket};

use super::filter::{EQUAL, LOAD_BYTE, LOAD_HALF_X, RETURN, op};
use super::ip::{self, Received, Way};

const TCP: usize = TcpPacket::minimum_packet_size();

/// A SYN from a port that nothing else on this router has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syn {
    pub(super) port: u16,
}

impl Syn {
    pub(super) fn packet(self, way: Way, port: u16) -> Vec<u8> {
        let mut body = [0; TCP];
        let mut syn = MutableTcpPacket::new(&mut body).expect("it fits");
        syn.set_source(self.port);
        syn.set_destination(port);
        // Always the same: where a reset got lost, it is a retransmission, and answered as one.
        syn.set_sequence(u32::from(self.port));
        syn.set_data_offset(5);
        syn.set_flags(TcpFlags::SYN);
        syn.set_window(u16::MAX);
        let checksum = tcp::ipv4_checksum(&syn.to_immutable(), &way.source, &way.target);
        syn.set_checksum(checksum);
        ip::packet(way, IpNextHeaderProtocols::Tcp, &body)
    }

    /// Whether what came in is the answer of this server, whatever it says.
    pub(super) fn is_answer(self, received: Received<'_>, server: SocketAddrV4) -> bool {
        received.protocol == IpNextHeaderProtocols::Tcp
            && received.source == *server.ip()
            && TcpPacket::new(received.body).is_some_and(|segment| {
                segment.get_source() == server.port() && segment.get_destination() == self.port
            })
    }

    /// The part of a filter that accepts what is for our port, from whomever.
    pub(super) fn filter(self) -> [sock_filter; 5] {
        [
            op(LOAD_BYTE, 9, 0, 0),
            op(EQUAL, u32::from(IpNextHeaderProtocols::Tcp.0), 0, 3),
            op(LOAD_HALF_X, 2, 0, 0),
            op(EQUAL, u32::from(self.port), 0, 1),
            op(RETURN, u32::MAX, 0, 0),
        ]
    }
}
