//! How many pairs it takes to see a wrong share.

use super::binomial::{acceptance, lower_tail, upper_tail};

/// The shift of a line's share that the suite promises to find.
pub const SHIFT: f64 = 0.05;

/// The probability with which it finds it.
pub const POWER: f64 = 0.999;

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
