//! IPv4 around what is asked beyond the gateway.

use std::net::Ipv4Addr;

use libc::sock_filter;
use pnet::packet::ip::IpNextHeaderProtocol;
use pnet::packet::ipv4::{self, Ipv4Flags, Ipv4Packet, MutableIpv4Packet};

use super::filter::{LOAD_HALF, LOAD_HEADER_X, RETURN, SET, op};

pub(super) const IP: usize = Ipv4Packet::minimum_packet_size();

/// From whom to whom a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) source: Ipv4Addr,
    pub(super) target: Ipv4Addr,
}

/// A packet with this in it.
pub(super) fn packet(way: Way, protocol: IpNextHeaderProtocol, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; IP + body.len()];
    let mut ip = MutableIpv4Packet::new(&mut packet).expect("the packet fits");
    ip.set_version(4);
    ip.set_header_length(5);
    ip.set_total_length((IP + body.len()) as u16);
    ip.set_flags(Ipv4Flags::DontFragment);
    ip.set_ttl(64);
    ip.set_next_level_protocol(protocol);
    ip.set_source(way.source);
    ip.set_destination(way.target);
    ip.set_payload(body);
    ip.set_checksum(ipv4::checksum(&ip.to_immutable()));
    packet
}

/// A received packet's IPv4 header, protocol and body, if it has them.
pub(super) fn read(packet: &[u8]) -> Option<Received<'_>> {
    let ip = Ipv4Packet::new(packet)?;
    let start = usize::from(ip.get_header_length()) * 4;
    (ip.get_version() == 4 && start >= IP).then_some(())?;
    Some(Received {
        source: ip.get_source(),
        destination: ip.get_destination(),
        protocol: ip.get_next_level_protocol(),
        body: packet.get(start..)?,
    })
}

/// What a received packet carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received<'a> {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) protocol: IpNextHeaderProtocol,
    pub(super) body: &'a [u8],
}

/// How a filter begins that reads what IPv4 carries: no fragment but the first goes on; the header's
/// length is in X then.
pub(super) fn filter_begins() -> [sock_filter; 4] {
    [
        op(LOAD_HALF, 6, 0, 0),
        op(SET, 0x1fff, 0, 1),
        op(RETURN, 0, 0, 0),
        op(LOAD_HEADER_X, 0, 0, 0),
    ]
}

/// How a filter ends that nothing before has accepted the packet of.
pub(super) fn filter_ends() -> [sock_filter; 1] {
    [op(RETURN, 0, 0, 0)]
}
