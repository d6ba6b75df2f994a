//! The lines' rules side by side (how-to 2.3.3).

use std::net::Ipv4Addr;

use multiwan_kernel::rtnl::Change;
use multiwan_lab::netlink::rule::{RuleAttribute, RuleMessage};
use multiwan_lab::netlink::{AddressFamily, RouteNetlinkMessage as Message};

use super::super::fits;
use super::super::sticky::count_unanswered;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(in crate::clauses) static EQUAL_PRIORITY: Clause = Clause {
    id: "setup.equal-priority",
    kind: Kind::Layout,
    how_to: &["2.3.3"],
    promise: "The rules of all lines may have one priority: none takes what is another line's.",
    method: "200 connections are opened after `apply`. Then all rules that lead to a line's table \
        are moved to the first line's priority, those of the last line first. The connections ask \
        twice more, 200 are opened, and 50 sockets of the router bind to each line's address: each \
        must be answered, by its line, with its line's address.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::several_lines(config)?;
        fits::described_addresses(config)
    },
    tests: Tests::None,
    judge: equal_priority,
};

fn equal_priority(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 200;
    const CALLS: usize = 50;
    // Without a keepalive, which would put the rules back.
    let mut scene = Scene::applied(cx)?;
    let flows = scene.open(FLOWS)?;
    let mut unanswered = count_unanswered(&scene, &flows);
    let moved = share_a_priority(&mut scene)?;
    for _ in 0..2 {
        unanswered += scene.unanswered(&flows)?;
    }
    let new = scene.open(FLOWS)?;
    unanswered += count_unanswered(&scene, &new);
    let ledger = scene.traffic.ledger();
    let astray = flows.iter().filter(|&&flow| ledger.line(flow).is_none());
    let astray = astray.count();
    let own = scene.own_addresses();
    let mut wrong = scene.foreign().told();
    for (line, &address) in own.iter().enumerate() {
        let calls = scene.call(CALLS, Some(address))?;
        let right = |by: usize, source: Ipv4Addr| by == line && source == address;
        wrong = wrong.or(scene.wrong_calls(&calls, right));
    }
    if unanswered + astray > 0 {
        wrong = Some(format!(
            "{unanswered} exchanges were not answered, and {astray} of {FLOWS} connections changed \
             their line"
        ));
    }
    if moved == 0 {
        wrong = Some("no rule leads to a line's table".to_owned());
    }
    let judgement = wrong.map_or_else(Judgement::passed, Judgement::failed);
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("rules", moved))
}

/// Moves the rules for the lines' tables to the first one's priority, the last line's first; how
/// many there are. Exceptions that are asked before main stay where they are.
fn share_a_priority(scene: &mut Scene<'_>) -> Result<usize, Trouble> {
    let kernel = &scene.cx.config.kernel;
    let lines = scene.cx.lines().iter();
    let tables: Vec<u32> = lines.map(|line| kernel.table(line.number)).collect();
    let router = scene.lab.router();
    let mut question = RuleMessage::default();
    question.header.family = AddressFamily::Inet;
    let dump = router.dump("listing rules", Message::GetRule(question))?;
    let rules = dump.into_iter().filter_map(|message| match message {
        Message::NewRule(rule) => Some(rule),
        _ => None,
    });
    let mut rules: Vec<(usize, RuleMessage)> = rules
        .filter(|rule| priority(rule) > kernel.main_priority)
        .filter_map(|rule| Some((tables.iter().position(|&own| own == table(&rule))?, rule)))
        .collect();
    rules.sort_by_key(|&(line, _)| std::cmp::Reverse(line));
    // Those that have it already go behind the others too.
    for (_, rule) in &rules {
        let mut moved = rule.clone();
        for attribute in &mut moved.attributes {
            if let RuleAttribute::Priority(priority) = attribute {
                *priority = tables[0];
            }
        }
        let old = Change::existing("taking a rule away", Message::DelRule(rule.clone()));
        let new = Change::create("adding a rule", Message::NewRule(moved));
        router.change([old, new])?;
    }
    Ok(rules.len())
}

fn priority(rule: &RuleMessage) -> u32 {
    let attribute = rule
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RuleAttribute::Priority(priority) => Some(*priority),
            _ => None,
        });
    attribute.unwrap_or(0)
}

fn table(rule: &RuleMessage) -> u32 {
    let attribute = rule
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RuleAttribute::Table(table) => Some(*table),
            _ => None,
        });
    attribute.unwrap_or(u32::from(rule.header.table))
}
