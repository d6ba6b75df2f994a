//! The address that a client's connections have outside (how-to 2.1, 2.2).

use std::collections::BTreeSet;

use multiwan_lab::traffic::{FlowId, Origin};

use super::super::fits;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::{DYNAMIC, TWO_LINES};
use crate::context::Context;
use crate::judge::expected;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static SNAT: Clause = Clause {
    id: "nat.snat",
    kind: Kind::Behaviour,
    how_to: &["2.2", "2.3.3"],
    promise: "A client's connection has, for as long as it lasts, the address of the line that it \
        leaves by, and its answers reach the client.",
    method: "With every line up, 600 connections are opened, TCP, UDP and ICMP echo by turns, and \
        ask twice more: each exchange must be answered. All packets of a connection must leave \
        with its line's address and one port, and that is what the server must have seen.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: translated,
};

pub(super) static MASQUERADE: Clause = Clause {
    id: "nat.masquerade",
    kind: Kind::Behaviour,
    how_to: &["2.2", "2.3.3"],
    promise: "Where a line's address is described nowhere, but comes from the provider, a client's \
        connection has it for as long as it lasts, and its answers reach the client.",
    method: "A DHCP client has put addresses on the cards. 600 connections are opened, TCP, UDP \
        and ICMP echo by turns, and ask twice more: each exchange must be answered. All packets of \
        a connection must leave with its line's address and one port, and that is what the server \
        must have seen.",
    needs: &[Need::Settings, Need::Claimed(Feature::Dynamic)],
    configurations: &[DYNAMIC],
    fits: fits::dynamic,
    tests: Tests::None,
    judge: translated,
};

fn translated(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 600;
    const ROUNDS: usize = 3;
    let mut scene = Scene::set(cx)?;
    let flows = scene.open_any(FLOWS)?;
    let answered = |flow: &&FlowId| scene.traffic.flow(**flow).answered();
    let mut unanswered = FLOWS - flows.iter().filter(answered).count();
    for _ in 1..ROUNDS {
        unanswered += scene.unanswered(&flows)?;
    }
    let own = scene.own_addresses();
    let otherwise = |flow: &&FlowId| match scene.traffic.ledger().sightings(**flow) {
        [seen] => {
            let source = *seen.source.ip();
            let told = scene.traffic.flow(**flow).seen_as;
            source != own[seen.line] || told.is_some_and(|told| *told.ip() != source)
        }
        _ => true,
    };
    let otherwise = flows.iter().filter(otherwise).count();
    let judgement = Judgement::holds_if(unanswered + otherwise == 0, || {
        format!(
            "{unanswered} of {} exchanges were not answered, and {otherwise} of {FLOWS} connections \
             did not have their line's address and one port all of the time",
            FLOWS * ROUNDS
        )
    });
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("connections", FLOWS))
}

pub(super) static ANY_CLIENT: Clause = Clause {
    id: "nat.any-client",
    kind: Kind::Behaviour,
    how_to: &["2.1"],
    promise: "Any host of the LAN can appear on the Internet with any line's address.",
    method: "Every client opens connections to distinct servers, so many that one of them misses a \
        line by chance no more often than a statistical test errs. Each must be answered, and \
        servers must have seen each client with every line's address and no other.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::first_shares,
    tests: Tests::Fixed(1),
    judge: any_client,
};

fn any_client(cx: &mut Context) -> Result<Judgement, Trouble> {
    let shares: Vec<f64> = expected(cx.lines()).filter(|share| *share > 0.0).collect();
    let level = cx.level;
    let mut scene = Scene::set(cx)?;
    let clients = scene.traffic.clients();
    let each = enough(&shares, clients, level);
    // One server after the other has a connection with every client.
    let flows = scene.open(each * clients)?;
    let own = scene.own_addresses();
    let own: BTreeSet<_> = scene.sharing().into_iter().map(|line| own[line]).collect();
    let mut seen_as = vec![BTreeSet::new(); clients];
    let mut unanswered = 0;
    for &flow in &flows {
        let flow = scene.traffic.flow(flow);
        match (flow.origin, flow.seen_as) {
            (Origin::Client(client), Some(address)) => {
                seen_as[client].insert(*address.ip());
            }
            _ => unanswered += 1,
        }
    }
    let wrong = seen_as.iter().filter(|seen| **seen != own).count();
    let judgement = Judgement::holds_if(unanswered + wrong == 0, || {
        let first = seen_as.iter().position(|seen| *seen != own);
        let first = first.map_or_else(String::new, |client| {
            let seen: Vec<String> = seen_as[client].iter().map(ToString::to_string).collect();
            format!(", client {} as {}", client + 1, seen.join(" and "))
        });
        format!(
            "of {clients} clients {wrong} were not seen with the addresses of all lines in {each} \
             connections each{first}; {unanswered} were not answered"
        )
    });
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("connections", flows.len()))
}

/// So many connections of each client that none misses a line that gets its share, but for a chance
/// of `level`.
fn enough(shares: &[f64], clients: usize, level: f64) -> usize {
    let least = shares.iter().copied().fold(1.0, f64::min);
    let chances = (clients * shares.len()) as f64;
    let each = (level / chances).ln() / (1.0 - least).ln();
    (each.ceil() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_misses_a_line_hardly_ever() {
        let each = enough(&[0.8, 0.2], 17, 1e-6);
        let missed = |each: usize| 34.0 * 0.8_f64.powi(each as i32);
        assert!(missed(each) <= 1e-6 && missed(each - 1) > 1e-6, "{each}");
        assert_eq!(enough(&[1.0], 17, 1e-6), 1);
    }
}
