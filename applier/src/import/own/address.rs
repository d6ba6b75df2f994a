//! Whether a line's address is described or dynamic.

use ipnet::Ipv4Net;

use super::super::findings::{Found, Given};
use super::{Own, way};
use crate::state::Address;

impl Own<'_> {
    /// A described address is asked for with its network, a dynamic one by itself; so is a described
    /// one that shares its network with another line.
    pub(super) fn given(
        &self,
        of: u32,
        address: &Address,
        doubts: &mut Vec<String>,
    ) -> Found<Given> {
        let net = address.address;
        let by_host = self
            .rules()
            .filter(|rule| rule.table == of && rule.priority == of)
            .filter_map(|rule| rule.from)
            .filter(|from| from.contains(&net.addr()))
            .all(|from| from.prefix_len() == 32);
        let always = |place: &str| Found::new(Given::Always(net), place);
        let dynamic = |place: &str| Found::new(Given::Dynamic, format!("{place}; now {net}"));
        if self.router.remembered.addresses.contains(address) {
            return always("put there by multiwan");
        }
        if !by_host {
            return always("its rule is for its network");
        }
        if self.router.is_leased(address) {
            return dynamic("there for a while only, as by DHCP");
        }
        if self.router.ppp.contains(&address.interface) {
            return dynamic("PPP's");
        }
        if net.prefix_len() < 32 && !self.shares_network(address) {
            return dynamic("its rule is for it alone");
        }
        if self.leaves_others(of, address) {
            return dynamic("other addresses are left beside it");
        }
        doubts.push(
            "whether its address is described or dynamic cannot be told: it is written as it is now"
                .to_owned(),
        );
        always("not put there by multiwan")
    }

    /// The addresses of the lines that are alive.
    fn in_use(&self) -> impl Iterator<Item = &Address> {
        let tables = self.lines().into_iter().map(|line| self.kernel.table(line));
        tables.filter_map(|table| {
            let routes = self.router.routes(table);
            let (hop, source) = routes.into_iter().find_map(way)?;
            let mut held = self.router.addresses(&hop.interface).into_iter();
            held.find(|address| Some(address.address.addr()) == source)
        })
    }

    fn shares_network(&self, address: &Address) -> bool {
        let net = address.address;
        let mut others = self.in_use().filter(|other| *other != address);
        others.any(|other| {
            net.contains(&other.address.network()) || other.address.contains(&net.network())
        })
    }

    /// Whether the interface has an address that no line has, and that is not described as somebody
    /// else's: where lines are described, `apply` takes such away.
    fn leaves_others(&self, of: u32, address: &Address) -> bool {
        let kept = self.kept_networks(of, address);
        let mut others = self.others(address);
        others.any(|other| !kept.iter().any(|net| net.contains(&other.address.addr())))
    }

    /// What is described as others': networks that rules of the line are for, and the addresses that were
    /// left beside its own.
    pub(super) fn kept(&self, of: u32, address: &Address, given: Given) -> Vec<Ipv4Net> {
        let mut kept = self.kept_networks(of, address);
        let mut on_card = self
            .in_use()
            .filter(|used| used.interface == address.interface);
        if given != Given::Dynamic && on_card.next() == Some(address) {
            for other in self.others(address) {
                let other = other.address.addr();
                if !kept.iter().any(|net| net.contains(&other)) {
                    kept.push(other.into());
                }
            }
        }
        kept
    }

    fn kept_networks(&self, of: u32, address: &Address) -> Vec<Ipv4Net> {
        let own = address.address.addr();
        self.rules()
            .filter(|rule| rule.table == of && rule.priority == of)
            .filter_map(|rule| rule.from)
            .filter(|from| !from.contains(&own))
            .collect()
    }

    /// What the interface has beside the lines' addresses.
    fn others(&self, address: &Address) -> impl Iterator<Item = &Address> {
        let held = self.router.addresses(&address.interface).into_iter();
        held.filter(|one| !self.in_use().any(|used| used == *one))
    }
}
