//! Whose a frame is that left by a line.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::Flows;
use crate::traffic::flow::FlowId;
use crate::traffic::frame::{self, Ends, Frame};
use crate::traffic::server::Request;

impl Flows {
    /// Notes a frame that reached a line's modem from the router.
    pub(in crate::traffic) fn note(&mut self, line: usize, bytes: &[u8], time: Duration) {
        match frame::read(bytes) {
            Frame::Segment { ends, header, .. } => {
                let Ends {
                    source,
                    source_port,
                    destination,
                    destination_port,
                } = ends;
                self.ledger.note_source(line, source);
                let server = SocketAddrV4::new(destination, destination_port);
                if let Some(&number) = self.index.get(&(frame::protocol(header), server)) {
                    let source = SocketAddrV4::new(source, source_port);
                    self.ledger.note(FlowId(number), line, source, time);
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
                let server = SocketAddrV4::new(about.source, about.source_port);
                if let Some(&number) = self.index.get(&(protocol, server)) {
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

    /// The flow that a fragment of a large request is of.
    fn whose(&self, body: &[u8]) -> Option<FlowId> {
        let Request { flow, .. } = Request::from_bytes(body)?;
        let large = self.all.get(flow as usize)?.size > Request::LENGTH;
        large.then_some(FlowId(flow))
    }
}
