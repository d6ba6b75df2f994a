//! How new connections are spread over the lines (how-to 2.3.3).

use std::time::Instant;

use multiwan::config::Line;
use multiwan_lab::Fault;

use super::several_lines_share;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, THREE_LINES, TWO_LINES};
use crate::context::Context;
use crate::judge::pairs_for;
use crate::judgement::{Judgement, Status, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[&EVEN, &WEIGHTED, &SURVIVORS];

const METHOD: &str = "With every line up, distinct client–server pairs open one connection each, \
    TCP and UDP by turns, with a new seed of the kernel's hash where it has one. Each must be \
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
    fits: |config| several_lines_share(config) && config.lines.iter().all(|line| line.weight == 1),
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
    configurations: &[FOUR_TO_ONE],
    fits: |config| several_lines_share(config) && config.lines.iter().any(|line| line.weight > 1),
    tests: Tests::Shares(1),
    judge: by_weight,
};

fn by_weight(cx: &mut Context) -> Result<Judgement, Trouble> {
    let (pairs, level) = (cx.pairs(), cx.level);
    let mut scene = Scene::set(cx)?;
    scene.cx.events.note(format!("{pairs} pairs"));
    let flows = scene.open(usize::try_from(pairs).unwrap_or(usize::MAX))?;
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
        tested against its weight among the living by the exact binomial test. Shares that do not \
        hold are tested again with other pairs while the contract's time for a line's death lasts.",
    needs: &[Need::Settings],
    configurations: &[THREE_LINES],
    fits: |config| several_lines_share(config) && config.lines.len() > 2,
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
    let honoured = fault_at + scene.cx.deadlines.honoured;
    loop {
        let late = Instant::now() > honoured;
        let flows = scene.open(pairs)?;
        let judgement = scene.shares_among(&living, &flows, level);
        // The kernel may avoid a line before the applier has heard of its death.
        if judgement.status != Status::Failed || late {
            let judgement = scene.unless_lossy(&flows, judgement);
            return scene.verdict(judgement);
        }
    }
}
