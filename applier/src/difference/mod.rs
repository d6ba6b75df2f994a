//! From what the kernel holds to what it should hold: steps, in an order in which every one of
//! them leaves traffic working and no packet with a source that is not its line's.
//!
//! 1. settings, but for forwarding;
//! 2. interfaces up and new addresses, which bring the routes to the gateways; where an address of
//!    ours becomes somebody's gateway, or the other way round, what led by it goes before;
//! 3. routes in new lines' own tables, which no packet is sent to before its rule is there;
//! 4. the balance table without the lines that leave it, so that they get nothing new;
//! 5. the firewall, in one batch; it refuses what has an address that its line has no more;
//! 6. routes in tables that rules ask for already: what ran by another way cannot leave by these now;
//! 7. forwarding, now that what is forwarded is translated; where it ends, before that does;
//! 8. rules, main's first, the balance table's last, with that table whole before;
//! 9. what is left over: rules before the tables they ask for, addresses last;
//! 10. connections with an address that their line has no more are forgotten, and refused no longer.
//!
//! The way down is the same backwards ([`Changes::inverse`]).

mod feasible;
#[cfg(test)]
mod properties;
mod step;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use multiwan_kernel::nft::{self, Mark};

pub use feasible::{Unfeasible, feasible};
pub use step::Step;

use crate::desired::{known_by, refused_by, refusing};
use crate::state::{
    Address, DeviceSetting, GlobalSetting, Hop, Route, Rule, Setting, State, TABLE_MAIN, Target,
};

/// What was changed, or would be, in order. Prints as lines for `sh`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes(Vec<Step>);

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The first of these steps that was acknowledged and not done, where `left` still differs
    /// afterwards: a kernel that does not know a part of a message may leave that out and say
    /// nothing.
    pub fn not_held(&self, left: &Self) -> Option<&Step> {
        let mut done = self.0.iter();
        done.find(|step| left.0.iter().any(|other| step.same_goal(other)))
    }

    /// The steps that take all of these back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self(self.0.iter().rev().map(Step::inverse).collect())
    }
}

impl FromIterator<Step> for Changes {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// The steps from `found` to `wanted`. Nothing of `found` that is not multiwan's is touched, but
/// addresses on interfaces that are [cleared](crate::state::Link::cleared).
pub fn difference(found: &State, wanted: &State) -> Changes {
    difference_within(&Remembered::default(), found, wanted)
}

/// What is known to be multiwan's beyond what can be seen: a change that is cut off between the rules
/// of a line and its routes leaves a table that nothing asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remembered {
    /// Tables.
    pub tables: BTreeSet<u32>,
    /// Addresses on interfaces that are no longer described.
    pub addresses: BTreeSet<Address>,
}

