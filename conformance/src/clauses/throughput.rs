//! Several lines carry more than one: why people do this at all (how-to 1.1).

mod day_load;

use std::time::Duration;

use multiwan::config::Line;
use multiwan_lab::Rate;
use multiwan_lab::traffic::{FlowId, SEGMENT};
use toml::Value;

use super::fits;
use crate::carried::Carried;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[&SUM, &WEIGHTED, &day_load::DAY_LOAD];

/// Of what lines could carry, so much must be carried: 1.9 times one by two.
const OF_THE_SUM: f64 = 0.95;

static SUM: Clause = Clause {
    id: "throughput.sum",
    kind: Kind::Behaviour,
    how_to: &["1.1"],
    promise: "Two equal lines carry at least 1.9 times what one carries, while both have work.",
    method: "Each line carries 20 Mbit/s. 200 connections of distinct pairs are opened for each \
        line; then those of the first line alone download 7,300 bytes each, and after that all at \
        the same time. By the times at which frames reached the clients, what all lines carried \
        together while each had work must be 0.95 times the number of lines times what the one carried alone (1.9 \
        times for two lines). If it is not, and lines with work paused for longer than their token \
        buckets make up for (100 ms), or a frame was lost, it is inconclusive.",
    needs: &[Need::Settings, Need::TokenBucket],
    configurations: &[TWO_LINES],
    fits: fits::equal_weights,
    tests: Tests::None,
    judge: sum,
};

fn sum(cx: &mut Context) -> Result<Judgement, Trouble> {
    /// For each line: its bucket holds what 34 of them download.
    const EACH: usize = 200;
    const BYTES: u32 = 5 * SEGMENT;
    /// No line carries more of its rate than that, but out of its bucket.
    const ABOVE: f64 = 1.02;
    let mut scene = Scene::rated(cx, |_| 20_000_000)?;
    let lines = scene.sharing();
    let wanted = EACH * lines.len();
    let by_line = scene.open_downloads(wanted)?;
    let flows = by_line.concat();
    let idle = lines.iter().any(|&line| by_line[line].is_empty());
    if flows.len() < wanted || idle {
        let judgement = unopened(&scene, wanted, &by_line);
        return scene.verdict(judgement);
    }
    let alone = scene.carry(&by_line[0], BYTES)?;
    let all = scene.carry(&flows, BYTES)?;
    let (Some(one), Some(several)) = (
        alone.while_all_have_work(&lines[..1]),
        all.while_all_have_work(&lines),
    ) else {
        let judgement = Judgement::inconclusive("the lines had work at no time together");
        return scene.verdict(judgement);
    };
    let (alone_rate, all_rate) = (alone.rate(&one), all.rate(&several));
    let still = alone.stood_still(&lines[..1], &one) + all.stood_still(&lines, &several);
    let times = all_rate / alone_rate;
    let wanted = OF_THE_SUM * lines.len() as f64;
    let judgement = Judgement::holds_if(times >= wanted, || {
        format!(
            "{} lines carried {:.1} Mbit/s together, {times:.2} times the {:.1} Mbit/s of one; \
             {wanted:.2} times were promised",
            lines.len(),
            all_rate / 1e6,
            alone_rate / 1e6,
        )
    });
    let mut judgement = unless_late(&scene, &flows, judgement, still);
    // Given its work late, it still had a full bucket.
    if judgement.is_bad() && alone_rate > f64::from(scene.rate(0).bits) * ABOVE {
        judgement = Judgement::inconclusive("the line alone was given its work too late");
    }
    let judgement = judgement
        .with("alone_mbit", tenths(alone_rate / 1e6))
        .with("together_mbit", tenths(all_rate / 1e6))
        .with("times", hundredths(times))
        .with("stood_still_ms", milliseconds(still));
    scene.verdict(judgement)
}

static WEIGHTED: Clause = Clause {
    id: "throughput.weighted",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Over lines of capacities 4 and 1, downloads end when the line that each took lets \
        them, and weights of 4 and 1 end them 1.8 times sooner than equal weights.",
    method: "The lines carry 40 and 10 Mbit/s. 1,200 connections of distinct pairs are opened, and \
        all download 4,380 bytes at the same time. By the times at which frames reached the \
        clients, the longest of the lines' times, from when its full token bucket was empty to its \
        last frame, must be what the line with the most bytes for its rate takes, and 5 % at most \
        more. Then the same with both weights 1: by that it must take 1.8 times as long or more, \
        which chance makes less in 3 of 100 million runs. (An applier that does not claim `reload` \
        is not run again: that half is computed.) If it is not so, and lines with work paused for \
        longer than their token buckets make up for (100 ms), or a frame was lost, it is \
        inconclusive.",
    needs: &[Need::Settings, Need::TokenBucket],
    configurations: &[FOUR_TO_ONE],
    fits: fits::four_to_one,
    tests: Tests::Fixed(1),
    judge: weighted,
};

/// So many downloads that the factor is met by chance, see the test below.
const DOWNLOADS: usize = 1200;

/// Equal weights must take so much longer.
const FACTOR: f64 = 1.8;

