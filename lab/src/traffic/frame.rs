//! Frames, written and read with pnet.

use std::fmt;
use std::net::Ipv4Addr;

use multiwan_kernel::packet::Burst;
use pnet::packet::arp::{
    ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket,
};
use pnet::packet::ethernet::{EtherType, EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::icmp::{self, IcmpCode, IcmpPacket, IcmpType, IcmpTypes, MutableIcmpPacket};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::{self, Ipv4Packet, MutableIpv4Packet};
use pnet::packet::tcp::{self, MutableTcpPacket, TcpFlags, TcpPacket};
use pnet::packet::udp::{self, MutableUdpPacket, UdpPacket};

use crate::host::Mac;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const TCP: usize = 20;
const UDP: usize = 8;
const ECHO: usize = 8;
const ARP: usize = 28;
/// What Ethernet carries of one packet.
const MTU: usize = 1500;
/// What a fragment carries of a datagram: a multiple of eight.
const FRAGMENT: usize = MTU - IPV4;

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

/// An ICMP error, destination unreachable (RFC 792).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// 3 is port unreachable, 4 fragmentation needed, 13 administratively prohibited.
    pub code: u8,
    /// With code 4, the largest packet that would pass, in bytes (RFC 1191).
    pub mtu: u16,
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

/// Appends a TCP segment, UDP datagram or ICMP echo to a burst, in fragments where Ethernet has no
/// room for it.
pub(crate) fn write(
    burst: &mut Burst,
    macs: (Mac, Mac),
    ends: Ends,
    header: Header,
    payload: &[u8],
) {
    let transport = match header {
        Header::Tcp { .. } => TCP,
        Header::Udp => UDP,
        Header::Echo { .. } => ECHO,
    };
    let length = transport + payload.len();
    if IPV4 + length <= MTU {
        write_packet(
            burst,
            macs,
            ends,
            protocol(header),
            Part::WHOLE,
            length,
            |body| {
                write_transport(body, ends, header, payload);
            },
        );
        return;
    }
    let mut whole = vec![0; length];
    write_transport(&mut whole, ends, header, payload);
    for (number, body) in whole.chunks(FRAGMENT).enumerate() {
        let part = Part {
            // Any will do that no other datagram of these two hosts has at the time.
            of: ends.source_port ^ ends.destination_port,
            from: number * FRAGMENT,
            more: (number + 1) * FRAGMENT < length,
        };
        write_packet(
            burst,
            macs,
            ends,
            protocol(header),
            part,
            body.len(),
            |into| {
                into.copy_from_slice(body);
            },
        );
    }
}

/// Which bytes of a datagram a packet has.
struct Part {
    /// The datagram's identification.
    of: u16,
    from: usize,
    more: bool,
}

impl Part {
    const WHOLE: Self = Self {
        of: 0,
        from: 0,
        more: false,
    };

    fn is_whole(&self) -> bool {
        self.from == 0 && !self.more
    }
}

fn write_packet(
    burst: &mut Burst,
    (from, to): (Mac, Mac),
    ends: Ends,
    protocol: Protocol,
    part: Part,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) {
    burst.push_with(ETHERNET + IPV4 + length, |frame| {
        let (ethernet, rest) = frame.split_at_mut(ETHERNET);
        let (ip, body) = rest.split_at_mut(IPV4);
        write_ethernet(ethernet, from, to, EtherTypes::Ipv4);
        write_ipv4(ip, ends, protocol, part, length);
        fill(body);
    });
}

fn write_ipv4(header: &mut [u8], ends: Ends, protocol: Protocol, part: Part, length: usize) {
    let mut ip = MutableIpv4Packet::new(header).expect("room for an IPv4 header");
    ip.set_version(4);
    ip.set_header_length(5);
    ip.set_total_length((IPV4 + length) as u16);
    ip.set_identification(part.of);
    ip.set_flags(if part.is_whole() {
        ipv4::Ipv4Flags::DontFragment
    } else if part.more {
        ipv4::Ipv4Flags::MoreFragments
    } else {
        0
    });
    ip.set_fragment_offset((part.from / 8) as u16);
    ip.set_ttl(64);
    ip.set_next_level_protocol(match protocol {
        Protocol::Tcp => IpNextHeaderProtocols::Tcp,
        Protocol::Udp => IpNextHeaderProtocols::Udp,
        Protocol::Echo => IpNextHeaderProtocols::Icmp,
    });
    ip.set_source(ends.source);
    ip.set_destination(ends.destination);
    ip.set_checksum(ipv4::checksum(&ip.to_immutable()));
}

fn write_transport(segment: &mut [u8], ends: Ends, header: Header, payload: &[u8]) {
    let transport = segment.len() - payload.len();
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
        Header::Echo { reply, sequence } => {
            let kind = if reply {
                IcmpTypes::EchoReply
            } else {
                IcmpTypes::EchoRequest
            };
            let [id, number] = [ends.destination_port, sequence].map(u16::to_be_bytes);
            segment[4..6].copy_from_slice(&id);
            segment[6..8].copy_from_slice(&number);
            finish_icmp(segment, kind, 0);
        }
    }
}

