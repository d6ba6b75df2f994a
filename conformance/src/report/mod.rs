//! What a run found, as a value; the files beside this one write it.

pub mod html;
pub mod json;
pub mod junit;
pub mod progress;
pub mod terminal;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clause::{Clause, Kind, Need};
use crate::clauses;
use crate::configuration::Configuration;
use crate::job;
use crate::judge::Share;
use crate::judgement::{Judgement, Measured, Status};
use crate::selection::Misfit;
use crate::timeline::Timeline;

/// One clause with one configuration, judged: the contract's object, in its order of keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The clause.
    pub id: String,
    /// Behaviour or layout.
    pub kind: Kind,
    /// The verdict.
    pub status: Status,
    /// The configuration's name.
    pub config: String,
    /// A sentence, unless passed.
    pub reason: Option<String>,
    /// The how-to's sections, `2.3.3, 2.4`.
    pub how_to: String,
    /// How long it took, in the worker.
    pub duration_ms: u64,
    /// What the verdict rests on.
    pub measured: Measured,
    /// Several lines beside the reason: events, the applier's output.
    pub detail: Option<String>,
    /// Each line's share of new connections with its exact bounds, where that was judged.
    pub shares: Vec<Share>,
    /// New connections over time, one for each lab in which a line was broken.
    pub timelines: Vec<Timeline>,
    /// The folder with what was kept of a clause that failed or could not be judged.
    pub kept: Option<PathBuf>,
    /// Whether the clause says anything about the configuration; else it is skipped.
    pub fits: bool,
}

impl Record {
    /// A clause's judgement with this configuration.
    #[must_use]
    pub fn new(clause: &Clause, config: &str, judgement: Judgement, took: Duration) -> Self {
        Record {
            id: clause.id.to_owned(),
            kind: clause.kind,
            status: judgement.status,
            config: config.to_owned(),
            reason: judgement.reason,
            how_to: clause.sections(),
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            measured: judgement.measured,
            detail: None,
            shares: judgement.shares,
            timelines: Vec::new(),
            kept: None,
            fits: true,
        }
    }

    /// A clause that says nothing about this configuration.
    #[must_use]
    pub fn misfit(misfit: &Misfit) -> Self {
        let judgement = Judgement::skipped(&misfit.why);
        Record {
            fits: false,
            ..Record::new(misfit.clause, &misfit.with.name, judgement, Duration::ZERO)
        }
    }

    /// A clause that was not judged with this configuration, as the run was stopped before.
    #[must_use]
    pub fn not_judged(clause: &Clause, config: &str, stopped: &str) -> Self {
        let judgement = Judgement::inconclusive(not_judged(stopped));
        Record::new(clause, config, judgement, Duration::ZERO)
    }

    /// The same with details, if there are any.
    #[must_use]
    pub fn with_detail(self, detail: Option<String>) -> Self {
        Record {
            detail: detail.filter(|text| !text.is_empty()),
            ..self
        }
    }
}

fn not_judged(stopped: &str) -> String {
    format!("not judged: {stopped}")
}

/// How many clauses have which verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Held.
    pub passed: usize,
    /// Broken.
    pub failed: usize,
    /// Without what they need.
    pub skipped: usize,
    /// Not to be judged.
    pub inconclusive: usize,
}

impl Counts {
    fn of<'a>(records: impl Iterator<Item = &'a Record>) -> Self {
        records.fold(Counts::default(), |mut counts, record| {
            *match record.status {
                Status::Passed => &mut counts.passed,
                Status::Failed => &mut counts.failed,
                Status::Skipped => &mut counts.skipped,
                Status::Inconclusive => &mut counts.inconclusive,
            } += 1;
            counts
        })
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.passed + self.failed + self.skipped + self.inconclusive
    }
}

