//! What left by each line: every packet of every flow, by line and source.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::flow::FlowId;

/// Packets of one flow that left by one line with one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The line, from 0.
    pub line: usize,
    /// The source that the packets left with; of an ICMP echo the port is the identifier.
    pub source: SocketAddrV4,
    /// How many there were.
    pub packets: u32,
    /// When the first was seen, since the epoch.
    pub first: Duration,
    /// When the last was seen, since the epoch.
    pub last: Duration,
}

/// A packet that reached a client and belongs to no flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stray {
    /// Who it says that it comes from.
    pub source: SocketAddrV4,
    /// The client that it is for.
    pub to: Ipv4Addr,
}

/// All that was seen to leave.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    flows: Vec<Vec<Sighting>>,
    sources: BTreeMap<(usize, Ipv4Addr), u64>,
    destinations: BTreeMap<(usize, Ipv4Addr), u64>,
    questions: BTreeMap<(usize, Ipv4Addr), u64>,
    packets: u64,
}

impl Ledger {
    pub(crate) fn grow(&mut self) {
        self.flows.push(Vec::new());
    }

    /// Notes a packet of a flow.
    pub(crate) fn note(&mut self, flow: FlowId, line: usize, source: SocketAddrV4, time: Duration) {
        let sightings = &mut self.flows[flow.0 as usize];
        match sightings
            .iter_mut()
            .find(|seen| seen.line == line && seen.source == source)
        {
            Some(seen) => {
                seen.packets += 1;
                seen.last = time;
            }
            None => {
                sightings.push(Sighting {
                    line,
                    source,
                    packets: 1,
                    first: time,
                    last: time,
                });
            }
        }
    }

    /// Notes a fragment of a flow's packet, which does not have its port.
    pub(crate) fn note_part(
        &mut self,
        flow: FlowId,
        line: usize,
        source: Ipv4Addr,
        time: Duration,
    ) {
        let of = |seen: &&Sighting| seen.line == line && *seen.source.ip() == source;
        let whole = self.sightings(flow).iter().find(of).map(|seen| seen.source);
        let source = whole.unwrap_or(SocketAddrV4::new(source, 0));
        self.note(flow, line, source, time);
    }

    /// Notes the source of any packet, a flow's or not.
    pub(crate) fn note_source(&mut self, line: usize, source: Ipv4Addr) {
        *self.sources.entry((line, source)).or_default() += 1;
        self.packets += 1;
    }

    /// Notes where a packet goes that is no flow's.
    pub(crate) fn note_destination(&mut self, line: usize, to: Ipv4Addr) {
        *self.destinations.entry((line, to)).or_default() += 1;
    }

    /// Notes that somebody was asked for by ARP.
    pub(crate) fn note_question(&mut self, line: usize, wanted: Ipv4Addr) {
        *self.questions.entry((line, wanted)).or_default() += 1;
    }

    /// Where a flow was seen; several entries mean that it changed line or source.
    pub fn sightings(&self, flow: FlowId) -> &[Sighting] {
        &self.flows[flow.0 as usize]
    }

    /// The one line that all of a flow's packets left by, if there is one.
    pub fn line(&self, flow: FlowId) -> Option<usize> {
        let (first, rest) = self.sightings(flow).split_first()?;
        rest.iter()
            .all(|seen| seen.line == first.line)
            .then_some(first.line)
    }

    /// How many IPv4 packets left by each line with each source.
    pub fn sources(&self) -> impl Iterator<Item = (usize, Ipv4Addr, u64)> {
        self.sources
            .iter()
            .map(|(&(line, source), &packets)| (line, source, packets))
    }

    /// How many IPv4 packets beside those of flows left by each line for each destination.
    pub fn destinations(&self) -> impl Iterator<Item = (usize, Ipv4Addr, u64)> {
        self.destinations
            .iter()
            .map(|(&(line, to), &packets)| (line, to, packets))
    }

    /// How many ARP requests left by each line, to all or to one, for each address.
    pub fn questions(&self) -> impl Iterator<Item = (usize, Ipv4Addr, u64)> {
        self.questions
            .iter()
            .map(|(&(line, wanted), &requests)| (line, wanted, requests))
    }

    /// How many IPv4 packets left in all.
    pub fn packets(&self) -> u64 {
        self.packets
    }
}