fn weighted(cx: &mut Context) -> Result<Judgement, Trouble> {
    const BYTES: u32 = 3 * SEGMENT;
    /// Of the time that is predicted.
    const MARGIN: f64 = 0.05;
    let bits = |line: &Line| u32::from(line.weight) * 10_000_000;
    let mut scene = Scene::rated(cx, bits)?;
    let mut judgement = Judgement::passed();
    let mut took = Vec::new();
    let again = scene.cx.applier.features().contains(&Feature::Reload);
    for equal in [false, true] {
        if equal {
            scene.set_again(weigh_equally)?;
        }
        let by_line = scene.open_downloads(DOWNLOADS)?;
        let flows = by_line.concat();
        if flows.len() < DOWNLOADS {
            judgement = unopened(&scene, DOWNLOADS, &by_line).measured_as(judgement);
            break;
        }
        let carried = scene.carry(&flows, BYTES)?;
        let rates: Vec<Rate> = (0..by_line.len()).map(|line| scene.rate(line)).collect();
        let (seen, predicted) = (carried.took(&rates), carried.predicted(&rates));
        let off = seen.as_secs_f64() / predicted.as_secs_f64() - 1.0;
        let with = if equal {
            "equal weights"
        } else {
            "weights of 4 and 1"
        };
        let this = Judgement::holds_if(off <= MARGIN, || {
            format!(
                "with {with} the downloads took {} ms, where the lines that they took, {} and {}, let \
                 them end in {} ms",
                milliseconds(seen),
                by_line[0].len(),
                by_line[1].len(),
                milliseconds(predicted),
            )
        });
        let still = slack(&carried, &rates);
        let key = if equal { "equal" } else { "weighted" };
        judgement = unless_late(&scene, &flows, this, still)
            .measured_as(judgement)
            .with(&format!("{key}_ms"), milliseconds(seen))
            .with(&format!("{key}_predicted_ms"), milliseconds(predicted))
            .with(&format!("{key}_downloads"), lengths(&by_line));
        if judgement.is_bad() {
            break;
        }
        took.push(seen.as_secs_f64());
        if !again {
            took.push(carried.predicted_if_equal(&rates).as_secs_f64());
            break;
        }
    }
    if let [by_weight, equal] = took[..] {
        let times = equal / by_weight;
        let last = Judgement::holds_if(times >= FACTOR, || {
            format!(
                "with weights of 4 and 1 the downloads took {:.0} ms, {times:.2} times less than with \
                 equal weights; {FACTOR} were promised",
                by_weight * 1e3
            )
        });
        judgement = last.measured_as(judgement).with("times", hundredths(times));
    }
    scene.verdict(judgement)
}

/// Every line in the file gets the weight 1.
fn weigh_equally(lines: &mut Vec<Value>) {
    for line in lines {
        if let Value::Table(line) = line {
            line.insert("weight".to_owned(), Value::Integer(1));
        }
    }
}

/// How long the line stood still that had the most to do.
fn slack(carried: &Carried, rates: &[Rate]) -> Duration {
    let lines: Vec<usize> = (0..rates.len()).collect();
    let still = |line: &usize| {
        let during = carried.while_all_have_work(&[*line]);
        during.map_or(Duration::ZERO, |during| {
            carried.stood_still(&[*line], &during)
        })
    };
    lines.iter().map(still).max().unwrap_or_default()
}

/// The verdict where not all connections could be opened, or some line got none.
fn unopened(scene: &Scene<'_>, count: usize, by_line: &[Vec<FlowId>]) -> Judgement {
    let opened: usize = by_line.iter().map(Vec::len).sum();
    let each: Vec<String> = by_line
        .iter()
        .enumerate()
        .map(|(line, flows)| format!("{} by {}", flows.len(), scene.name(line)))
        .collect();
    Judgement::failed(format!(
        "of {count} connections {opened} were answered by one line ({})",
        each.join(", ")
    ))
}

/// The verdict on times: a bad one says nothing where the machine stood still or lost a frame.
fn unless_late(
    scene: &Scene<'_>,
    flows: &[FlowId],
    judgement: Judgement,
    still: Duration,
) -> Judgement {
    let again = |flow: &&FlowId| scene.traffic.flow(**flow).retransmissions > 0;
    let lost = flows.iter().filter(again).count();
    if !judgement.is_bad() || (still.is_zero() && lost == 0) {
        return judgement;
    }
    Judgement::inconclusive(format!(
        "{}; but lines with work stood still for {} ms, and {lost} downloads lost a packet",
        judgement.reason.as_deref().unwrap_or_default(),
        milliseconds(still),
    ))
}

fn lengths(by_line: &[Vec<FlowId>]) -> Vec<usize> {
    by_line.iter().map(Vec::len).collect()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::binomial::{lower_tail, upper_tail};

    /// The time that the busier line needs, in downloads of the slower one's.
    fn time(slow: u64) -> f64 {
        let fast = DOWNLOADS as u64 - slow;
        (fast as f64 / 4.0).max(slow as f64)
    }

    /// With lines that get what their weights say, chance alone misses the factor in 3 of 100
    /// million runs: less than a test may err.
    #[test]
    fn chance_does_not_miss_the_factor() {
        let n = DOWNLOADS as u64;
        let missed: f64 = (0..=n)
            .map(|slow| {
                let chance = upper_tail(n, slow, 0.2) - upper_tail(n, slow + 1, 0.2);
                let least = FACTOR * time(slow);
                // Equal weights end sooner than that: the slow line got too few.
                let few = (least.ceil() as u64).saturating_sub(1);
                chance * lower_tail(n, few, 0.5)
            })
            .sum();
        assert!((1e-9..3e-8).contains(&missed), "{missed:e}");
    }
}
