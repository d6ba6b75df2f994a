//! What part of new connections goes a way.

use super::findings::Found;
use super::router::Router;
use super::share::{Share, weight};
use super::way::{Way, table};
use crate::state::Route;

/// What a way has of new connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The smaller, the earlier in the file.
    pub(super) place: usize,
    pub(super) weight: Found<u16>,
    /// Why it has none of them while others work.
    pub(super) backup: Option<String>,
    pub(super) doubt: Option<&'static str>,
}

const NOT_MARKED: &str = "no packet mark leads there, while others have one: written as a backup; without that, it gets its \
     share";
const NOT_SHARED: &str = "it is not among those that new connections are shared over: written as a backup; without that, it \
     gets its share. It may only have been dead";
const NOT_REACHED: &str = "new connections do not go there by themselves, only what is bound to its address or sent there by \
     a rule: written as a backup; without that, it gets its share";
const NOT_FIRST: &str = "its default route has the metric of the first one's, so that it is not used: written as a backup; \
     without that, it gets its share";

impl Part {
    /// What this way has.
    pub(super) fn of(router: &Router, share: &Share, way: &Way) -> Self {
        match share {
            Share::Weights(route) => weighted(router, route, way),
            Share::Marks if way.is_marked(router) => {
                Self::shared(0, 1, "cannot be told: marks decide")
            }
            Share::Marks => Self::backup(1, "no mark leads there", Some(NOT_MARKED)),
            Share::First(table) => in_turn(router, *table, way),
            Share::Untold => Self::shared(0, 1, "cannot be told"),
        }
    }

    fn shared(place: usize, weight: u16, from: impl Into<String>) -> Self {
        Self {
            place,
            weight: Found::new(weight, from),
            backup: None,
            doubt: None,
        }
    }

    fn backup(place: usize, why: impl Into<String>, doubt: Option<&'static str>) -> Self {
        Self {
            backup: Some(why.into()),
            doubt,
            ..Self::shared(place, 1, "")
        }
    }
}

fn weighted(router: &Router, route: &Route, way: &Way) -> Part {
    let shared = format!("multipath default in {}", table(route.table));
    let Some(weight) = weight(router, route, way) else {
        let why = format!("not in the {shared}");
        return Part::backup(usize::MAX, why, Some(NOT_SHARED));
    };
    let mut hops = route.hops().iter();
    let place = hops.position(|hop| Way::of(router, hop).same(way));
    let from = format!("nexthop weight {weight} of the {shared}");
    Part::shared(place.unwrap_or(0), weight, from)
}

/// Of default routes in one table the first is used, while it is there.
fn in_turn(router: &Router, of: u32, way: &Way) -> Part {
    let leads = |route: &&Route| {
        let mut hops = route.hops().iter();
        hops.any(|hop| Way::of(router, hop).same(way))
    };
    let routes = router.routes(of);
    let Some(place) = routes.iter().position(leads) else {
        let why = format!("no default route of it in {}", table(of));
        return Part::backup(usize::MAX, why, Some(NOT_REACHED));
    };
    if routes.len() == 1 {
        return Part::shared(0, 1, format!("the only default in {}", table(of)));
    }
    let metric = routes[place].metric;
    let default = format!("default in {}, metric {metric}", table(of));
    if place == 0 {
        return Part::shared(0, 1, format!("{default}, before others"));
    }
    let doubt = (routes[0].metric == metric).then_some(NOT_FIRST);
    Part::backup(place, format!("{default}, behind others"), doubt)
}
