//! How long a run will take, roughly: with the `[keepalive]` of a real router most of it is waiting.

use std::time::Duration;

use crate::configuration::Configuration;
use crate::context::Deadlines;

/// What a clause waits, in the mean, of the time that the contract gives for a line's death or
/// return: measured over all clauses, with intervals of 1 and 8 seconds.
const WAITS: f64 = 0.65;

/// What the clause that waits longest waits of it.
const LONGEST: f64 = 3.0;

/// About how long a run takes that judges one clause with each of these, so many at a time.
#[must_use]
pub fn forecast<'a>(with: impl Iterator<Item = &'a Configuration>, at_once: usize) -> Duration {
    let honoured = with.map(|with| Deadlines::of(&with.config.keepalive).honoured);
    let nothing = (Duration::ZERO, Duration::ZERO);
    let (all, longest) =
        honoured.fold(nothing, |(all, longest), one| (all + one, longest.max(one)));
    let shared = all.mul_f64(WAITS / at_once.max(1) as f64);
    shared.max(longest.mul_f64(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::TWO_LINES;

    #[test]
    fn it_follows_from_the_keepalive_and_how_many_are_judged_at_once() {
        let mut slow = Configuration::builtin(&TWO_LINES);
        let quick = slow.clone();
        slow.config.keepalive.interval = Duration::from_secs(8);
        let of = |with: &Configuration, clauses: usize, at_once| {
            forecast(std::iter::repeat_n(with, clauses), at_once).as_secs()
        };
        assert_eq!(of(&slow, 69, 4), 470);
        assert_eq!(of(&slow, 69, 30), 126);
        assert_eq!(of(&quick, 69, 4), 33);
        assert_eq!(of(&quick, 0, 4), 0);
    }
}
