//! The ways out: where default routes lead.

use std::net::Ipv4Addr;

use super::router::Router;
use crate::clashes::{Action, ForeignRule};
use crate::state::{Hop, Route, Rule, TABLE_MAIN, Target};

/// The kernel's own table for what nothing else answers.
const TABLE_DEFAULT: u32 = 253;
/// A DHCP client put it there (`RTPROT_DHCP`).
const PROTOCOL_DHCP: u8 = 16;

/// Where one or more default routes lead: what becomes a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) interface: String,
    /// None where the interface is point-to-point, so that all goes to its other end.
    pub(super) gateway: Option<Ipv4Addr>,
    /// The default routes that lead there, main's last.
    pub(super) uses: Vec<Use>,
}

/// A default route, seen from one of the ways that it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) table: u32,
    pub(super) metric: u32,
    /// Whether other ways are in the same multipath route.
    pub(super) shared: bool,
    /// Whether nothing in its table is asked before it.
    pub(super) first: bool,
    pub(super) onlink: bool,
    /// The source that it suggests.
    pub(super) source: Option<Ipv4Addr>,
    protocol: u8,
}

/// All ways, in the order in which the kernel lists them, and what was left out.
pub(super) fn ways(router: &Router) -> (Vec<Way>, Vec<String>) {
    let mut ways: Vec<Way> = Vec::new();
    let mut doubts = Vec::new();
    for route in &router.state.routes {
        if let Some(rule) = tunnel_rule(router, route.table) {
            doubts.push(format!(
                "the default route in {} is for a tunnel, by the rule `{rule}`, and no line",
                table(route.table)
            ));
            continue;
        }
        for hop in route.hops() {
            if hop.interface == "lo" {
                continue;
            }
            let way = Way::of(router, hop);
            let known = ways.iter_mut().find(|known| known.same(&way));
            let used = Use::of(router, route, hop);
            match known {
                Some(known) => known.uses.push(used),
                None => ways.push(Way {
                    uses: vec![used],
                    ..way
                }),
            }
        }
    }
    for way in &mut ways {
        way.uses
            .sort_by_key(|used| matches!(used.table, TABLE_MAIN | TABLE_DEFAULT));
    }
    (ways, doubts)
}

/// The rule by which a table is asked for all that is not a tunnel's own, as `wg-quick` has it.
fn tunnel_rule(router: &Router, table: u32) -> Option<&ForeignRule> {
    let asked = router.state.rules.iter().any(|rule| rule.table == table);
    let looks_up = |rule: &&ForeignRule| matches!(rule.action, Action::Lookup { table: of, .. } if of == table);
    let odd: Vec<&ForeignRule> = router.odd_rules.iter().filter(looks_up).collect();
    match odd.as_slice() {
        [rule] if !asked && rule.inverted && rule.mark.is_some() => Some(rule),
        _ => None,
    }
}

impl Way {
    /// Where this hop leads, without its routes.
    pub(super) fn of(router: &Router, hop: &Hop) -> Self {
        let by_arp = router.asks_by_arp(&hop.interface);
        Self {
            interface: hop.interface.clone(),
            gateway: hop.gateway.filter(|_| by_arp),
            uses: Vec::new(),
        }
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        self.interface == other.interface && self.gateway == other.gateway
    }

    /// The tables, without main, that lead this way and no other while it works.
    pub(super) fn tables(&self) -> impl Iterator<Item = u32> {
        self.uses
            .iter()
            .filter(|used| used.first && !used.shared)
            .map(|used| used.table)
            .filter(|table| !matches!(*table, TABLE_MAIN | TABLE_DEFAULT))
    }

    /// The rules that lead this way and no other.
    pub(super) fn rules<'a>(&self, router: &'a Router) -> Vec<&'a Rule> {
        let tables: Vec<u32> = self.tables().collect();
        let rules = router.state.rules.iter();
        rules
            .filter(|rule| tables.contains(&rule.table) && !is_general(rule))
            .collect()
    }

    /// Whether packets with a mark go this way.
    pub(super) fn is_marked(&self, router: &Router) -> bool {
        self.rules(router).iter().any(|rule| rule.mark.is_some())
    }

    /// `default in table 201 and table 222`
    pub(super) fn places(&self) -> String {
        let mut tables: Vec<String> = Vec::new();
        for used in &self.uses {
            let name = table(used.table);
            if !tables.contains(&name) {
                tables.push(name);
            }
        }
        format!("default in {}", tables.join(" and "))
    }

    /// A default route that a DHCP client put into main.
    pub(super) fn leased(&self) -> Option<&Use> {
        self.uses
            .iter()
            .find(|used| used.table == TABLE_MAIN && used.protocol == PROTOCOL_DHCP)
    }

    /// Whether main leads this way.
    pub(super) fn is_in_main(&self) -> bool {
        self.uses.iter().any(|used| used.table == TABLE_MAIN)
    }
}

impl Use {
    fn of(router: &Router, route: &Route, hop: &Hop) -> Self {
        let others = |other: &Hop| !Way::of(router, other).same(&Way::of(router, hop));
        let first = router.routes(route.table).first().copied() == Some(route);
        Self {
            table: route.table,
            metric: route.metric,
            shared: route.hops().iter().any(others),
            first,
            onlink: hop.onlink,
            source: match route.target {
                Target::Hops { source, .. } => source,
                _ => None,
            },
            protocol: route.protocol,
        }
    }
}

/// Whether the rule is for all packets.
pub(super) fn is_general(rule: &Rule) -> bool {
    rule.from.is_none()
        && rule.to.is_none()
        && rule.output.is_none()
        && rule.mark.is_none()
        && rule.transport.is_none()
        && rule.port.is_none()
}

/// `table 201`, `table main`
pub(super) fn table(number: u32) -> String {
    match number {
        TABLE_MAIN => "table main".to_owned(),
        TABLE_DEFAULT => "table default".to_owned(),
        other => format!("table {other}"),
    }
}
