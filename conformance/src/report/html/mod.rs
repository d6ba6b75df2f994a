//! One page for people that needs nothing else: no script, no font, no picture from anywhere, and
//! it forbids the browser to fetch any.

mod article;
mod shares;
mod table;
mod timeline;
mod topology;

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Counts, Record, Report};
use crate::judgement::Status;

const STYLE: &str = include_str!("style.css");

/// Nothing is loaded, so that a page with an attacker's words in it can do nothing either.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// Writes the report.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(page(report).into_string().as_bytes())?;
    to.flush()
}

fn page(report: &Report) -> Markup {
    let bad = |status| {
        let clauses = report.clauses.iter();
        clauses.filter(move |record: &&Record| record.status == status)
    };
    let wrong: Vec<&Record> = bad(Status::Failed)
        .chain(bad(Status::Inconclusive))
        .filter(|record| !report.was_left(record))
        .collect();
    let good = |record: &&Record| !wrong.iter().any(|one| std::ptr::eq(*one, *record));
    let (spread, failover): (Vec<&Record>, Vec<&Record>) = (
        report
            .clauses
            .iter()
            .filter(good)
            .filter(|record| !record.shares.is_empty())
            .collect(),
        report
            .clauses
            .iter()
            .filter(good)
            .filter(|record| !record.timelines.is_empty())
            .collect(),
    );
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (headline(report)) " · " (report.applier) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(report))
                main {
                    @if !wrong.is_empty() {
                        section #wrong {
                            h2 { "What went wrong" }
                            @for record in &wrong {
                                (article::wrong(report, record))
                            }
                        }
                    }
                    section #lines {
                        h2 { "The lines" }
                        div.cards {
                            @for config in &report.configs {
                                (topology::figure(config))
                            }
                        }
                    }
                    @if !spread.is_empty() {
                        section #spread {
                            h2 { "Spread" }
                            (shares::legend())
                            div.cards {
                                @for record in &spread {
                                    (article::right(record, shares::bars(&record.shares)))
                                }
                            }
                        }
                    }
                    @if !failover.is_empty() {
                        section #failover {
                            h2 { "Failovers" }
                            (timeline::legend())
                            @for record in &failover {
                                @let each = html! {
                                    @for timeline in &record.timelines {
                                        (timeline::figure(timeline, false))
                                    }
                                };
                                (article::right(record, each))
                            }
                        }
                    }
                    section #clauses {
                        h2 { "All clauses" }
                        (table::table(report))
                    }
                }
                footer {
                    p {
                        "Shares are judged by exact binomial tests, everything else by no violation in \
                         any packet. Times are seconds since a clause began."
                    }
                }
            }
        }
    }
}

/// What a reader wants to know first.
fn headline(report: &Report) -> String {
    let counts = report.counts();
    match counts {
        Counts {
            failed: 0,
            inconclusive: 0,
            passed,
            ..
        } if passed > 0 => {
            format!("All {passed} judged clauses hold")
        }
        Counts {
            failed: 0,
            inconclusive: 0,
            ..
        } => "Nothing was judged".to_owned(),
        Counts {
            failed: 0,
            inconclusive,
            ..
        } => {
            format!("{inconclusive} of {} could not be judged", counts.total())
        }
        Counts { failed, .. } => format!("{failed} of {} failed", counts.total()),
    }
}

fn header(report: &Report) -> Markup {
    let counts = report.counts();
    let apart = report.layout_apart();
    let each = [
        (Status::Passed, counts.passed),
        (Status::Failed, counts.failed),
        (Status::Inconclusive, counts.inconclusive),
        (Status::Skipped, counts.skipped),
    ];
    let worst = each[1..3].iter().find(|(_, count)| *count > 0);
    let mood = worst.map_or(Status::Passed, |(status, _)| *status);
    let facts = [
        ("applier", report.applier.clone()),
        ("kernel", format!("Linux {}", report.kernel)),
        ("lab", report.mode.clone()),
        ("seed", report.seed.to_string()),
        ("took", format!("{:.1} s", report.duration.as_secs_f64())),
    ];
    html! {
        header class=(mood) {
            p.suite { "multiwan-conformance" }
            h1 { (headline(report)) }
            div.meter role="img" aria-label="verdicts" {
                @for (status, count) in each.iter().filter(|(_, count)| *count > 0) {
                    span class=(status) style=(format!("flex-grow:{count}")) {}
                }
            }
            ul.counts {
                @for (status, count) in &each {
                    li.none[*count == 0] { span.dot.(status) {} b { (count) } " " (status) }
                }
            }
            dl.facts {
                @for (name, value) in &facts {
                    div { dt { (name) } dd { (value) } }
                }
            }
            @if let Some(why) = &report.stopped {
                p.note { "Stopped before all clauses were judged: " (why) "." }
            }
            @if apart.total() > 0 {
                p.note {
                    "Counted apart, as this applier need not have the how-to's layout: "
                    (apart.passed) " passed, " (apart.failed) " failed, " (apart.skipped)
                    " skipped, " (apart.inconclusive) " inconclusive."
                }
            }
        }
    }
}

/// A line's colour: its place in the configuration, over and over.
fn colour(place: usize) -> String {
    format!("line{}", place % 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clause::Kind;
    use crate::report::tests::report;

    #[test]
    fn whatever_an_applier_prints_is_only_text() {
        let mut report = report(true, &[(Kind::Behaviour, Status::Failed)]);
        let hostile = "</style><script>alert(1)</script>\"'&";
        report.applier = hostile.to_owned();
        report.clauses[0].reason = Some(hostile.to_owned());
        report.clauses[0].detail = Some(hostile.to_owned());
        report.clauses[0].config = hostile.to_owned();
        report.configs[0].config.lines[0].name = hostile.to_owned();
        let page = page(&report).into_string();
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    }

    #[test]
    fn what_was_left_of_a_stopped_run_did_not_go_wrong() {
        let mut report = report(false, &[(Kind::Behaviour, Status::Passed)]);
        report.stopped = Some("interrupted by SIGINT".to_owned());
        let clause = crate::clauses::all().next().unwrap();
        let left = Record::not_judged(clause, "two-lines", "interrupted by SIGINT");
        report.clauses.push(left);
        let page = page(&report).into_string();
        assert!(
            page.contains("Stopped before all clauses were judged: interrupted by SIGINT."),
            "{page}"
        );
        assert!(page.contains("1 of 2 could not be judged"), "{page}");
        assert!(!page.contains("What went wrong"), "{page}");
    }

    #[test]
    fn what_went_wrong_comes_first_and_says_how_to_see_it_alone() {
        let verdicts = [
            (Kind::Behaviour, Status::Passed),
            (Kind::Behaviour, Status::Inconclusive),
            (Kind::Behaviour, Status::Failed),
        ];
        let page = page(&report(false, &verdicts)).into_string();
        let at = |text: &str| {
            page.find(text)
                .unwrap_or_else(|| panic!("no {text} in {page}"))
        };
        assert!(at("1 of 3 failed") < at("What went wrong"));
        assert!(at("article class=\"failed\"") < at("article class=\"inconclusive\""));
        assert!(at("What went wrong") < at("All clauses"));
        assert!(at("run --only a.b -c two-lines --seed 7") < at("All clauses"));
    }
}
