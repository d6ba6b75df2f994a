//! Who talks to whom.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Client–server pairs, none twice: one server after the other in random order, each with every
/// client once. Their order follows from `rng` as it was, whatever else is drawn from that later.
pub(super) struct Pairs {
    rng: ChaCha8Rng,
    clients: Vec<usize>,
    next: usize,
    current: Ipv4Addr,
    network: u32,
    /// Steps through all servers once: odd, so that it meets each of a power of two.
    stride: u32,
    count: u32,
    mask: u32,
    /// Whom nobody talks to.
    not: Vec<Ipv4Net>,
}

impl Pairs {
    /// These clients, each with every server of the network but those of some others.
    pub(super) fn new(
        rng: &mut ChaCha8Rng,
        clients: Vec<usize>,
        servers: Ipv4Net,
        not: &[Ipv4Net],
    ) -> Self {
        let mut rng = ChaCha8Rng::from_rng(rng);
        let mut pairs = Self {
            next: clients.len(),
            clients,
            current: servers.addr(),
            network: u32::from(servers.network()),
            stride: rng.next_u32() | 1,
            count: rng.next_u32(),
            mask: !u32::from(servers.netmask()),
            not: not.to_vec(),
            rng,
        };
        pairs.current = pairs.server();
        pairs
    }

    /// A server that had no flow yet.
    pub(super) fn server(&mut self) -> Ipv4Addr {
        loop {
            self.count = self.count.wrapping_add(1);
            let host = self.count.wrapping_mul(self.stride) & self.mask;
            let server = Ipv4Addr::from(self.network | host);
            let no_host = host == 0 || host == self.mask;
            if !no_host && !self.not.iter().any(|net| net.contains(&server)) {
                return server;
            }
        }
    }

    /// A client and a server that had no flow together yet.
    pub(super) fn next(&mut self) -> (usize, Ipv4Addr) {
        if self.next >= self.clients.len() {
            self.clients.shuffle(&mut self.rng);
            self.current = self.server();
            self.next = 0;
        }
        self.next += 1;
        (self.clients[self.next - 1], self.current)
    }
}

/// Two halves of the Internet: where connections go that are judged, and where those go by which a
/// wait looks how things stand. How many looks there are depends on time; so they take nothing from
/// the others, whose pairs and ports are those of the seed.
pub(super) fn halves(servers: Ipv4Net) -> [Ipv4Net; 2] {
    let half = |address| Ipv4Net::new_assert(address, servers.prefix_len() + 1);
    let upper = u32::from(servers.network()) | (1 << (31 - servers.prefix_len()));
    [half(servers.network()), half(upper.into())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENTS: usize = 17;

    fn internet() -> [Ipv4Net; 2] {
        halves("198.18.0.0/15".parse().unwrap())
    }

    fn drawn(looks: usize) -> Vec<(usize, Ipv4Addr)> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let [judged, looked_at] = internet();
        let clients: Vec<usize> = (0..CLIENTS).collect();
        let mut pairs = Pairs::new(&mut rng, clients.clone(), judged, &[]);
        let mut glances = Pairs::new(&mut rng, clients, looked_at, &[]);
        let mut drawn = Vec::new();
        for _ in 0..500 {
            for _ in 0..looks {
                let (_, server) = glances.next();
                assert!(looked_at.contains(&server) && !judged.contains(&server));
            }
            drawn.push(pairs.next());
        }
        drawn
    }

    #[test]
    fn looks_change_nothing_of_the_pairs_that_are_judged() {
        assert_eq!(drawn(0), drawn(3));
    }

    #[test]
    fn the_halves_are_the_whole_and_meet_nowhere() {
        let [lower, upper] = internet().map(|half| half.to_string());
        assert_eq!((&*lower, &*upper), ("198.18.0.0/16", "198.19.0.0/16"));
    }

    #[test]
    fn no_pair_comes_twice() {
        let mut pairs = drawn(0);
        pairs.sort_unstable();
        pairs.dedup();
        assert_eq!(pairs.len(), 500);
    }
}