/// Appends an ICMP error from one host to another about a packet of these ends, which it quotes by
/// its headers.
pub(crate) fn write_refusal(
    burst: &mut Burst,
    macs: (Mac, Mac),
    (from, to): (Ipv4Addr, Ipv4Addr),
    refusal: Refusal,
    (protocol, quoted): (Protocol, Ends),
) {
    let ends = Ends {
        source: from,
        source_port: 0,
        destination: to,
        destination_port: 0,
    };
    // Eight bytes of the transport header have the ports (RFC 792).
    const QUOTED: usize = 8;
    let length = ECHO + IPV4 + QUOTED;
    write_packet(
        burst,
        macs,
        ends,
        Protocol::Echo,
        Part::WHOLE,
        length,
        |body| {
            body[6..8].copy_from_slice(&refusal.mtu.to_be_bytes());
            let (ip, transport) = body[ECHO..].split_at_mut(IPV4);
            write_ipv4(ip, quoted, protocol, Part::WHOLE, QUOTED);
            match protocol {
                Protocol::Tcp | Protocol::Udp => {
                    transport[..2].copy_from_slice(&quoted.source_port.to_be_bytes());
                    transport[2..4].copy_from_slice(&quoted.destination_port.to_be_bytes());
                    transport[4..6].copy_from_slice(&(QUOTED as u16).to_be_bytes());
                }
                Protocol::Echo => {
                    transport[0] = IcmpTypes::EchoRequest.0;
                    transport[4..6].copy_from_slice(&quoted.destination_port.to_be_bytes());
                }
            }
            finish_icmp(body, IcmpTypes::DestinationUnreachable, refusal.code);
        },
    );
}

fn finish_icmp(message: &mut [u8], kind: IcmpType, code: u8) {
    let mut icmp = MutableIcmpPacket::new(message).expect("room for an ICMP header");
    icmp.set_icmp_type(kind);
    icmp.set_icmp_code(IcmpCode(code));
    icmp.set_checksum(icmp::checksum(&icmp.to_immutable()));
}

/// Appends the answer to an ARP request: `ours` is at `mac`.
pub(crate) fn write_arp_reply(burst: &mut Burst, mac: Mac, ours: Ipv4Addr, asker: &ArpRequest) {
    let sender = ArpRequest { mac, address: ours };
    write_arp(burst, ArpOperations::Reply, &sender, asker.mac, asker);
}

/// Appends an ARP request to everybody: who has `wanted`?
pub(crate) fn write_arp_request(burst: &mut Burst, asker: &ArpRequest, wanted: Ipv4Addr) {
    let unknown = ArpRequest {
        mac: [0; 6],
        address: wanted,
    };
    write_arp(burst, ArpOperations::Request, asker, [0xff; 6], &unknown);
}

fn write_arp(
    burst: &mut Burst,
    operation: ArpOperation,
    sender: &ArpRequest,
    to: Mac,
    target: &ArpRequest,
) {
    burst.push_with(ETHERNET + ARP, |frame| {
        let (ethernet, arp) = frame.split_at_mut(ETHERNET);
        write_ethernet(ethernet, sender.mac, to, EtherTypes::Arp);
        let mut arp = MutableArpPacket::new(arp).expect("room for an ARP packet");
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(operation);
        arp.set_sender_hw_addr(sender.mac.into());
        arp.set_sender_proto_addr(sender.address);
        arp.set_target_hw_addr(target.mac.into());
        arp.set_target_proto_addr(target.address);
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

/// The protocol of a transport header.
pub(crate) fn protocol(header: Header) -> Protocol {
    match header {
        Header::Tcp { .. } => Protocol::Tcp,
        Header::Udp => Protocol::Udp,
        Header::Echo { .. } => Protocol::Echo,
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
        let echo = Header::Echo {
            reply: true,
            sequence: 3,
        };
        for (header, payload) in [
            (tcp, &b""[..]),
            (tcp, b"hello"),
            (Header::Udp, b"hello"),
            (echo, b"hello"),
        ] {
            let mut ends = ends();
            if header == echo {
                ends.source_port = ends.destination_port;
            }
            let mut burst = Burst::default();
            write(&mut burst, MACS, ends, header, payload);
            let expected = Frame::Segment {
                from: MACS.0,
                ends,
                header,
                payload,
            };
            assert_eq!(read(burst.frame(0)), expected);
        }
    }

    #[test]
    fn what_a_refusal_quotes_is_read() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let mut burst = Burst::default();
            let hosts = (ends().destination, ends().source);
            let refusal = Refusal { code: 4, mtu: 1400 };
            write_refusal(&mut burst, MACS, hosts, refusal, (protocol, ends()));
            let expected = Frame::IcmpError {
                from: hosts.0,
                to: hosts.1,
                kind: 3,
                code: 4,
                quoted: (protocol, ends()),
            };
            assert_eq!(read(burst.frame(0)), expected);
        }
    }

    #[test]
    fn what_is_large_goes_in_fragments() {
        let mut burst = Burst::default();
        write(&mut burst, MACS, ends(), Header::Udp, &[7; 4000]);
        assert_eq!(burst.len(), 3);
        let Frame::Segment { payload, .. } = read(burst.frame(0)) else {
            panic!("the first has the ports")
        };
        let mut bytes = payload.len();
        for part in [1, 2] {
            let Frame::Fragment { source, body } = read(burst.frame(part)) else {
                panic!("a part without ports")
            };
            assert_eq!(source, ends().source);
            bytes += body.len();
        }
        assert_eq!(bytes, 4000);
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
