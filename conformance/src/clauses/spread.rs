//! How new connections are spread over the lines (how-to 2.3.3).

mod total_load;

use std::collections::BTreeSet;

use multiwan::config::Line;
use multiwan_lab::Fault;
use multiwan_lab::traffic::FlowId;

use super::fits;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::{
    CONNECTION, EIGHT_LINES, ELEVEN_TO_FORTY_FIVE, FIVE_LINES, FOUR_HUNDRED, FOUR_LINES,
    FOUR_TO_ONE, SEVEN_LINES, SIX_LINES, THREE_LINES, TWO_LINES,
};
use crate::context::Context;
use crate::judge::pairs_for;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, any_protocol, protocol};

pub(super) const CLAUSES: &[&Clause] = &[
    &EVEN,
    &WEIGHTED,
    &N_LINES,
    &SURVIVORS,
    &WEIGHTS_REDUCED,
    &SINGLE_PAIR,
    &PAIR_AFFINITY,
    &PER_CONNECTION,
    &total_load::TOTAL_LOAD,
];

const METHOD: &str = "With every line up, distinct client–server pairs open one connection each, \
    TCP, UDP and ICMP echo by turns, with a new seed of the kernel's hash where it has one. Each must be \
    answered. Each line's count is tested against its weight by the exact binomial test; the \
    number of pairs finds a shift of 0.05 in a line's share with probability 0.999.";

static EVEN: Clause = Clause {
    id: "spread.even",
    kind: Kind::Behaviour,
    how_to: &["1.2", "1.3", "2.3.3"],
    promise: "Lines of equal weight get equally many new connections.",
    method: METHOD,
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::equal_beside_backups,
    tests: Tests::Shares(1),
    judge: by_weight,
};

static WEIGHTED: Clause = Clause {
    id: "spread.weighted",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Lines get new connections in proportion to their weights.",
    method: METHOD,
    needs: &[Need::Settings],
    configurations: &[FOUR_TO_ONE, ELEVEN_TO_FORTY_FIVE],
    fits: fits::unequal_beside_backups,
    tests: Tests::Shares(1),
    judge: by_weight,
};

fn by_weight(cx: &mut Context) -> Result<Judgement, Trouble> {
    let (pairs, level) = (cx.pairs(), cx.level);
    let mut scene = Scene::set(cx)?;
    scene.cx.events.note(format!("{pairs} pairs"));
    let flows = scene.open_any(usize::try_from(pairs).unwrap_or(usize::MAX))?;
    let judgement = scene.shares_of(&flows, level);
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement)
}

static N_LINES: Clause = Clause {
    id: "spread.n-lines",
    kind: Kind::Behaviour,
    how_to: &["1.3", "2.3", "2.3.3"],
    promise: "More than two lines get new connections in proportion to their weights.",
    method: "With every line up, each of 200 clients, or as many as the LAN has room for, opens one \
        connection to each of many servers, TCP, UDP and ICMP echo by turns, with a new seed of the \
        kernel's hash where it has one. Each must be answered. Each line's count is tested against \
        its weight by the exact binomial test; the number of pairs finds a shift of 0.05 in a line's \
        share with probability 0.999.",
    needs: &[Need::Settings],
    configurations: &[
        THREE_LINES,
        FOUR_LINES,
        FIVE_LINES,
        SIX_LINES,
        SEVEN_LINES,
        EIGHT_LINES,
    ],
    fits: fits::more_than_two_beside_backups,
    tests: Tests::Shares(1),
    judge: by_weight_for_many,
};

/// A whole office.
const MANY_CLIENTS: usize = 200;

/// The lab has these anyway.
const FEWER: usize = 17;

fn by_weight_for_many(cx: &mut Context) -> Result<Judgement, Trouble> {
    let (pairs, level) = (cx.pairs(), cx.level);
    let mut scene = Scene::set_with(cx, MANY_CLIENTS - FEWER)?;
    scene.cx.events.note(format!("{pairs} pairs"));
    let clients = scene.traffic.clients();
    let mut flows = Vec::new();
    let mut server = scene.server();
    for number in 0..usize::try_from(pairs).unwrap_or(usize::MAX) {
        let (client, protocol) = (number % clients, any_protocol(number));
        if client == 0 {
            server = scene.server();
        }
        flows.push(scene.traffic.begin(client, server, protocol));
    }
    scene.finish()?;
    let judgement = scene.shares_of(&flows, level);
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("clients", clients))
}

static WEIGHTS_REDUCED: Clause = Clause {
    id: "spread.weights-reduced",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Weights of 400 and 100 are as good as 4 and 1.",
    method: METHOD,
    needs: &[Need::Settings],
    configurations: &[FOUR_HUNDRED],
    fits: fits::four_to_one,
    tests: Tests::Shares(1),
    judge: by_weight,
};

