//! Whose a frame is that left by a line.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::Flows;
use crate::traffic::flow::FlowId;
use crate::traffic::frame::{self, Ends, Frame, Header, Protocol};
use crate::traffic::server::Request;

impl Flows {
    /// Notes a frame that reached a line's modem from the router.
    pub(in crate::traffic) fn note(&mut self, line: usize, bytes: &[u8], time: Duration) {
        match frame::read(bytes) {
            Frame::Segment {
                ends,
                header,
                payload,
                ..
            } => {
                let Ends {
                    source,
                    source_port,
                    destination,
                    ..
                } = ends;
                self.ledger.note_source(line, source);
                if let Some(number) = self.of_packet(ends, header, payload) {
                    let source = SocketAddrV4::new(source, source_port);
                    self.ledger.note(FlowId(number), line, source, time);
                    if let Header::Echo { reply: false, .. } = header {
                        self.echoes.insert((destination, source), number);
                    }
                } else {
                    self.ledger.note_destination(line, destination);
                }
            }
            Frame::IcmpError {
                from,
                to,
                quoted: (protocol, about),
                ..
            } => {
                self.ledger.note_source(line, from);
                self.ledger.note_destination(line, to);
                if let Some(number) = self.of_quoted(protocol, about) {
                    let source = SocketAddrV4::new(from, about.destination_port);
                    self.ledger.note(FlowId(number), line, source, time);
                }
            }
            Frame::Fragment { source, body } => {
                self.ledger.note_source(line, source);
                if let Some(flow) = self.whose(body) {
                    self.ledger.note_part(flow, line, source, time);
                }
            }
            Frame::OtherIpv4 { source, to } => {
                self.ledger.note_source(line, source);
                self.ledger.note_destination(line, to);
            }
            Frame::ArpRequest(_, wanted) => self.ledger.note_question(line, wanted),
            Frame::Other => {}
        }
    }

    /// The flow that a packet to the Internet is of. The Internet's port is no other flow's; an echo has
    /// none, and may have got any identifier from NAT: it says itself whose it is.
    pub(super) fn of_packet(&self, ends: Ends, header: Header, payload: &[u8]) -> Option<u32> {
        let Header::Echo { .. } = header else {
            let there = SocketAddrV4::new(ends.destination, ends.destination_port);
            return self.index.get(&(frame::protocol(header), there)).copied();
        };
        let Request { flow, exchange } = Request::from_bytes(payload)?;
        let known = self.all.get(flow as usize)?;
        let its = known.protocol == Protocol::Echo
            && *known.on_the_internet().ip() == ends.destination
            && (1..=known.exchanges).contains(&exchange);
        its.then_some(flow)
    }

    /// The flow that a packet from the Internet is of, of which an ICMP error quotes the ends: an echo's
    /// identifier is the one that the flow was last seen with there.
    pub(super) fn of_quoted(&self, protocol: Protocol, about: Ends) -> Option<u32> {
        let here = SocketAddrV4::new(about.destination, about.destination_port);
        let seen = match protocol {
            Protocol::Echo => self.echoes.get(&(about.source, here)),
            Protocol::Tcp | Protocol::Udp => None,
        };
        let there = SocketAddrV4::new(about.source, about.source_port);
        seen.or_else(|| self.index.get(&(protocol, there))).copied()
    }

    /// The flow that a fragment of a large request is of.
    fn whose(&self, body: &[u8]) -> Option<FlowId> {
        let Request { flow, .. } = Request::from_bytes(body)?;
        let large = self.all.get(flow as usize)?.size > Request::LENGTH;
        large.then_some(FlowId(flow))
    }
}
