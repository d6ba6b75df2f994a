//! How new connections are shared: by what the kernel answers for a packet that no rule singles out.

use super::router::Router;
use super::way::{Way, is_general, table};
use crate::clashes::Action;
use crate::state::{Hop, Route};

/// How new connections are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Share {
    /// By the weights of a multipath route.
    Weights(Route),
    /// By marks that somebody gives the packets.
    Marks,
    /// Not at all: all go by the first way that this table has.
    First(u32),
    /// No default route is for all packets.
    Untold,
}

/// How they are shared, and what else there is that shares otherwise.
pub(super) fn share(router: &Router, ways: &[Way]) -> (Share, Vec<String>) {
    let several = |route: &&Route| several(router, route);
    let answer = general_answer(router);
    let share = if let Some(route) = answer.filter(|route| several(route)) {
        Share::Weights(route.clone())
    } else if let Some(route) = asked_first(router, several) {
        Share::Weights(route.clone())
    } else if ways.iter().filter(|way| way.is_marked(router)).count() > 1 {
        Share::Marks
    } else if let Some(route) = answer {
        Share::First(route.table)
    } else {
        Share::Untold
    };
    let doubts = match &share {
        Share::Weights(chosen) => {
            let others = router.state.routes.iter().filter(several);
            let others = others.filter(|route| !shares_alike(route, chosen));
            others.map(other_shares).collect()
        }
        Share::Marks => vec![
            "new connections are shared by packet marks; by which weights is in rules of nftables or \
             iptables, which are not read for that: each line has the weight 1 here"
                .to_owned(),
        ],
        Share::First(_) => Vec::new(),
        Share::Untold => vec![
            "no default route is for all packets, so that nothing tells how new connections are \
             shared: each line has the weight 1 here"
                .to_owned(),
        ],
    };
    (share, doubts)
}

/// The route that the kernel takes for a packet that no rule singles out.
fn general_answer(router: &Router) -> Option<&Route> {
    let mut rules = router.state.rules.iter().filter(|rule| is_general(rule));
    rules
        .find_map(|rule| {
            // A default route has the shortest prefix there is.
            let passed_over = rule.suppress_prefix_length.is_some();
            let first = router.routes(rule.table).first().copied();
            first.filter(|_| !passed_over)
        })
        .filter(|route| !route.hops().is_empty())
}

/// The first such route by the order in which rules of any kind come to it, else by tables.
fn asked_first(router: &Router, wanted: impl Fn(&&Route) -> bool) -> Option<&Route> {
    let plain = router.state.rules.iter();
    let odd = router
        .odd_rules
        .iter()
        .filter_map(|rule| match rule.action {
            Action::Lookup { table, .. } => Some((rule.priority, table)),
            Action::Other => None,
        });
    let mut rules: Vec<(u32, u32)> = plain
        .map(|rule| (rule.priority, rule.table))
        .chain(odd)
        .collect();
    rules.sort_by_key(|(priority, _)| *priority);
    let by_rule = rules
        .into_iter()
        .find_map(|(_, table)| router.routes(table).into_iter().find(|route| wanted(route)));
    by_rule.or_else(|| router.state.routes.iter().find(|route| wanted(route)))
}

/// Whether it leads more than one way.
fn several(router: &Router, route: &Route) -> bool {
    let mut ways = route.hops().iter().map(|hop| Way::of(router, hop));
    ways.next()
        .is_some_and(|first| ways.any(|other| !other.same(&first)))
}

fn shares_alike(one: &Route, other: &Route) -> bool {
    let weight = |hops: &[Hop], of: &Hop| -> u32 {
        let same = hops.iter().filter(|hop| hop.same_way(of));
        same.map(|hop| u32::from(hop.weight)).sum()
    };
    let alike = |hop: &Hop| weight(one.hops(), hop) == weight(other.hops(), hop);
    one.hops().iter().chain(other.hops()).all(alike)
}

fn other_shares(route: &Route) -> String {
    let hops = route.hops().iter();
    let weights = hops.map(|hop| format!("{} {}", hop.interface, hop.weight));
    format!(
        "{} has another multipath default, with the weights {}, which is not described",
        table(route.table),
        weights.collect::<Vec<_>>().join(", ")
    )
}

/// What a way's share is in a multipath route: none where it is not in it.
///
/// The same way may be there more than once, which was how weights were written in some scripts.
pub(super) fn weight(router: &Router, route: &Route, way: &Way) -> Option<u16> {
    let hops = route.hops().iter();
    let weights = hops
        .filter(|hop| Way::of(router, hop).same(way))
        .map(|hop| hop.weight);
    weights.reduce(u16::saturating_add)
}
