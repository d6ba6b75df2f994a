//! Rules that send some traffic by one line.

use super::findings::{Found, Line, Pin};
use super::router::Router;
use super::way::{Way, is_general, table};
use crate::clashes::Action;
use crate::state::Rule;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A way, and the line that goes it.
pub(super) type Gone<'a> = (&'a Way, &'a Line);

/// The pins, and the rules that cannot be described.
pub(super) fn pins(router: &Router, gone: &[Gone<'_>]) -> (Vec<Pin>, Vec<String>) {
    let mut pins: Vec<Pin> = Vec::new();
    let mut doubts = Vec::new();
    for rule in &router.state.rules {
        let Some((way, line)) = led(gone, rule.table) else {
            continue;
        };
        if is_general(rule) || is_the_line_s_own(router, way, rule) {
            continue;
        }
        match pin(rule, line) {
            Some(pin) if pins.iter().any(|known| same(known, &pin)) => {}
            Some(pin) => pins.push(pin),
            None => doubts.push(undescribed(&rule.to_string(), line)),
        }
    }
    for rule in &router.odd_rules {
        let Action::Lookup { table, .. } = rule.action else {
            continue;
        };
        // mwan3 has what comes in by a line looked up in the line's table.
        if let Some((_, line)) = led(gone, table)
            && rule.input.as_ref() != Some(&line.interface.value)
        {
            doubts.push(undescribed(&rule.to_string(), line));
        }
    }
    (pins, doubts)
}

fn led<'a>(gone: &[Gone<'a>], table: u32) -> Option<Gone<'a>> {
    let mut gone = gone.iter();
    gone.find(|(way, _)| way.tables().any(|of| of == table))
        .copied()
}

/// What keeps the line's own packets, those of sockets on its card, and those that are marked for it,
/// on it.
pub(super) fn is_the_line_s_own(router: &Router, way: &Way, rule: &Rule) -> bool {
    let only_from = Rule {
        from: None,
        ..rule.clone()
    };
    let only_mark = Rule {
        mark: None,
        ..rule.clone()
    };
    let held = router.addresses(&way.interface);
    let own = |from: ipnet::Ipv4Net| held.iter().any(|one| from.contains(&one.address.addr()));
    let only_card = Rule {
        output: None,
        ..rule.clone()
    };
    let its = rule.output.as_ref() == Some(&way.interface);
    is_general(&only_mark)
        || is_general(&only_card) && its
        || is_general(&only_from) && rule.from.is_some_and(own)
}

fn pin(rule: &Rule, line: &Line) -> Option<Pin> {
    let describable = rule.mark.is_none()
        && rule.output.is_none()
        && rule.suppress_prefix_length.is_none()
        && (rule.port.is_none() || matches!(rule.transport, Some(TCP | UDP)));
    describable.then(|| Pin {
        from: rule.from,
        to: rule.to,
        protocol: rule.transport,
        port: rule.port,
        line: Found::new(
            line.name.clone(),
            format!("rule {} to {}", rule.priority, table(rule.table)),
        ),
    })
}

fn same(one: &Pin, other: &Pin) -> bool {
    (one.from, one.to, one.protocol, one.port) == (other.from, other.to, other.protocol, other.port)
}

fn undescribed(rule: &str, line: &Line) -> String {
    format!(
        "the rule `{rule}` sends something by line {}, and is not described",
        line.name
    )
}
