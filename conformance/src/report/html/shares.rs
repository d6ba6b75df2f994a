//! Each line's share of new connections as a bar, with the exact bounds of its test.

use maud::{Markup, html};

use super::colour;
use crate::judge::Share;

/// The bars' width in the drawing's own units.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 22.0;

pub(super) fn legend() -> Markup {
    html! {
        p.legend {
            span.key { svg viewBox="0 0 24 12" aria-hidden="true" { rect.line0 width="24" height="12" {} } " seen" }
            span.key { svg viewBox="0 0 24 12" aria-hidden="true" { rect.accepted width="24" height="12" {} } " what the exact test accepts" }
            span.key { svg viewBox="0 0 24 12" aria-hidden="true" { path.expected d="M12 0v12" {} } " expected by weight" }
        }
    }
}

pub(super) fn bars(shares: &[Share]) -> Markup {
    html! {
        div.bars {
            @for (place, share) in shares.iter().enumerate() {
                (bar(place, share))
            }
        }
    }
}

fn bar(place: usize, share: &Share) -> Markup {
    let Share {
        name,
        seen,
        of,
        expected,
        accepted,
        p,
        holds,
        ..
    } = share;
    let (low, high) = (*accepted.start(), *accepted.end());
    let at = |count: u64| count as f64 / (*of).max(1) as f64 * WIDTH;
    let verdict = if *holds { "within" } else { "outside of" };
    let alt = format!("{name}: {seen} of {of}, {verdict} {low} to {high}");
    html! {
        div.bar.wrong[!holds] {
            span.name { (name) }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(alt) {
                title { (alt) }
                rect.track width=(WIDTH) height=(HEIGHT) {}
                rect class=(colour(place)) y="4" width=(decimal(at(*seen))) height=(HEIGHT - 8.0) {}
                rect.accepted x=(decimal(at(low))) width=(decimal((at(high) - at(low)).max(1.0))) height=(HEIGHT) {}
                path.expected d=(format!("M{} 0v{HEIGHT}", decimal(expected * WIDTH))) {}
            }
            span.numbers {
                b { (seen) } " of " (of) ", "
                @if *holds { "within " } @else { strong { "outside of " } }
                (low) "–" (high)
                span.p { " p = " (probability(*p)) }
            }
        }
    }
}

fn decimal(value: f64) -> String {
    format!("{value:.1}")
}

fn probability(p: f64) -> String {
    if p < 0.001 && p > 0.0 {
        format!("{p:.1e}")
    } else {
        format!("{p:.3}")
    }
}
