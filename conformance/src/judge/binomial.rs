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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Twice the smaller tail, as the sum of whole numbers and one division at the end.
    const EXACT: [(u64, u64, f64, f64); 15] = [
        (3, 0, 1.0 / 2.0, 2.5e-1),
        (10, 0, 1.0 / 2.0, 1.953125e-3),
        (10, 5, 1.0 / 2.0, 1.0),
        (20, 3, 1.0 / 10.0, 6.461463896211e-1),
        (100, 61, 1.0 / 2.0, 3.520020021770e-2),
        (6500, 3000, 1.0 / 2.0, 5.929257521768e-10),
        (6500, 3054, 1.0 / 2.0, 1.227413671134e-6),
        (6500, 3446, 1.0 / 2.0, 1.227413671134e-6),
        (6500, 2800, 1.0 / 2.0, 5.816953035857e-29),
        (6500, 5100, 4.0 / 5.0, 2.213967551723e-3),
        (6500, 5357, 4.0 / 5.0, 8.342513671741e-7),
        (6500, 5, 1.0 / 1000.0, 7.378631918752e-1),
        (6600, 1500, 11.0 / 56.0, 6.448130914542e-10),
        (100_000, 51_200, 1.0 / 2.0, 3.282526442302e-14),
        (100_000, 48_000, 1.0 / 2.0, 1.153093866672e-36),
    ];

    #[test]
    fn p_values_are_exact_far_into_the_tails() {
        for (n, k, p, exact) in EXACT {
            let relative = (p_value(n, k, p) / exact - 1.0).abs();
            assert!(relative < 1e-9, "{n} {k} {p}: off by {relative:e}");
        }
    }

    #[test]
    fn a_sure_thing_and_an_impossible_one() {
        assert_eq!(p_value(50, 50, 1.0), 1.0);
        assert_eq!(p_value(50, 49, 1.0), 0.0);
        assert_eq!(p_value(50, 0, 0.0), 1.0);
        assert_eq!(p_value(50, 1, 0.0), 0.0);
        assert_eq!(p_value(0, 0, 0.3), 1.0);
        assert_eq!(acceptance(50, 1.0, 1e-6), 50..=50);
        assert_eq!(acceptance(50, 0.0, 1e-6), 0..=0);
    }

    /// Under the hypothesis, the share of rejected counts is at most the level, at a level coarse
    /// enough to see it: 10,000 counts of 300 coins.
    #[test]
    fn the_level_holds() {
        const TRIALS: u32 = 10_000;
        const LEVEL: f64 = 0.02;
        for p in [0.5, 0.8, 1.0 / 3.0] {
            let mut rng = ChaCha8Rng::seed_from_u64(2001);
            let rejected = (0..TRIALS).filter(|_| {
                let k = (0..300).filter(|_| rng.random_bool(p)).count();
                p_value(300, k as u64, p) <= LEVEL
            });
            let rate = rejected.count() as f64 / f64::from(TRIALS);
            // Exact tests are a little below their level; five standard errors above is 0.007.
            assert!((0.01..0.027).contains(&rate), "{rate} at {p}");
        }
    }

    proptest! {
        #[test]
        fn tails_meet(n in 1_u64..3000, k in 0.0..1.0_f64, p in 0.001..0.999_f64) {
            let k = (k * n as f64) as u64;
            let sum = lower_tail(n, k, p) + upper_tail(n, k + 1, p);
            prop_assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }

        #[test]
        fn the_interval_is_where_the_test_accepts(
            n in 1_u64..2000,
            p in 0.001..0.999_f64,
            exponent in -9.0..-1.0_f64,
        ) {
            let level = 10_f64.powf(exponent);
            let accepted = acceptance(n, p, level);
            let (lowest, highest) = (*accepted.start(), *accepted.end());
            prop_assert!(p_value(n, lowest, p) > level && p_value(n, highest, p) > level);
            prop_assert!(lowest == 0 || p_value(n, lowest - 1, p) <= level);
            prop_assert!(highest == n || p_value(n, highest + 1, p) <= level);
        }

        #[test]
        fn swapping_sides_changes_nothing(n in 1_u64..2000, k in 0.0..1.0_f64, p in 0.01..0.99_f64) {
            let k = (k * n as f64) as u64;
            let (one, other) = (p_value(n, k, p), p_value(n, n - k, 1.0 - p));
            prop_assert!((one - other).abs() <= 1e-9 * one.max(other), "{one} {other}");
        }
    }
}