static SINGLE_PAIR: Clause = Clause {
    id: "spread.single-pair",
    kind: Kind::Behaviour,
    how_to: &["1.2"],
    promise: "One client's connections to one server use one line.",
    method: "With `spread = \"pair\"` one client opens 300 connections to one server, TCP, UDP and \
        ICMP echo by turns. Each must be answered, and all must leave by one line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::spread_by_pairs,
    tests: Tests::None,
    judge: |cx| stay_together(cx, 1, 300),
};

static PAIR_AFFINITY: Clause = Clause {
    id: "spread.pair-affinity",
    kind: Kind::Behaviour,
    how_to: &["2.2"],
    promise: "No client meets a server by two lines.",
    method: "With `spread = \"pair\"` 200 pairs of a client and a server open 5 connections each, \
        TCP, UDP and ICMP echo by turns and those of all pairs mixed. Each must be answered, and \
        those of a pair must leave by one line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::spread_by_pairs,
    tests: Tests::None,
    judge: |cx| stay_together(cx, 200, 5),
};

fn stay_together(cx: &mut Context, pairs: usize, each: usize) -> Result<Judgement, Trouble> {
    let mut scene = Scene::set(cx)?;
    let pairs: Vec<_> = (0..pairs).map(|_| scene.pair()).collect();
    let mut flows = Vec::new();
    for number in 0..each {
        for &(client, server) in &pairs {
            let protocol = any_protocol(number);
            flows.push(scene.traffic.begin(client, server, protocol));
        }
    }
    scene.finish()?;
    let unanswered = |flow: &&FlowId| !scene.traffic.flow(**flow).answered();
    let unanswered = flows.iter().filter(unanswered).count();
    let lines_of = |pair: usize| -> BTreeSet<usize> {
        let flows = flows.iter().skip(pair).step_by(pairs.len());
        let seen = flows.flat_map(|&flow| scene.traffic.ledger().sightings(flow));
        seen.map(|seen| seen.line).collect()
    };
    let apart = (0..pairs.len()).filter(|&pair| lines_of(pair).len() != 1);
    let apart = apart.count();
    let judgement = Judgement::holds_if(unanswered + apart == 0, || {
        format!(
            "of {} pairs with {each} connections each {apart} did not use one line, and {unanswered} \
             connections were not answered",
            pairs.len()
        )
    });
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("connections", flows.len()))
}

static PER_CONNECTION: Clause = Clause {
    id: "spread.per-connection",
    kind: Kind::Behaviour,
    how_to: &["3.1"],
    promise: "With `spread = \"connection\"` one client's connections to one server use all lines by \
        their weights.",
    method: "One client opens connections to one server, TCP and UDP by turns. Each must be \
        answered. Each line's count is tested against its weight by the exact binomial test; the \
        number of connections finds a shift of 0.05 in a line's share with probability 0.999.",
    needs: &[Need::Settings],
    configurations: &[CONNECTION],
    fits: fits::spread_by_connections,
    tests: Tests::Shares(1),
    judge: per_connection,
};

fn per_connection(cx: &mut Context) -> Result<Judgement, Trouble> {
    let (connections, level) = (cx.pairs(), cx.level);
    let mut scene = Scene::set(cx)?;
    let (client, server) = scene.pair();
    let flows: Vec<FlowId> = (0..usize::try_from(connections).unwrap_or(usize::MAX))
        .map(|number| scene.traffic.begin(client, server, protocol(number)))
        .collect();
    scene.finish()?;
    let judgement = scene.shares_of(&flows, level);
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement)
}

static SURVIVORS: Clause = Clause {
    id: "spread.survivors",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "A dead line's part of new connections is shared among the others by their weights.",
    method: "The first line's modem hangs until new connections avoid it. Distinct client–server \
        pairs open one connection each; each must be answered, and each living line's count is \
        tested once against its weight among the living by the exact binomial test. They are opened \
        when the contract's time for a line's death is over, not before: the kernel may avoid the line \
        before whoever shares its part out has heard of its death.",
    needs: &[Need::Settings],
    configurations: &[THREE_LINES],
    fits: |config| {
        fits::more_than_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::Shares(1),
    judge: survivors,
};

fn survivors(cx: &mut Context) -> Result<Judgement, Trouble> {
    const DEAD: usize = 0;
    let level = cx.level;
    let living: Vec<Line> = cx.lines()[DEAD + 1..].to_vec();
    let pairs = usize::try_from(pairs_for(&living, level)).unwrap_or(usize::MAX);
    let mut scene = Scene::set(cx)?;
    let fault_at = scene.break_line(DEAD, Fault::Silent)?;
    scene.until_avoided(DEAD)?;
    scene.until_honoured(fault_at)?;
    let flows = scene.open(pairs)?;
    let judgement = scene.shares_among(&living, &flows, level);
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement)
}
