//! What reaches clients and the Internet, and what is said to it.

use std::net::SocketAddrV4;
use std::time::Instant;

use multiwan_kernel::packet::{Burst, Captured};

use super::{Endpoint, Errand, Flows};
use crate::host::Mac;
use crate::traffic::download::{self, Arrival};
use crate::traffic::flow::{Flow, FlowId, Origin, Outcome, Progress, Step};
use crate::traffic::frame::{self, Ends, Frame, Header, Protocol};
use crate::traffic::ledger::Stray;
use crate::traffic::server::{self, Answer, Request};

impl Flows {
    /// Takes in a frame that reached a client's port.
    pub(in crate::traffic) fn hear(
        &mut self,
        port: usize,
        seen: &Captured<'_>,
        now: Instant,
        burst: &mut Burst,
    ) {
        match frame::read(seen.bytes) {
            Frame::Segment {
                from,
                ends,
                header,
                payload,
            } => {
                let protocol = frame::protocol(header);
                let source = SocketAddrV4::new(ends.source, ends.source_port);
                if let Some(number) = self.asker(port, protocol, ends.reversed()) {
                    self.hear_download(number, header, payload, seen);
                    let length = payload.len() + seen.length - seen.bytes.len();
                    self.hear_server(number, header, (payload, length), now, burst);
                    return;
                }
                let to = ends.destination;
                let ours = |client: &&Endpoint| client.port == port && client.address == to;
                let Some(client) = self.clients.iter().find(ours) else {
                    return;
                };
                match self.index.get(&(protocol, source)) {
                    Some(&number) => {
                        let origin = self.all[number as usize].origin;
                        if matches!(origin, Origin::Outside(_)) {
                            server::reply(burst, (client.mac, from), ends, header, payload);
                        }
                    }
                    None => self.strays.push(Stray { source, to }),
                }
            }
            Frame::IcmpError {
                from,
                kind,
                code,
                quoted: (protocol, ends),
                ..
            } => {
                if let Some(number) = self.asker(port, protocol, ends) {
                    self.all[number as usize].end(Outcome::Refused { from, kind, code });
                    self.under_way -= 1;
                }
            }
            Frame::ArpRequest(asker, wanted) => {
                let ours = |client: &&Endpoint| client.port == port && client.address == wanted;
                if let Some(client) = self.clients.iter().find(ours) {
                    frame::write_arp_reply(burst, client.mac, wanted, &asker);
                }
            }
            Frame::Fragment { .. } | Frame::OtherIpv4 { .. } | Frame::Other => {}
        }
    }

    /// The flow of a client at this port that has sent a packet with these ends, and waits.
    fn asker(&self, port: usize, protocol: Protocol, ends: Ends) -> Option<u32> {
        let server = SocketAddrV4::new(ends.destination, ends.destination_port);
        let number = *self.index.get(&(protocol, server))?;
        let flow = &self.all[number as usize];
        let Origin::Client(client) = flow.origin else {
            return None;
        };
        let here = self.clients[client].port == port;
        (here && flow.pending() && flow.ends() == ends).then_some(number)
    }

    /// Takes in a frame that reached the Internet by a line, and appends what is said to it.
    pub(in crate::traffic) fn serve(
        &mut self,
        line: usize,
        mac: Mac,
        bytes: &[u8],
        now: Instant,
        burst: &mut Burst,
    ) {
        let frame = frame::read(bytes);
        if !(self.lively && self.hear_outside(line, mac, &frame, now, burst)) {
            server::answer(burst, mac, self.servers, &frame);
        }
    }

    /// Whether the frame was for a host that asks from outside, or is refused.
    fn hear_outside(
        &mut self,
        line: usize,
        mac: Mac,
        frame: &Frame<'_>,
        now: Instant,
        burst: &mut Burst,
    ) -> bool {
        let (number, ends) = match *frame {
            Frame::Segment {
                ends,
                header,
                payload,
                ..
            } => (self.of_packet(ends, header, payload), ends),
            Frame::IcmpError {
                quoted: (protocol, about),
                ..
            } => (self.of_quoted(protocol, about), about.reversed()),
            _ => return false,
        };
        let Some(number) = number else {
            return false;
        };
        let flow = &mut self.all[number as usize];
        let Origin::Outside(by) = flow.origin else {
            let &Frame::Segment {
                from,
                header,
                payload,
                ..
            } = frame
            else {
                return false;
            };
            let Some(refusal) = flow.refusal else {
                return Self::deliver(flow, (mac, from), ends, header, payload, burst);
            };
            let hosts = (ends.destination, ends.source);
            frame::write_refusal(burst, (mac, from), hosts, refusal, (header, ends));
            return true;
        };
        // What comes by another line is no answer to it, as for a provider that looks at sources.
        if by != line || !flow.pending() || flow.ends() != ends.reversed() {
            return true;
        }
        match *frame {
            Frame::Segment {
                header, payload, ..
            } => self.hear_server(number, header, (payload, payload.len()), now, burst),
            Frame::IcmpError {
                from, kind, code, ..
            } => {
                flow.end(Outcome::Refused { from, kind, code });
                self.under_way -= 1;
            }
            _ => {}
        }
        true
    }

    /// Whether what a client asks is for a download, whose answer is appended then.
    fn deliver(
        flow: &Flow,
        macs: (Mac, Mac),
        ends: Ends,
        header: Header,
        request: &[u8],
        burst: &mut Burst,
    ) -> bool {
        let Header::Tcp {
            sequence,
            acknowledgement,
            ..
        } = header
        else {
            return false;
        };
        if flow.wants == 0 || request.is_empty() {
            return false;
        }
        let numbers = (sequence, acknowledgement);
        download::deliver(burst, macs, ends, numbers, request, flow.wants);
        true
    }

    /// Notes a frame of a download at its client, if it is the next of those that it waits for.
    fn hear_download(&mut self, number: u32, header: Header, payload: &[u8], seen: &Captured<'_>) {
        let flow = &self.all[number as usize];
        if flow.wants > 0 && !payload.is_empty() && flow.is_next(header) {
            self.arrivals.push(Arrival {
                flow: FlowId(number),
                at: seen.time,
                bytes: u32::try_from(seen.length).unwrap_or(u32::MAX),
            });
        }
    }

    fn hear_server(
        &mut self,
        number: u32,
        header: Header,
        (payload, length): (&[u8], usize),
        now: Instant,
        burst: &mut Burst,
    ) {
        let flow = &mut self.all[number as usize];
        if let Some(answer) = Answer::from_bytes(payload) {
            if answer.request
                != (Request {
                    flow: number,
                    exchange: flow.exchanges,
                })
            {
                return;
            }
            flow.seen_as = Some(answer.seen_as);
        }
        match flow.receive(header, length, Request::LENGTH, now) {
            Progress::None => {}
            Progress::Send => self.send(number, burst),
            Progress::Done => {
                self.under_way -= 1;
                if flow.brief && flow.answered() && flow.step == Step::Idle {
                    self.waiting.push_back((number, Errand::Close));
                }
            }
            Progress::DoneAndSend => {
                self.under_way -= 1;
                self.write(number, burst);
            }
        }
    }
}
