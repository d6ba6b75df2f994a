//! Frames, written and read with pnet.

use std::net::Ipv4Addr;

use multiwan_kernel::packet::Burst;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket};
use pnet::packet::ethernet::{EtherType, EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::icmp::{IcmpPacket, IcmpTypes};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::{self, Ipv4Packet, MutableIpv4Packet};
use pnet::packet::tcp::{self, MutableTcpPacket, TcpFlags, TcpPacket};
use pnet::packet::udp::{self, MutableUdpPacket, UdpPacket};

use crate::host::Mac;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const TCP: usize = 20;
const UDP: usize = 8;
const ARP: usize = 28;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, with a handshake and a close.
    Tcp,
    /// UDP: one datagram asks, one answers.
    Udp,
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
}

pub(crate) const SYN: u8 = TcpFlags::SYN;
pub(crate) const ACK: u8 = TcpFlags::ACK;
pub(crate) const FIN: u8 = TcpFlags::FIN;
pub(crate) const RST: u8 = TcpFlags::RST;
pub(crate) const PSH: u8 = TcpFlags::PSH;

/// Appends a TCP segment or UDP datagram to a burst.
pub(crate) fn write(
    burst: &mut Burst,
    (from, to): (Mac, Mac),
    ends: Ends,
    header: Header,
    payload: &[u8],
) {
    let (transport, protocol) = match header {
        Header::Tcp { .. } => (TCP, IpNextHeaderProtocols::Tcp),
        Header::Udp => (UDP, IpNextHeaderProtocols::Udp),
    };
    let length = IPV4 + transport + payload.len();
    burst.push_with(ETHERNET + length, |frame| {
        let (ethernet, rest) = frame.split_at_mut(ETHERNET);
        let (ip, segment) = rest.split_at_mut(IPV4);
        write_ethernet(ethernet, from, to, EtherTypes::Ipv4);
        let mut ip = MutableIpv4Packet::new(ip).expect("room for an IPv4 header");
        ip.set_version(4);
        ip.set_header_length(5);
        ip.set_total_length(length as u16);
        ip.set_flags(ipv4::Ipv4Flags::DontFragment);
        ip.set_ttl(64);
        ip.set_next_level_protocol(protocol);
        ip.set_source(ends.source);
        ip.set_destination(ends.destination);
        ip.set_checksum(ipv4::checksum(&ip.to_immutable()));
        segment[transport..].copy_from_slice(payload);
        match header {
            Header::Tcp {
                sequence,
                acknowledgement,
                flags,
            } => {
                let mut tcp = MutableTcpPacket::new(segment).expect("room for a TCP header");
                tcp.set_source(ends.source_port);
                tcp.set_destination(ends.destination_port);
                tcp.set_sequence(sequence);
                tcp.set_acknowledgement(acknowledgement);
                tcp.set_data_offset(5);
                tcp.set_flags(flags);
                tcp.set_window(u16::MAX);
                let sum = tcp::ipv4_checksum(&tcp.to_immutable(), &ends.source, &ends.destination);
                tcp.set_checksum(sum);
            }
            Header::Udp => {
                let mut udp = MutableUdpPacket::new(segment).expect("room for a UDP header");
                udp.set_source(ends.source_port);
                udp.set_destination(ends.destination_port);
                udp.set_length((UDP + payload.len()) as u16);
                let sum = udp::ipv4_checksum(&udp.to_immutable(), &ends.source, &ends.destination);
                udp.set_checksum(sum);
            }
        }
    });
}

/// Appends the answer to an ARP request: `ours` is at `mac`.
pub(crate) fn write_arp_reply(burst: &mut Burst, mac: Mac, ours: Ipv4Addr, asker: &ArpRequest) {
    burst.push_with(ETHERNET + ARP, |frame| {
        let (ethernet, arp) = frame.split_at_mut(ETHERNET);
        write_ethernet(ethernet, mac, asker.mac, EtherTypes::Arp);
        let mut arp = MutableArpPacket::new(arp).expect("room for an ARP packet");
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(ArpOperations::Reply);
        arp.set_sender_hw_addr(mac.into());
        arp.set_sender_proto_addr(ours);
        arp.set_target_hw_addr(asker.mac.into());
        arp.set_target_proto_addr(asker.address);
    });
}

fn write_ethernet(header: &mut [u8], from: Mac, to: Mac, kind: EtherType) {
    let mut ethernet = MutableEthernetPacket::new(header).expect("room for an Ethernet header");
    ethernet.set_source(from.into());
    ethernet.set_destination(to.into());
    ethernet.set_ethertype(kind);
}

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
    /// Any other IPv4 packet.
    OtherIpv4 { source: Ipv4Addr },
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
    let other = Frame::OtherIpv4 { source };
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
        IpNextHeaderProtocols::Icmp => read_icmp(source, destination, inner).unwrap_or(other),
        _ => other,
    })
}

fn read_icmp(from: Ipv4Addr, to: Ipv4Addr, body: &[u8]) -> Option<Frame<'static>> {
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
        .first_chunk::<4>()?;
    let protocol = match ip.get_next_level_protocol() {
        IpNextHeaderProtocols::Tcp => Protocol::Tcp,
        IpNextHeaderProtocols::Udp => Protocol::Udp,
        _ => return None,
    };
    let ends = Ends {
        source: ip.get_source(),
        source_port: u16::from_be_bytes([ports[0], ports[1]]),
        destination: ip.get_destination(),
        destination_port: u16::from_be_bytes([ports[2], ports[3]]),
    };
    Some(Frame::IcmpError {
        from,
        to,
        kind: icmp.get_icmp_type().0,
        code: icmp.get_icmp_code().0,
        quoted: (protocol, ends),
    })
}

/// The protocol of a transport header.
pub(crate) fn protocol(header: Header) -> Protocol {
    match header {
        Header::Tcp { .. } => Protocol::Tcp,
        Header::Udp => Protocol::Udp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACS: (Mac, Mac) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);

    fn ends() -> Ends {
        Ends {
            source: Ipv4Addr::new(192, 0, 2, 10),
            source_port: 4000,
            destination: Ipv4Addr::new(198, 18, 7, 7),
            destination_port: 5000,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let tcp = Header::Tcp {
            sequence: 7,
            acknowledgement: 9,
            flags: SYN | ACK,
        };
        for (header, payload) in [(tcp, &b""[..]), (tcp, b"hello"), (Header::Udp, b"hello")] {
            let mut burst = Burst::default();
            write(&mut burst, MACS, ends(), header, payload);
            let expected = Frame::Segment {
                from: MACS.0,
                ends: ends(),
                header,
                payload,
            };
            assert_eq!(read(burst.frame(0)), expected);
        }
    }

    #[test]
    fn padding_is_not_payload() {
        let mut burst = Burst::default();
        write(&mut burst, MACS, ends(), Header::Udp, b"x");
        let mut padded = burst.frame(0).to_vec();
        padded.resize(60, 0);
        let Frame::Segment { payload, .. } = read(&padded) else {
            panic!("a segment")
        };
        assert_eq!(payload, b"x");
    }

    #[test]
    fn nonsense_is_not_understood() {
        let mut burst = Burst::default();
        write(&mut burst, MACS, ends(), Header::Udp, b"hello");
        for length in 0..burst.frame(0).len() {
            // Only must not panic: a capture may cut a frame anywhere.
            read(&burst.frame(0)[..length]);
        }
        assert_eq!(read(b"short"), Frame::Other);
    }
}
