//! What was found, each value with the place that it was found in.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::config::{Established, Kernel, Spread};

/// A value, and where it was found, in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) place: String,
}

impl<T> Found<T> {
    pub(super) fn new(value: T, place: impl Into<String>) -> Self {
        Self {
            value,
            place: place.into(),
        }
    }
}

/// All that a configuration can be written from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Findings {
    pub(super) spread: Option<Found<Spread>>,
    pub(super) established: Option<Found<Established>>,
    pub(super) lans: Vec<Lan>,
    pub(super) lines: Vec<Line>,
    pub(super) keepalive: Keepalive,
    pub(super) pins: Vec<Pin>,
    /// Where it is multiwan's own numbers that were found.
    pub(super) kernel: Option<Kernel>,
    /// What cannot be told, or had to be chosen, and is no single line's.
    pub(super) doubts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lan {
    pub(super) interface: String,
    pub(super) address: Found<Ipv4Net>,
    /// Behind it.
    pub(super) networks: Vec<Ipv4Net>,
}

impl Lan {
    /// Its own network, and those behind it.
    pub(super) fn inside(&self) -> impl Iterator<Item = Ipv4Net> {
        let own = self.address.value.trunc();
        std::iter::once(own).chain(self.networks.iter().copied())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: String,
    /// Where it is not the one that its place in the file gives it.
    pub(super) number: Option<Found<u8>>,
    pub(super) interface: Found<String>,
    pub(super) address: Found<Given>,
    pub(super) broadcast: Option<Ipv4Addr>,
    pub(super) gateway: Option<Found<Ipv4Addr>>,
    pub(super) onlink: bool,
    /// Addresses of others on the interface.
    pub(super) keep: Vec<Ipv4Net>,
    pub(super) weight: Found<u16>,
    /// Why it gets no new connections while others are up.
    pub(super) backup: Option<String>,
    /// What else is known of it.
    pub(super) remarks: Vec<String>,
    /// What of it cannot be told, or had to be chosen.
    pub(super) doubts: Vec<String>,
}

/// A line's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Always(Ipv4Net),
    Dynamic,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Keepalive {
    pub(super) interval: Option<Found<Duration>>,
    pub(super) timeout: Option<Found<Duration>>,
    pub(super) failures: Option<Found<u32>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pin {
    pub(super) from: Option<Ipv4Net>,
    pub(super) to: Option<Ipv4Net>,
    pub(super) protocol: Option<u8>,
    pub(super) port: Option<u16>,
    pub(super) line: Found<String>,
}
