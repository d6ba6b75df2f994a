//! A router as it is found.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use multiwan_kernel::nft;

use crate::clashes::ForeignRule;
use crate::state::{Address, Behind, Route, State};

/// What a network namespace holds, as far as it tells of lines.
#[derive(Debug, Clone, Default)]
pub struct Router {
    /// Interfaces, addresses, settings, rules, default routes, and multiwan's own table.
    pub state: State,
    /// Rules that select by more, or do something else, than those in the state.
    pub odd_rules: Vec<ForeignRule>,
    /// Addresses, by interface, that are there for a while only, as a DHCP client's are.
    pub leased: BTreeSet<(String, Ipv4Net)>,
    /// Interfaces that are PPP's.
    pub ppp: BTreeSet<String>,
    /// Tables with default routes that lead to a nexthop object and do not say where that leads
    /// (`net.ipv4.nexthop_compat_mode = 0`).
    pub by_object: BTreeSet<u32>,
    /// What main leads to by each interface.
    pub behind: Vec<Behind>,
    /// The tables of nftables, without multiwan's.
    pub tables: Vec<nft::Table>,
    /// Why nftables could not be read.
    pub hidden: Option<String>,
    /// What multiwan remembers of what it put there.
    pub remembered: Remembered,
}

/// What an `apply` remembered.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// The lines' names by their numbers.
    pub names: BTreeMap<u8, String>,
    /// Addresses that it put on interfaces.
    pub addresses: BTreeSet<Address>,
}

impl Router {
    /// The addresses of an interface, as the kernel prefers them.
    pub(super) fn addresses(&self, interface: &str) -> Vec<&Address> {
        let mut held: Vec<&Address> = self
            .state
            .addresses
            .iter()
            .filter(|address| address.interface == interface)
            .collect();
        held.sort_by_key(|address| address.rank);
        held
    }

    /// Whether what is beyond the interface is asked for by ARP; else it is point-to-point.
    pub(super) fn asks_by_arp(&self, interface: &str) -> bool {
        self.state.links.get(interface).is_some_and(|link| link.arp)
    }

    /// Whether somebody else gives the interface this address.
    pub(super) fn is_leased(&self, address: &Address) -> bool {
        self.leased
            .contains(&(address.interface.clone(), address.address))
    }

    /// The default routes of a table, in the order in which the kernel takes them.
    pub(super) fn routes(&self, table: u32) -> Vec<&Route> {
        let mut routes: Vec<&Route> = self
            .state
            .routes
            .iter()
            .filter(|route| route.table == table)
            .collect();
        routes.sort_by_key(|route| route.metric);
        routes
    }
}
