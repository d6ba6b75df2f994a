//! How new connections are spread over the lines (how-to 2.3.3).

use super::several_lines_share;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[&EVEN, &WEIGHTED];

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
