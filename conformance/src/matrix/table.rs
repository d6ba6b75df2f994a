//! The matrix for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{Matrix, Row};
use crate::clauses;
use crate::fixtures::Kind;
use crate::judgement::Status;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();
const HEADING: Style = Style::new().bold();

/// One applier as it is done: what became of it, which clauses that are about its mistake caught
/// it, and what it fails beside.
#[must_use]
pub fn line(row: &Row, width: usize) -> String {
    let wrong = row.wrong();
    let (style, word) = match (row.fixture.kind, wrong.is_empty()) {
        (Kind::Broken, true) if row.about().is_empty() => (DIM, "not asked"),
        (Kind::Broken, true) => (GOOD, "caught"),
        (Kind::Broken, false) => (BAD, "missed"),
        (Kind::Correct, true) => (GOOD, "passed"),
        (Kind::Correct, false) => (BAD, "failed"),
        (Kind::Verbatim, _) => (DIM, "judged"),
    };
    let rest = match row.fixture.kind {
        Kind::Broken => {
            let beside = match &row.beside()[..] {
                [] => String::new(),
                beside => format!("  {DIM}and {}{DIM:#}", beside.join(" ")),
            };
            format!("{}{beside}", row.about().join(" "))
        }
        Kind::Correct | Kind::Verbatim => counted(row),
    };
    let told: String = wrong
        .iter()
        .map(|what| format!("\n{BAD}{:>10}{BAD:#} {what}", "!"))
        .collect();
    format!(
        "{style}{word:9}{style:#}  {:width$}  {rest}{told}",
        row.fixture.name
    )
}

