//! The way back: what `apply` put there, and nothing else, is removed, and what it overwrote is
//! restored.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::Statement;

use crate::config::Config;
use crate::difference::{Changes, Step, difference, suggests};
use crate::error::Error;
use crate::kernel::{Alongside, Kernel, since_start};
use crate::reconcile::{all_or_none, bring_back, undo};
use crate::record::{Content, Record};
use crate::state::{Address, DeviceSetting, GlobalSetting, Hop, Setting, State, TABLE_MAIN};

/// What [`down`] did.
#[derive(Debug)]
pub struct Removed {
    /// The steps.
    pub changes: Changes,
    /// Whether what `apply` found was remembered; else settings, addresses and links stayed.
    pub remembered: bool,
    /// Routes of others that went with an address, now or at an `apply`, and that the kernel does not
    /// take back.
    pub gone: Vec<Alongside>,
    /// Addresses of others that were taken away, and whose lifetime is over.
    pub over: Vec<Address>,
}

/// Removes what `apply` put into the kernel, with the tables of `config` where nothing is
/// remembered.
///
/// # Errors
///
/// When the kernel refuses a step; what was done until then is undone, in reverse.
pub async fn down(kernel: &mut Kernel, config: Option<&Config>) -> Result<Removed, Error> {
    let record = Record::open().ok().filter(|record| !record.is_empty());
    let content = record
        .as_ref()
        .map(|record| record.content().clone())
        .unwrap_or_default();
    let found = kernel.read().await?;
    let now = since_start();
    let before = before(&found, &content, config, now);
    let changes = back(&before, found.clone());
    let ours = content.tables_in(&found, config);
    let led = kernel.alongside(changes.steps(), &ours).await?;
    let done = make(kernel, &found, &before, &changes).await;
    let went = match &done {
        Ok(()) => content.went_with(&led, &led),
        Err(_) => led,
    };
    let gone = bring_back(kernel, went).await;
    done?;
    let remembered = record.is_some();
    let removed = content.removed.iter();
    let over = removed.filter(|address| address.is_over(now));
    let over = over.cloned().collect();
    if let Some(record) = record {
        // Left behind, it would say of what is gone that it is multiwan's; harmless.
        let _ = record.forget();
    }
    Ok(Removed {
        changes,
        remembered,
        gone,
        over,
    })
}

/// The steps from what is `found` to what was `before`: those that lead there, taken back.
fn back(before: &State, mut found: State) -> Changes {
    // As if the addresses that come back had been left over.
    for address in before.addresses.difference(&found.addresses.clone()) {
        if let Some(link) = found.links.get_mut(&address.interface) {
            link.cleared = true;
        }
    }
    let there = difference(before, &found);
    // An address that comes back into the network of one that goes would go with it: what an
    // `apply` would have set to keep it may not be so.
    let promote = there.steps().iter().filter_map(|step| match step {
        Step::Set { setting, to, .. }
            if matches!(
                setting,
                Setting::Device(_, DeviceSetting::PromoteSecondaries)
            ) =>
        {
            let from = *found.settings.get(setting)?;
            (from != *to).then(|| Step::Set {
                setting: setting.clone(),
                from,
                to: *to,
            })
        }
        _ => None,
    });
    // Less than a tick from what was there, a timer passes for that, rounded.
    let rounded = before.settings.iter().filter_map(|(setting, &to)| {
        let from = *found.settings.get(setting)?;
        (from != to && setting.holds(to, from)).then(|| Step::Set {
            setting: setting.clone(),
            from,
            to,
        })
    });
    promote
        .chain(there.inverse().steps().iter().cloned())
        .chain(rounded)
        .chain(in_order(before, &found))
        .collect()
}

/// What comes back into the network of an address that goes is promoted by that, and is behind the card's
/// others then (`__inet_del_ifa` in `net/ipv4/devinet.c`): those that were behind it are put there once
/// more, unless a default route would go with one.
fn in_order(before: &State, found: &State) -> Vec<Step> {
    let mut steps = Vec::new();
    for interface in before.links.keys() {
        let on = |address: &&Address| address.interface == *interface;
        let goes = |network: Ipv4Net| {
            let mut going = found.addresses.difference(&before.addresses).filter(on);
            going.any(|address| address.network() == network)
        };
        let returning = before.addresses.difference(&found.addresses).filter(on);
        let mut returning: Vec<&Address> = returning.collect();
        returning.sort_by_key(|address| address.rank);
        let promoted = returning.iter().position(|one| goes(one.network()));
        let Some((promoted, behind)) = promoted.and_then(|at| returning[at..].split_first()) else {
            continue;
        };
        let others = |address: &&Address| address.network() != promoted.network();
        let led_by = |address: &&Address| before.routes.iter().any(|r| suggests(r, address));
        if behind.iter().any(others) && !behind.iter().any(led_by) {
            let behind = behind.iter().map(|&address| address.clone());
            steps.extend(behind.clone().rev().map(Step::RemoveAddress));
            steps.extend(behind.map(Step::AddAddress));
        }
    }
    steps
}

