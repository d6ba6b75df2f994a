//! What is sent on flows: what waits for its turn, what was not answered in time, and what is asked
//! for beside.

use std::time::Instant;

use multiwan_kernel::packet::Burst;

use super::{Errand, Flows, Ports, Timer};
use crate::host::Mac;
use crate::traffic::flow::{FlowId, Origin, Outcome, Step};
use crate::traffic::frame::{self, FIN, Header, Refusal, SYN};
use crate::traffic::server::Request;

impl Flows {
    /// Begins what waits, as far as the window allows.
    pub(in crate::traffic) fn begin_waiting(&mut self, ports: &mut Ports) -> bool {
        let now = Instant::now();
        let mut happened = false;
        while self.under_way < self.window
            && let Some((number, errand)) = self.waiting.pop_front()
        {
            let flow = &mut self.all[number as usize];
            if flow.origin == Origin::Sockets {
                continue;
            }
            // One exchange at a time, and none after the end.
            if flow.pending() || flow.step == Step::Closed {
                continue;
            }
            match errand {
                Errand::Ask => flow.ask(now),
                Errand::Close => flow.close(now),
            }
            if flow.pending() {
                self.under_way += 1;
                if let Some(burst) = self.burst(number, ports) {
                    self.send(number, burst);
                }
                happened = true;
            }
        }
        happened
    }

    /// Where the frames of who asks on a flow go in.
    fn burst<'a>(&self, number: u32, ports: &'a mut Ports) -> Option<&'a mut Burst> {
        let port = match self.all[number as usize].origin {
            Origin::Client(client) => &mut ports.clients[self.clients[client].port],
            Origin::Outside(line) => &mut ports.servers[line],
            Origin::Sockets => return None,
        };
        Some(&mut port.burst)
    }

    /// Who asks on a flow, and its gateway.
    fn macs(&self, origin: Origin) -> Option<(Mac, Mac)> {
        match origin {
            Origin::Client(client) => Some((self.clients[client].mac, self.router)),
            Origin::Outside(line) => Some(self.uplinks[line]),
            Origin::Sockets => None,
        }
    }

    /// Sends the packet of a flow's step, for the first time or again, and minds when it will be
    /// due once more.
    pub(super) fn send(&mut self, number: u32, burst: &mut Burst) {
        let flow = &mut self.all[number as usize];
        flow.attempts += 1;
        flow.received = 0;
        self.timers.push_back(Timer {
            at: Instant::now() + self.patience.interval,
            flow: number,
            attempts: flow.attempts,
            exchange: flow.exchanges,
            step: flow.step,
        });
        self.write(number, burst);
    }

    pub(super) fn write(&self, number: u32, burst: &mut Burst) {
        let flow = &self.all[number as usize];
        let Some(macs) = self.macs(flow.origin) else {
            return;
        };
        let (header, request) = flow.packet();
        let asked = Request {
            flow: number,
            exchange: flow.exchanges,
        }
        .to_bytes();
        // Over and over, so that each fragment of a large one says whose it is.
        let long = asked.repeat(if flow.size > asked.len() {
            flow.size.div_ceil(asked.len())
        } else {
            0
        });
        let payload = match (request, long.is_empty()) {
            (false, _) => &[],
            (true, true) => &asked[..],
            (true, false) => &long,
        };
        frame::write(burst, macs, flow.ends(), header, payload);
    }

    /// Sends the last packet of a flow once more, for no answer.
    pub(in crate::traffic) fn repeat(&self, flow: FlowId, ports: &mut Ports) {
        if let Some(burst) = self.burst(flow.0, ports) {
            self.write(flow.0, burst);
        }
    }

    /// Sends an ICMP error from who asks on a flow, about the last answer.
    pub(in crate::traffic) fn complain(&self, flow: FlowId, refusal: Refusal, ports: &mut Ports) {
        let Some(burst) = self.burst(flow.0, ports) else {
            return;
        };
        let flow = &self.all[flow.0 as usize];
        let Some(macs) = self.macs(flow.origin) else {
            return;
        };
        let hosts = (*flow.local.ip(), *flow.server.ip());
        let (mut answer, _) = flow.packet();
        if let Header::Echo { reply, .. } = &mut answer {
            *reply = true;
        }
        let about = (answer, flow.ends().reversed());
        frame::write_refusal(burst, macs, hosts, refusal, about);
    }

    /// Writes a segment that makes no sense: SYN and FIN at once.
    pub(in crate::traffic) fn write_invalid(&self, flow: FlowId, ports: &mut Ports) {
        let Some(burst) = self.burst(flow.0, ports) else {
            return;
        };
        let flow = &self.all[flow.0 as usize];
        let Some(macs) = self.macs(flow.origin) else {
            return;
        };
        let header = Header::Tcp {
            sequence: 0,
            acknowledgement: 0,
            flags: SYN | FIN,
        };
        frame::write(burst, macs, flow.ends(), header, &[]);
    }

    /// Sends again what was not answered in time, or gives up.
    pub(in crate::traffic) fn expire(&mut self, ports: &mut Ports) -> bool {
        let now = Instant::now();
        let mut happened = false;
        while let Some(timer) = self.timers.pop_front_if(|timer| timer.at <= now) {
            let flow = &mut self.all[timer.flow as usize];
            let same = (flow.attempts, flow.exchanges, flow.step)
                == (timer.attempts, timer.exchange, timer.step);
            if !same || !flow.pending() {
                continue;
            }
            happened = true;
            if timer.attempts < self.patience.attempts {
                flow.retransmissions += 1;
                if let Some(burst) = self.burst(timer.flow, ports) {
                    self.send(timer.flow, burst);
                }
            } else {
                flow.end(Outcome::Silent);
                self.under_way -= 1;
            }
        }
        happened
    }
}