fn counted(row: &Row) -> String {
    let each = [
        Status::Passed,
        Status::Failed,
        Status::Skipped,
        Status::Inconclusive,
    ];
    each.into_iter()
        .map(|status| {
            (
                status,
                row.records.iter().filter(|r| r.status == status).count(),
            )
        })
        .filter(|&(_, count)| count > 0)
        .map(|(status, count)| format!("{count} {status}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Applier × clause, a letter for each verdict, what differs from the headers, and the counts.
///
/// # Errors
///
/// If it cannot be written.
pub fn summary(matrix: &Matrix, to: &mut dyn Write) -> io::Result<()> {
    let mut ids: Vec<&str> = Vec::new();
    for record in matrix.rows.iter().flat_map(|row| &row.records) {
        if !ids.contains(&record.id.as_str()) {
            ids.push(&record.id);
        }
    }
    ids.sort_by_key(|id| clauses::all().position(|clause| clause.id == *id));
    let names = matrix.rows.iter().map(|row| row.fixture.name.len());
    let width = names.max().unwrap_or(0);
    writeln!(to)?;
    heading(&ids, width, to)?;
    for row in &matrix.rows {
        write!(to, "{:width$} ", row.fixture.name)?;
        for id in &ids {
            let (style, letter) = cell(row, id);
            write!(to, " {style}{letter}{style:#}")?;
        }
        writeln!(to)?;
    }
    writeln!(
        to,
        "{DIM}C caught by a clause about its mistake, x failed too, o not got to, . passed, - not \
         claimed, ? not judged{DIM:#}"
    )?;
    let differing = matrix.rows.iter().filter(|row| !row.differs().is_empty());
    for row in differing {
        let differs = row.differs().join(" ");
        writeln!(
            to,
            "{}: its header does not say {differs}",
            row.fixture.name
        )?;
    }
    counts(matrix, to)
}

/// The clauses' names from the top down, a column each.
fn heading(ids: &[&str], width: usize, to: &mut dyn Write) -> io::Result<()> {
    let height = ids.iter().map(|id| id.len()).max().unwrap_or(0);
    for level in 0..height {
        write!(to, "{:width$} ", "")?;
        for id in ids {
            let from = height - id.len();
            let letter = level
                .checked_sub(from)
                .and_then(|at| id[at..].chars().next());
            write!(to, " {HEADING}{}{HEADING:#}", letter.unwrap_or(' '))?;
        }
        writeln!(to)?;
    }
    Ok(())
}

/// The worst of an applier's verdicts by one clause.
fn cell(row: &Row, id: &str) -> (Style, char) {
    let of = |status| {
        let mut with = row.records.iter().filter(|record| record.id == *id);
        with.any(|record| record.status == status)
    };
    let about = row.fixture.header.caught_by.iter().any(|about| about == id);
    match (row.fixture.kind, about) {
        (Kind::Broken, true) if of(Status::Failed) => (GOOD, 'C'),
        (Kind::Broken, true) if of(Status::Passed) => (BAD, '.'),
        (Kind::Broken, _) if row.beside().contains(&id) => (Style::new(), 'x'),
        (Kind::Broken, _) if of(Status::Failed) => (DIM, 'o'),
        (_, _) if of(Status::Failed) => (BAD, 'x'),
        _ if of(Status::Inconclusive) => (BAD, '?'),
        _ if of(Status::Passed) => (DIM, '.'),
        _ if of(Status::Skipped) => (DIM, '-'),
        _ => (DIM, ' '),
    }
}

fn counts(matrix: &Matrix, to: &mut dyn Write) -> io::Result<()> {
    let of = |kind| {
        matrix
            .rows
            .iter()
            .filter(move |row| row.fixture.kind == kind)
    };
    let right = |kind| of(kind).filter(|row| row.wrong().is_empty()).count();
    let all = |kind| of(kind).count();
    writeln!(
        to,
        "\n{} of {} mistakes caught, {} of {} correct appliers passed",
        right(Kind::Broken),
        all(Kind::Broken),
        right(Kind::Correct),
        all(Kind::Correct),
    )?;
    if let Some(why) = &matrix.stopped {
        let left = matrix.left;
        writeln!(to, "{BAD}stopped{BAD:#}, {why}: {left} appliers not judged")?;
    }
    let Matrix {
        kernel, mode, seed, ..
    } = matrix;
    let seconds = matrix.duration.as_secs_f64();
    writeln!(
        to,
        "{DIM}Linux {kernel}, lab {mode}, seed {seed}, {seconds:.1} s{DIM:#}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::tests::row;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_line_says_what_caught_it_and_what_went_wrong() {
        use Status::{Failed, Passed};
        let caught = [("spread.even", Failed, "x"), ("dead.carrier", Failed, "x")];
        assert_eq!(
            plain(&line(&row(Kind::Broken, &caught), 6)),
            "caught     mine    spread.even  and dead.carrier"
        );
        let missed = line(&row(Kind::Broken, &[("spread.even", Passed, "it held")]), 4);
        let told = "missed     mine  spread.even\n         ! spread.even passed: it held";
        assert_eq!(plain(&missed), told);
    }

    #[test]
    fn the_table_has_the_clauses_from_the_top_down() {
        let rows = vec![
            row(
                Kind::Broken,
                &[
                    ("a.b", Status::Passed, ""),
                    ("spread.even", Status::Failed, "x"),
                ],
            ),
            row(
                Kind::Correct,
                &[
                    ("a.b", Status::Skipped, ""),
                    ("spread.even", Status::Passed, ""),
                ],
            ),
        ];
        let matrix = Matrix {
            kernel: "6.18".into(),
            mode: "full".into(),
            seed: 1,
            duration: std::time::Duration::from_secs(2),
            stopped: None,
            left: 0,
            rows,
        };
        let mut written = Vec::new();
        summary(&matrix, &mut written).unwrap();
        let text = plain(&String::from_utf8(written).unwrap());
        assert!(
            text.contains("      a v\n      . e\n      b n\nmine  . C\nmine  - .\n"),
            "{text}"
        );
        assert!(text.contains("1 of 1 mistakes caught, 1 of 1 correct appliers passed\n"));
    }
}
