//! Clients that the router tells things by ICMP, and no more than it has a word for.

use std::ops::Range;
use std::time::{Duration, Instant};

use multiwan_lab::traffic::{FlowId, Origin};

use super::Scene;
use crate::judgement::Trouble;

/// The kernel has a word for a client once in two seconds: the route that refuses and the error that
/// says so are limited to one a second each, out of one account (`ip_rt_error_cost`,
/// `icmp_ratelimit`).
const REST: Duration = Duration::from_millis(2100);

impl Scene<'_> {
    /// The clients that were asked for with [`Scene::set_with`], which are the last ones. Where the
    /// LAN has no room for any, all.
    pub fn listeners(&self) -> Range<usize> {
        let fresh = self.lab.topology().flyweights;
        let last = self.traffic.clients();
        if fresh == 0 {
            0..last
        } else {
            last - fresh..last
        }
    }

    /// So many of the listeners, or all: those that were told nothing for longest. Time passes until
    /// the router has a word for each.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn rested(&mut self, at_most: usize) -> Result<Vec<usize>, Trouble> {
        let told = self.last_told();
        let mut clients: Vec<usize> = self.listeners().collect();
        clients.sort_by_key(|&client| told[client]);
        clients.truncate(at_most);
        self.rest(clients.iter().filter_map(|&client| told[client]).max())?;
        Ok(clients)
    }

    /// The first of each client's flows among these. Time passes until the router has a word for
    /// each client.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn rested_flows(&mut self, flows: &[FlowId]) -> Result<Vec<FlowId>, Trouble> {
        let told = self.last_told();
        let mut taken = vec![false; told.len()];
        let mut latest = None;
        let mut first = flows.to_vec();
        first.retain(|&flow| {
            let Origin::Client(client) = self.traffic.flow(flow).origin else {
                return true;
            };
            latest = latest.max(told[client]);
            !std::mem::replace(&mut taken[client], true)
        });
        self.rest(latest)?;
        Ok(first)
    }

    fn rest(&mut self, since: Option<Instant>) -> Result<(), Trouble> {
        let until = since.map(|since| since + REST);
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        self.pause(left.unwrap_or_default())
    }

    /// When each client last asked what had no answer, and so was told or may be.
    fn last_told(&self) -> Vec<Option<Instant>> {
        let mut told = vec![None; self.traffic.clients()];
        for (_, flow) in self.traffic.flows() {
            if let Origin::Client(client) = flow.origin
                && !flow.answered()
            {
                told[client] = told[client].max(flow.asked);
            }
        }
        told
    }
}