/// As [`difference`], where this is known.
pub fn difference_within(remembered: &Remembered, found: &State, wanted: &State) -> Changes {
    let mut steps = Vec::new();
    let (forwarding, settings) = settings(found, wanted);
    let forwarding = with_side_effects(found, wanted, forwarding);
    let (ends, begins): (Vec<_>, Vec<_>) = if ends_forwarding(&forwarding) {
        (forwarding, Vec::new())
    } else {
        (Vec::new(), forwarding)
    };
    let left_over = left_over_addresses(remembered, found, wanted);
    steps.extend(settings);
    steps.extend(keep_secondaries(found, wanted, &left_over));
    let balance = balance_table(wanted);
    let leave = leave_balance(found, wanted, balance);
    let (in_the_way, left_over): (Vec<Address>, Vec<Address>) = left_over
        .into_iter()
        .partition(|address| is_gateway(address, &wanted.routes));
    let ours = tables(&remembered.tables, found, wanted);
    let led_by = |route: &&Route| {
        in_the_way.iter().any(|address| suggests(route, address))
            || (ours.contains(&route.table) && Some(route.table) != balance)
                && new_addresses(found, wanted)
                    .any(|new| is_gateway(new, std::slice::from_ref(*route)))
    };
    let led_by_them: Vec<Route> = found.routes.iter().filter(led_by).cloned().collect();
    let makes_way = !led_by_them.is_empty() || !in_the_way.is_empty();
    if makes_way {
        // The line that had the address or the gateway gets nothing new from here on.
        steps.extend(leave.clone());
        steps.extend(led_by_them.iter().cloned().map(Step::RemoveRoute));
    }
    steps.extend(links(found, wanted));
    steps.extend(new_addresses(found, wanted).cloned().map(Step::AddAddress));
    steps.extend(in_the_way.into_iter().map(Step::RemoveAddress));
    let (spread, own): (Vec<_>, Vec<_>) = routes(found, wanted, &led_by_them)
        .into_iter()
        .partition(|step| put_into(step, balance));
    let (own, new): (Vec<_>, Vec<_>) = own
        .into_iter()
        .partition(|step| is_sent_to(step, &found.rules));
    steps.extend(new);
    if !makes_way {
        steps.extend(leave.clone());
    }
    steps.extend(ends);
    let lapsed = lapsed(found, wanted);
    let meanwhile = wanted.firewall.as_ref().map(|to| refusing(to, &lapsed));
    steps.extend(firewall(&found.firewall, &meanwhile));
    steps.extend(own);
    steps.extend(begins);
    let (last, specific): (Vec<_>, Vec<_>) =
        new_rules(found, wanted).partition(|step| asks_for(step, balance));
    steps.extend(specific);
    steps.extend(
        spread
            .into_iter()
            .filter(|step| Some(step) != leave.as_ref())
            .map(|step| after(step, leave.as_ref())),
    );
    steps.extend(last);
    steps.extend(left_over_rules(found, wanted));
    steps.extend(
        left_over_routes(&remembered.tables, found, wanted)
            .filter(|step| Some(step) != leave.as_ref())
            .filter(
                |step| !matches!(step, Step::RemoveRoute(route) if led_by_them.contains(route)),
            ),
    );
    steps.extend(left_over.into_iter().map(Step::RemoveAddress));
    // Forgetting cannot be taken back: nothing is lost by a change that is refused.
    let forget = |(mark, address)| Step::Forget { mark, address };
    steps.extend(lapsed.into_iter().map(forget));
    steps.extend(firewall(&meanwhile, &wanted.firewall));
    Changes(steps)
}

/// Forwarding apart from the others.
fn settings(found: &State, wanted: &State) -> (Vec<Step>, Vec<Step>) {
    let differing = wanted.settings.iter().filter_map(|(setting, &to)| {
        let from = *found.settings.get(setting)?;
        let step = Step::Set {
            setting: setting.clone(),
            from,
            to,
        };
        (!setting.holds(from, to)).then_some(step)
    });
    let forwarding = Setting::Global(GlobalSetting::Forwarding);
    let value = |state: &State| state.settings.get(&forwarding).copied();
    let written = value(wanted).is_some_and(|to| value(found) != Some(to));
    let differing = differing.filter(move |step| match step {
        // These come with it.
        Step::Set { setting, .. } => !(written && setting.set_by_forwarding(0).is_some()),
        _ => true,
    });
    let forwarding = Setting::Global(GlobalSetting::Forwarding);
    differing.partition(|step| match step {
        Step::Set { setting, .. } => {
            *setting == forwarding || setting.set_by_forwarding(0).is_some()
        }
        _ => false,
    })
}

/// Writing `ip_forward` sets `forwarding` of all devices and of those to come, and whether redirects
/// are heeded (`inet_forward_change` in `net/ipv4/devinet.c`). What that overwrites and writing the
/// old value would not bring back is set first, so that taking the steps back brings it back last;
/// what should be forwarded all the same where that ends is set after.
fn with_side_effects(found: &State, wanted: &State, forwarding: Vec<Step>) -> Vec<Step> {
    let Some(&Step::Set {
        setting: Setting::Global(GlobalSetting::Forwarding),
        from,
        to,
    }) = forwarding.first()
    else {
        return forwarding;
    };
    let effects = found.settings.iter().filter_map(|(setting, &found)| {
        let set = |forwards| setting.set_by_forwarding(forwards);
        (found != set(from)?).then_some(Step::Set {
            setting: setting.clone(),
            from: found,
            to: set(to)?,
        })
    });
    let others = wanted.settings.iter().filter_map(|(setting, &wanted)| {
        let set = setting.set_by_forwarding(to)?;
        let there = found.settings.contains_key(setting);
        (to == 0 && there && wanted != set).then_some(Step::Set {
            setting: setting.clone(),
            from: set,
            to: wanted,
        })
    });
    effects.chain(forwarding.clone()).chain(others).collect()
}

fn ends_forwarding(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Set { setting, to: 0, .. } => {
            *setting == Setting::Global(GlobalSetting::Forwarding)
                || matches!(setting, Setting::Device(_, DeviceSetting::Forwarding))
        }
        _ => false,
    })
}

