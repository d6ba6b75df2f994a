//! The exact two-sided binomial test.

use std::ops::RangeInclusive;

use statrs::function::factorial::ln_binomial;

/// Twice the smaller tail, at most 1: the chance of a count at least as far out as `k` among `n`
/// when each has chance `p`.
///
/// # Panics
///
/// If `k` is above `n` or `p` is no probability.
#[must_use]
pub fn p_value(n: u64, k: u64, p: f64) -> f64 {
    assert!(k <= n, "{k} of {n}");
    (2.0 * lower_tail(n, k, p).min(upper_tail(n, k, p))).min(1.0)
}

/// The counts among `n` that a test at `level` accepts; the report shows them beside what was
/// seen.
#[must_use]
pub fn acceptance(n: u64, p: f64, level: f64) -> RangeInclusive<u64> {
    let lowest = first(0, n, |k| 2.0 * lower_tail(n, k, p) > level);
    let beyond = first(lowest, n + 1, |k| 2.0 * upper_tail(n, k, p) <= level);
    lowest..=beyond.saturating_sub(1).max(lowest)
}

/// P(X ≤ k).
#[must_use]
pub fn lower_tail(n: u64, k: u64, p: f64) -> f64 {
    if k >= n {
        1.0
    } else {
        upper_tail(n, n - k, 1.0 - p)
    }
}

/// P(X ≥ k).
///
/// Beyond the mean the terms fall faster than a geometric series, so they are summed outwards
/// from `k`: nothing is lost in the far tail, where a difference from 1 would lose everything.
#[must_use]
pub fn upper_tail(n: u64, k: u64, p: f64) -> f64 {
    assert!((0.0..=1.0).contains(&p), "{p} is no probability");
    if k == 0 || p == 1.0 && k <= n {
        return 1.0;
    }
    if k > n || p == 0.0 {
        return 0.0;
    }
    if k as f64 <= n as f64 * p {
        return (1.0 - upper_tail(n, n - (k - 1), 1.0 - p)).max(0.0);
    }
    let odds = p / (1.0 - p);
    let mut term = probability(n, k, p);
    let mut sum = term;
    for i in k..n {
        term *= (n - i) as f64 / (i + 1) as f64 * odds;
        sum += term;
        if term < sum * f64::EPSILON / 4.0 {
            break;
        }
    }
    sum.min(1.0)
}

/// P(X = k), for 0 < p < 1.
fn probability(n: u64, k: u64, p: f64) -> f64 {
    (ln_binomial(n, k) + k as f64 * p.ln() + (n - k) as f64 * (-p).ln_1p()).exp()
}

/// The first of `from..to` for which `holds`, which stays true once it is; else `to`.
fn first(from: u64, to: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle
        } else {
            low = middle + 1
        }
    }
    low
}
