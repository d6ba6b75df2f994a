//! Connections stay where they are while the configuration is applied for the first time, once more,
//! or changed (how-to 2.3.2, 2.3.3).

use multiwan_lab::traffic::FlowId;
use toml::Value;

use super::fits;
use super::others::Found;
use super::sticky::{Moved, count_unanswered};
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::{THREE_LINES, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[
    &REAPPLY,
    &ACROSS_FIRST_APPLY,
    &ACROSS_RELOAD,
    &ACROSS_LINE_ADDED,
];

const FLOWS: usize = 256;

static REAPPLY: Clause = Clause {
    id: "setup.reapply",
    kind: Kind::Behaviour,
    how_to: &["2.3.2"],
    promise: "Applied a second time, the same configuration changes nothing.",
    method: "256 connections are opened, TCP, UDP and ICMP echo by turns, and `apply` runs again. Addresses, rules, routes, IPv4's \
        settings and nftables, but for what counters have counted, must be as before it, nothing \
        twice that was there once; every connection must be answered, and none may change line or \
        source.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::first_shares,
    tests: Tests::None,
    judge: reapply,
};

fn reapply(cx: &mut Context) -> Result<Judgement, Trouble> {
    // Without a keepalive, which may have changes of its own to make meanwhile.
    let mut scene = Scene::applied(cx)?;
    let flows = scene.open_any(FLOWS)?;
    let mut unanswered = count_unanswered(&scene, &flows);
    let before = Found::now(&mut scene)?;
    unanswered += scene.apply_again(&flows)?;
    let changed = before.changed(&Found::now(&mut scene)?);
    let judgement = if changed.is_empty() {
        stayed(&scene, &flows, unanswered)
    } else {
        Judgement::failed(format!(
            "after the second `apply` not as before: {}",
            changed.join(", ")
        ))
    };
    scene.verdict(judgement)
}

static ACROSS_FIRST_APPLY: Clause = Clause {
    id: "sticky.across-first-apply",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Connections that run through a plain router of one line when the applier first comes \
        stay on that line.",
    method: "The router is set up with the first line alone: its address, a default route, \
        forwarding and source NAT. 256 connections are opened through it, TCP, UDP and ICMP echo by turns, then `apply` runs and the \
        keepalive starts. Every connection must be answered, and none may change line or source.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::first_shares,
    tests: Tests::None,
    judge: across_first_apply,
};

fn across_first_apply(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::bare(cx)?;
    scene.lab.set_single_line(0)?;
    let flows = scene.open_any(FLOWS)?;
    if count_unanswered(&scene, &flows) > 0 {
        return Err(Trouble::Lab("the plain router does not work".to_owned()));
    }
    let mut unanswered = scene.apply_again(&flows)?;
    scene.watch()?;
    scene.until_all_used()?;
    scene.ask(&flows)?;
    unanswered += count_unanswered(&scene, &flows);
    let judgement = stayed(&scene, &flows, unanswered);
    scene.verdict(judgement)
}

static ACROSS_RELOAD: Clause = Clause {
    id: "sticky.across-reload",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Other weights, or another order of the lines, move no running connection.",
    method: "256 connections are opened, TCP, UDP and ICMP echo by turns. The first line's weight is changed, then the order of the \
        lines in the file, then both back, with `apply` each time while the connections go on \
        asking. Every exchange must be answered, none may change line or source, and new \
        connections must use every line.",
    needs: &[Need::Settings, Need::Claimed(Feature::Reload)],
    configurations: &[TWO_LINES],
    fits: fits::first_two_share,
    tests: Tests::None,
    judge: across_reload,
};

fn across_reload(cx: &mut Context) -> Result<Judgement, Trouble> {
    const EDITS: [fn(&mut Vec<Value>); 4] = [
        |lines| weigh(lines, 3),
        |lines| lines.reverse(),
        |lines| lines.reverse(),
        |lines| weigh(lines, 1),
    ];
    let mut scene = Scene::set(cx)?;
    let flows = scene.open_any(FLOWS)?;
    let mut unanswered = count_unanswered(&scene, &flows);
    for edit in EDITS {
        scene.cx.reconfigure(edit)?;
        unanswered += scene.apply_again(&flows)?;
        if unanswered > 0 {
            break;
        }
        scene.until_all_used()?;
    }
    let judgement = stayed(&scene, &flows, unanswered);
    scene.verdict(judgement)
}

/// The first line in the file gets this weight.
fn weigh(lines: &mut [Value], weight: i64) {
    if let Some(Value::Table(line)) = lines.first_mut() {
        line.insert("weight".to_owned(), Value::Integer(weight));
    }
}

static ACROSS_LINE_ADDED: Clause = Clause {
    id: "sticky.across-line-added",
    kind: Kind::Behaviour,
    how_to: &["1.3", "2.3.3"],
    promise: "A line that is added or removed leaves the other lines' connections alone.",
    method: "All lines but the first in the file are applied and 256 connections are opened, TCP, UDP and ICMP echo by turns. Then \
        the first is added and carries new ones, and is removed again, with `apply` each time while \
        the connections go on asking. Every exchange of the lines that stay must be answered, none of \
        their connections may change line or source, and no packet at all, those of the removed \
        line's connections neither, may leave with a source that is not its line's.",
    needs: &[Need::Settings, Need::Claimed(Feature::Reload)],
    configurations: &[THREE_LINES],
    fits: fits::more_than_two_share,
    tests: Tests::None,
    judge: across_line_added,
};

fn across_line_added(cx: &mut Context) -> Result<Judgement, Trouble> {
    const ADDED: usize = 0;
    let mut kept = None;
    cx.reconfigure(|lines| kept = Some(lines.remove(ADDED)))?;
    let mut scene = Scene::applied(cx)?;
    scene.watch()?;
    let others = scene.sharing().into_iter().filter(|&line| line != ADDED);
    for line in others {
        scene.until_used(line)?;
    }
    let flows = scene.open_any(FLOWS)?;
    let mut unanswered = count_unanswered(&scene, &flows);
    scene.cx.reconfigure(|lines| {
        lines.extend(kept);
        lines.rotate_right(1);
    })?;
    unanswered += scene.apply_again(&flows)?;
    scene.until_used(ADDED)?;
    let more = scene.open_any(FLOWS)?;
    unanswered += count_unanswered(&scene, &more);
    let ledger = scene.traffic.ledger();
    let (leaving, staying): (Vec<FlowId>, Vec<FlowId>) = more
        .into_iter()
        .partition(|&flow| ledger.line(flow) == Some(ADDED));
    let staying = [flows, staying].concat();
    scene.cx.reconfigure(|lines| drop(lines.remove(ADDED)))?;
    unanswered += scene.apply_again(&staying)?;
    scene.until_avoided(ADDED)?;
    scene.ask_in_vain(&leaving)?;
    scene.ask(&staying)?;
    unanswered += count_unanswered(&scene, &staying);
    let mut judgement = stayed(&scene, &staying, unanswered);
    if let (Some(foreign), None) = (scene.foreign().told(), &judgement.reason) {
        judgement = Judgement::failed(foreign);
    }
    scene.verdict(judgement)
}

fn stayed(scene: &Scene<'_>, flows: &[FlowId], unanswered: usize) -> Judgement {
    let judgement = Moved::among(scene, flows).judgement();
    let judgement = if unanswered > 0 && judgement.reason.is_none() {
        Judgement::failed(format!("{unanswered} exchanges were not answered"))
    } else {
        judgement
    };
    judgement.with("connections", flows.len())
}