fn links(found: &State, wanted: &State) -> impl Iterator<Item = Step> {
    wanted.links.iter().filter_map(|(interface, link)| {
        let there = found.links.get(interface)?;
        (there.up != link.up).then(|| Step::Link {
            interface: interface.clone(),
            up: link.up,
        })
    })
}

fn new_addresses<'a>(found: &'a State, wanted: &'a State) -> impl Iterator<Item = &'a Address> {
    wanted.addresses.difference(&found.addresses)
}

/// Last first, so that taking it back puts the first in front again.
fn left_over_addresses(remembered: &Remembered, found: &State, wanted: &State) -> Vec<Address> {
    let cleared = |address: &&Address| {
        wanted
            .links
            .get(&address.interface)
            .is_some_and(|link| link.cleared)
    };
    let others = found.addresses.difference(&wanted.addresses);
    let mut left_over: Vec<Address> = others
        .filter(|address| cleared(address) || remembered.addresses.contains(address))
        .cloned()
        .collect();
    left_over.sort_by_key(|address| Reverse(address.rank));
    left_over
}

/// Whether these routes have a gateway on the address's card that the kernel refuses because of it:
/// the card's own address, or one for broadcasts (`fib_check_nh` in `net/ipv4/fib_semantics.c`).
fn is_gateway(address: &Address, routes: &[Route]) -> bool {
    let net = address.network();
    let broadcasts = [net.network(), net.broadcast()];
    let own = |gateway: Ipv4Addr| {
        gateway == address.address.addr()
            || Some(gateway) == address.broadcast
            || net.prefix_len() < 31 && broadcasts.contains(&gateway)
    };
    let mut hops = routes.iter().flat_map(Route::hops);
    hops.any(|hop| hop.interface == address.interface && hop.gateway.is_some_and(own))
}

/// Whether the route suggests this address as a source: it goes with it, and does not come back by
/// itself.
pub(crate) fn suggests(route: &Route, address: &Address) -> bool {
    matches!(route.target, Target::Hops { source: Some(source), .. }
        if source == address.address.addr())
}

/// Where a left-over address is the first of its network on the interface, the kernel would take
/// those that stay away with it.
fn keep_secondaries(found: &State, wanted: &State, left_over: &[Address]) -> Vec<Step> {
    let interfaces: BTreeSet<&String> = left_over
        .iter()
        .filter(|old| {
            let mut others = wanted.addresses.iter().chain(&found.addresses);
            others.any(|other| {
                other.interface == old.interface
                    && other.network() == old.network()
                    && !left_over.contains(other)
            })
        })
        .map(|old| &old.interface)
        .collect();
    let promote = |interface: &String| {
        let setting = Setting::Device(interface.clone(), DeviceSetting::PromoteSecondaries);
        let from = found.settings.get(&setting).copied()?;
        (from == 0).then_some(Step::Set {
            setting,
            from,
            to: 1,
        })
    };
    interfaces.into_iter().filter_map(promote).collect()
}

/// The table that the last of multiwan's rules asks for.
fn balance_table(wanted: &State) -> Option<u32> {
    let ours = wanted.rules.iter().filter(|rule| rule.is_ours());
    ours.max_by_key(|rule| rule.priority).map(|rule| rule.table)
}

fn put_into(step: &Step, table: Option<u32>) -> bool {
    matches!(step, Step::PutRoute { route, .. } if Some(route.table) == table
        && matches!(route.target, Target::Hops { .. }))
}

/// Whether it is in a table that packets are sent to.
fn is_sent_to(step: &Step, rules: &[Rule]) -> bool {
    let Step::PutRoute { route, .. } = step else {
        return false;
    };
    let mut ours = rules.iter().filter(|rule| rule.is_ours());
    ours.any(|rule| rule.table == route.table)
}

fn asks_for(step: &Step, table: Option<u32>) -> bool {
    matches!(step, Step::AddRule(rule) if Some(rule.table) == table)
}

/// Puts what is not there, or is among those that are `gone` by then.
fn routes(found: &State, wanted: &State, gone: &[Route]) -> Vec<Step> {
    // What refuses comes before what leads somewhere, so that a table is never without an answer.
    let (leading, refusing): (Vec<&Route>, Vec<&Route>) = wanted
        .routes
        .iter()
        .partition(|route| !route.hops().is_empty());
    let put = |route: &Route| {
        let mut held = found.routes.iter().filter(|there| !gone.contains(there));
        let there = held.find(|there| there.same_place(route));
        (there != Some(route)).then(|| Step::PutRoute {
            route: route.clone(),
            instead_of: there.cloned(),
        })
    };
    refusing
        .into_iter()
        .chain(leading)
        .filter_map(put)
        .collect()
}

