//! One line, by its table.

use std::net::Ipv4Addr;

use super::super::findings::{Found, Given, Line};
use super::super::line::broadcast;
use super::super::way::table;
use super::{Own, way};
use crate::resolve::default_route;
use crate::state::{Hop, TABLE_MAIN};

impl Own<'_> {
    /// None where the line has no route, since it is dead.
    pub(super) fn line(&self, number: u8) -> Option<Line> {
        let of = self.kernel.table(number);
        let routes = self.router.routes(of);
        let route = routes.into_iter().find(|route| !route.hops().is_empty())?;
        let (hop, source) = way(route)?;
        let held = self.router.addresses(&hop.interface);
        let address = held
            .into_iter()
            .find(|address| Some(address.address.addr()) == source)?;
        let mut doubts = Vec::new();
        let given = self.given(of, address, &mut doubts);
        let gateway = hop
            .gateway
            .filter(|gateway| given.value != Given::Dynamic || !self.finds(hop, *gateway));
        let (weight, backup) = self.share(hop);
        if backup.is_some() {
            doubts.push(
                "among backups, weights are in the kernel only while they are in use: 1 is written"
                    .to_owned(),
            );
        }
        Some(Line {
            name: self.name(number),
            number: None,
            interface: Found::new(hop.interface.clone(), table(of)),
            broadcast: (given.value != Given::Dynamic)
                .then(|| broadcast(address))
                .flatten(),
            keep: self.kept(of, address, given.value),
            address: given,
            onlink: gateway.is_some() && hop.onlink,
            gateway: gateway.map(|gateway| Found::new(gateway, table(of))),
            weight,
            backup,
            remarks: Vec::new(),
            doubts,
        })
    }

    /// Whether multiwan finds this gateway of a dynamic line by itself.
    fn finds(&self, hop: &Hop, gateway: Ipv4Addr) -> bool {
        let main = default_route(&hop.interface, TABLE_MAIN, &self.router.state);
        self.router.asks_by_arp(&hop.interface)
            && main.is_some_and(|(main, _)| main.gateway == Some(gateway))
    }

    fn share(&self, hop: &Hop) -> (Found<u16>, Option<String>) {
        let of = self.kernel.balance_table;
        let shared = self.router.routes(of);
        let hops = shared.iter().flat_map(|route| route.hops());
        let mut alike = hops.filter(|other| other.same_way(hop));
        match alike.next() {
            Some(hop) => {
                let place = format!("nexthop weight {} in {}", hop.weight, table(of));
                (Found::new(hop.weight, place), None)
            }
            None => (Found::new(1, ""), Some(format!("not in {}", table(of)))),
        }
    }
}
