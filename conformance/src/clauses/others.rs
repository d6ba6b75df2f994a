//! What was there before, and what others have there (how-to 2.3.1, 2.3.2, 2.3.3).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::Netfilter;

use super::fits;
use super::setup::Held;
use super::sticky::{Moved, count_unanswered};
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[
    &LEFTOVERS,
    &DEFAULT_IN_MAIN,
    &FOREIGN_KEPT,
    &ROLLBACK,
    &DOWN,
];

static LEFTOVERS: Clause = Clause {
    id: "setup.leftovers",
    kind: Kind::Behaviour,
    how_to: &["2.3.2"],
    promise: "Addresses left on a line's card by an earlier set-up are gone, and each described one \
        is there once.",
    method: "One address in the first line's network and one in another are put on its card before \
        `apply`. After it the card must have the described address and no other, and new \
        connections must use every line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_shares(config)?;
        fits::own_cards(config)?;
        fits::described_addresses(config)
    },
    tests: Tests::None,
    judge: leftovers,
};

fn leftovers(cx: &mut Context) -> Result<Judgement, Trouble> {
    const LINE: usize = 0;
    let mut scene = Scene::bare(cx)?;
    let described = scene.lab.topology().lines[LINE].clone();
    let taken = [described.router.addr(), described.gateway];
    let free = described.router.hosts().find(|host| !taken.contains(host));
    let near = free.and_then(|host| Ipv4Net::new(host, described.router.prefix_len()).ok());
    let far = Ipv4Net::new_assert([10, 97, 0, 2].into(), 24);
    for old in near.into_iter().chain([far]) {
        scene.lab.add_router_address(LINE, old)?;
    }
    scene.apply()?;
    let held = Held::read(scene.lab.router())?;
    let card = format!(" dev {}", described.interface);
    let addresses: Vec<String> = held
        .lines()
        .filter(|line| line.starts_with("address ") && line.ends_with(&card))
        .map(str::to_owned)
        .collect();
    let only =
        addresses.len() == 1 && addresses[0].starts_with(&format!("address {} ", described.router));
    if only {
        scene.watch()?;
        scene.until_all_used()?;
    }
    let judgement = Judgement::holds_if(only, || {
        format!("{} has: {}", described.interface, addresses.join(", "))
    });
    scene.verdict(judgement)
}

static DEFAULT_IN_MAIN: Clause = Clause {
    id: "setup.default-in-main",
    kind: Kind::Behaviour,
    how_to: &["2.3.1"],
    promise: "A default route that is in main when the applier comes does no harm.",
    method: "The router is set up as a plain one of one line, with a default route in main. After \
        `apply` new connections must use every line, and of 256 each must be answered and keep to \
        one line and source.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::first_shares,
    tests: Tests::None,
    judge: default_in_main,
};

fn default_in_main(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 256;
    let mut scene = Scene::bare(cx)?;
    scene.lab.set_single_line(0)?;
    scene.apply()?;
    scene.watch()?;
    let unused = scene.unused()?;
    let flows = scene.open(FLOWS)?;
    scene.ask(&flows)?;
    let unanswered = count_unanswered(&scene, &flows);
    let judgement = if !unused.is_empty() {
        Judgement::failed(format!("no new connection uses {}", unused.join(", ")))
    } else if unanswered > 0 {
        Judgement::failed(format!(
            "{unanswered} of {FLOWS} connections were not answered"
        ))
    } else {
        Moved::among(&scene, &flows).judgement()
    };
    scene.verdict(judgement.with("connections", FLOWS))
}

static FOREIGN_KEPT: Clause = Clause {
    id: "setup.foreign-kept",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Rules, routes, addresses on other interfaces and nftables tables of others stay.",
    method: "A rule before all of the how-to's, its table with a route, an address on the loopback \
        and a table of nftables are put on the router. They must be there unchanged after `apply`, \
        after a second one, and after `down` where there is one.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: foreign_kept,
};

fn foreign_kept(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::bare(cx)?;
    let bare = Found::now(&mut scene)?;
    scene.lab.add_foreign_state()?;
    let mut foreign = Found::now(&mut scene)?;
    foreign
        .kernel
        .retain(|line, _| !bare.kernel.contains_key(line));
    let mut missing = Vec::new();
    for command in ["apply", "a second apply", "down"] {
        if command == "down" {
            scene.down()?;
        } else {
            scene.cx.applier.apply()?;
        }
        let now = Found::now(&mut scene)?;
        let gone = foreign
            .kernel
            .iter()
            .filter(|(line, told)| now.kernel.get(*line) != Some(told));
        missing.extend(gone.map(|(line, _)| format!("{line} (after {command})")));
    }
    let judgement = Judgement::holds_if(missing.is_empty(), || {
        format!("gone or changed: {}", missing.join(", "))
    });
    scene.verdict(judgement.with("foreign", foreign.kernel.len()))
}

