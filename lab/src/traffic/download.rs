//! Downloads: answers of many segments, and when each of their frames reached its client.
//!
//! A server sends all of an answer at once, as today's do with up to ten segments (RFC 6928,
//! initial window), and the client asks for the next when it has the whole. So what a line is to
//! carry waits in the line's own queue, and no sender's pace is in what is measured.

use std::net::Ipv4Addr;
use std::time::Duration;

use multiwan_kernel::packet::Burst;

use super::flow::FlowId;
use super::frame::{self, ACK, Ends, Header, PSH, Protocol};
use super::server::{Answer, Request};
use super::{Errand, Traffic};
use crate::host::Mac;

/// What a TCP segment carries in a frame of Ethernet, without options.
pub const SEGMENT: u32 = 1460;

/// A frame of a download that reached its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Which download.
    pub flow: FlowId,
    /// When the client's kernel saw it, since the epoch.
    pub at: Duration,
    /// Its length on the wire, from its Ethernet header on.
    pub bytes: u32,
}

impl Traffic {
    /// Asks once more on a flow by TCP, when its turn comes, for an answer of so many bytes; ten
    /// [`SEGMENT`]s at most are what a server sends at once.
    pub fn download(&mut self, flow: FlowId, bytes: u32) {
        self.flows.all[flow.0 as usize].wants = bytes;
        self.flows.lively = true;
        self.flows.wait(flow, Errand::Ask);
    }

    /// Begins a whole conversation by TCP: it opens, asks for an answer of so many bytes, and
    /// closes.
    pub fn fetch(&mut self, client: usize, server: Ipv4Addr, bytes: u32) -> FlowId {
        let flow = self.converse(client, server, Protocol::Tcp);
        self.flows.all[flow.0 as usize].wants = bytes;
        self.flows.lively = true;
        flow
    }

    /// Sets how many exchanges may be under way at once, see [`Options`](super::Options).
    pub fn set_window(&mut self, window: usize) {
        self.flows.window = window;
    }

    /// Every frame of a download that reached its client in order, so far.
    pub fn arrivals(&self) -> &[Arrival] {
        &self.flows.arrivals
    }
}

/// Appends an answer of so many bytes to a request by TCP, in segments.
pub(super) fn deliver(
    burst: &mut Burst,
    macs: (Mac, Mac),
    ends: Ends,
    (sequence, acknowledgement): (u32, u32),
    request: &[u8],
    bytes: u32,
) {
    let answer = Answer::to_bytes(request, ends);
    let mut payload = [0; SEGMENT as usize];
    payload[..answer.len()].copy_from_slice(&answer);
    let mut sent = 0;
    while sent < bytes {
        // Each says at its beginning what it answers.
        let length = (bytes - sent).min(SEGMENT).max(answer.len() as u32);
        let header = Header::Tcp {
            sequence: acknowledgement.wrapping_add(sent),
            acknowledgement: sequence.wrapping_add(Request::LENGTH as u32),
            flags: if sent + length < bytes {
                ACK
            } else {
                ACK | PSH
            },
        };
        let payload = &payload[..length as usize];
        frame::write(burst, macs, ends.reversed(), header, payload);
        sent += length;
    }
}
