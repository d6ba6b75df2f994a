//! What the router itself says (how-to 2.3.3).

use std::net::Ipv4Addr;

use multiwan_lab::traffic::FlowId;

use super::several_lines_share;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[&UNBOUND, &BOUND];

static UNBOUND: Clause = Clause {
    id: "local.unbound",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "The router's own unbound connections are spread by weight, each with its line's \
        address.",
    method: "Sockets of the router, TCP and UDP by turns, connect to distinct servers without \
        binding. Each must be answered; every packet must have the address of the line that it \
        leaves by; the lines' counts are tested by the exact binomial test.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: several_lines_share,
    tests: Tests::Shares(1),
    judge: unbound,
};

fn unbound(cx: &mut Context) -> Result<Judgement, Trouble> {
    let (pairs, level) = (cx.pairs(), cx.level);
    let mut scene = Scene::set(cx)?;
    let calls = scene.call(usize::try_from(pairs).unwrap_or(usize::MAX), None)?;
    let own = scene.own_addresses();
    let judgement = match scene.wrong_calls(&calls, |line, source| source == own[line]) {
        Some(wrong) => Judgement::failed(wrong),
        None => {
            let flows: Vec<FlowId> = calls.iter().map(|call| call.flow).collect();
            scene.shares_of(&flows, level)
        }
    };
    scene.verdict(judgement)
}

static BOUND: Clause = Clause {
    id: "local.bound",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "What the router says from a line's address leaves by that line.",
    method: "Sockets of the router, TCP and UDP by turns, bind to each line's address and connect \
        to 300 servers. Each must be answered, and every packet must leave by the line whose \
        address it has.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: |_| true,
    tests: Tests::None,
    judge: bound,
};

fn bound(cx: &mut Context) -> Result<Judgement, Trouble> {
    const CALLS: usize = 300;
    let mut scene = Scene::set(cx)?;
    let mut wrong = Vec::new();
    let own = scene.own_addresses();
    for (line, &address) in own.iter().enumerate() {
        let calls = scene.call(CALLS, Some(address))?;
        let right = |by: usize, source: Ipv4Addr| by == line && source == address;
        wrong.extend(
            scene
                .wrong_calls(&calls, right)
                .map(|wrong| format!("bound to {address}: {wrong}")),
        );
    }
    let judgement = Judgement::holds_if(wrong.is_empty(), || wrong.join("; "));
    scene.verdict(judgement.with("connections", CALLS * own.len()))
}
