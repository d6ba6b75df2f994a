//! Benchmarks whose rounds time themselves: criterion gets every round, and the reader one line
//! with the median in the unit that users count in, beside what they would use instead.

// Each benchmark takes what it needs of this.
#![allow(dead_code)]

use std::fmt::{Display, Write as _};
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};

/// Criterion for rounds that take a whole lab each: few of them, and no plots.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(10)
        .without_plots()
        .configure_from_args()
}

/// Benchmarks of the same work, done by us and by others.
pub(crate) struct Comparison<'c> {
    group: BenchmarkGroup<'c, WallTime>,
    title: String,
    unit: Unit,
    /// The median of each that ran, the first being ours.
    medians: Vec<(String, f64)>,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// Less is better.
    Milliseconds,
    /// How often in a second, given how often in a round; more is better.
    PerSecond {
        /// In one round.
        count: u64,
        /// What is counted.
        what: &'static str,
    },
}

impl<'c> Comparison<'c> {
    /// Begins one; what is measured first is ours.
    pub(crate) fn new(criterion: &'c mut Criterion, title: &str, unit: Unit) -> Self {
        let mut group = criterion.benchmark_group(title.replace(['/', ','], ""));
        group.sampling_mode(SamplingMode::Flat);
        if let Unit::PerSecond { count, .. } = unit {
            group.throughput(Throughput::Elements(count));
        }
        Self {
            group,
            title: title.to_owned(),
            unit,
            medians: Vec::new(),
        }
    }

    /// Measures rounds that say how long they took; the median, unless the command line left it
    /// out.
    pub(crate) fn measure(
        &mut self,
        name: &str,
        mut round: impl FnMut() -> Duration,
    ) -> Option<Duration> {
        let mut rounds = Vec::new();
        self.group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                let first = rounds.len();
                rounds.extend((0..count).map(|_| round()));
                rounds[first..].iter().sum()
            });
        });
        rounds.sort_unstable();
        let median = *rounds.get(rounds.len() / 2)?;
        self.medians
            .push((name.to_owned(), self.unit.figure(median)));
        Some(median)
    }

    /// Ends it, and prints its line.
    pub(crate) fn finish(self, goal: impl Display) {
        self.group.finish();
        let Some(((_, ours), others)) = self.medians.split_first() else {
            return;
        };
        let mut line = format!("==> {}: {} ({goal})", self.title, self.unit.say(*ours));
        for (name, theirs) in others {
            let ratio = self.unit.advantage(*ours, *theirs);
            let theirs = self.unit.say(*theirs);
            let _ = write!(line, "; {name}: {theirs}, ratio {ratio:.2}");
        }
        println!("{line}\n");
    }
}

impl Unit {
    fn figure(self, round: Duration) -> f64 {
        match self {
            Self::Milliseconds => round.as_secs_f64() * 1e3,
            Self::PerSecond { count, .. } => count as f64 / round.as_secs_f64(),
        }
    }

    fn say(self, figure: f64) -> String {
        match self {
            Self::Milliseconds => format!("{figure:.2} ms"),
            Self::PerSecond { what, .. } => format!("{figure:.0} {what}/s"),
        }
    }

    /// How many times better ours is.
    fn advantage(self, ours: f64, theirs: f64) -> f64 {
        match self {
            Self::Milliseconds => theirs / ours,
            Self::PerSecond { .. } => ours / theirs,
        }
    }
}
