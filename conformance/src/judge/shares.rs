//! Every line's share of new connections, judged.

use std::fmt;
use std::ops::RangeInclusive;

use multiwan::config::Line;
use serde::{Deserialize, Serialize};

use super::{acceptance, p_value, pairs_needed, power, power_of};
use crate::judgement::Judgement;

/// One line's count beside what its weight promises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// The probability with which so many pairs show a shift of [`power::SHIFT`].
    pub power: f64,
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
/// #     Line { name, number, interface, address, broadcast, gateway, onlink: false, dynamic: false, keep: Vec::new(), weight, backup: false }
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
                power: power_of(of, expected, power::SHIFT, level),
            }
        })
        .collect()
}

/// How many distinct pairs a clause about these lines' shares sends, so that a shift of
/// [`power::SHIFT`] in any of them is found with probability [`power::POWER`].
#[must_use]
pub fn pairs_for(lines: &[Line], level: f64) -> u64 {
    expected(lines)
        .filter(|&p| p > 0.0)
        .map(|p| pairs_needed(p, power::SHIFT, level, power::POWER))
        .max()
        .unwrap_or(0)
}

impl Judgement {
    /// Failed naming the shares that don't hold; inconclusive when too few pairs came for a wrong
    /// share to show; else passed. Measured are each line's count and the smallest p-value.
    #[must_use]
    pub fn of_shares(shares: &[Share]) -> Self {
        let wrong: Vec<String> = shares
            .iter()
            .filter(|share| !share.holds)
            .map(Share::to_string)
            .collect();
        let p = shares.iter().map(|share| share.p).fold(1.0, f64::min);
        let power = shares.iter().map(|share| share.power).fold(1.0, f64::min);
        let judgement = if !wrong.is_empty() {
            Judgement::failed(wrong.join("; "))
        } else if power < power::ENOUGH {
            let of = shares.first().map_or(0, |share| share.of);
            Judgement::inconclusive(format!(
                "only {of} pairs were seen, too few to find a share that is off by {} with a \
                 probability above {power:.3}",
                power::SHIFT
            ))
        } else {
            Judgement::passed()
        };
        let mut judgement = shares
            .iter()
            .fold(judgement, |judgement, share| {
                judgement.with(&format!("line{}", share.number), share.seen)
            })
            .with("p", p);
        judgement.shares = shares.to_vec();
        judgement
    }
}

/// The lines that get new connections while all are up.
pub fn sharing(lines: &[Line]) -> impl Iterator<Item = &Line> {
    let shares = lines.iter().zip(expected(lines));
    shares.filter_map(|(line, share)| (share > 0.0).then_some(line))
}

/// Each line's weight over the sum of all; a backup line has none where others are up.
pub fn expected(lines: &[Line]) -> impl Iterator<Item = f64> {
    let only_backups = lines.iter().all(|line| line.backup);
    let weight = move |line: &Line| {
        if line.backup && !only_backups {
            0.0
        } else {
            f64::from(line.weight)
        }
    };
    let sum: f64 = lines.iter().map(weight).sum();
    lines.iter().map(move |line| weight(line) / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{Configuration, FOUR_TO_ONE, TWO_LINES};
    use crate::judge::level;
    use crate::judgement::Status;

    fn lines(builtin: &crate::configuration::Builtin) -> Vec<Line> {
        Configuration::builtin(builtin).config.lines
    }

    #[test]
    fn counts_near_the_weights_hold_and_others_are_named() {
        let lines = lines(&FOUR_TO_ONE);
        let good = Judgement::of_shares(&shares(&lines, &[5_231, 1_269], level::PER_TEST));
        assert_eq!(good.status, Status::Passed);
        assert_eq!(good.measured["line1"], 5_231);

        let bad = Judgement::of_shares(&shares(&lines, &[3_250, 3_250], level::PER_TEST));
        assert_eq!(bad.status, Status::Failed);
        let reason = bad.reason.unwrap();
        assert!(reason.starts_with("dsl1 got 3250 of 6500, where a share of 0.800 gives "));
        assert!(reason.contains("dsl2 got 3250 of 6500, where a share of 0.200 gives "));
    }

    #[test]
    fn a_backup_line_gets_nothing() {
        let mut lines = lines(&TWO_LINES);
        lines[1].backup = true;
        assert!(
            shares(&lines, &[500, 0], 1e-6)
                .iter()
                .all(|share| share.holds)
        );
        assert!(
            !shares(&lines, &[499, 1], 1e-6)
                .iter()
                .any(|share| share.holds)
        );
    }

    #[test]
    fn the_line_that_is_hardest_to_judge_decides_the_pairs() {
        let pairs = pairs_for(&lines(&TWO_LINES), level::PER_TEST);
        assert_eq!(
            pairs,
            pairs_needed(0.5, power::SHIFT, level::PER_TEST, power::POWER)
        );
    }

    #[test]
    fn too_few_pairs_prove_nothing() {
        for seen in [[0, 0], [150, 150]] {
            let judgement = Judgement::of_shares(&shares(&lines(&TWO_LINES), &seen, 1e-6));
            assert_eq!(judgement.status, Status::Inconclusive, "{seen:?}");
        }
    }
}
