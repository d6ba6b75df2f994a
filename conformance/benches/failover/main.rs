//! How long new connections fail when a line dies, how long a repaired line waits, and what watching
//! costs: medians of whole rounds, each in a router of its own.
//!
//! `cargo bench --bench failover -- carrier` runs the rows with that in their names, with `ROUNDS=5`
//! in the environment so many rounds of each.

mod idle;
mod round;
#[path = "../stage/mod.rs"]
mod stage;

use std::env;
use std::time::Duration;

use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::{Fault, Lab, sandbox};
use stage::Stage;

const ROUNDS: usize = 20;

/// Timers of the kernel's own that are as quick as it takes; a real gateway needs longer to answer.
const QUICKEST: [(&str, &str); 5] = [
    ("base_reachable_time_ms", "500"),
    ("delay_first_probe_time", "0"),
    ("retrans_time_ms", "20"),
    ("ucast_solicit", "1"),
    ("mcast_solicit", "1"),
];

fn main() {
    let sandbox = sandbox::enter().unwrap_or_else(|why| panic!("{why}"));
    let two_lines = |keepalive: &str| {
        let (head, _) = TWO_LINES
            .toml
            .split_once("[keepalive]")
            .expect("it is there");
        Stage::new(&sandbox, &format!("{head}[keepalive]\n{keepalive}\n"))
    };
    let quick = two_lines("interval = \"100ms\"");
    let default = two_lines("");
    let targets = two_lines("targets = [\"198.18.0.53\"]");

    println!(
        "    {:56} {:>9} {:>9} {:>9}",
        "", "median", "longest", "goal"
    );
    let ours = |name: &str, stage: &Stage<'_>, fault, death: u64, back: u64| {
        let row = Row(name);
        let rounds = row.play(|| round::play(stage, fault, true, |_| ()));
        row.print("", rounds.iter().map(|round| round.death), Some(death));
        let back_after = rounds.iter().filter_map(|round| round.back);
        row.print(": back", back_after, Some(back));
    };
    ours(
        "carrier lost, interval 100 ms",
        &quick,
        Fault::Carrier,
        20,
        150,
    );
    ours(
        "modem silent, interval 100 ms",
        &quick,
        Fault::Silent,
        350,
        150,
    );
    ours("carrier lost", &default, Fault::Carrier, 20, 1050);
    ours("modem silent", &default, Fault::Silent, 3500, 1050);
    ours(
        "provider dead, one target",
        &targets,
        Fault::Upstream,
        3500,
        1050,
    );
    let kernel = |name: &str, fault, tune: fn(&mut Lab)| {
        let row = Row(name);
        let rounds = row.play(|| round::play(&default, fault, false, tune));
        row.print("", rounds.iter().map(|round| round.death), None);
    };
    kernel("carrier lost, kernel alone", Fault::Carrier, |_| ());
    kernel(
        "modem silent, kernel alone, its quickest timers",
        Fault::Silent,
        |lab| {
            for (timer, value) in QUICKEST {
                let set = lab.router().set(&format!("ipv4/neigh/eth1/{timer}"), value);
                set.unwrap_or_else(|why| panic!("{why}"));
            }
        },
    );
    if wanted("idle") {
        idle::measure(&sandbox);
    }
}

/// A line of the table, by its name.
struct Row<'n>(&'n str);

impl Row<'_> {
    fn play(&self, round: impl FnMut() -> round::Round) -> Vec<round::Round> {
        let rounds = env::var("ROUNDS").ok().and_then(|text| text.parse().ok());
        let rounds = rounds.unwrap_or(ROUNDS);
        let round = std::iter::repeat_with(round);
        round
            .take(if wanted(self.0) { rounds } else { 0 })
            .collect()
    }

    fn print(&self, what: &str, times: impl Iterator<Item = Duration>, goal: Option<u64>) {
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        let Some(longest) = times.last() else { return };
        let name = format!("{}{what} ({} rounds)", self.0, times.len());
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
        let goal = goal.map(|goal| format!("{goal} ms")).unwrap_or_default();
        let median = times[times.len() / 2];
        println!(
            "==> {name:56} {:>9} {:>9} {goal:>9}",
            ms(median),
            ms(*longest)
        );
    }
}

/// Whether the command line asks for it: by part of its name, or by nothing at all.
fn wanted(name: &str) -> bool {
    let mut words = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}
