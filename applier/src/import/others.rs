//! What a router does that multiwan has not set up.

use super::findings::{Findings, Found, Line};
use super::lan::lans;
use super::line::lines;
use super::pin::{Gone, pins};
use super::router::Router;
use super::share::{Share, share};
use super::translation::{Translation, translations};
use super::way::{Way, table, ways};
use crate::config::Spread;
use crate::state::{GlobalSetting, Setting};

/// Works out what the lines are and what is behind them.
pub(super) fn findings(router: &Router) -> Findings {
    let (ways, mut doubts) = ways(router);
    if ways.is_empty() && doubts.is_empty() && router.by_object.is_empty() {
        return Findings::default();
    }
    doubts.extend(unread(router));
    let translations = translations(&router.tables);
    let (share, unshared) = share(router, &ways);
    doubts.extend(unshared);
    let mut lines = lines(router, &ways, &share, &translations);
    let (lans, left_out) = lans(router, &lines, &translations);
    doubts.extend(left_out);
    if !lans.is_empty() && router.hidden.is_none() {
        for line in &mut lines {
            line.doubts.extend(untranslated(line, &translations));
        }
    }
    doubts.extend(several_backups(&lines));
    let (pins, unpinned) = pins(router, &gone(&ways, &lines));
    doubts.extend(unpinned);
    Findings {
        spread: spread(router, &share),
        lans,
        lines,
        pins,
        doubts,
        ..Findings::default()
    }
}

fn unread(router: &Router) -> impl Iterator<Item = String> {
    let hidden = router.hidden.as_ref().map(|why| {
        format!(
            "what is translated, and whether multiwan is at work already, cannot be told: {why}"
        )
    });
    let by_object = router.by_object.iter().map(|number| {
        format!(
            "{} has a default route by a nexthop object, and the kernel does not say where that \
             leads; set net.ipv4.nexthop_compat_mode to 1 and import again",
            table(*number)
        )
    });
    hidden.into_iter().chain(by_object)
}

fn untranslated(line: &Line, translations: &[Translation]) -> Option<String> {
    let none = !translations
        .iter()
        .any(|translation| translation.is_for(&line.interface.value));
    none.then(|| {
        "nothing translates what leaves there now; multiwan gives what comes from a [lan] the \
         line's address"
            .to_owned()
    })
}

fn several_backups(lines: &[Line]) -> Option<String> {
    let several = lines.iter().filter(|line| line.backup.is_some()).count() > 1;
    several.then(|| {
        "several lines are backups, which multiwan shares over while no other is up, whatever their \
         order was"
            .to_owned()
    })
}

/// Each way with the line that goes it.
fn gone<'a>(ways: &'a [Way], lines: &'a [Line]) -> Vec<Gone<'a>> {
    let line = |way: &Way| {
        let mut on_card = lines
            .iter()
            .filter(|line| line.interface.value == way.interface);
        let by_gateway =
            |line: &&Line| line.gateway.as_ref().map(|gateway| gateway.value) == way.gateway;
        let first = on_card.clone().next();
        on_card.find(by_gateway).or(first)
    };
    ways.iter()
        .filter_map(|way| Some((way, line(way)?)))
        .collect()
}

/// What of a packet chooses the way, where that is a multipath route's business.
fn spread(router: &Router, share: &Share) -> Option<Found<Spread>> {
    let Share::Weights(_) = share else {
        return None;
    };
    let policy = Setting::Global(GlobalSetting::HashPolicy);
    let spread = match router.state.settings.get(&policy)? {
        1 | 3 => Spread::Connection,
        _ => Spread::Pair,
    };
    let value = router.state.settings[&policy];
    Some(Found::new(
        spread,
        format!("fib_multipath_hash_policy is {value}"),
    ))
}