/// Before the firewall forgets a line, the balance table does: at once where no other joins, else
/// it holds only those that stay until the firewall knows the others.
fn leave_balance(found: &State, wanted: &State, balance: Option<u32>) -> Option<Step> {
    let of = |state: &State| {
        state
            .routes
            .iter()
            .find(|r| Some(r.table) == balance && !r.hops().is_empty())
            .cloned()
    };
    let old = of(found)?;
    let new = of(wanted);
    let joined = new.as_ref().map_or(&[][..], Route::hops);
    let stays = |hop: &&Hop| joined.iter().any(|other| other.same_way(hop));
    let staying: Vec<Hop> = old.hops().iter().filter(stays).cloned().collect();
    if found.firewall == wanted.firewall || staying.len() == old.hops().len() {
        return None;
    }
    if staying.is_empty() {
        return Some(Step::RemoveRoute(old));
    }
    let route = match new {
        Some(new) if new.hops().len() == staying.len() => new,
        _ => Route {
            target: Target::Hops {
                hops: staying,
                source: None,
            },
            ..old.clone()
        },
    };
    Some(Step::PutRoute {
        route,
        instead_of: Some(old),
    })
}

/// The step that puts a route, where another was put in that place, or taken from it, meanwhile.
fn after(step: Step, before: Option<&Step>) -> Step {
    let (Step::PutRoute { route, .. }, Some(before)) = (&step, before) else {
        return step;
    };
    let (place, left) = match before {
        Step::RemoveRoute(gone) => (gone, None),
        Step::PutRoute { route: put, .. } => (put, Some(put.clone())),
        _ => return step,
    };
    if !place.same_place(route) {
        return step;
    }
    Step::PutRoute {
        route: route.clone(),
        instead_of: left,
    }
}

fn firewall(from: &Option<nft::Table>, to: &Option<nft::Table>) -> Option<Step> {
    (from != to).then(|| Step::Firewall {
        from: from.clone(),
        to: to.clone(),
    })
}

/// What lines were known by and are no more, as far as it was marked as it would be now; also before
/// a change that was cut off before those connections were forgotten.
fn lapsed(found: &State, wanted: &State) -> Vec<(Mark, Ipv4Addr)> {
    let (Some(from), Some(to)) = (&found.firewall, &wanted.firewall) else {
        return Vec::new();
    };
    let known = known_by(to);
    let mut were = refused_by(from);
    for was in known_by(from) {
        if !were.contains(&was) {
            were.push(was);
        }
    }
    were.retain(|was| !known.contains(was));
    were.retain(|(mark, _)| known.iter().any(|(now, _)| now.mask() == mark.mask()));
    were
}

fn new_rules(found: &State, wanted: &State) -> impl Iterator<Item = Step> {
    wanted
        .rules
        .iter()
        .filter(|rule| !found.rules.contains(rule))
        .cloned()
        .map(Step::AddRule)
}

fn left_over_rules(found: &State, wanted: &State) -> impl Iterator<Item = Step> {
    found
        .rules
        .iter()
        .filter(|there| there.is_ours() && !wanted.rules.contains(there))
        .cloned()
        .map(Step::RemoveRule)
}

/// Default routes in tables that are multiwan's: those described, those that a rule of
/// multiwan's asks for, and those remembered.
fn left_over_routes(
    remembered: &BTreeSet<u32>,
    found: &State,
    wanted: &State,
) -> impl Iterator<Item = Step> {
    let tables = tables(remembered, found, wanted);
    let mut kept: Vec<&Route> = Vec::new();
    let left_over = found.routes.iter().filter(move |there| {
        // A second route in one place is left over too: only the first can be replaced.
        let first = !kept.iter().any(|route| route.same_place(there));
        kept.push(there);
        let described = wanted.routes.iter().any(|route| route.same_place(there));
        tables.contains(&there.table) && !(first && described)
    });
    left_over.cloned().map(Step::RemoveRoute)
}

fn tables(remembered: &BTreeSet<u32>, found: &State, wanted: &State) -> BTreeSet<u32> {
    let described = wanted.routes.iter().map(|route| route.table);
    let asked_for = found
        .rules
        .iter()
        .filter(|rule| Rule::is_ours(rule))
        .map(|rule| rule.table);
    described
        .chain(asked_for)
        .chain(remembered.iter().copied())
        .filter(|table| *table != TABLE_MAIN)
        .collect()
}
