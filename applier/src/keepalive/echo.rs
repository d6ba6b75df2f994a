//! ICMP echo to targets beyond the gateway, as frames to the gateway's hardware address: finds the
//! provider dead behind a live modem, and alive again, whatever the routing tables say.

use std::net::Ipv4Addr;

use libc::sock_filter;
use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::icmp::echo_reply::EchoReplyPacket;
use pnet::packet::icmp::echo_request::MutableEchoRequestPacket;
use pnet::packet::icmp::{self, IcmpPacket, IcmpTypes};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::{self, Ipv4Flags, Ipv4Packet, MutableIpv4Packet};
use pnet::util::MacAddr;

use super::filter::{EQUAL, LOAD_BYTE, LOAD_HALF, LOAD_HALF_X, LOAD_HEADER_X, RETURN, SET, op};

const ETHERNET: usize = EthernetPacket::minimum_packet_size();
const IP: usize = Ipv4Packet::minimum_packet_size();
const ICMP: usize = MutableEchoRequestPacket::minimum_packet_size();
/// Tells an administrator who looks at a capture whose echo it is.
const PAYLOAD: &[u8; 8] = b"multiwan";
const FRAME: usize = ETHERNET + IP + ICMP + PAYLOAD.len();

/// What is asked beyond the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Echo {
    /// Hardware address of the line's device.
    pub(super) own: MacAddr,
    /// IPEi.
    pub(super) source: Ipv4Addr,
    /// Who is asked; one answer is enough.
    pub(super) targets: Vec<Ipv4Addr>,
    /// Tells our answers from others'.
    pub(super) identifier: u16,
}

impl Echo {
    /// The frames that ask each target, through the gateway.
    pub(super) fn frames(
        &self,
        gateway: MacAddr,
        sequence: u16,
    ) -> impl Iterator<Item = [u8; FRAME]> {
        self.targets
            .iter()
            .map(move |target| self.frame(gateway, *target, sequence))
    }

    fn frame(&self, gateway: MacAddr, target: Ipv4Addr, sequence: u16) -> [u8; FRAME] {
        let mut frame = [0; FRAME];
        let mut ethernet = MutableEthernetPacket::new(&mut frame).expect("the frame fits");
        ethernet.set_destination(gateway);
        ethernet.set_source(self.own);
        ethernet.set_ethertype(EtherTypes::Ipv4);
        let mut ip = MutableIpv4Packet::new(&mut frame[ETHERNET..]).expect("the frame fits");
        ip.set_version(4);
        ip.set_header_length(5);
        ip.set_total_length((FRAME - ETHERNET) as u16);
        ip.set_flags(Ipv4Flags::DontFragment);
        ip.set_ttl(64);
        ip.set_next_level_protocol(IpNextHeaderProtocols::Icmp);
        ip.set_source(self.source);
        ip.set_destination(target);
        ip.set_checksum(ipv4::checksum(&ip.to_immutable()));
        let body = &mut frame[ETHERNET + IP..];
        let mut echo = MutableEchoRequestPacket::new(body).expect("the frame fits");
        echo.set_icmp_type(IcmpTypes::EchoRequest);
        echo.set_identifier(self.identifier);
        echo.set_sequence_number(sequence);
        echo.set_payload(PAYLOAD);
        let checksum = icmp::checksum(&IcmpPacket::new(echo.packet()).expect("it is longer"));
        echo.set_checksum(checksum);
        frame
    }

    /// Whether a received frame is a target's answer.
    pub(super) fn is_answer(&self, frame: &[u8]) -> bool {
        self.answers(frame).unwrap_or(false)
    }

    fn answers(&self, frame: &[u8]) -> Option<bool> {
        let ethernet = EthernetPacket::new(frame)?;
        let ip = Ipv4Packet::new(ethernet.payload())?;
        let echo = EchoReplyPacket::new(ip.payload())?;
        Some(
            ethernet.get_ethertype() == EtherTypes::Ipv4
                && ip.get_next_level_protocol() == IpNextHeaderProtocols::Icmp
                && ip.get_destination() == self.source
                && self.targets.contains(&ip.get_source())
                && echo.get_icmp_type() == IcmpTypes::EchoReply
                && echo.get_identifier() == self.identifier,
        )
    }

