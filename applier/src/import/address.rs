//! Which of an interface's addresses is a line's, and whether it is there to stay.

use std::net::Ipv4Addr;

use super::findings::{Found, Given};
use super::router::Router;
use super::translation::Translation;
use super::way::Way;
use crate::state::Address;

/// A line's address, as it was worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) given: Found<Given>,
    /// The address of now.
    pub(super) now: Option<Address>,
    pub(super) doubts: Vec<String>,
}

/// The address of the line that goes this way; `alone` says that no other line is on its card.
pub(super) fn address(
    router: &Router,
    way: &Way,
    alone: bool,
    translations: &[Translation],
) -> Chosen {
    let held = router.addresses(&way.interface);
    let (chosen, mut doubts) = choose(router, way, &held, translations);
    let Some(now) = chosen else {
        doubts.push(format!("{} has no address now", way.interface));
        return Chosen {
            given: Found::new(Given::Dynamic, "none now"),
            now: None,
            doubts,
        };
    };
    let dynamic = lease(router, way, now);
    let given = match dynamic {
        Some(reason) if alone => {
            let place = format!("{reason}; now {}", now.address);
            Found::new(Given::Dynamic, place)
        }
        Some(reason) => {
            doubts.push(format!(
                "its address may change ({reason}), but lines on one card need addresses that are \
                 written down"
            ));
            Found::new(Given::Always(now.address), reason)
        }
        None => {
            let place = format!("on {}", way.interface);
            Found::new(Given::Always(now.address), place)
        }
    };
    Chosen {
        given,
        now: Some(now.clone()),
        doubts,
    }
}

/// Why somebody else gives the address, if so.
fn lease(router: &Router, way: &Way, address: &Address) -> Option<&'static str> {
    if router.is_leased(address) {
        Some("there for a while only, as by DHCP")
    } else if router.ppp.contains(&way.interface) {
        Some("PPP's")
    } else if way.leased().is_some() {
        Some("with a DHCP client's default route in table main")
    } else {
        None
    }
}

/// What a route names comes first, then what is in the gateway's network, then what a rule or a
/// translation names, then what the interface has first.
fn choose<'a>(
    router: &Router,
    way: &Way,
    held: &[&'a Address],
    translations: &[Translation],
) -> (Option<&'a Address>, Vec<String>) {
    let of = |wanted: Ipv4Addr| move |address: &&&Address| address.address.addr() == wanted;
    let named = way
        .uses
        .iter()
        .filter_map(|used| used.source)
        .find_map(|source| held.iter().find(of(source)));
    if let Some(named) = named {
        return (Some(named), Vec::new());
    }
    let near: Vec<&&Address> = held
        .iter()
        .filter(|address| {
            way.gateway
                .is_some_and(|gateway| address.address.contains(&gateway))
        })
        .collect();
    let candidates: Vec<&Address> = match near.as_slice() {
        [] => held.to_vec(),
        near => near.iter().map(|address| **address).collect(),
    };
    if let [only] = candidates.as_slice() {
        return (Some(only), Vec::new());
    }
    let rules = way.rules(router);
    let by_rule = candidates.iter().find(|address| {
        let from = rules.iter().filter_map(|rule| rule.from);
        from.into_iter()
            .any(|from| from.prefix_len() > 0 && from.contains(&address.address.addr()))
    });
    let by_translation = || {
        let given = translations
            .iter()
            .filter(|translation| translation.is_for(&way.interface))
            .filter_map(Translation::address);
        let mut given = given.filter_map(|to| candidates.iter().find(of(to)));
        given.next()
    };
    if let Some(told) = by_rule.or_else(by_translation) {
        return (Some(told), Vec::new());
    }
    let Some(first) = candidates.first() else {
        return (None, Vec::new());
    };
    let others: Vec<String> = candidates[1..]
        .iter()
        .map(|address| address.address.to_string())
        .collect();
    let doubt = format!(
        "nothing tells which of the addresses of {} is the line's; the first is written, and not {}",
        way.interface,
        others.join(" or ")
    );
    (Some(first), vec![doubt])
}
