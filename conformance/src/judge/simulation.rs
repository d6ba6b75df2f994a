//! What `docs/statistics.md` says, tried out: thousands of runs of the whole verdict on drawn
//! connections.

use multiwan::config::Line;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{level, pairs_needed, power, shares};
use crate::configuration::{Configuration, FOUR_TO_ONE, TWO_LINES};
use crate::judgement::{Judgement, Status};
use crate::selection;

fn lines(weights: &[u16]) -> Vec<Line> {
    let [one, _] = &Configuration::builtin(&TWO_LINES).config.lines[..] else {
        panic!("two lines");
    };
    let line = |(number, &weight): (u8, &u16)| Line {
        number,
        weight,
        ..one.clone()
    };
    (1..).zip(weights).map(line).collect()
}

/// How many of `n` connections each line gets that has these chances.
fn drawn(rng: &mut ChaCha8Rng, n: u64, chances: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; chances.len()];
    for _ in 0..n {
        let mut left = rng.random::<f64>();
        let line = chances.iter().position(|chance| {
            left -= chance;
            left < 0.0
        });
        counts[line.unwrap_or(chances.len() - 1)] += 1;
    }
    counts
}

/// At a level coarse enough to see it: of 20,000 verdicts on three lines that get what they
/// should, no more than the sum of their tests' levels are false alarms.
#[test]
fn false_alarms_of_several_lines_are_at_most_the_sum_of_their_levels() {
    const TRIALS: u32 = 20_000;
    const LEVEL: f64 = 0.01;
    let lines = lines(&[3, 2, 1]);
    let mut rng = ChaCha8Rng::seed_from_u64(2001);
    let alarms = (0..TRIALS).filter(|_| {
        let seen = drawn(&mut rng, 240, &[3.0 / 6.0, 2.0 / 6.0, 1.0 / 6.0]);
        !shares(&lines, &seen, LEVEL).iter().all(|share| share.holds)
    });
    let rate = alarms.count() as f64 / f64::from(TRIALS);
    // Five standard errors above three levels; below, as exact tests are, but not by much.
    assert!((0.012..3.0 * LEVEL + 0.006).contains(&rate), "{rate}");
}

/// With the pairs that a clause sends, a line that is off by 0.05 is missed once in a thousand
/// times at most; and with two lines both say the same.
#[test]
fn a_shift_of_five_hundredths_is_found() {
    const TRIALS: usize = 1000;
    for (with, p) in [(&TWO_LINES, 0.5), (&FOUR_TO_ONE, 0.8)] {
        let lines = Configuration::builtin(with).config.lines;
        let n = pairs_needed(p, power::SHIFT, level::PER_TEST, power::POWER);
        let mut rng = ChaCha8Rng::seed_from_u64(2001);
        let missed = (0..TRIALS).filter(|_| {
            // To the middle: there counts vary most.
            let p = p - power::SHIFT;
            let judged = shares(&lines, &drawn(&mut rng, n, &[p, 1.0 - p]), level::PER_TEST);
            assert_eq!(judged[0].holds, judged[1].holds);
            Judgement::of_shares(&judged).status == Status::Passed
        });
        // One is expected; more than eight come once in a million times.
        let missed = missed.count();
        assert!(missed <= 8, "{missed} of {TRIALS} with {}", with.name);
    }
}

/// What the document says of a run of everything.
#[test]
fn the_document_s_numbers_are_right() {
    let document = include_str!("../../../docs/statistics.md");
    let document: Vec<&str> = document.split_whitespace().collect();
    let document = document.join(" ");
    let said = |what: String| assert!(document.contains(&what), "not said: {what}");

    let level = selection::level(&[]);
    let tests = (level::PER_RUN / level).round();
    said(format!("{tests} tests of {level:.1e} each"));
    for (share, p) in [
        ("1/2", 0.5),
        ("4/5", 0.8),
        ("1/3", 1.0 / 3.0),
        ("1/4", 0.25),
    ] {
        let n = pairs_needed(p, power::SHIFT, level, power::POWER);
        let (low, high) = super::acceptance(n, p, level).into_inner();
        said(format!("| {share} | {n} | {low}–{high} |"));
    }

    let n = pairs_needed(0.5, power::SHIFT, level, power::POWER);
    let (low, high) = super::acceptance(n, 0.5, level).into_inner();
    said(format!("(\"{low} to {high}\")"));
    let found = |shift| super::power_of(n, 0.5, shift, level);
    said(format!(
        "with {n} pairs, a shift of 0.02 is found with a probability of {:.2}, 0.03 with {:.2}, 0.04 \
         with {:.2}, 0.05 with {:.3}",
        found(0.02),
        found(0.03),
        found(0.04),
        found(0.05)
    ));
}