    /// A classic BPF program that accepts our echo replies, from whomever.
    pub(super) fn filter(&self) -> [sock_filter; 13] {
        const START: u32 = ETHERNET as u32;
        [
            op(LOAD_HALF, 12, 0, 0),
            op(EQUAL, u32::from(EtherTypes::Ipv4.0), 0, 10),
            op(LOAD_BYTE, START + 9, 0, 0),
            op(EQUAL, u32::from(IpNextHeaderProtocols::Icmp.0), 0, 8),
            // No fragment but the first.
            op(LOAD_HALF, START + 6, 0, 0),
            op(SET, 0x1fff, 6, 0),
            op(LOAD_HEADER_X, START, 0, 0),
            // Type and code of an echo reply are both 0.
            op(LOAD_HALF_X, START, 0, 0),
            op(EQUAL, 0, 0, 3),
            op(LOAD_HALF_X, START + 4, 0, 0),
            op(EQUAL, u32::from(self.identifier), 0, 1),
            op(RETURN, u32::MAX, 0, 0),
            op(RETURN, 0, 0, 0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::run;
    use super::*;

    const MODEM: MacAddr = MacAddr(2, 0, 0, 0, 0, 2);
    const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
    const TARGET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);

    fn echo() -> Echo {
        Echo {
            own: MacAddr(2, 0, 0, 0, 0, 1),
            source: SOURCE,
            targets: vec![TARGET],
            identifier: 0x1234,
        }
    }

    /// The frame with which a target answers, with so many words of IP options.
    fn answer(options: usize) -> Vec<u8> {
        let request = echo().frame(MODEM, TARGET, 7);
        let mut frame = request[..ETHERNET + IP].to_vec();
        frame.extend(vec![1; 4 * options]);
        frame.extend(&request[ETHERNET + IP..]);
        frame[ETHERNET] = 0x45 + u8::try_from(options).unwrap();
        frame[ETHERNET + 12..ETHERNET + 16].copy_from_slice(&TARGET.octets());
        frame[ETHERNET + 16..ETHERNET + 20].copy_from_slice(&SOURCE.octets());
        frame[ETHERNET + IP + 4 * options] = 0;
        let total = u16::try_from(frame.len() - ETHERNET).unwrap();
        frame[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&total.to_be_bytes());
        frame
    }

    /// RFC 1071 over what already holds its checksum: nothing is left.
    fn left(bytes: &[u8]) -> u16 {
        let words = bytes
            .chunks(2)
            .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
        let sum: u32 = words.sum();
        !((sum & 0xffff) + (sum >> 16)) as u16
    }

    #[test]
    fn asks_with_right_checksums() {
        let frame = echo().frame(MODEM, TARGET, 7);
        assert_eq!(frame[..14], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        assert_eq!(left(&frame[ETHERNET..ETHERNET + IP]), 0);
        assert_eq!(left(&frame[ETHERNET + IP..]), 0);
        assert_eq!(frame[ETHERNET + IP..ETHERNET + IP + 2], [8, 0]);
        assert_eq!(
            frame[ETHERNET + IP + 4..ETHERNET + IP + 8],
            [0x12, 0x34, 0, 7]
        );
    }

    #[test]
    fn each_target_is_asked() {
        let targets = vec![TARGET, Ipv4Addr::new(192, 0, 2, 54)];
        let asked: Vec<_> = Echo { targets, ..echo() }
            .frames(MODEM, 1)
            .map(|frame| frame[ETHERNET + 19])
            .collect();
        assert_eq!(asked, [53, 54]);
    }

    #[test]
    fn hears_its_targets_and_nobody_else() {
        let echo = echo();
        for options in [0, 1, 10] {
            assert!(
                echo.is_answer(&answer(options)),
                "{options} words of options"
            );
            assert_ne!(
                run(&echo.filter(), &answer(options)),
                0,
                "{options} words of options"
            );
        }
        assert!(
            !echo.is_answer(&echo.frame(MODEM, TARGET, 7)),
            "its own question"
        );
        let spoilt = |place: usize| {
            let mut frame = answer(0);
            frame[place] ^= 1;
            frame
        };
        // From another address, to another address: the filter lets it through, the parser not.
        for place in [ETHERNET + 15, ETHERNET + 19] {
            assert!(!echo.is_answer(&spoilt(place)), "byte {place}");
        }
        // Another ethertype, protocol, type, identifier.
        for place in [13, ETHERNET + 9, ETHERNET + IP, ETHERNET + IP + 5] {
            assert!(!echo.is_answer(&spoilt(place)), "byte {place}");
            assert_eq!(run(&echo.filter(), &spoilt(place)), 0, "byte {place}");
        }
        for length in 0..ETHERNET + IP + 6 {
            assert!(!echo.is_answer(&answer(0)[..length]), "cut to {length}");
            assert_eq!(
                run(&echo.filter(), &answer(0)[..length]),
                0,
                "cut to {length}"
            );
        }
    }

    #[test]
    fn later_fragments_are_no_answer() {
        let mut frame = answer(0);
        frame[ETHERNET + 7] = 1;
        assert_eq!(run(&echo().filter(), &frame), 0);
    }
}