/// A whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The kernel's release, `6.18.44`.
    pub kernel: String,
    /// The applier's name.
    pub applier: String,
    /// Whether it is not the shipped one: then its layout is counted apart.
    pub foreign: bool,
    /// The sandbox's mode, `full` or `limited`.
    pub mode: String,
    /// With which the run repeats.
    pub seed: u64,
    /// From the first worker to the last.
    pub duration: Duration,
    /// Why it was stopped before all clauses were judged, if it was.
    pub stopped: Option<String>,
    /// What was judged with, in the order of their first use.
    pub configs: Vec<Configuration>,
    /// In the order of the list of clauses.
    pub clauses: Vec<Record>,
}

impl Report {
    /// What decides.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(self.clauses.iter().filter(|record| !self.is_apart(record)))
    }

    /// What is counted apart: a foreign applier's layout.
    #[must_use]
    pub fn layout_apart(&self) -> Counts {
        Counts::of(self.clauses.iter().filter(|record| self.is_apart(record)))
    }

    /// Whether this record does not decide.
    #[must_use]
    pub fn is_apart(&self, record: &Record) -> bool {
        self.foreign && record.kind == Kind::Layout
    }

    /// Whether this record is of a clause that was not judged, as the run was stopped before.
    #[must_use]
    pub fn was_left(&self, record: &Record) -> bool {
        let reason = self.stopped.as_deref().map(not_judged);
        reason.is_some() && record.reason == reason
    }

    /// The contract's exit status: 0 all judged clauses hold, 1 one failed, 4 some could not be
    /// judged, or all were skipped; `strict` makes a skip or an inconclusive clause a failure, but
    /// for what does not fit the configuration or the kind of applier, which nobody can mend.
    #[must_use]
    pub fn exit_status(&self, strict: bool) -> u8 {
        let Counts {
            passed,
            failed,
            skipped,
            inconclusive,
        } = self.counts();
        let by_design = self
            .clauses
            .iter()
            .filter(|record| self.is_by_design(record));
        let by_design = by_design.filter(|record| !self.is_apart(record)).count();
        if failed > 0 || strict && skipped - by_design + inconclusive > 0 {
            1
        } else if inconclusive > 0 || passed == 0 && skipped > 0 {
            4
        } else {
            0
        }
    }

    /// Whether this clause was skipped since it says nothing of this configuration, or of any applier
    /// but the shipped one.
    fn is_by_design(&self, record: &Record) -> bool {
        let of_shipped = |clause: &Clause| clause.needs.contains(&Need::Shipped);
        let other = self.foreign && clauses::find(&record.id).is_some_and(of_shipped);
        record.status == Status::Skipped && (other || !record.fits)
    }

    /// The command that judges one record's clause alone.
    #[must_use]
    pub fn repeat(&self, record: &Record) -> String {
        let applier = self.foreign.then_some(self.applier.as_str());
        job::repeat(applier, &record.id, &record.config, self.seed)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::configuration::TWO_LINES;

    type Verdicts = &'static [(Kind, Status)];

    pub(crate) fn record(id: &str, kind: Kind, status: Status) -> Record {
        Record {
            id: id.to_owned(),
            kind,
            status,
            config: "two-lines".to_owned(),
            reason: (status != Status::Passed).then(|| "dsl1 got nothing".to_owned()),
            how_to: "2.3.3".to_owned(),
            duration_ms: 310,
            measured: [
                ("line1".to_owned(), 1013.into()),
                ("p".to_owned(), 0.56.into()),
            ]
            .into_iter()
            .collect(),
            detail: None,
            shares: Vec::new(),
            timelines: Vec::new(),
            kept: None,
            fits: true,
        }
    }

    pub(crate) fn report(foreign: bool, verdicts: &[(Kind, Status)]) -> Report {
        Report {
            kernel: "6.18.44".to_owned(),
            applier: if foreign { "./mine.sh" } else { "multiwan" }.to_owned(),
            foreign,
            mode: "full".to_owned(),
            seed: 7,
            duration: Duration::from_millis(21_000),
            stopped: None,
            configs: vec![Configuration::builtin(&TWO_LINES)],
            clauses: verdicts
                .iter()
                .map(|&(kind, status)| record("a.b", kind, status))
                .collect(),
        }
    }

    #[test]
    fn exit_status_by_the_contract() {
        use Kind::{Behaviour, Layout};
        use Status::{Failed, Inconclusive, Passed, Skipped};
        let cases: [(bool, Verdicts, u8, u8); 10] = [
            (false, &[(Behaviour, Skipped), (Behaviour, Skipped)], 4, 1),
            (false, &[], 0, 0),
            (false, &[(Behaviour, Passed), (Layout, Passed)], 0, 0),
            (false, &[(Behaviour, Passed), (Behaviour, Skipped)], 0, 1),
            (
                false,
                &[(Behaviour, Passed), (Behaviour, Inconclusive)],
                4,
                1,
            ),
            (
                false,
                &[(Behaviour, Inconclusive), (Behaviour, Failed)],
                1,
                1,
            ),
            (false, &[(Layout, Failed)], 1, 1),
            (true, &[(Layout, Failed), (Behaviour, Passed)], 0, 0),
            (true, &[(Layout, Skipped), (Layout, Inconclusive)], 0, 0),
            (true, &[(Layout, Passed), (Behaviour, Failed)], 1, 1),
        ];
        for (foreign, verdicts, lenient, strict) in cases {
            let report = report(foreign, verdicts);
            assert_eq!(report.exit_status(false), lenient, "{verdicts:?}");
            assert_eq!(report.exit_status(true), strict, "strict {verdicts:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_skipped_and_no_failure() {
        let verdicts = [
            (Kind::Behaviour, Status::Passed),
            (Kind::Behaviour, Status::Skipped),
            (Kind::Layout, Status::Skipped),
        ];
        for foreign in [false, true] {
            let mut report = report(foreign, &verdicts);
            assert_eq!(report.exit_status(true), 1);
            report.clauses[1].fits = false;
            assert_eq!(report.exit_status(true), u8::from(!foreign));
            report.clauses[2].fits = false;
            assert_eq!(report.exit_status(true), 0);
            assert_eq!(report.counts().skipped, if foreign { 1 } else { 2 });
        }
    }

    #[test]
    fn what_is_about_the_shipped_applier_is_no_failure_of_another() {
        let shipped = |clause: &&Clause| {
            clause.needs.contains(&Need::Shipped) && clause.kind == Kind::Behaviour
        };
        let clause = clauses::all().find(shipped).unwrap();
        for foreign in [false, true] {
            let passed = (Kind::Behaviour, Status::Passed);
            let mut report = report(foreign, &[passed, (Kind::Behaviour, Status::Skipped)]);
            report.clauses[1].id = clause.id.to_owned();
            assert_eq!(report.exit_status(true), u8::from(!foreign));
            report.clauses[1].status = Status::Inconclusive;
            assert_eq!(report.exit_status(true), 1);
        }
    }

    #[test]
    fn a_foreign_layout_is_counted_apart() {
        let verdicts = [
            (Kind::Layout, Status::Failed),
            (Kind::Behaviour, Status::Passed),
        ];
        let report = report(true, &verdicts);
        assert_eq!(
            report.counts(),
            Counts {
                passed: 1,
                ..Counts::default()
            }
        );
        assert_eq!(
            report.layout_apart(),
            Counts {
                failed: 1,
                ..Counts::default()
            }
        );
    }

    #[test]
    fn one_command_repeats_a_clause() {
        let report = report(true, &[(Kind::Behaviour, Status::Failed)]);
        assert_eq!(
            report.repeat(&report.clauses[0]),
            "multiwan-conformance run --applier ./mine.sh --only a.b -c two-lines --seed 7"
        );
    }
}
