//! Every clause with every configuration, area by area.

use maud::{Markup, html};

use crate::report::terminal::measured;
use crate::report::{Record, Report};

pub(super) fn table(report: &Report) -> Markup {
    let mut areas: Vec<(&str, Vec<&Record>)> = Vec::new();
    for record in &report.clauses {
        let area = record.id.split('.').next().unwrap_or_default();
        match areas.iter_mut().find(|(name, _)| *name == area) {
            Some((_, records)) => records.push(record),
            None => areas.push((area, vec![record])),
        }
    }
    html! {
        table {
            thead {
                tr { th { "clause" } th { "with" } th { "verdict" } th.told { "measured, or why" } th.time { "took" } }
            }
            @for (area, records) in &areas {
                tbody {
                    tr.area { th colspan="5" scope="rowgroup" { (area) } }
                    @for record in records {
                        (row(report, record))
                    }
                }
            }
        }
    }
}

fn row(report: &Report, record: &Record) -> Markup {
    html! {
        tr {
            th scope="row" { (record.id) }
            td { (record.config) }
            td {
                span.badge.(record.status) { (record.status) }
                @if report.is_apart(record) { " apart" }
            }
            td.told {
                @match &record.reason {
                    Some(reason) => (reason),
                    None => (measured(&record.measured)),
                }
            }
            td.time { (format!("{:.2} s", record.duration_ms as f64 / 1000.0)) }
        }
    }
}
