//! Frames as far as the lab understands them.

use std::net::Ipv4Addr;

use pnet::packet::arp::{ArpOperations, ArpPacket};
use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
use pnet::packet::icmp::{IcmpPacket, IcmpTypes};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::tcp::TcpPacket;
use pnet::packet::udp::UdpPacket;

use super::{ArpRequest, ECHO, ETHERNET, Ends, Frame, Header, Protocol, UDP};
use crate::host::Mac;

/// Reads a frame.
pub(crate) fn read(bytes: &[u8]) -> Frame<'_> {
    let Some(ethernet) = EthernetPacket::new(bytes) else {
        return Frame::Other;
    };
    let body = &bytes[ETHERNET..];
    match ethernet.get_ethertype() {
        EtherTypes::Ipv4 => read_ipv4(ethernet.get_source().octets(), body).unwrap_or(Frame::Other),
        EtherTypes::Arp => read_arp(body).unwrap_or(Frame::Other),
        _ => Frame::Other,
    }
}

fn read_arp(body: &[u8]) -> Option<Frame<'_>> {
    let arp = ArpPacket::new(body)?;
    let asker = ArpRequest {
        mac: arp.get_sender_hw_addr().octets(),
        address: arp.get_sender_proto_addr(),
    };
    (arp.get_operation() == ArpOperations::Request)
        .then(|| Frame::ArpRequest(asker, arp.get_target_proto_addr()))
}

fn read_ipv4(from: Mac, body: &[u8]) -> Option<Frame<'_>> {
    let ip = Ipv4Packet::new(body)?;
    let start = usize::from(ip.get_header_length()) * 4;
    // A capture may have kept less than there was, and Ethernet pads what is short.
    let end = usize::from(ip.get_total_length()).min(body.len());
    let inner = body.get(start..end)?;
    let (source, destination) = (ip.get_source(), ip.get_destination());
    let other = Frame::OtherIpv4 {
        source,
        to: destination,
    };
    if ip.get_fragment_offset() > 0 {
        return Some(Frame::Fragment {
            source,
            body: inner,
        });
    }
    let ends = |source_port, destination_port| Ends {
        source,
        source_port,
        destination,
        destination_port,
    };
    Some(match ip.get_next_level_protocol() {
        IpNextHeaderProtocols::Tcp => TcpPacket::new(inner).map_or(other, |tcp| Frame::Segment {
            from,
            ends: ends(tcp.get_source(), tcp.get_destination()),
            header: Header::Tcp {
                sequence: tcp.get_sequence(),
                acknowledgement: tcp.get_acknowledgement(),
                flags: tcp.get_flags(),
            },
            payload: inner
                .get(usize::from(tcp.get_data_offset()) * 4..)
                .unwrap_or_default(),
        }),
        IpNextHeaderProtocols::Udp => UdpPacket::new(inner).map_or(other, |udp| Frame::Segment {
            from,
            ends: ends(udp.get_source(), udp.get_destination()),
            header: Header::Udp,
            payload: &inner[UDP..],
        }),
        IpNextHeaderProtocols::Icmp => read_icmp_error(source, destination, inner)
            .or_else(|| read_echo(from, ends, inner))
            .unwrap_or(other),
        _ => other,
    })
}

fn read_echo(from: Mac, ends: impl Fn(u16, u16) -> Ends, body: &[u8]) -> Option<Frame<'_>> {
    let icmp = IcmpPacket::new(body)?;
    let reply = match icmp.get_icmp_type() {
        IcmpTypes::EchoRequest => false,
        IcmpTypes::EchoReply => true,
        _ => return None,
    };
    let (head, payload) = body.split_at_checked(ECHO)?;
    let id = u16::from_be_bytes([head[4], head[5]]);
    let sequence = u16::from_be_bytes([head[6], head[7]]);
    Some(Frame::Segment {
        from,
        ends: ends(id, id),
        header: Header::Echo { reply, sequence },
        payload,
    })
}

fn read_icmp_error(from: Ipv4Addr, to: Ipv4Addr, body: &[u8]) -> Option<Frame<'static>> {
    let icmp = IcmpPacket::new(body)?;
    let error = [IcmpTypes::DestinationUnreachable, IcmpTypes::TimeExceeded];
    if !error.contains(&icmp.get_icmp_type()) {
        return None;
    }
    // Type, code, checksum and four bytes of its own come before what it quotes.
    let quoted = body.get(8..)?;
    let ip = Ipv4Packet::new(quoted)?;
    let ports = quoted
        .get(usize::from(ip.get_header_length()) * 4..)?
        .first_chunk::<6>()?;
    let [first, second, third] = [0, 2, 4].map(|at| u16::from_be_bytes([ports[at], ports[at + 1]]));
    let (protocol, source_port, destination_port) = match ip.get_next_level_protocol() {
        IpNextHeaderProtocols::Tcp => (Protocol::Tcp, first, second),
        IpNextHeaderProtocols::Udp => (Protocol::Udp, first, second),
        IpNextHeaderProtocols::Icmp => (Protocol::Echo, third, third),
        _ => return None,
    };
    let ends = Ends {
        source: ip.get_source(),
        source_port,
        destination: ip.get_destination(),
        destination_port,
    };
    Some(Frame::IcmpError {
        from,
        to,
        kind: icmp.get_icmp_type().0,
        code: icmp.get_icmp_code().0,
        quoted: (protocol, ends),
    })
}
