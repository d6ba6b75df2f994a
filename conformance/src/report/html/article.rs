//! One clause with one configuration.

use maud::{Markup, html};

use super::{shares, timeline};
use crate::clauses;
use crate::report::terminal::measured;
use crate::report::{Record, Report};

/// A clause that failed or could not be judged: what was expected, what was seen, and how to see
/// it alone.
pub(super) fn wrong(report: &Report, record: &Record) -> Markup {
    html! {
        article class=(record.status) {
            (heading(record))
            dl.told {
                @if let Some(clause) = clauses::find(&record.id) {
                    dt { "expected" }
                    dd { (clause.promise) }
                }
                dt { "seen" }
                dd.seen { (record.reason.as_deref().unwrap_or("no reason was given")) }
                @if !record.measured.is_empty() {
                    dt { "measured" }
                    dd { (measured(&record.measured)) }
                }
                dt { "alone" }
                dd { code.command { (report.repeat(record)) } }
                @if let Some(folder) = &record.kept {
                    dt { "kept" }
                    dd { code { (folder.display()) } }
                }
                @if report.is_apart(record) {
                    dt { "counts" }
                    dd { "apart: " (report.applier) " need not have the how-to's layout" }
                }
            }
            @if !record.shares.is_empty() {
                (shares::bars(&record.shares))
            }
            @for timeline in &record.timelines {
                (timeline::figure(timeline, true))
            }
            @if let Some(detail) = &record.detail {
                details {
                    summary { "what happened, and what the applier said" }
                    pre { (detail) }
                }
            }
        }
    }
}

/// A clause that holds, with what there is to see of it.
pub(super) fn right(record: &Record, figures: Markup) -> Markup {
    html! {
        article class=(record.status) {
            (heading(record))
            @if !record.measured.is_empty() {
                p.measured { (measured(&record.measured)) }
            }
            (figures)
        }
    }
}

fn heading(record: &Record) -> Markup {
    let sections = (!record.how_to.is_empty()).then_some(&record.how_to);
    html! {
        h3 {
            span.badge.(record.status) { (record.status) }
            " " span.id { (record.id) }
            span.with {
                " with " (record.config)
                @if let Some(sections) = sections { " · how-to " (sections) }
            }
        }
    }
}
