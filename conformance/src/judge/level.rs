//! How rarely a single test may err.

/// A run's false alarms: at most one in 100,000 runs.
pub const PER_RUN: f64 = 1e-5;

/// A single test's false alarms: at most one in a million, however few tests there are.
pub const PER_TEST: f64 = 1e-6;

/// The level of each test in a run of so many.
#[must_use]
pub fn level(tests: u32) -> f64 {
    (PER_RUN / f64::from(tests.max(1))).min(PER_TEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_tests_get_a_millionth_and_many_share() {
        assert_eq!(level(0), 1e-6);
        assert_eq!(level(1), 1e-6);
        assert_eq!(level(10), 1e-6);
        assert!((level(40) * 40.0 - PER_RUN).abs() < 1e-15);
    }
}
