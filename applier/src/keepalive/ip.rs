//! Ethernet and IPv4 around what is asked beyond the gateway.

use std::net::Ipv4Addr;

use libc::sock_filter;
use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::ip::IpNextHeaderProtocol;
use pnet::packet::ipv4::{self, Ipv4Flags, Ipv4Packet, MutableIpv4Packet};
use pnet::util::MacAddr;

use super::filter::{EQUAL, LOAD_HALF, LOAD_HEADER_X, RETURN, SET, op};

pub(super) const ETHERNET: usize = EthernetPacket::minimum_packet_size();
pub(super) const IP: usize = Ipv4Packet::minimum_packet_size();

/// From whom to whom a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) own: MacAddr,
    pub(super) gateway: MacAddr,
    pub(super) source: Ipv4Addr,
    pub(super) target: Ipv4Addr,
}

/// A frame with this in it.
pub(super) fn frame(way: Way, protocol: IpNextHeaderProtocol, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ETHERNET + IP + body.len()];
    let mut ethernet = MutableEthernetPacket::new(&mut frame).expect("the frame fits");
    ethernet.set_destination(way.gateway);
    ethernet.set_source(way.own);
    ethernet.set_ethertype(EtherTypes::Ipv4);
    let mut ip = MutableIpv4Packet::new(&mut frame[ETHERNET..]).expect("the frame fits");
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
    frame
}

/// A received frame's IPv4 header, protocol and body, if it has them.
pub(super) fn read(frame: &[u8]) -> Option<Received<'_>> {
    let ethernet = EthernetPacket::new(frame)?;
    let ip = Ipv4Packet::new(frame.get(ETHERNET..)?)?;
    let start = ETHERNET + usize::from(ip.get_header_length()) * 4;
    (ethernet.get_ethertype() == EtherTypes::Ipv4 && ip.packet().len() >= IP).then_some(())?;
    Some(Received {
        source: ip.get_source(),
        destination: ip.get_destination(),
        protocol: ip.get_next_level_protocol(),
        body: frame.get(start..)?,
    })
}

/// What a received frame carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received<'a> {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) protocol: IpNextHeaderProtocol,
    pub(super) body: &'a [u8],
}

/// How a filter begins that reads what IPv4 carries: no other ethertype and no fragment but the
/// first goes on; the header's length is in X then.
pub(super) fn filter_begins() -> [sock_filter; 6] {
    const START: u32 = ETHERNET as u32;
    [
        op(LOAD_HALF, 12, 0, 0),
        op(EQUAL, u32::from(EtherTypes::Ipv4.0), 0, 2),
        op(LOAD_HALF, START + 6, 0, 0),
        op(SET, 0x1fff, 0, 1),
        op(RETURN, 0, 0, 0),
        op(LOAD_HEADER_X, START, 0, 0),
    ]
}

/// How a filter ends that nothing before has accepted the frame of.
pub(super) fn filter_ends() -> [sock_filter; 1] {
    [op(RETURN, 0, 0, 0)]
}
