//! Every line's share of new connections, judged.

use std::fmt;
use std::ops::RangeInclusive;

use multiwan::config::Line;

use super::{acceptance, p_value, pairs_needed, power};
use crate::judgement::Judgement;

/// One line's count beside what its weight promises.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The line's number.
    pub number: u8,
    /// The line's name.
    pub name: String,
    /// How many new connections it got, of how many.
    pub seen: u64,
    /// All lines' new connections.
    pub of: u64,
    /// Its weight over the sum of all weights.
    pub expected: f64,
    /// The counts that the test accepts.
    pub accepted: RangeInclusive<u64>,
    /// The p-value of the exact two-sided test.
    pub p: f64,
    /// Whether the test accepts it.
    pub holds: bool,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Share {
            name,
            seen,
            of,
            expected,
            accepted,
            p,
            ..
        } = self;
        let (low, high) = (accepted.start(), accepted.end());
        write!(
            f,
            "{name} got {seen} of {of}, where a share of {expected:.3} gives {low} to {high} (p = {p:.2e})"
        )
    }
}

/// Tests each line's count of distinct pairs against its weight, at `level` per test.
///
/// ```
/// # use multiwan_conformance::judge::shares;
/// # use multiwan::config::Line;
/// # fn line(number: u8, weight: u16) -> Line {
/// #     let (name, interface) = (format!("dsl{number}"), format!("eth{number}"));
/// #     let (address, broadcast, gateway) = (None, None, None);
/// #     Line { name, number, interface, address, broadcast, gateway, onlink: false, weight, backup: false }
/// # }
/// let lines = [line(1, 4), line(2, 1)];
/// let judged = shares(&lines, &[5200, 1300], 1e-6);
/// assert!(judged.iter().all(|share| share.holds));
/// ```
///
/// # Panics
///
/// If there is not one count per line.
#[must_use]
pub fn shares(lines: &[Line], seen: &[u64], level: f64) -> Vec<Share> {
    assert_eq!(lines.len(), seen.len(), "one count per line");
    let of = seen.iter().sum();
    lines
        .iter()
        .zip(seen)
        .zip(expected(lines))
        .map(|((line, &seen), expected)| {
            let p = p_value(of, seen, expected);
            Share {
                number: line.number,
                name: line.name.clone(),
                seen,
                of,
                expected,
                accepted: acceptance(of, expected, level),
                p,
                holds: p > level,
            }
        })
        .collect()
}

/// How many distinct pairs a clause about these lines' shares sends, so that a shift of
/// [`power::SHIFT`] in any of them is found with probability [`power::POWER`].
#[must_use]
pub fn pairs_for(lines: &[Line], level: f64) -> u64 {
    expected(lines)
        .map(|p| pairs_needed(p, power::SHIFT, level, power::POWER))
        .max()
        .unwrap_or(0)
}

impl Judgement {
    /// Passed when every share holds, else failed naming those that don't; measured are each
    /// line's count and the smallest p-value.
    #[must_use]
    pub fn of_shares(shares: &[Share]) -> Self {
        let wrong: Vec<String> = shares
            .iter()
            .filter(|share| !share.holds)
            .map(Share::to_string)
            .collect();
        let judgement = Judgement::holds_if(wrong.is_empty(), || wrong.join("; "));
        let p = shares.iter().map(|share| share.p).fold(1.0, f64::min);
        shares
            .iter()
            .fold(judgement, |judgement, share| {
                judgement.with(&format!("line{}", share.number), share.seen)
            })
            .with("p", p)
    }
}

/// Each line's weight over the sum of all.
fn expected(lines: &[Line]) -> impl Iterator<Item = f64> {
    let sum: f64 = lines.iter().map(|line| f64::from(line.weight)).sum();
    lines.iter().map(move |line| f64::from(line.weight) / sum)
}
