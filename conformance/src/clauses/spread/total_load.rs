//! The lines' total load, in bytes (how-to 3.1).

use multiwan_lab::traffic::{FlowId, SEGMENT};

use crate::clause::{Clause, Kind, Need, Tests};
use crate::clauses::fits;
use crate::clauses::sticky::count_unanswered;
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static TOTAL_LOAD: Clause = Clause {
    id: "spread.total-load",
    kind: Kind::Behaviour,
    how_to: &["3.1"],
    promise: "The bytes that equal lines carry differ by no more than 15 %.",
    method: "1,536 times a client fetches a page of 500 bytes from one server and then a picture of \
        14,600 from another, each by a connection of its own. Each must be answered, and the bytes \
        of each line's downloads must be within 15 % of its half. With so many pictures chance takes \
        them further apart in 3 of 100 million runs.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::two_equal_lines,
    tests: Tests::Fixed(1),
    judge: total_load,
};

const PICTURES: usize = 1536;

/// What the page and the picture have.
const BYTES: [u32; 2] = [500, 10 * SEGMENT];

/// Of a line's half.
const MARGIN: f64 = 0.15;

/// So many pages and their pictures are begun at a time that none waits for another's end: a
/// router sees them in this order.
const AT_ONCE: usize = 64;

fn total_load(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::set(cx)?;
    let mut flows: Vec<FlowId> = Vec::with_capacity(2 * PICTURES);
    for _ in 0..PICTURES / AT_ONCE {
        for _ in 0..AT_ONCE {
            let (client, server) = scene.pair();
            let other = scene.server();
            flows.push(scene.traffic.fetch(client, server, BYTES[0]));
            flows.push(scene.traffic.fetch(client, other, BYTES[1]));
        }
        scene.finish()?;
    }
    let carried = scene.carried_since(0);
    let bytes: Vec<u64> = (0..2).map(|line| carried.bytes(line)).collect();
    let unanswered = count_unanswered(&scene, &flows);
    let half = bytes.iter().sum::<u64>() as f64 / 2.0;
    let off = bytes[0] as f64 / half - 1.0;
    let judgement = if unanswered > 0 {
        Judgement::failed(format!("{unanswered} downloads were not answered"))
    } else {
        Judgement::holds_if(off.abs() <= MARGIN, || {
            format!(
                "the lines carried {} and {} bytes, {:.1} % off their half",
                bytes[0],
                bytes[1],
                off.abs() * 100.0
            )
        })
    };
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(
        judgement
            .with("connections", flows.len())
            .with("bytes", bytes),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::binomial::{lower_tail, upper_tail};

    /// Pages and pictures that each take either line by chance are further apart in 3 of 100
    /// million runs: less than a test may err.
    #[test]
    fn chance_does_not_take_the_lines_apart() {
        let n = PICTURES as u64;
        // With headers, which all frames have.
        let [page, picture] = BYTES.map(|bytes| f64::from(bytes + bytes.div_ceil(SEGMENT) * 54));
        let half = n as f64 * (page + picture) / 2.0;
        let apart: f64 = (0..=n)
            .map(|pages| {
                let chance = upper_tail(n, pages, 0.5) - upper_tail(n, pages + 1, 0.5);
                let rest = |bytes: f64| (bytes - pages as f64 * page) / picture;
                let few = rest(half * (1.0 - MARGIN)).ceil() as u64;
                let many = rest(half * (1.0 + MARGIN)).floor() as u64;
                let outside = lower_tail(n, few.saturating_sub(1), 0.5)
                    + upper_tail(n, (many + 1).min(n + 1), 0.5);
                chance * outside
            })
            .sum();
        assert!((1e-10..3e-8).contains(&apart), "{apart:e}");
    }
}
