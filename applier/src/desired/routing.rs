//! The how-to's rules and tables (2.3.3), with a mark per line where the patches looked at the
//! local source address.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;

use super::{led_elsewhere, mark, own_sources, shares_card};
use crate::config::{Config, Line, Pin};
use crate::state::{Hop, Route, Rule, TABLE_MAIN, Target};
use crate::verdicts::Verdicts;

/// The metric of `prohibit`, behind the line's own default route.
const METRIC_PROHIBIT: u32 = 1;
/// The metric of `unreachable`, behind whatever else there may be.
const METRIC_UNREACHABLE: u32 = u32::MAX;

/// In the order in which the kernel asks them.
///
/// Main is looked up first, but for its default routes: one that a DHCP client puts there would
/// disable all that follows. The mark is asked before the source, since a connection that is
/// pinned to a line keeps to it whatever its packets' source is. A socket that is bound to a line's
/// card uses that line, also a backup that 222 does not have: without a route by that card the
/// kernel would take the whole Internet for neighbours on it.
///
/// Before main come connections of one line with another's network: who is there, and asks for an address
/// of the first, is answered by that one, though main knows a shorter way; and before these main again, for
/// what somebody has within that network elsewhere, as a host that the router answers ARP for.
pub(super) fn rules(config: &Config) -> Vec<Rule> {
    let kernel = &config.kernel;
    let main = Rule {
        suppress_prefix_length: Some(0),
        ..Rule::new(kernel.main_priority, TABLE_MAIN)
    };
    let mut lines: Vec<&Line> = config.lines.iter().collect();
    lines.sort_by_key(|line| line.number);
    let within = within(config).into_iter();
    let between = lines.iter().flat_map(|line| between(config, line));
    let specific = lines.iter().flat_map(|line| {
        let table = kernel.table(line.number);
        let marked = Rule {
            mark: Some(mark(config, line)),
            ..Rule::new(table, table)
        };
        let sourced = sources(config, line).map(move |sources| Rule {
            from: Some(sources),
            ..Rule::new(table, table)
        });
        let bound = (!shares_card(config, line)).then(|| Rule {
            output: Some(line.interface.clone()),
            ..Rule::new(table, table)
        });
        std::iter::once(marked).chain(sourced).chain(bound)
    });
    let pins = config.pins.iter().filter_map(|pin| self::pin(config, pin));
    let balance = Rule::new(kernel.balance_table, kernel.balance_table);
    within
        .chain(between)
        .chain([main])
        .chain(specific)
        .chain(pins)
        .chain([balance])
        .collect()
}

/// Main's ways into a part of a line's network, where another line's connections would be led away.
fn within(config: &Config) -> Vec<Rule> {
    let networks = config.lines.iter();
    let networks: BTreeSet<_> = networks
        .flat_map(|line| led_elsewhere(config, line))
        .collect();
    let rule = |network: Ipv4Net| Rule {
        to: Some(network),
        suppress_prefix_length: Some(network.prefix_len().into()),
        ..Rule::new(config.kernel.within_priority(), TABLE_MAIN)
    };
    networks.into_iter().map(rule).collect()
}

/// The line's connections with the others' networks.
fn between(config: &Config, line: &Line) -> impl Iterator<Item = Rule> + use<> {
    let kernel = &config.kernel;
    let (priority, table) = (kernel.between_priority(), kernel.table(line.number));
    let mark = mark(config, line);
    let networks = led_elsewhere(config, line).into_iter();
    networks.map(move |network| Rule {
        to: Some(network),
        mark: Some(mark),
        ..Rule::new(priority, table)
    })
}

/// The line's sources, and others' on its card as far as they are not its own.
fn sources<'a>(config: &Config, line: &'a Line) -> impl Iterator<Item = Ipv4Net> + use<'a> {
    let own = own_sources(config, line);
    let is_own = move |kept: &Ipv4Net| own.is_some_and(|own| own.contains(kept));
    let kept = line.keep.iter().copied().filter(move |kept| !is_own(kept));
    own.into_iter().chain(kept)
}

/// New connections only: those that run are asked for by their marks, at smaller priorities.
fn pin(config: &Config, pin: &Pin) -> Option<Rule> {
    let line = config.lines.iter().find(|line| line.name == pin.line)?;
    Some(Rule {
        from: pin.from,
        to: pin.to,
        transport: pin.protocol,
        port: pin.port,
        ..Rule::new(
            config.kernel.pins_priority(),
            config.kernel.table(line.number),
        )
    })
}

pub(super) fn routes(config: &Config, verdicts: &Verdicts) -> Vec<Route> {
    let mut lines: Vec<&Line> = config.lines.iter().collect();
    lines.sort_by_key(|line| line.number);
    let own = lines.iter().flat_map(|line| {
        let table = config.kernel.table(line.number);
        let prohibit = Route::new(table, METRIC_PROHIBIT, Target::Prohibit);
        let default = verdicts.is_up(&line.name).then(|| {
            let source = line.address.map(|address| address.addr());
            Route::new(
                table,
                0,
                Target::Hops {
                    hops: vec![hop(line, 1)],
                    source,
                },
            )
        });
        default.into_iter().chain([prohibit])
    });
    let table = config.kernel.balance_table;
    let unreachable = Route::new(table, METRIC_UNREACHABLE, Target::Unreachable);
    let hops = balance(&lines, verdicts);
    let multipath =
        (!hops.is_empty()).then(|| Route::new(table, 0, Target::Hops { hops, source: None }));
    own.chain(multipath).chain([unreachable]).collect()
}

/// The lines that new connections are spread over: those that are up, and of the backups only
/// where nothing else is.
fn balance(lines: &[&Line], verdicts: &Verdicts) -> Vec<Hop> {
    let live = |backup| {
        lines
            .iter()
            .filter(move |line| line.backup == backup && verdicts.is_up(&line.name))
    };
    let mut hops: Vec<Hop> = live(false).map(|line| hop(line, line.weight)).collect();
    if hops.is_empty() {
        hops = live(true).map(|line| hop(line, line.weight)).collect();
    }
    if let [only] = hops.as_mut_slice() {
        only.weight = 1;
    }
    hops
}

fn hop(line: &Line, weight: u16) -> Hop {
    Hop {
        gateway: line.gateway,
        interface: line.interface.clone(),
        onlink: line.onlink,
        weight,
    }
}