/// Does the steps, or none. Until the firewall goes, it drops what leaves main's way with the
/// address of a line that is another way; from then on nothing does, so that the connections with
/// such an address are forgotten before.
async fn make(
    kernel: &mut Kernel,
    found: &State,
    before: &State,
    changes: &Changes,
) -> Result<(), Error> {
    let steps = changes.steps();
    let removal = |step: &Step| matches!(step, Step::Firewall { to: None, .. });
    let at = steps.iter().position(removal).unwrap_or(steps.len());
    let (first, rest) = steps.split_at(at);
    all_or_none(kernel, first).await?;
    let forgotten = match astray(found, before) {
        Some((mask, kept)) => kernel.forget_connections(mask, &kept),
        None => Ok(()),
    };
    let done = match forgotten {
        Ok(()) => all_or_none(kernel, rest).await,
        Err(error) => Err(error),
    };
    match done {
        Err(cause) => Err(undo(kernel, first, cause).await),
        Ok(()) => Ok(()),
    }
}

/// The bits of connections' marks that are multiwan's, and the addresses that connections may keep:
/// those of the card that main leads to. None where it leads nowhere.
fn astray(found: &State, before: &State) -> Option<(u32, BTreeSet<Ipv4Addr>)> {
    let in_main = before.routes.iter().filter(|r| r.table == TABLE_MAIN);
    let default = in_main.min_by_key(|route| route.metric)?;
    let by_main = |address: &&Address| {
        let mut hops = default.hops().iter();
        hops.any(|hop| hop.interface == address.interface)
    };
    let kept = before.addresses.iter().filter(by_main);
    let kept = kept.map(|address| address.address.addr()).collect();
    let chains = found.firewall.iter().flat_map(|table| &table.chains);
    let mut statements = chains
        .flat_map(|chain| &chain.rules)
        .flat_map(|rule| &rule.statements);
    let mask = statements.find_map(|statement| match statement {
        Statement::SetConntrackMark(mark) => Some(mark.mask()),
        _ => None,
    })?;
    Some((mask, kept))
}

/// What the kernel held before `apply`, as far as it is known.
fn before(found: &State, content: &Content, config: Option<&Config>, now: Duration) -> State {
    let mut before = found.clone();
    for link in &content.links {
        if let Some(link) = before.links.get_mut(link) {
            link.up = false;
        }
    }
    before
        .addresses
        .retain(|address| !content.addresses.contains(address));
    let returning =
        |address: &&Address| before.links.contains_key(&address.interface) && !address.is_over(now);
    let removed = content.removed.iter().filter(returning).cloned();
    before.addresses.extend(removed.collect::<Vec<_>>());
    for (setting, value) in &mut before.settings {
        let path = setting.path();
        // What others have set since is theirs.
        if let Some(known) = content.settings.iter().find(|known| known.setting == path)
            && known.put.iter().any(|&put| setting.holds(*value, put))
        {
            *value = known.found;
        }
    }
    forwarding_of_new_devices(&mut before, found, content);
    let tables = content.tables_in(found, config);
    before.rules.retain(|rule| !rule.is_ours());
    before.routes.retain(|route| !tables.contains(&route.table));
    let there = |hop: &Hop| found.links.contains_key(&hop.interface);
    let restored = content
        .routes
        .iter()
        .filter(|route| route.hops().iter().all(there));
    before.routes.extend(restored.cloned());
    before.firewall = None;
    before
}

/// Devices that have come since would not be forwarded from, had `ip_forward` stayed as it was.
fn forwarding_of_new_devices(before: &mut State, found: &State, content: &Content) {
    let forwarding = Setting::Global(GlobalSetting::Forwarding);
    let value = |state: &State| state.settings.get(&forwarding).copied();
    let (Some(then), Some(now)) = (value(before), value(found)) else {
        return;
    };
    let known = |setting: &Setting| {
        let path = setting.path();
        content.settings.iter().any(|known| known.setting == path)
    };
    for (setting, value) in &mut before.settings {
        if then != now && setting.set_by_forwarding(now) == Some(*value) && !known(setting) {
            *value = setting.set_by_forwarding(then).unwrap_or(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Lifetime, Link, NeighbourSetting};

    #[test]
    fn a_timer_less_than_a_tick_from_what_was_there_is_restored() {
        let timer = Setting::Neighbour("eth1".into(), NeighbourSetting::RetransTime);
        let with = |value| State {
            settings: [(timer.clone(), value)].into(),
            ..State::default()
        };
        for (before, found) in [(1000, 992), (992, 1000), (1000, 200)] {
            let steps = back(&with(before), with(found));
            let restored = Step::Set {
                setting: timer.clone(),
                from: found,
                to: before,
            };
            assert_eq!(steps.steps(), [restored], "{found} to {before}");
        }
        assert!(back(&with(992), with(992)).is_empty());
    }

    #[test]
    fn an_address_comes_back_only_within_its_lifetime() {
        let mut address = Address::new("eth1", "198.51.100.50/24".parse().unwrap());
        address.attributes.lifetime = Some(Lifetime {
            valid: 30,
            preferred: 30,
            read: Duration::from_secs(100),
        });
        let found = State {
            links: [("eth1".to_owned(), Link::default())].into(),
            ..State::default()
        };
        let content = Content {
            removed: [address.clone()].into(),
            ..Content::default()
        };
        let back = |seconds| before(&found, &content, None, Duration::from_secs(seconds));
        assert!(back(129).addresses.contains(&address));
        assert!(back(130).addresses.is_empty());
    }
}
