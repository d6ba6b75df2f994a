//! From the ways out to lines.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::address::{Chosen, address};
use super::findings::{Found, Given, Line};
use super::part::Part;
use super::pin::is_the_line_s_own;
use super::router::Router;
use super::share::Share;
use super::translation::Translation;
use super::way::{Way, table};
use crate::state::{Address, Rule};

/// A way with all that was worked out about it.
struct Candidate<'a> {
    way: &'a Way,
    part: Part,
    chosen: Chosen,
    /// Whether no other is on its card.
    alone: bool,
}

/// The lines that go these ways, those that new connections are shared over first.
pub(super) fn lines(
    router: &Router,
    ways: &[Way],
    share: &Share,
    translations: &[Translation],
) -> Vec<Line> {
    let candidates = ways.iter().map(|way| {
        let beside = |other: &Way| other.interface == way.interface && !other.same(way);
        let alone = !ways.iter().any(beside);
        Candidate {
            way,
            part: Part::of(router, share, way),
            chosen: address(router, way, alone, translations),
            alone,
        }
    });
    let mut candidates: Vec<Candidate<'_>> = candidates.collect();
    candidates.sort_by_key(|one| (one.part.place, one.way.tables().min()));
    let mut taken = BTreeSet::new();
    candidates
        .iter()
        .map(|one| {
            let name = name(&one.way.interface, one.alone, &mut taken);
            let mut line = one.line(router, name);
            line.doubts.extend(one.left_over(router, &candidates));
            one.translated(router, translations, &mut line);
            line
        })
        .collect()
}

impl Candidate<'_> {
    fn line(&self, router: &Router, name: String) -> Line {
        let Self {
            way, part, chosen, ..
        } = self;
        let mut doubts = chosen.doubts.clone();
        doubts.extend(part.doubt.map(str::to_owned));
        if way.gateway.is_none() && router.asks_by_arp(&way.interface) {
            doubts.push(
                "its default route has no IPv4 gateway, and multiwan needs one where it asks by ARP"
                    .to_owned(),
            );
        }
        // Where multiwan finds a dynamic line's gateway by itself.
        let found_later = self.is_dynamic() && way.is_in_main();
        let gateway = way.gateway.filter(|_| !found_later);
        let mut remarks = Vec::new();
        if let (true, Some(gateway)) = (found_later, way.gateway) {
            remarks.push(format!(
                "its gateway, now {gateway}, is found in table main"
            ));
        }
        let near = |gateway: Ipv4Addr| {
            let now = chosen.now.as_ref();
            now.is_none_or(|now| now.address.contains(&gateway))
        };
        let led = asked_for(router, way);
        let led = led.or_else(|| gateway.is_none().then(|| way.places()));
        Line {
            name,
            number: None,
            interface: Found::new(way.interface.clone(), led.unwrap_or_default()),
            address: chosen.given.clone(),
            broadcast: chosen
                .now
                .as_ref()
                .filter(|_| !self.is_dynamic())
                .and_then(broadcast),
            gateway: gateway.map(|gateway| Found::new(gateway, way.places())),
            onlink: gateway.is_some_and(|gateway| !near(gateway)),
            keep: Vec::new(),
            weight: part.weight.clone(),
            backup: part.backup.clone(),
            remarks,
            doubts,
        }
    }

    fn is_dynamic(&self) -> bool {
        self.chosen.given.value == Given::Dynamic
    }

    /// What multiwan takes away from a card that carries described addresses only.
    fn left_over(&self, router: &Router, candidates: &[Self]) -> Option<String> {
        let first_there = candidates
            .iter()
            .find(|other| other.way.interface == self.way.interface)
            .is_some_and(|first| first.way.same(self.way));
        if self.is_dynamic() || !first_there {
            return None;
        }
        let described = |address: &&Address| {
            candidates
                .iter()
                .any(|other| other.chosen.now.as_ref() == Some(*address))
        };
        let others: Vec<String> = router
            .addresses(&self.way.interface)
            .into_iter()
            .filter(|address| !described(address))
            .map(|address| address.address.to_string())
            .collect();
        (!others.is_empty()).then(|| {
            format!(
                "{} has {} too, which `apply` takes away as left over unless keep names it",
                self.way.interface,
                others.join(" and ")
            )
        })
    }

    /// What source is given now to what leaves there.
    fn translated(&self, router: &Router, translations: &[Translation], line: &mut Line) {
        let ours = self.chosen.now.as_ref().map(|now| now.address.addr());
        let held = router.addresses(&self.way.interface);
        let is_held = |to| held.iter().any(|address| address.address.addr() == to);
        let (mut as_it_is, mut written) = (false, false);
        for translation in translations {
            if !translation.is_for(&self.way.interface) {
                continue;
            }
            match translation.address() {
                // Another line's on the same card, or one that was here before.
                Some(to) if Some(to) != ours && is_held(to) => continue,
                Some(to) if Some(to) != ours => line.doubts.push(format!(
                    "`{translation}` gives it {to}; multiwan gives what leaves there the line's own \
                     address"
                )),
                _ => line.remarks.push(translation.to_string()),
            }
            as_it_is |= translation.masquerades();
            written |= ours.is_some() && translation.address() == ours;
        }
        if as_it_is && !written && !self.is_dynamic() {
            line.doubts.push(
                "its address is written as it is now, but masquerade is for one that may change: \
                 write \"dynamic\" if so"
                    .to_owned(),
            );
        }
    }
}

/// The broadcast address, where it does not follow from the network.
pub(super) fn broadcast(address: &Address) -> Option<Ipv4Addr> {
    let net = address.address;
    address.broadcast.filter(|broadcast| {
        net.prefix_len() < 31
            && net.contains(broadcast)
            && ![net.addr(), net.broadcast()].contains(broadcast)
    })
}

/// What leads there beside the rules for all: `rules from 198.51.100.0/24 to table 201`.
fn asked_for(router: &Router, way: &Way) -> Option<String> {
    let selectors: Vec<String> = way
        .rules(router)
        .into_iter()
        .filter(|rule| is_the_line_s_own(router, way, rule))
        .map(selector)
        .collect();
    (!selectors.is_empty()).then(|| format!("rules {}", selectors.join(", ")))
}

fn selector(rule: &Rule) -> String {
    let from = rule.from.map(|from| format!("from {from}"));
    let mark = rule.mark.map(|mark| match mark.mask() {
        u32::MAX => format!("fwmark {:#x}", mark.value()),
        mask => format!("fwmark {:#x}/{mask:#x}", mark.value()),
    });
    let words: Vec<String> = from.into_iter().chain(mark).collect();
    format!("{} to {}", words.join(" "), table(rule.table))
}

/// The interface's name; with a number where several lines are on it.
fn name(interface: &str, alone: bool, taken: &mut BTreeSet<String>) -> String {
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain: String = interface
        .chars()
        .map(|c| if usable(c) { c } else { '-' })
        .collect();
    let plain = plain.trim_start_matches('-');
    let plain = if plain.is_empty() { "line" } else { plain };
    let numbered = (1..).map(|number| format!("{plain}-{number}"));
    let name = alone
        .then(|| plain.to_owned())
        .into_iter()
        .chain(numbered)
        .find(|name| !taken.contains(name))
        .unwrap_or_default();
    taken.insert(name.clone());
    name
}
