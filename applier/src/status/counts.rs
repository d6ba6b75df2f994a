//! How many connections each line got: counted in nftables where a new one is given its mark.

use multiwan_kernel::nft::{Chain, Mark, Statement, Table};

use crate::config::{Config, Line};
use crate::desired::{COUNTS_INCOMING, COUNTS_NEW};

/// A line's connections since the table of nftables was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// That left by it.
    pub(super) new: u64,
    /// That came in by it.
    pub(super) incoming: u64,
}

/// None where the table does not count.
pub(super) fn of(table: &Table, config: &Config, line: &Line) -> Option<Counts> {
    let kernel = &config.kernel;
    let mark = Mark::new(kernel.mark(line.number), kernel.mark_mask);
    Some(Counts {
        new: given(table.chain(COUNTS_NEW)?, mark)?,
        incoming: given(table.chain(COUNTS_INCOMING)?, mark).unwrap_or(0),
    })
}

/// The packets that were given this mark.
fn given(chain: &Chain, mark: Mark) -> Option<u64> {
    let sets = Statement::SetConntrackMark(mark);
    let rules = chain
        .rules
        .iter()
        .filter(|rule| rule.statements.contains(&sets));
    let counted = rules.filter_map(|rule| Some(rule.counter()?.packets));
    counted.reduce(|sum, one| sum + one)
}
