//! The how-to's own load (1.2).

use std::time::Instant;

use multiwan_lab::traffic::FlowId;
use rand::RngExt as _;

use crate::clause::{Clause, Kind, Need, Tests};
use crate::clauses::fits;
use crate::clauses::sticky::{Moved, count_unanswered};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static DAY_LOAD: Clause = Clause {
    id: "throughput.day-load",
    kind: Kind::Behaviour,
    how_to: &["1.2"],
    promise: "The lines carry what 17 clients download in a day of twelve hours: 600 MB in several \
        100,000 connections.",
    method: "A sixtieth of such a day, as fast as it goes: 17 clients, 5,000 connections of \
        distinct pairs and 10 MB, over lines of 40 Mbit/s. Each connection opens, downloads 0.5, 3 or \
        12 kB (of 100: 70, 22 and 8) and closes; each must be answered in full, and none may change \
        line or source.",
    needs: &[Need::Settings, Need::TokenBucket],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: day_load,
};

/// Of 300,000.
const CONNECTIONS: usize = 5000;

/// How many bytes, and how many of a hundred connections: 2,000 bytes in the mean.
const SIZES: [(u32, u32); 3] = [(500, 70), (3000, 22), (12_000, 8)];

fn day_load(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::rated(cx, |_| 40_000_000)?;
    let began = Instant::now();
    let mut flows: Vec<FlowId> = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let bytes = size(scene.cx.rng.random_range(0..100));
        let (client, server) = scene.pair();
        flows.push(scene.traffic.fetch(client, server, bytes));
    }
    scene.finish()?;
    let took = began.elapsed();
    let moved = Moved::among(&scene, &flows);
    let unanswered = count_unanswered(&scene, &flows);
    let judgement = if unanswered > 0 {
        Judgement::failed(format!(
            "{unanswered} of {CONNECTIONS} downloads did not come to their end"
        ))
    } else {
        moved.judgement()
    };
    let carried = scene.carried_since(0);
    let bytes: Vec<u64> = (0..scene.cx.lines().len())
        .map(|line| carried.bytes(line))
        .collect();
    let judgement = scene
        .unless_lossy(&flows, judgement)
        .with("connections", CONNECTIONS)
        .with("bytes", bytes)
        .with("took_ms", took.as_millis() as u64);
    scene.verdict(judgement)
}

/// What the connection downloads that drew this number below 100.
fn size(mut drawn: u32) -> u32 {
    for (bytes, of) in SIZES {
        if drawn < of {
            return bytes;
        }
        drawn -= of;
    }
    unreachable!("a hundred in all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_downloads_two_kilobytes_in_the_mean() {
        let all: u32 = (0..100).map(size).sum();
        assert!((196_000..=204_000).contains(&all), "{all}");
    }
}
