//! Frames as they are appended to a burst.

use std::net::Ipv4Addr;

use multiwan_kernel::packet::Burst;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperation, ArpOperations, MutableArpPacket};
use pnet::packet::ethernet::{EtherType, EtherTypes, MutableEthernetPacket};
use pnet::packet::icmp::{self, IcmpCode, IcmpType, IcmpTypes, MutableIcmpPacket};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::{self, MutableIpv4Packet};
use pnet::packet::tcp::{self, MutableTcpPacket};
use pnet::packet::udp::{self, MutableUdpPacket};

use super::{
    ArpRequest, ECHO, ETHERNET, Ends, Header, IPV4, Protocol, Refusal, TCP, UDP, protocol,
};
use crate::host::Mac;

const ARP: usize = 28;
/// What Ethernet carries of one packet.
const MTU: usize = 1500;
/// What a fragment carries of a datagram: a multiple of eight.
const FRAGMENT: usize = MTU - IPV4;

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
            let [id, number] = [ends.destination_port, sequence].map(u16::to_be_bytes);
            segment[4..6].copy_from_slice(&id);
            segment[6..8].copy_from_slice(&number);
            finish_icmp(segment, echo(reply), 0);
        }
    }
}

fn echo(reply: bool) -> IcmpType {
    if reply {
        IcmpTypes::EchoReply
    } else {
        IcmpTypes::EchoRequest
    }
}

/// Appends an ICMP error from one host, or a router before it, to another about a packet of these
/// ends, which it quotes by its headers.
pub(crate) fn write_refusal(
    burst: &mut Burst,
    macs: (Mac, Mac),
    (from, to): (Ipv4Addr, Ipv4Addr),
    refusal: Refusal,
    (header, quoted): (Header, Ends),
) {
    let ends = Ends {
        source: refusal.hop.unwrap_or(from),
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
            write_ipv4(ip, quoted, protocol(header), Part::WHOLE, QUOTED);
            match header {
                Header::Tcp { .. } | Header::Udp => {
                    transport[..2].copy_from_slice(&quoted.source_port.to_be_bytes());
                    transport[2..4].copy_from_slice(&quoted.destination_port.to_be_bytes());
                    transport[4..6].copy_from_slice(&(QUOTED as u16).to_be_bytes());
                }
                Header::Echo { reply, .. } => {
                    transport[0] = echo(reply).0;
                    transport[4..6].copy_from_slice(&quoted.destination_port.to_be_bytes());
                }
            }
            finish_icmp(body, IcmpType(refusal.kind), refusal.code);
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
