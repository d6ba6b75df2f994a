//! What is behind the router, and what of it must use one line.

use ipnet::Ipv4Net;
use multiwan_kernel::nft::{Statement, Test, Verdict};

use super::super::findings::{Found, Lan, Pin};
use super::super::way::table;
use super::Own;
use crate::desired::{REFUSES, TRANSLATES};
use crate::state::Address;

impl Own<'_> {
    /// The networks that nobody outside may claim, where they are no line's own address.
    pub(super) fn lans(&self) -> Vec<Lan> {
        let mut lans: Vec<Lan> = Vec::new();
        for rule in self.rules_in(REFUSES) {
            let [
                Statement::InputInterface(Test::Is, _),
                Statement::Source(Test::Is, network),
                Statement::Counter(_),
                Statement::Verdict(Verdict::Drop),
            ] = rule.statements.as_slice()
            else {
                continue;
            };
            let put = |address: &&Address| !self.router.remembered.addresses.contains(*address);
            let mut there: Vec<&Address> = self
                .router
                .state
                .addresses
                .iter()
                .filter(|address| address.address.trunc() == *network)
                .filter(|address| !self.is_a_line_s(&address.interface))
                .collect();
            there.sort_by_key(|address| (put(address), address.rank));
            let known = lans.iter().any(|lan| lan.address.value.trunc() == *network);
            if let (Some(address), false) = (there.first(), known) {
                let place = format!("table ip {}", self.firewall.name);
                lans.push(Lan {
                    interface: address.interface.clone(),
                    address: Found::new(address.address, place),
                    networks: Vec::new(),
                });
            }
        }
        self.behind(&mut lans);
        lans
    }

    /// What else is translated is behind the LAN whose card main leads there by, else behind the first:
    /// behind which one is of no matter for what is done with it.
    fn behind(&self, lans: &mut [Lan]) {
        let translating = self.rules_in(TRANSLATES);
        let statements = translating.iter().flat_map(|rule| &rule.statements);
        for statement in statements {
            let Statement::Source(Test::Is, network) = *statement else {
                continue;
            };
            if lans.iter().flat_map(Lan::inside).any(|its| its == network) {
                continue;
            }
            let at = lans.iter().position(|lan| self.leads(lan, network));
            if let Some(lan) = lans.get_mut(at.unwrap_or(0)) {
                lan.networks.push(network);
            }
        }
    }

    /// Networks that were put behind the first LAN for want of a better.
    pub(super) fn unrouted(&self, lans: &[Lan]) -> Vec<String> {
        let behind = lans
            .iter()
            .flat_map(|lan| lan.networks.iter().map(move |network| (lan, *network)));
        behind
            .filter(|(lan, network)| !self.leads(lan, *network))
            .map(|(lan, network)| {
                format!(
                    "{network} is translated, and main leads there by no LAN's card; it is written \
                     behind {}",
                    lan.interface
                )
            })
            .collect()
    }

    /// Whether main leads to it, or to some of it, by the LAN's card, but for the LAN's own network.
    fn leads(&self, lan: &Lan, network: Ipv4Net) -> bool {
        let own = lan.address.value.trunc();
        self.router.behind.iter().any(|behind| {
            let overlaps = behind.network.contains(&network) || network.contains(&behind.network);
            behind.interface == lan.interface && behind.network != own && overlaps
        })
    }

    pub(super) fn is_a_line_s(&self, interface: &str) -> bool {
        self.rules_in(REFUSES).iter().any(|rule| {
            matches!(rule.statements.first(),
                Some(Statement::InputInterface(Test::Is, card)) if card == interface)
        })
    }

    pub(super) fn pins(&self) -> Vec<Pin> {
        let priority = self.kernel.pins_priority();
        let pins = self.rules().filter(|rule| {
            let own = rule.table == rule.priority && rule.transport.is_none() && rule.to.is_none();
            rule.priority == priority && rule.mark.is_none() && !own
        });
        let numbered = pins.filter_map(|rule| {
            let number = (rule.table + 1).checked_sub(self.kernel.first_table)?;
            Some((rule, u8::try_from(number).ok()?))
        });
        numbered
            .map(|(rule, number)| Pin {
                from: rule.from,
                to: rule.to,
                protocol: rule.transport,
                port: rule.port,
                line: Found::new(
                    self.name(number),
                    format!("rule {} to {}", rule.priority, table(rule.table)),
                ),
            })
            .collect()
    }
}