static ROLLBACK: Clause = Clause {
    id: "setup.rollback",
    kind: Kind::Behaviour,
    how_to: &[],
    promise: "Where the kernel refuses a step, the router is as it was before `apply`.",
    method: "The kernel takes the second line's gateway for a broadcast address, and refuses routes \
        by it. `apply` must fail; addresses, rules, routes, settings and nftables \
        must be as before it, and the connections of a plain router of one line must go on.",
    needs: &[Need::Settings, Need::Shipped],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::own_networks(config)
    },
    tests: Tests::None,
    judge: rollback,
};

fn rollback(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::bare(cx)?;
    scene.lab.set_single_line(0)?;
    scene.lab.have_gateway_refused(1)?;
    let flows = scene.open(64)?;
    let before = Found::now(&mut scene)?;
    let refused = scene.cx.applier.apply().is_err();
    let changed = before.changed(&Found::now(&mut scene)?);
    scene.ask(&flows)?;
    let unanswered = count_unanswered(&scene, &flows);
    let judgement = if !refused {
        Judgement::failed("`apply` did not fail")
    } else if !changed.is_empty() {
        Judgement::failed(format!("not as before: {}", changed.join(", ")))
    } else if unanswered > 0 {
        Judgement::failed(format!("{unanswered} connections do not go on"))
    } else {
        Moved::among(&scene, &flows).judgement()
    };
    scene.verdict(judgement)
}

static DOWN: Clause = Clause {
    id: "safety.down",
    kind: Kind::Behaviour,
    how_to: &[],
    promise: "`down` leaves nothing behind, and brings back what was there before `apply`.",
    method: "The router is set up as a plain one of one line, with things of others. After `apply`, \
        connections by every line, and `down`, addresses, rules, routes, IPv4's settings and \
        nftables must be as before; new connections must be answered by the one line, and no packet \
        may have left by it with another's source.",
    needs: &[Need::Settings, Need::Claimed(Feature::Down)],
    configurations: &[TWO_LINES],
    fits: fits::first_shares,
    tests: Tests::None,
    judge: down,
};

fn down(cx: &mut Context) -> Result<Judgement, Trouble> {
    const ONLY: usize = 0;
    let mut scene = Scene::bare(cx)?;
    scene.lab.set_single_line(ONLY)?;
    scene.lab.add_foreign_state()?;
    let before = Found::now(&mut scene)?;
    scene.apply()?;
    scene.until_all_used()?;
    let running = scene.open_any(64)?;
    scene.down()?;
    let changed = before.changed(&Found::now(&mut scene)?);
    // The other lines' connections have lost their way, and must not find another.
    scene.ask_in_vain(&running)?;
    let flows = scene.open(64)?;
    let unanswered = count_unanswered(&scene, &flows);
    let foreign = scene.foreign().told();
    let judgement = if !changed.is_empty() {
        Judgement::failed(format!("not as before: {}", changed.join(", ")))
    } else if let Some(foreign) = foreign {
        Judgement::failed(foreign)
    } else if unanswered > 0 {
        Judgement::failed(format!("{unanswered} new connections were not answered"))
    } else {
        Judgement::passed()
    };
    scene.verdict(judgement)
}

/// What the router's kernel holds: addresses, rules and routes as the how-to shows them, IPv4's
/// settings, and the tables of nftables.
pub(super) struct Found {
    kernel: BTreeMap<String, String>,
}

impl Found {
    pub(super) fn now(scene: &mut Scene<'_>) -> Result<Self, Trouble> {
        let held = Held::read(scene.lab.router())?;
        let mut kernel: BTreeMap<String, String> = held
            .lines()
            .map(|line| (line.to_owned(), String::new()))
            .collect();
        kernel.extend(settings());
        let unread = |error: multiwan_kernel::nft::Error| Trouble::Lab(error.to_string());
        let mut netfilter = Netfilter::open().map_err(unread)?;
        for (family, name) in netfilter.tables().map_err(unread)? {
            let table = netfilter.read(family, &name).map_err(unread)?;
            let text = table.map(|table| table.to_string()).unwrap_or_default();
            kernel.insert(format!("table {family} {name}"), text);
        }
        Ok(Self { kernel })
    }

    /// What differs from what is there now.
    pub(super) fn changed(&self, now: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.kernel.keys().chain(now.kernel.keys()).collect();
        let differing = names
            .into_iter()
            .filter(|name| self.kernel.get(*name) != now.kernel.get(*name));
        differing
            .map(|name| {
                let told = |kernel: &BTreeMap<String, String>| match kernel.get(name) {
                    Some(value) if value.contains('\n') => "another".to_owned(),
                    Some(value) if value.is_empty() => "there".to_owned(),
                    Some(value) => value.clone(),
                    None => "not there".to_owned(),
                };
                format!("{name}: {}, now {}", told(&self.kernel), told(&now.kernel))
            })
            .collect()
    }
}

/// Those of IPv4, in general and of each device.
fn settings() -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut folders = vec![PathBuf::from("/proc/sys/net/ipv4")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(value) = fs::read_to_string(&path) {
                settings.insert(path.display().to_string(), value.trim().to_owned());
            }
        }
    }
    settings
}
