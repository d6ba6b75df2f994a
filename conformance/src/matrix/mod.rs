//! Appliers × clauses: which clause caught which mistake, and what correct ones passed.

mod json;
mod table;

use std::iter;

use crate::clauses;
use crate::fixtures::{Fixture, Kind};
use crate::judgement::Status;
use crate::report::Record;

pub use json::write as write_json;
pub use table::{line, summary};

/// How a reason begins when an applier has not got as far as the clause. Every clause fails then, and
/// only those about how new connections are spread are about it.
const NOT_AT_WORK: &str = "every line carries new flows";

/// One applier, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which one.
    pub fixture: Fixture,
    /// By what, in the order of the list of clauses.
    pub records: Vec<Record>,
    /// Which of its commands does not end, if that is why no more clauses judged it.
    pub hangs: Option<String>,
}

impl Row {
    /// What did not come out as it must: a mistake that is not caught by a clause that is about
    /// it, or a correct applier's failure.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        if let Some(hangs) = &self.hangs {
            return vec![hangs.clone()];
        }
        match self.fixture.kind {
            Kind::Broken => self.missed(),
            Kind::Correct => self.cried(),
            Kind::Verbatim => Vec::new(),
        }
    }

    fn missed(&self) -> Vec<String> {
        let caught_by = &self.fixture.header.caught_by;
        let mut wrong: Vec<String> = caught_by
            .iter()
            .filter_map(|id| {
                if clauses::find(id).is_none() {
                    return Some(format!("{id} is no clause"));
                }
                let mut asked = self.records.iter().filter(|record| record.id == *id);
                // With one configuration is enough; with `--only` it may not have been asked.
                let first = asked.next()?;
                let record = iter::once(first)
                    .chain(asked)
                    .find(|record| has_failed(record));
                let record = record.unwrap_or(first);
                let reason = record.reason.as_deref().unwrap_or("it held");
                match record.status {
                    Status::Failed if is_about_it(id, reason) => None,
                    Status::Failed => Some(format!("not at work for {id}: {reason}")),
                    other => Some(format!("{id} {other}: {reason}")),
                }
            })
            .collect();
        if caught_by.is_empty() {
            wrong.push("its header names no clause".to_owned());
        }
        wrong
    }

    fn cried(&self) -> Vec<String> {
        let bad = |status| matches!(status, Status::Failed | Status::Inconclusive);
        let behaviour = |record: &&Record| record.kind == crate::clause::Kind::Behaviour;
        self.records
            .iter()
            .filter(behaviour)
            .filter(|record| bad(record.status))
            .map(|record| {
                let reason = record.reason.as_deref().unwrap_or_default();
                format!("{} {}: {reason}", record.id, record.status)
            })
            .collect()
    }

    /// The clauses that its header names and that were asked.
    #[must_use]
    pub fn about(&self) -> Vec<&str> {
        let asked = |id: &&str| self.records.iter().any(|record| record.id == *id);
        let named = self.fixture.header.caught_by.iter();
        named.map(String::as_str).filter(asked).collect()
    }

    /// What it fails beside those; not what it has not got to.
    #[must_use]
    pub fn beside(&self) -> Vec<&str> {
        let mut beside: Vec<&str> = Vec::new();
        for record in &self.records {
            let id = record.id.as_str();
            let about = self
                .fixture
                .header
                .caught_by
                .iter()
                .any(|about| about == id);
            if has_failed(record) && !about && !beside.contains(&id) {
                beside.push(id);
            }
        }
        beside
    }

    /// How what it fails beside, among the core, differs from what its header says: `+spread.even`,
    /// `-nat.snat`.
    #[must_use]
    pub fn differs(&self) -> Vec<String> {
        if self.fixture.kind != Kind::Broken || self.hangs.is_some() {
            return Vec::new();
        }
        let header = &self.fixture.header;
        let (seen, said) = (self.beside(), &header.also_fails);
        let core = seen.iter().filter(|id| clauses::is_core(id));
        let known = |id: &&&str| said.iter().chain(&header.may_fail).any(|said| said == **id);
        let more = core.filter(|id| !known(id));
        let asked = |id: &&String| self.records.iter().any(|record| record.id == **id);
        let less = said
            .iter()
            .filter(asked)
            .filter(|id| !seen.contains(&id.as_str()));
        more.map(|id| format!("+{id}"))
            .chain(less.map(|id| format!("-{id}")))
            .collect()
    }
}

