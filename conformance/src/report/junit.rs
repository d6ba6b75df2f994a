//! JUnit XML, as CI systems read it: a suite for each configuration, a case for each clause.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use super::{Record, Report};
use crate::judgement::Status;

/// Writes the report. An inconclusive clause is an error, and a foreign applier's layout, which
/// does not decide, is never worse than skipped.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let mut junit = quick_junit::Report::new("multiwan-conformance");
    junit.set_time(report.duration);
    for config in &report.configs {
        let mut suite = TestSuite::new(config.name.as_str());
        for (name, value) in [
            ("applier", report.applier.clone()),
            ("kernel", report.kernel.clone()),
            ("mode", report.mode.clone()),
            ("seed", report.seed.to_string()),
        ] {
            suite.add_property(Property::new(name, value));
        }
        let with = |record: &&Record| record.config == config.name;
        suite.add_test_cases(
            report
                .clauses
                .iter()
                .filter(with)
                .map(|one| case(report, one)),
        );
        junit.add_test_suite(suite);
    }
    junit.serialize(&mut *to).map_err(io::Error::other)?;
    writeln!(to)?;
    to.flush()
}

fn case(report: &Report, record: &Record) -> TestCase {
    let apart = report.is_apart(record);
    let mut status = match record.status {
        Status::Passed => TestCaseStatus::success(),
        Status::Skipped => TestCaseStatus::skipped(),
        _ if apart => TestCaseStatus::skipped(),
        Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if let Some(reason) = &record.reason {
        let apart = if apart { "counted apart: " } else { "" };
        status.set_message(format!("{apart}{reason}"));
        let detail = record.detail.iter().cloned();
        let alone = (record.status != Status::Skipped).then(|| report.repeat(record));
        let kept = record
            .kept
            .iter()
            .map(|folder| folder.display().to_string());
        let lines: Vec<String> = detail
            .chain(kept.map(|folder| format!("kept: {folder}")))
            .chain(alone.map(|command| format!("alone: {command}")))
            .collect();
        status.set_description(lines.join("\n"));
    }
    let mut case = TestCase::new(record.id.as_str(), status);
    let area = record.id.split('.').next().unwrap_or_default();
    case.set_classname(area);
    case.set_time(Duration::from_millis(record.duration_ms));
    case
}

#[cfg(test)]
mod tests {
    use crate::clause::Kind;
    use crate::judgement::Status;
    use crate::report::tests::report;

    fn written(foreign: bool, kind: Kind, status: Status) -> String {
        let mut report = report(foreign, &[(kind, status)]);
        report.clauses[0].reason = Some("<dsl1> & \"dsl2\"".to_owned());
        let mut written = Vec::new();
        super::write(&report, &mut written).unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn verdicts_are_what_ci_systems_know() {
        let failed = written(false, Kind::Behaviour, Status::Failed);
        assert!(failed.contains(r#"failures="1" errors="0""#), "{failed}");
        assert!(
            failed.contains("<failure message=\"&lt;dsl1&gt; &amp; "),
            "{failed}"
        );
        assert!(failed.contains("alone: multiwan-conformance run --only a.b -c two-lines"));
        assert!(
            failed.contains(r#"<property name="seed" value="7"/>"#),
            "{failed}"
        );
        let unsure = written(false, Kind::Behaviour, Status::Inconclusive);
        assert!(unsure.contains(r#"failures="0" errors="1""#), "{unsure}");
        let apart = written(true, Kind::Layout, Status::Failed);
        assert!(apart.contains(r#"failures="0" errors="0""#), "{apart}");
        assert!(
            apart.contains("<skipped message=\"counted apart: "),
            "{apart}"
        );
    }
}
