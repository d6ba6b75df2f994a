//! What is asked of targets beyond the gateway, as packets to the gateway's hardware address, or to
//! whoever is at the other end of a point-to-point link: finds the provider dead behind a live modem,
//! and alive again, whatever the routing tables say.

use std::net::Ipv4Addr;

use libc::sock_filter;

use super::echo::Echo;
use super::ip::{self, Way};
use super::query::Query;
use super::syn::Syn;
use crate::config::Target;

/// What is asked beyond the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Questions {
    /// IPEi.
    pub(super) source: Ipv4Addr,
    /// Who is asked; one answer is enough.
    pub(super) targets: Vec<Target>,
    pub(super) echo: Echo,
    pub(super) syn: Syn,
    pub(super) query: Query,
}

impl Questions {
    /// The packets that ask each target.
    pub(super) fn packets(&self, sequence: u16) -> impl Iterator<Item = Vec<u8>> {
        self.targets.iter().map(move |target| {
            let way = Way {
                source: self.source,
                target: target.address(),
            };
            match target {
                Target::Echo(_) => self.echo.packet(way, sequence),
                Target::Tcp(server) => self.syn.packet(way, server.port(), sequence),
                Target::Dns(_) => self.query.packet(way),
            }
        })
    }

    /// Whether a received packet is a target's answer.
    pub(super) fn is_answer(&self, packet: &[u8]) -> bool {
        let Some(received) = ip::read(packet) else {
            return false;
        };
        let answers = |target: &Target| match *target {
            Target::Echo(address) => received.source == address && self.echo.is_answer(received),
            Target::Tcp(server) => self.syn.is_answer(received, server),
            Target::Dns(address) => received.source == address && self.query.is_answer(received),
        };
        received.destination == self.source && self.targets.iter().any(answers)
    }

    /// What ends the connection that a target's answer would open, where it would.
    pub(super) fn reset(&self, answer: &[u8]) -> Option<Vec<u8>> {
        self.syn.reset(ip::read(answer)?)
    }

    /// A classic BPF program that accepts answers to our kinds of question, from whomever.
    pub(super) fn filter(&self) -> Vec<sock_filter> {
        let asks = |kind: fn(&Target) -> bool| self.targets.iter().any(kind);
        let mut program = ip::filter_begins().to_vec();
        if asks(|target| matches!(target, Target::Echo(_))) {
            program.extend(self.echo.filter());
        }
        if asks(|target| matches!(target, Target::Tcp(_))) {
            program.extend(self.syn.filter());
        }
        if asks(|target| matches!(target, Target::Dns(_))) {
            program.extend(self.query.filter());
        }
        program.extend(ip::filter_ends());
        program
    }
}

#[cfg(test)]
#[path = "beyond_tests.rs"]
mod tests;
