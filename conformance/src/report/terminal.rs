//! The report for people: a line per clause as it ends, then a table, then what failed.
//!
//! Styles are always written; the stream takes them out where it is no terminal or NO_COLOR is
//! set.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::{Counts, Record, Report};
use crate::judgement::{Measured, Status};

const HEADING: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn style(status: Status) -> Style {
    match status {
        Status::Passed => AnsiColor::Green.on_default(),
        Status::Failed => AnsiColor::Red.on_default().bold(),
        Status::Skipped => AnsiColor::Cyan.on_default(),
        Status::Inconclusive => AnsiColor::Yellow.on_default(),
    }
}

/// One clause as it ended, on one line: with its reason, or else with what was measured.
#[must_use]
pub fn line(record: &Record, id_width: usize, config_width: usize) -> String {
    let Record {
        id, status, config, ..
    } = record;
    let style = style(*status);
    let seconds = record.duration_ms as f64 / 1000.0;
    let rest = match &record.reason {
        Some(reason) => reason.clone(),
        None => measured(&record.measured),
    };
    format!(
        "{style}{status:12}{style:#}  {id:id_width$}  {config:config_width$}  {seconds:6.2} s  {rest}"
    )
}

/// What was measured, as `line1 1013, line2 987, p 0.56`.
#[must_use]
pub fn measured(measured: &Measured) -> String {
    let each = measured
        .iter()
        .map(|(name, value)| format!("{name} {}", number(value)));
    each.collect::<Vec<_>>().join(", ")
}

fn number(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => match number.as_f64().unwrap_or(0.0) {
            small if small != 0.0 && small.abs() < 0.001 => format!("{small:.1e}"),
            usual => format!("{usual:.3}"),
        },
        other => other.to_string(),
    }
}

/// What comes last: the table clause × configuration, failures with how to repeat them, counts.
///
/// # Errors
///
/// If it cannot be written.
pub fn summary(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to)?;
    table(report, to)?;
    for record in &report.clauses {
        if record.status != Status::Passed {
            writeln!(to)?;
            told(report, record, to)?;
        }
    }
    writeln!(to)?;
    let Report {
        kernel,
        applier,
        mode,
        seed,
        ..
    } = report;
    let seconds = report.duration.as_secs_f64();
    writeln!(to, "{}", counted(&report.counts()))?;
    if report.layout_apart().total() > 0 {
        writeln!(
            to,
            "apart, as {applier} need not have the how-to's layout: {}",
            counted(&report.layout_apart())
        )?;
    }
    writeln!(
        to,
        "{DIM}{applier} on Linux {kernel}, lab {mode}, seed {seed}, {seconds:.1} s{DIM:#}"
    )
}

/// The verdicts as clause × configuration.
fn table(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let configs = unique(report.clauses.iter().map(|record| record.config.as_str()));
    let ids = unique(report.clauses.iter().map(|record| record.id.as_str()));
    let id_width = ids
        .iter()
        .map(|id| id.len())
        .max()
        .unwrap_or(0)
        .max("clause".len());
    write!(to, "{HEADING}{:id_width$}{HEADING:#}", "clause")?;
    for config in &configs {
        write!(to, "  {HEADING}{:>1$}{HEADING:#}", config, width(config))?;
    }
    writeln!(to)?;
    for id in ids {
        write!(to, "{id:id_width$}")?;
        for config in &configs {
            let mut with = report
                .clauses
                .iter()
                .filter(|record| record.config == *config);
            let width = width(config);
            match with
                .find(|record| record.id == id)
                .map(|record| record.status)
            {
                Some(status) => {
                    let style = style(status);
                    write!(to, "  {style}{status:>width$}{style:#}")?;
                }
                None => write!(to, "  {DIM}{:>width$}{DIM:#}", "-")?,
            }
        }
        writeln!(to)?;
    }
    Ok(())
}

/// A column's: that of its heading or of the longest verdict.
fn width(config: &str) -> usize {
    config.len().max("inconclusive".len())
}

/// A clause that did not pass: why, what was measured, what happened, and how to see it alone.
fn told(report: &Report, record: &Record, to: &mut dyn Write) -> io::Result<()> {
    let Record {
        id,
        status,
        config,
        how_to,
        ..
    } = record;
    let style = style(*status);
    let apart = if report.is_apart(record) {
        ", counted apart"
    } else {
        ""
    };
    writeln!(
        to,
        "{style}{id} {status}{style:#} with {config} (how-to {how_to}{apart})"
    )?;
    writeln!(
        to,
        "  {}",
        record.reason.as_deref().unwrap_or("no reason was given")
    )?;
    if !record.measured.is_empty() {
        writeln!(to, "  measured: {}", measured(&record.measured))?;
    }
    for line in record.detail.iter().flat_map(|detail| detail.lines()) {
        writeln!(to, "  {DIM}|{DIM:#} {line}")?;
    }
    if *status != Status::Skipped {
        writeln!(to, "  alone: {}", report.repeat(record))?;
    }
    Ok(())
}

/// `11 passed, 1 failed, 0 skipped, 0 inconclusive`.
fn counted(counts: &Counts) -> String {
    let Counts {
        passed,
        failed,
        skipped,
        inconclusive,
    } = counts;
    format!("{passed} passed, {failed} failed, {skipped} skipped, {inconclusive} inconclusive")
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clause::Kind;
    use crate::report::tests::{record, report};

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_line_has_what_was_measured_or_the_reason() {
        let passed = record("spread.even", Kind::Behaviour, Status::Passed);
        assert_eq!(
            plain(&line(&passed, 12, 10)),
            "passed        spread.even   two-lines     0.31 s  line1 1013, p 0.560"
        );
        let failed = record("spread.even", Kind::Behaviour, Status::Failed);
        assert!(line(&failed, 12, 10).ends_with("dsl1 got nothing"));
    }

    #[test]
    fn the_summary_tells_failures_and_how_to_repeat_them() {
        let verdicts = [(Kind::Behaviour, Status::Failed)];
        let mut written = Vec::new();
        summary(&report(false, &verdicts), &mut written).unwrap();
        let text = plain(&String::from_utf8(written).unwrap());
        assert!(text.contains("a.b failed with two-lines (how-to 2.3.3)\n  dsl1 got nothing\n"));
        assert!(text.contains("run --only a.b -c two-lines --seed 7\n"));
        assert!(text.contains("0 passed, 1 failed, 0 skipped, 0 inconclusive\n"));
    }
}
