//! The first segment of a TCP connection to a target beyond the gateway, and its end.
//!
//! No connection comes of it: the target's SYN/ACK is answered by a reset, on the way of the probe. The
//! kernel, which knows of no connection, would send one too, but not past the tables that lead nowhere
//! while the line is dead. That the target refuses tells as much of the line.
//!
//! Where resets get lost, a server keeps what it has half opened for a minute, and Linux answers it no
//! oftener than each 500 ms (`net.ipv4.tcp_invalid_ratelimit`). Therefore the probes take turns at some
//! ports: enough for one each 50 ms, and few, for a modem tracks each as a connection.

use std::net::SocketAddrV4;

use libc::sock_filter;
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::tcp::{self, MutableTcpPacket, TcpFlags, TcpPacket};

use super::filter::{EQUAL, LOAD_BYTE, LOAD_HALF_X, RETURN, op};
use super::ip::{self, Received, Way};

/// From how many ports probes are sent in turn.
pub(super) const PORTS: usize = 16;
const TCP: usize = TcpPacket::minimum_packet_size();

/// A SYN from ports that nothing else on this router has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syn {
    pub(super) ports: [u16; PORTS],
}

impl Syn {
    /// The probe with this number.
    pub(super) fn packet(self, way: Way, port: u16, number: u16) -> Vec<u8> {
        let from = self.ports[usize::from(number) % PORTS];
        segment(way, (from, port), TcpFlags::SYN, first(from))
    }

    /// Whether what came in is the answer of this server, whatever it says.
    pub(super) fn is_answer(self, received: Received<'_>, server: SocketAddrV4) -> bool {
        received.protocol == IpNextHeaderProtocols::Tcp
            && received.source == *server.ip()
            && TcpPacket::new(received.body).is_some_and(|segment| {
                segment.get_source() == server.port()
                    && self.ports.contains(&segment.get_destination())
            })
    }

    /// What ends the connection that an answer would open (RFC 9293, 3.5.2). Not one of a client that
    /// has our port after translation: what it has sent, not we, is acknowledged there.
    pub(super) fn reset(self, answer: Received<'_>) -> Option<Vec<u8>> {
        let tcp = answer.protocol == IpNextHeaderProtocols::Tcp;
        let opens = TcpPacket::new(answer.body).filter(|_| tcp)?;
        let port = opens.get_destination();
        let next = first(port) + 1;
        let kind = opens.get_flags() & (TcpFlags::ACK | TcpFlags::RST);
        (kind == TcpFlags::ACK && opens.get_acknowledgement() == next).then(|| {
            let way = Way {
                source: answer.destination,
                target: answer.source,
            };
            segment(way, (port, opens.get_source()), TcpFlags::RST, next)
        })
    }

    /// The part of a filter that accepts what is for our ports, from whomever.
    pub(super) fn filter(self) -> Vec<sock_filter> {
        let all = PORTS as u8;
        let mut part = vec![
            op(LOAD_BYTE, 9, 0, 0),
            op(EQUAL, u32::from(IpNextHeaderProtocols::Tcp.0), 0, all + 2),
            op(LOAD_HALF_X, 2, 0, 0),
        ];
        part.extend((1..).zip(self.ports).map(|(nth, port)| {
            let left = all - nth;
            op(EQUAL, port.into(), left, u8::from(left == 0))
        }));
        part.push(op(RETURN, u32::MAX, 0, 0));
        part
    }
}

/// Where the sequence begins from a port. Always the same: where a reset got lost, a SYN is a
/// retransmission to whoever is on the way, and answered as one.
fn first(port: u16) -> u32 {
    port.into()
}

fn segment(way: Way, (from, to): (u16, u16), flags: u8, sequence: u32) -> Vec<u8> {
    let mut body = [0; TCP];
    let mut segment = MutableTcpPacket::new(&mut body).expect("it fits");
    segment.set_source(from);
    segment.set_destination(to);
    segment.set_sequence(sequence);
    segment.set_data_offset(5);
    segment.set_flags(flags);
    segment.set_window(u16::MAX);
    let checksum = tcp::ipv4_checksum(&segment.to_immutable(), &way.source, &way.target);
    segment.set_checksum(checksum);
    ip::packet(way, IpNextHeaderProtocols::Tcp, &body)
}