/// Whether a failure's reason is the clause's own: not that the applier refused to work. That a line
/// gets nothing at all is what the clauses about shares are about.
fn is_about_it(clause: &str, reason: &str) -> bool {
    let gets_nothing = reason.contains("(0 by ") || reason.contains(", 0 by ");
    !reason.starts_with('`')
        && (!reason.starts_with(NOT_AT_WORK) || clause.starts_with("spread.") && gets_nothing)
}

/// Whether the clause has failed, for a reason of its own.
fn has_failed(record: &Record) -> bool {
    let reason = record.reason.as_deref().unwrap_or_default();
    record.status == Status::Failed && is_about_it(&record.id, reason)
}

/// A whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The kernel's release.
    pub kernel: String,
    /// The sandbox's mode.
    pub mode: String,
    /// With which the run repeats.
    pub seed: u64,
    /// From the first worker to the last.
    pub duration: std::time::Duration,
    /// Why it was stopped before all were judged, if it was.
    pub stopped: Option<String>,
    /// How many appliers were not judged by all their clauses then, and are not told of.
    pub left: usize,
    /// The appliers.
    pub rows: Vec<Row>,
}

impl Matrix {
    /// 0 if every mistake is caught by the clauses that are about it and every correct applier
    /// passes, else 1; with `strict` also if anything fails that a header does not say, or holds
    /// that it does.
    #[must_use]
    pub fn exit_status(&self, strict: bool) -> u8 {
        let bad = |row: &Row| !row.wrong().is_empty() || strict && !row.differs().is_empty();
        u8::from(self.rows.iter().any(bad))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::clause::Kind as Clause;
    use crate::fixtures::Header;
    use crate::job::Subject;
    use crate::report::tests::record;

    pub(crate) fn row(kind: Kind, verdicts: &[(&str, Status, &str)]) -> Row {
        let header = Header::of(
            "# caught by: spread.even\n# also fails: dead.carrier\n# may fail: dead.silent\n",
        );
        let records = verdicts.iter().map(|&(id, status, reason)| Record {
            reason: Some(reason.to_owned()),
            ..record(id, Clause::Behaviour, status)
        });
        Row {
            fixture: Fixture {
                name: "mine".to_owned(),
                kind,
                subject: Subject::Shipped,
                header,
            },
            records: records.collect(),
            hangs: None,
        }
    }

    #[test]
    fn a_mistake_is_caught_by_the_clause_that_is_about_it_and_for_its_own_reason() {
        use Status::{Failed, Passed};
        let broken = |verdicts: &[_]| row(Kind::Broken, verdicts).wrong();
        assert!(broken(&[("spread.even", Failed, "dsl1 has two thirds")]).is_empty());
        assert_eq!(
            broken(&[
                ("spread.even", Passed, "it held"),
                ("dead.carrier", Failed, "x")
            ]),
            ["spread.even passed: it held"]
        );
        assert_eq!(
            broken(&[("spread.even", Failed, "`mine apply` ended with 1")]),
            ["not at work for spread.even: `mine apply` ended with 1"]
        );
        assert!(broken(&[]).is_empty(), "it was not asked");
        let with_the_second = [
            ("spread.even", Passed, "it held"),
            ("spread.even", Failed, "dsl1 has two thirds"),
        ];
        assert!(broken(&with_the_second).is_empty());
    }

    #[test]
    fn a_correct_one_fails_nothing() {
        use Status::{Failed, Inconclusive, Passed, Skipped};
        let correct = |verdicts: &[_]| row(Kind::Correct, verdicts).wrong().len();
        assert_eq!(
            correct(&[("spread.even", Passed, ""), ("dead.carrier", Skipped, "")]),
            0
        );
        assert_eq!(
            correct(&[
                ("spread.even", Failed, ""),
                ("dead.carrier", Inconclusive, "")
            ]),
            2
        );
    }

    #[test]
    fn what_the_header_does_not_say_is_told() {
        use Status::{Failed, Passed};
        let seen = [
            ("spread.even", Failed, "x"),
            ("spread.weighted", Failed, "x"),
            ("dead.carrier", Passed, "x"),
            ("dead.silent", Failed, "x"),
        ];
        let row = row(Kind::Broken, &seen);
        assert_eq!(row.differs(), ["+spread.weighted", "-dead.carrier"]);
        let mut matrix = Matrix {
            kernel: "6.18".into(),
            mode: "full".into(),
            seed: 1,
            duration: std::time::Duration::ZERO,
            stopped: None,
            left: 0,
            rows: vec![row],
        };
        assert_eq!(
            (matrix.exit_status(false), matrix.exit_status(true)),
            (0, 1)
        );
        matrix.rows[0].records[0].status = Passed;
        assert_eq!(matrix.exit_status(false), 1);
    }
}
