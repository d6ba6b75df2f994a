//! The networks behind the router: what is on interfaces that no line is on.

use ipnet::Ipv4Net;

use super::findings::{Found, Given, Lan, Line};
use super::router::Router;
use super::translation::Translation;
use crate::state::{Address, Behind};

/// The LANs, and what was left out.
pub(super) fn lans(
    router: &Router,
    lines: &[Line],
    translations: &[Translation],
) -> (Vec<Lan>, Vec<String>) {
    let mut lans: Vec<Lan> = Vec::new();
    let mut doubts = Vec::new();
    let interfaces =
        router.state.links.keys().filter(|name| {
            *name != "lo" && !lines.iter().any(|line| line.interface.value == **name)
        });
    for address in interfaces.flat_map(|name| router.addresses(name)) {
        if is_for_the_host_alone(address.address) {
            continue;
        }
        match unfit(router, lines, &lans, translations, address) {
            Some(why) => doubts.push(format!(
                "{} on {} is no [lan]: {why}",
                address.address, address.interface
            )),
            None => {
                if router.is_leased(address) {
                    doubts.push(format!(
                        "{} on {} is there for a while only, as by DHCP; a [lan] needs one that stays",
                        address.address, address.interface
                    ));
                }
                lans.push(lan(address, translations));
            }
        }
    }
    doubts.extend(behind(router, lines, &mut lans, translations));
    doubts.extend(wider(&lans, translations));
    (lans, doubts)
}

fn lan(address: &Address, translations: &[Translation]) -> Lan {
    let network = address.address.trunc();
    let translated = translations
        .iter()
        .any(|translation| translation.source() == Some(network));
    let place = if translated {
        "translated; no default route there"
    } else {
        "no default route there"
    };
    Lan {
        interface: address.interface.clone(),
        address: Found::new(address.address, place),
        networks: Vec::new(),
    }
}

/// Puts what main leads to by a LAN's card, and is translated, with that LAN; says what could not be.
fn behind(
    router: &Router,
    lines: &[Line],
    lans: &mut [Lan],
    translations: &[Translation],
) -> Vec<String> {
    let translated = |network| translations.iter().any(|one| one.covers(network));
    let mut there: Vec<&Behind> = router
        .behind
        .iter()
        .filter(|behind| translated(behind.network) && !behind.network.addr().is_link_local())
        .collect();
    // What is within another is described with that.
    there.sort_by_key(|behind| behind.network.prefix_len());
    let mut doubts = Vec::new();
    for Behind { network, interface } in there {
        let within = |lan: &Lan| lan.inside().any(|inside| inside.contains(network));
        let at = lans.iter().position(|lan| lan.interface == *interface);
        let Some(at) = at.filter(|_| !lans.iter().any(within)) else {
            continue;
        };
        let overlap = |other: Ipv4Net| other.contains(network) || network.contains(&other);
        let is_line_s =
            |line: &&Line| matches!(line.address.value, Given::Always(its) if overlap(its.trunc()));
        match lines.iter().find(is_line_s) {
            None => lans[at].networks.push(*network),
            Some(line) => doubts.push(format!(
                "{network} behind {interface} is left out: it overlaps line {}",
                line.name
            )),
        }
    }
    doubts
}

fn is_for_the_host_alone(net: Ipv4Net) -> bool {
    net.addr().is_loopback() || net.addr().is_link_local()
}

fn unfit(
    router: &Router,
    lines: &[Line],
    lans: &[Lan],
    translations: &[Translation],
    address: &Address,
) -> Option<String> {
    let net = address.address;
    if !router.asks_by_arp(&address.interface) {
        return Some("a tunnel or the like; describe it if it is one".to_owned());
    }
    let overlap = |other: Ipv4Net| other.contains(&net.network()) || net.contains(&other.network());
    if let Some(lan) = lans.iter().find(|lan| overlap(lan.address.value)) {
        return Some(format!(
            "it overlaps {} on {}",
            lan.address.value, lan.interface
        ));
    }
    let is_line_s = |line: &&Line| matches!(line.address.value, Given::Always(its) if overlap(its));
    if let Some(line) = lines.iter().find(is_line_s) {
        return Some(format!("it overlaps line {}", line.name));
    }
    let covered = translations.iter().any(|one| one.covers(net.trunc()));
    (!translations.is_empty() && !covered).then(|| {
        "nothing translates what comes from there; describe it if multiwan is to".to_owned()
    })
}

/// Networks that are translated now, and of which multiwan would translate a part only.
fn wider(lans: &[Lan], translations: &[Translation]) -> Vec<String> {
    let mut doubts = Vec::new();
    for translation in translations {
        let Some(source) = translation.source() else {
            continue;
        };
        let described = lans
            .iter()
            .flat_map(Lan::inside)
            .any(|inside| inside.contains(&source));
        let doubt = format!(
            "`{translation}` is for more than the networks of [lan], which alone multiwan translates"
        );
        if !described && !doubts.contains(&doubt) {
            doubts.push(doubt);
        }
    }
    doubts
}
