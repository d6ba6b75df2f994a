//! A failover as a timeline: a lane per line with its new connections, and what happened.

use maud::{Markup, html};

use super::colour;
use crate::events::Mark;
use crate::timeline::{Marked, Timeline};

/// A lane's height, and the room below it, in the drawing's own units.
const LANE: f64 = 36.0;
const ROOM: f64 = 6.0;

/// Marks nearer to each other than this part of the width are written one above the other.
const NEAR: f64 = 0.055;

pub(super) fn legend() -> Markup {
    html! {
        p.legend {
            "New connections per line and short while. "
            @for (mark, word) in [
                (Mark::Fault, "a line was broken"),
                (Mark::Repair, "repaired"),
                (Mark::Change, "the router's kernel changed"),
                (Mark::Seen, "what was waited for was seen"),
            ] {
                span.key { span.tag.(class(mark)) { (sign(mark)) } " " (word) }
            }
        }
    }
}

/// The drawing; what happened is listed below it, at once or when asked for.
pub(super) fn figure(timeline: &Timeline, list: bool) -> Markup {
    let most = timeline.lines.iter().flat_map(|line| &line.new);
    let most = most
        .chain(&timeline.unanswered)
        .copied()
        .max()
        .unwrap_or(0)
        .max(1);
    let mut lanes: Vec<(&str, String, &[u32])> = Vec::new();
    for (place, line) in timeline.lines.iter().enumerate() {
        lanes.push((&line.name, colour(place), &line.new));
    }
    if timeline.unanswered.iter().any(|&count| count > 0) {
        lanes.push(("no answer", "lost".to_owned(), &timeline.unanswered));
    }
    let width = timeline.bins();
    let height = lanes.len() as f64 * (LANE + ROOM);
    let rows = rows(timeline);
    let high = rows.iter().max().map_or(0, |row| row + 1);
    html! {
        figure.timeline {
            div.names style=(format!("padding-top:{:.2}rem", 1.3 * high as f64)) {
                @for (name, _, counts) in &lanes {
                    span { (name) " " small { (counts.iter().sum::<u32>()) } }
                }
            }
            div.plot {
                div.tags style=(format!("height:{:.2}rem", 1.3 * high as f64)) aria-hidden="true" {
                    @for (mark, row) in timeline.marks.iter().zip(&rows) {
                        span.tag.(class(mark.kind)) title=(told(mark))
                            style=(format!("left:{:.2}%;bottom:{:.2}rem", 100.0 * place(timeline, mark), 1.3 * *row as f64)) {
                            (sign(mark.kind))
                        }
                    }
                }
                svg viewBox=(format!("0 0 {width} {height}")) preserveAspectRatio="none" role="img"
                    style=(format!("height:{:.2}rem", height / 16.0)) {
                    title { "New connections over time, at most " (most) " per " (timeline.bin_ms) " ms" }
                    @for (number, (_, colour, counts)) in lanes.iter().enumerate() {
                        @let base = (LANE + ROOM) * number as f64 + LANE;
                        path.base d=(format!("M0 {base}H{width}")) {}
                        path class=(colour) d=(columns(counts, base, most)) {}
                    }
                    @for mark in &timeline.marks {
                        path.mark.(class(mark.kind))
                            d=(format!("M{:.2} 0V{height}", place(timeline, mark) * width as f64)) {}
                    }
                }
                div.axis {
                    @for step in 0..=4_u64 {
                        @let length = width as u64 * timeline.bin_ms;
                        span { (seconds(timeline.from_ms + length * step / 4)) }
                    }
                }
            }
            figcaption {
                details open[list] {
                    summary {
                        "what happened; at most " (most) " new connections in " (timeline.bin_ms) " ms"
                    }
                    ol {
                        @for mark in &timeline.marks {
                            li { span.tag.(class(mark.kind)) { (sign(mark.kind)) } span { (told(mark)) } }
                        }
                    }
                }
            }
        }
    }
}

/// Columns for all counts as one path.
fn columns(counts: &[u32], base: f64, most: u32) -> String {
    let column = |(bin, &count): (usize, &u32)| {
        let height = f64::from(count) / f64::from(most) * LANE;
        (count > 0).then(|| format!("M{bin} {base}v-{height:.1}h1v{height:.1}z"))
    };
    counts.iter().enumerate().filter_map(column).collect()
}

/// Where a mark is, from 0 to 1.
fn place(timeline: &Timeline, mark: &Marked) -> f64 {
    let length = timeline.bins() as f64 * timeline.bin_ms as f64;
    ((mark.at_ms - timeline.from_ms as f64) / length).clamp(0.0, 1.0)
}

/// In which row each mark's sign is written, from 0 at the bottom.
fn rows(timeline: &Timeline) -> Vec<usize> {
    const MOST: usize = 4;
    let mut ends = [f64::NEG_INFINITY; MOST];
    let row = |mark: &Marked| {
        let at = place(timeline, mark);
        let free = ends.iter().position(|end| at - end >= NEAR);
        let row = free.unwrap_or(MOST - 1);
        ends[row] = at;
        row
    };
    timeline.marks.iter().map(row).collect()
}

fn told(mark: &Marked) -> String {
    format!("{:.3} s  {}", mark.at_ms / 1000.0, mark.what)
}

fn seconds(milliseconds: u64) -> String {
    format!("{:.2} s", milliseconds as f64 / 1000.0)
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Fault => "fault",
        Mark::Repair => "repair",
        Mark::Change => "change",
        Mark::Seen => "saw",
    }
}

/// Told apart without colour too.
fn sign(mark: Mark) -> &'static str {
    match mark {
        Mark::Fault => "✕",
        Mark::Repair => "✓",
        Mark::Change => "△",
        Mark::Seen => "●",
    }
}
