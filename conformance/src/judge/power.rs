//! How many pairs it takes to see a wrong share.

use super::binomial::{acceptance, lower_tail, upper_tail};

/// The shift of a line's share that the suite promises to find.
pub const SHIFT: f64 = 0.05;

/// The probability with which it finds it.
pub const POWER: f64 = 0.999;

/// Below this the pairs that arrived are too few for a verdict.
pub const ENOUGH: f64 = 0.99;

/// The exact probability that a test of `n` pairs at `level` rejects the share `p` when it is
/// really off by `shift`, to the side where that is harder to see.
#[must_use]
pub fn power_of(n: u64, p: f64, shift: f64, level: f64) -> f64 {
    let accepted = acceptance(n, p, level);
    [p - shift, p + shift]
        .into_iter()
        .filter(|q| (0.0..=1.0).contains(q))
        .map(|q| {
            let below = match accepted.start().checked_sub(1) {
                Some(k) => lower_tail(n, k, q),
                None => 0.0,
            };
            below + upper_tail(n, accepted.end() + 1, q)
        })
        .fold(1.0, f64::min)
}

/// A number of pairs whose test at `level` has at least `power` against a share `p` that is off
/// by `shift`, and that is the smallest but for the handful by which exact power, which is a
/// sawtooth, goes up and down.
#[must_use]
pub fn pairs_needed(p: f64, shift: f64, level: f64, power: f64) -> u64 {
    let enough = |n| power_of(n, p, shift, level) >= power;
    let mut high = 16;
    while !enough(high) {
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if enough(middle) {
            high = middle
        } else {
            low = middle
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::level;

    #[test]
    fn some_six_thousand_pairs_for_two_equal_lines() {
        let n = pairs_needed(0.5, SHIFT, level::PER_TEST, POWER);
        assert!((6_200..6_600).contains(&n), "{n}");
        assert!(power_of(n, 0.5, SHIFT, level::PER_TEST) >= POWER);
        assert!(power_of(n - 200, 0.5, SHIFT, level::PER_TEST) < POWER);
    }

    #[test]
    fn power_is_of_the_side_that_is_harder_to_see() {
        // Four fifths: three quarters vary more than 0.85 and are harder to tell.
        let accepted = acceptance(4000, 0.8, 1e-6);
        let below = lower_tail(4000, accepted.start() - 1, 0.75);
        let power = power_of(4000, 0.8, 0.05, 1e-6);
        assert!((power - below).abs() < 1e-9, "{power} {below}");
    }

    #[test]
    fn too_few_pairs_see_nothing() {
        assert_eq!(power_of(5, 0.5, SHIFT, level::PER_TEST), 0.0);
    }

    #[test]
    fn a_line_that_gets_all_or_nothing_is_cheap_to_judge() {
        assert!(pairs_needed(1.0, SHIFT, level::PER_TEST, POWER) < 200);
        assert!(pairs_needed(0.0, SHIFT, level::PER_TEST, POWER) < 200);
    }
}
