//! ARP as a question and its answer (RFC 826): the one thing that every gateway on Ethernet must
//! answer, also one that drops echo requests (how-to 2.4).

use std::net::Ipv4Addr;

use libc::sock_filter;
use pnet::packet::Packet;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket};
use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::util::MacAddr;

use super::filter::{EQUAL, LOAD_HALF, LOAD_WORD, RETURN, op};

const ETHERNET: usize = EthernetPacket::minimum_packet_size();
/// Length of an ARP frame without padding.
pub(super) const FRAME: usize = ETHERNET + ArpPacket::minimum_packet_size();
/// Offset of the sender's protocol address in the frame.
const SENDER: u32 = ETHERNET as u32 + 14;

/// What is asked on a line: who has the gateway's address?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    /// Hardware address of the line's device.
    pub(super) own: MacAddr,
    /// IPEi.
    pub(super) source: Ipv4Addr,
    /// GWEi.
    pub(super) gateway: Ipv4Addr,
}

/// A frame from the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It answers: what is sent on the line arrives, and what comes back too.
    Reply(MacAddr),
    /// It asks or announces itself: what it sends arrives. A modem that drops all it gets still
    /// does that, so it is a reason to probe and no answer.
    Request,
}

impl Question {
    /// The frame that asks, to everybody or to one hardware address.
    pub(super) fn frame(&self, to: MacAddr) -> [u8; FRAME] {
        let mut frame = [0; FRAME];
        let mut ethernet = MutableEthernetPacket::new(&mut frame).expect("the frame fits");
        ethernet.set_destination(to);
        ethernet.set_source(self.own);
        ethernet.set_ethertype(EtherTypes::Arp);
        let mut arp = MutableArpPacket::new(&mut frame[ETHERNET..]).expect("the frame fits");
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(ArpOperations::Request);
        arp.set_sender_hw_addr(self.own);
        arp.set_sender_proto_addr(self.source);
        arp.set_target_hw_addr(MacAddr::zero());
        arp.set_target_proto_addr(self.gateway);
        frame
    }

    /// What a received frame says, where it is the gateway's.
    pub(super) fn heard(&self, frame: &[u8]) -> Option<Heard> {
        let ethernet = EthernetPacket::new(frame)?;
        if ethernet.get_ethertype() != EtherTypes::Arp {
            return None;
        }
        let arp = ArpPacket::new(ethernet.payload())?;
        let sender = arp.get_sender_hw_addr();
        if arp.get_sender_proto_addr() != self.gateway || sender == self.own {
            return None;
        }
        match arp.get_operation() {
            ArpOperations::Reply => Some(Heard::Reply(sender)),
            ArpOperations::Request => Some(Heard::Request),
            _ => None,
        }
    }

    /// A classic BPF program that accepts ARP frames from the gateway, so that nothing else on
    /// the line wakes the keepalive.
    pub(super) fn filter(&self) -> [sock_filter; 6] {
        [
            op(LOAD_HALF, 12, 0, 0),
            op(EQUAL, u32::from(EtherTypes::Arp.0), 0, 3),
            op(LOAD_WORD, SENDER, 0, 0),
            op(EQUAL, self.gateway.to_bits(), 0, 1),
            op(RETURN, u32::MAX, 0, 0),
            op(RETURN, 0, 0, 0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::run;
    use super::*;

    const OWN: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);
    const MODEM: MacAddr = MacAddr(2, 0, 0, 0, 0, 2);
    const QUESTION: Question = Question {
        own: OWN,
        source: Ipv4Addr::new(198, 51, 100, 2),
        gateway: Ipv4Addr::new(198, 51, 100, 1),
    };

    /// A frame as the gateway would send it.
    fn from_gateway(operation: u8, sender: [u8; 4]) -> Vec<u8> {
        let mut frame = Vec::from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6]);
        frame.extend([0, 1, 8, 0, 6, 4, 0, operation]);
        frame.extend([2, 0, 0, 0, 0, 2]);
        frame.extend(sender);
        frame.extend([2, 0, 0, 0, 0, 1, 198, 51, 100, 2]);
        frame.extend([0; 18]); // padding to the shortest Ethernet frame
        frame
    }

    #[test]
    fn asks_as_the_bytes_of_rfc_826_say() {
        let mut expected = Vec::from([0xff; 6]);
        expected.extend([2, 0, 0, 0, 0, 1, 8, 6]);
        expected.extend([0, 1, 8, 0, 6, 4, 0, 1]);
        expected.extend([2, 0, 0, 0, 0, 1, 198, 51, 100, 2]);
        expected.extend([0, 0, 0, 0, 0, 0, 198, 51, 100, 1]);
        assert_eq!(QUESTION.frame(MacAddr::broadcast())[..], expected);
        assert_eq!(QUESTION.frame(MODEM)[..6], [2, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn hears_the_gateway_and_nobody_else() {
        let gateway = [198, 51, 100, 1];
        assert_eq!(
            QUESTION.heard(&from_gateway(2, gateway)),
            Some(Heard::Reply(MODEM))
        );
        assert_eq!(
            QUESTION.heard(&from_gateway(1, gateway)),
            Some(Heard::Request)
        );
        assert_eq!(QUESTION.heard(&from_gateway(3, gateway)), None);
        assert_eq!(QUESTION.heard(&from_gateway(2, [198, 51, 100, 9])), None);
        assert_eq!(
            QUESTION.heard(&QUESTION.frame(MODEM)),
            None,
            "its own question"
        );
        for length in 0..FRAME {
            assert_eq!(
                QUESTION.heard(&from_gateway(2, gateway)[..length]),
                None,
                "cut to {length}"
            );
        }
    }

    #[test]
    fn the_filter_wakes_for_the_gateway_only() {
        let filter = QUESTION.filter();
        let accepts = |frame: &[u8]| run(&filter, frame) != 0;
        assert!(accepts(&from_gateway(2, [198, 51, 100, 1])));
        assert!(accepts(&from_gateway(1, [198, 51, 100, 1])));
        assert!(!accepts(&from_gateway(2, [198, 51, 100, 3])));
        let mut ip = from_gateway(2, [198, 51, 100, 1]);
        ip[12..14].copy_from_slice(&[8, 0]);
        assert!(!accepts(&ip));
        assert!(!accepts(&ip[..13]));
    }
}
