//! Who talks to whom.

use std::net::Ipv4Addr;

use multiwan_lab::Lab;
use rand::Rng as _;
use rand::seq::SliceRandom as _;

use crate::context::Context;

/// Client–server pairs, none twice: one server after the other in random order, each with every
/// client once.
pub(super) struct Pairs {
    clients: Vec<usize>,
    next: usize,
    current: Ipv4Addr,
    network: u32,
    /// Steps through all servers once: odd, so that it meets each of a power of two.
    stride: u32,
    count: u32,
    mask: u32,
}

impl Pairs {
    pub(super) fn new(cx: &mut Context, lab: &Lab) -> Self {
        let servers = lab.topology().servers;
        let mask = !u32::from(servers.netmask());
        let clients: Vec<usize> = (0..lab.topology().clients).collect();
        let mut pairs = Self {
            next: clients.len(),
            clients,
            current: servers.addr(),
            network: u32::from(servers.network()),
            stride: cx.rng.next_u32() | 1,
            count: cx.rng.next_u32(),
            mask,
        };
        pairs.current = pairs.server();
        pairs
    }

    /// A server that had no flow yet.
    pub(super) fn server(&mut self) -> Ipv4Addr {
        loop {
            self.count = self.count.wrapping_add(1);
            let host = self.count.wrapping_mul(self.stride) & self.mask;
            // Neither the network's own nor its broadcast address.
            if host != 0 && host != self.mask {
                return Ipv4Addr::from(self.network | host);
            }
        }
    }

    /// A client and a server that had no flow together yet.
    pub(super) fn next(&mut self, rng: &mut impl rand::Rng) -> (usize, Ipv4Addr) {
        if self.next >= self.clients.len() {
            self.clients.shuffle(rng);
            self.current = self.server();
            self.next = 0;
        }
        self.next += 1;
        (self.clients[self.next - 1], self.current)
    }
}
