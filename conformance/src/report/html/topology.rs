//! A configuration's network, drawn.

use maud::{Markup, html};

use super::colour;
use crate::configuration::Configuration;

/// From one line to the next, and the least height.
const STEP: f64 = 58.0;
const LEAST: f64 = 116.0;

/// Clients, router, and for each line its modem on the way to the Internet.
pub(super) fn figure(configuration: &Configuration) -> Markup {
    let config = &configuration.config;
    let lines = &config.lines;
    let height = (STEP * lines.len() as f64).max(LEAST);
    let middle = height / 2.0;
    let first = middle - STEP * (lines.len() as f64 - 1.0) / 2.0;
    let spread = config.spread;
    html! {
        figure.topology {
            figcaption { b { (configuration.name) } ", spread by " (format!("{spread:?}").to_lowercase()) }
            svg viewBox=(format!("0 0 440 {height}")) role="img" {
                title { "Clients behind a router with " (lines.len()) " lines" }
                (node(2.0, middle, 62.0, "clients", None))
                path.cable d=(format!("M64 {middle}H104")) {}
                @if let Some(lan) = config.lans.first() {
                    text x="84" y=(middle - 6.0) text-anchor="middle" { (lan.interface) }
                }
                rect.node x="104" y=(first - 22.0) width="58" height=(height - 2.0 * first + 44.0) rx="6" {}
                text.name x="133" y=(middle + 4.0) text-anchor="middle" { "router" }
                @for (place, line) in lines.iter().enumerate() {
                    @let y = first + STEP * place as f64;
                    path.cable.(colour(place)) d=(format!("M162 {y}H284")) {}
                    text x="168" y=(y - 6.0) { (line.interface) }
                    @if let Some(address) = line.address {
                        text.address x="168" y=(y + 15.0) { (address) }
                    }
                    (node(284.0, y, 74.0, &line.name, Some(weight(line))))
                    path.cable.(colour(place)) d=(format!("M358 {y}H376")) {}
                }
                rect.node x="376" y=(first - 22.0) width="62" height=(height - 2.0 * first + 44.0) rx="20" {}
                text.name x="407" y=(middle + 4.0) text-anchor="middle" { "Internet" }
            }
        }
    }
}

fn weight(line: &multiwan::config::Line) -> String {
    if line.backup {
        "backup".to_owned()
    } else {
        format!("weight {}", line.weight)
    }
}

fn node(x: f64, y: f64, width: f64, name: &str, below: Option<String>) -> Markup {
    let middle = x + width / 2.0;
    let line = if below.is_some() { y - 3.0 } else { y + 4.0 };
    html! {
        rect.node x=(x) y=(y - 20.0) width=(width) height="40" rx="6" {}
        text.name x=(middle) y=(line) text-anchor="middle" { (short(name)) }
        @if let Some(below) = below {
            text.address x=(middle) y=(y + 12.0) text-anchor="middle" { (below) }
        }
    }
}

/// As much of a name as has room in its box.
fn short(name: &str) -> String {
    const MOST: usize = 9;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST - 1).chain(['…']).collect()
}
