//! Sound verdicts from counted packets; `docs/statistics.md` says the same for readers of reports.
//!
//! # Hypotheses
//!
//! Among `n` independent new connections (distinct client–server pairs under `spread = "pair"`),
//! the number `k` that a line got is binomial. The null hypothesis is that the line's chance is
//! its weight over the sum of all weights; the alternative, to either side, is any other chance.
//! With two lines the second count follows from the first, so there is one test; with more there
//! is one test per line, and the level is shared out among them (Bonferroni), which needs no
//! independence between them.
//!
//! # Test
//!
//! The exact two-sided binomial test: the p-value is twice the smaller tail (at most 1), a line
//! is rejected when it is at or below the level. No normal approximation is made, so the level
//! holds for every `n` ([`binomial`]).
//!
//! # Levels
//!
//! A run of `t` tests has a false alarm with a probability of at most 1e-5: each test gets
//! 1e-5 / `t`, and never more than 1e-6 ([`mod@level`]). Everything else that the suite judges is zero
//! violations over every packet, which has no false alarm by chance.
//!
//! # Power
//!
//! The number of pairs is chosen so that a shift of 0.05 in a line's share is found with a
//! probability of 0.999 at that level: some 6,900 for two equal lines in a run of everything ([`power`]).

pub mod binomial;
pub mod level;
pub mod power;
mod shares;
#[cfg(test)]
mod simulation;

pub use binomial::{acceptance, p_value};
pub use level::level;
pub use power::{pairs_needed, power_of};
pub use shares::{Share, expected, pairs_for, shares, sharing};
