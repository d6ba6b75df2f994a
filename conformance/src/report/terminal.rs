//! The report for people: a line per clause as it ends, then what failed, then a table.
//!
//! Styles are always written; the stream takes them out where it is no terminal or NO_COLOR is
//! set.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::{Counts, Record, Report};
use crate::job::{Job, Namespace};
use crate::judgement::{Measured, Status};
use crate::pause;

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

/// What comes last: what did not pass and how to repeat it, a table of the areas, counts.
///
/// # Errors
///
/// If it cannot be written.
pub fn summary(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    for status in [Status::Failed, Status::Inconclusive] {
        let of_it = |one: &&Record| one.status == status && !report.was_left(one);
        for record in report.clauses.iter().filter(of_it) {
            writeln!(to)?;
            told(report, record, to)?;
        }
    }
    skips(report, to)?;
    left(report, to)?;
    writeln!(to)?;
    areas(report, to)?;
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

/// What was not judged, as the run was stopped before.
fn left(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let Some(why) = &report.stopped else {
        return Ok(());
    };
    let left = report.clauses.iter().filter(|one| report.was_left(one));
    let left: Vec<String> = left.map(named).collect();
    let style = style(Status::Failed);
    writeln!(to, "\n{style}stopped{style:#}, {why}")?;
    if !left.is_empty() {
        writeln!(to, "  {} not judged: {}", left.len(), left.join(", "))?;
    }
    Ok(())
}

fn named(record: &Record) -> String {
    format!("{} ({})", record.id, record.config)
}

/// What was skipped, reason by reason.
fn skips(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let skipped = || {
        let clauses = report.clauses.iter();
        clauses.filter(|record| record.status == Status::Skipped)
    };
    let reason = |record: &'_ Record| record.reason.clone().unwrap_or_default();
    let mut reasons: Vec<String> = Vec::new();
    for record in skipped() {
        if !reasons.contains(&reason(record)) {
            reasons.push(reason(record));
        }
    }
    let style = style(Status::Skipped);
    for why in reasons {
        let clauses = skipped().filter(|record| reason(record) == why);
        let clauses: Vec<String> = clauses.map(named).collect();
        writeln!(
            to,
            "\n{style}skipped{style:#}, {why}:\n  {}",
            clauses.join(", ")
        )?;
    }
    Ok(())
}

/// The verdicts by area: as wide for ten configurations as for one.
fn areas(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    const COLUMNS: [Status; 4] = [
        Status::Passed,
        Status::Failed,
        Status::Skipped,
        Status::Inconclusive,
    ];
    let mut areas: Vec<(&str, [usize; 4])> = Vec::new();
    for record in &report.clauses {
        let area = record.id.split('.').next().unwrap_or_default();
        let place = areas.iter().position(|(name, _)| *name == area);
        let place = place.unwrap_or_else(|| {
            areas.push((area, [0; 4]));
            areas.len() - 1
        });
        let column = COLUMNS.iter().position(|column| *column == record.status);
        areas[place].1[column.unwrap_or_default()] += 1;
    }
    let names = areas.iter().map(|(name, _)| name.len());
    let name_width = names.max().unwrap_or(0).max("area".len());
    let width = |column: Status| column.to_string().len();
    write!(to, "{HEADING}{:name_width$}{HEADING:#}", "area")?;
    for column in COLUMNS {
        write!(to, "  {HEADING}{column}{HEADING:#}")?;
    }
    writeln!(to)?;
    for (name, counts) in areas {
        write!(to, "{name:name_width$}")?;
        for (column, count) in COLUMNS.into_iter().zip(counts) {
            let (width, style) = (width(column), style(column));
            if count > 0 {
                write!(to, "  {style}{count:>width$}{style:#}")?;
            } else {
                write!(to, "  {DIM}{:>width$}{DIM:#}", "-")?;
            }
        }
        writeln!(to)?;
    }
    Ok(())
}

/// A failed lab that waits for somebody to look: how to enter its hosts.
#[must_use]
pub fn held(job: &Job, hosts: &[Namespace], user: u64, worker: u32) -> String {
    let style = style(Status::Failed);
    let mut told = format!(
        "\n{style}{} went wrong{style:#} with {}; its lab is held. From another terminal, a shell in each \
         host:\n",
        job.clause, job.configuration
    );
    let widest = hosts.iter().map(|host| host.host.len()).max().unwrap_or(0);
    for host in hosts {
        let command = pause::enter(worker, user, host);
        told.push_str(&format!("  {:widest$}  {command}\n", host.host));
    }
    told + "Enter ends it and goes on.\n"
}

/// So many lines of what happened are shown, the first and the last ones: how it began, with the first
/// error of several, and how it ended. All are in the other reports.
const FIRST: usize = 10;
const LAST: usize = 20;

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
    let detail = record.detail.as_deref().unwrap_or_default();
    let lines: Vec<&str> = detail.lines().collect();
    let cut = lines.len().saturating_sub(FIRST + LAST);
    for (number, line) in lines.iter().enumerate() {
        if cut > 0 && number == FIRST {
            writeln!(to, "  {DIM}| {cut} lines between{DIM:#}")?;
        }
        if !(FIRST..FIRST + cut).contains(&number) {
            writeln!(to, "  {DIM}|{DIM:#} {line}")?;
        }
    }
    if let Some(folder) = &record.kept {
        writeln!(to, "  kept: {}", folder.display())?;
    }
    writeln!(to, "  alone: {}", report.repeat(record))
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
        assert!(text.contains("area  passed  failed  skipped  inconclusive\na          -       1"));
        assert!(text.contains("0 passed, 1 failed, 0 skipped, 0 inconclusive\n"));
    }

    #[test]
    fn of_a_long_story_the_middle_is_left_out() {
        let mut report = report(false, &[(Kind::Behaviour, Status::Failed)]);
        let tell = |report: &mut Report, lines: usize| {
            let lines: Vec<String> = (1..=lines).map(|line| format!("at {line}")).collect();
            report.clauses[0].detail = Some(lines.join("\n"));
            let mut written = Vec::new();
            summary(report, &mut written).unwrap();
            plain(&String::from_utf8(written).unwrap())
        };
        let text = tell(&mut report, FIRST + LAST);
        assert!(!text.contains("between"), "{text}");
        let text = tell(&mut report, FIRST + LAST + 2);
        assert!(text.contains("  | at 1\n"), "{text}");
        let cut = "  | at 10\n  | 2 lines between\n  | at 13\n";
        assert!(text.contains(cut), "{text}");
        assert!(text.contains("  | at 32\n"), "{text}");
    }

    #[test]
    fn what_was_left_when_it_was_stopped_is_told_at_once() {
        let mut report = report(false, &[(Kind::Behaviour, Status::Passed)]);
        report.stopped = Some("interrupted by SIGINT".to_owned());
        let clause = crate::clauses::all().next().unwrap();
        for config in ["two-lines", "three-lines"] {
            let left = Record::not_judged(clause, config, "interrupted by SIGINT");
            report.clauses.push(left);
        }
        let mut written = Vec::new();
        summary(&report, &mut written).unwrap();
        let text = plain(&String::from_utf8(written).unwrap());
        let id = clause.id;
        let told = format!(
            "stopped, interrupted by SIGINT\n  2 not judged: {id} (two-lines), {id} (three-lines)\n"
        );
        assert!(text.contains(&told), "{text}");
        assert!(!text.contains("alone:"), "{text}");
        assert!(
            text.contains("1 passed, 0 failed, 0 skipped, 2 inconclusive"),
            "{text}"
        );
    }

    #[test]
    fn failures_come_first_and_skips_are_told_once_for_each_reason() {
        let verdicts = [
            (Kind::Behaviour, Status::Skipped),
            (Kind::Behaviour, Status::Failed),
            (Kind::Behaviour, Status::Skipped),
        ];
        let mut written = Vec::new();
        summary(&report(false, &verdicts), &mut written).unwrap();
        let text = plain(&String::from_utf8(written).unwrap());
        let skipped = "skipped, dsl1 got nothing:\n  a.b (two-lines), a.b (two-lines)\n";
        assert!(text.find("a.b failed") < text.find(skipped), "{text}");
        assert!(text.find(skipped) < text.find("area"), "{text}");
    }
}
