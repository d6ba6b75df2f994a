//! What is seen while a run works: a bar for all, and on a terminal a line per running clause.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::terminal;
use crate::job::{Job, Message};

/// The display of a run. Bars go to standard error and only to a terminal; the lines of ended
/// clauses go to the stream that the report goes to.
pub struct Progress<'a> {
    bars: MultiProgress,
    all: ProgressBar,
    running: HashMap<usize, ProgressBar>,
    jobs: &'a [Job],
    widths: (usize, usize),
    to: &'a mut dyn Write,
}

impl<'a> Progress<'a> {
    /// A display for these jobs.
    pub fn new(jobs: &'a [Job], to: &'a mut dyn Write) -> Self {
        let bars = MultiProgress::new();
        let all = bars.add(ProgressBar::new(jobs.len() as u64));
        all.set_style(template("{elapsed:>4} {wide_bar} {pos} of {len}"));
        // Else it is first seen when the first clause ends.
        all.tick();
        let widest = |of: fn(&Job) -> &String| jobs.iter().map(|job| of(job).len()).max();
        let widths = (
            widest(|job| &job.clause).unwrap_or(0),
            widest(|job| &job.configuration).unwrap_or(0),
        );
        Progress {
            bars,
            all,
            running: HashMap::new(),
            jobs,
            widths,
            to,
        }
    }

    /// Shows what the job of this index says.
    pub fn show(&mut self, index: usize, message: &Message) {
        match message {
            Message::Started { .. } => {
                let job = &self.jobs[index];
                let bar = self.bars.insert_before(&self.all, ProgressBar::new(100));
                bar.set_style(template("{spinner} {prefix}  {msg}"));
                bar.set_prefix(format!("{} ({})", job.clause, job.configuration));
                bar.enable_steady_tick(Duration::from_millis(100));
                self.running.insert(index, bar);
            }
            Message::Progress { text, fraction } => {
                if let Some(bar) = self.running.get(&index) {
                    bar.set_message(match fraction {
                        Some(fraction) => format!("{text} {:.0} %", fraction * 100.0),
                        None => text.clone(),
                    });
                }
            }
            Message::Finished { record, .. } => {
                if let Some(bar) = self.running.remove(&index) {
                    bar.finish_and_clear();
                }
                self.all.inc(1);
                let line = terminal::line(record, self.widths.0, self.widths.1);
                // A reader that has gone away is noticed by the report itself.
                self.bars.suspend(|| drop(writeln!(self.to, "{line}")));
            }
            Message::Paused {
                hosts,
                user,
                worker,
            } => {
                let job = &self.jobs[index];
                let told = terminal::held(job, hosts, *user, *worker);
                self.bars.suspend(|| {
                    let _ = write!(self.to, "{told}").and_then(|()| self.to.flush());
                });
            }
            Message::Unavailable { .. }
            | Message::Waiting { .. }
            | Message::Claims(_)
            | Message::Unfit { .. } => (),
        }
    }

    /// Takes the bars away, also those of what was broken off.
    pub fn end(self) {
        for bar in self.running.values() {
            bar.finish_and_clear();
        }
        self.all.finish_and_clear();
    }
}

fn template(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a template of ours")
}
