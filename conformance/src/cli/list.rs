//! `list` and `explain`: the clauses for people and for programs.

use std::io::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::columns::{self, Room};
use super::{Error, Explain, List};
use crate::claims::{self, Claim};
use crate::clause::Clause;
use crate::{clauses, selection};

/// The columns of `list`: what a clause needs is the first that is left out.
const LIST: [Room; 6] = [
    Room::Name,
    Room::Spare(0),
    Room::Spare(1),
    Room::Spare(2),
    Room::Spare(3),
    Room::Text(30),
];

/// The columns of `list --claims`: the clauses that judge a claim stay.
const CLAIMS: [Room; 5] = [
    Room::Name,
    Room::Text(20),
    Room::Spare(1),
    Room::Spare(0),
    Room::Text(0),
];

/// How wide `explain` is laid out where there is no terminal to ask.
const WIDTH: u16 = 100;

/// Shows all clauses, one a line, or as JSON.
pub(super) fn list(asked: &List) -> Result<(), Error> {
    if asked.claims {
        return claims(asked);
    }
    let mut out = anstream::stdout().lock();
    if asked.json {
        let all: Vec<Value> = clauses::all().map(object).collect();
        serde_json::to_writer_pretty(&mut out, &all).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    let mut table = plain_table();
    if !table.is_tty() {
        // One line for each, whatever its length, for `grep`.
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(["clause", "kind", "how-to", "runs with", "needs", "promise"]);
    for clause in clauses::all() {
        let kind = clause.kind.to_string();
        let row = [
            clause.id,
            &kind,
            &clause.sections(),
            &with(clause),
            &needs(clause),
            clause.promise,
        ];
        table.add_row(row);
    }
    columns::fit(&mut table, &LIST);
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(())
}

/// Shows what the how-to says, claim by claim, and what judges it, one a line or as JSON.
fn claims(asked: &List) -> Result<(), Error> {
    let mut out = anstream::stdout().lock();
    if asked.json {
        let object = |claim: &Claim| {
            json!({
                "id": claim.id,
                "how_to": claim.section,
                "says": claim.says,
                "stock": claim.stock,
                "judged": claim.judged().word(),
                "clauses": claim.clauses,
                "elsewhere": claim.elsewhere,
                "why_not": claim.why_not,
            })
        };
        let all: Vec<Value> = claims::all().iter().map(object).collect();
        serde_json::to_writer_pretty(&mut out, &all).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    let mut table = plain_table();
    if !table.is_tty() {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(["claim", "the how-to says", "a stock kernel", "judged", "by"]);
    for claim in claims::all() {
        let by = match claim.elsewhere.as_ref().or(claim.why_not.as_ref()) {
            Some(words) => words.clone(),
            None => claim.clauses.join(", "),
        };
        let judged = claim.judged().word();
        table.add_row([&claim.id, &claim.says, &claim.stock, judged, &by]);
    }
    columns::fit(&mut table, &CLAIMS);
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(())
}

/// Tells all about one clause.
pub(super) fn explain(asked: &Explain) -> Result<(), Error> {
    let clause = selection::one(&asked.clause)?;
    let mut table = plain_table();
    if !table.is_tty() {
        table.set_width(WIDTH);
    }
    let mut row = |name: &str, text: &str| {
        table.add_row([name, text]);
    };
    row("clause", clause.id);
    row("kind", &clause.kind.to_string());
    if !clause.how_to.is_empty() {
        row("how-to", &clause.sections());
    }
    row("promise", clause.promise);
    let claims: Vec<String> = claims::of(clause)
        .map(|claim| format!("{} {}", claim.id, claim.says))
        .collect();
    if !claims.is_empty() {
        row("claims", &claims.join("\n"));
    }
    row("measured", clause.method);
    row("needs", &needs(clause));
    row("runs with", &with(clause));
    row(
        "alone",
        &format!("multiwan-conformance run --only {}", clause.id),
    );
    writeln!(anstream::stdout(), "{}", table.trim_fmt())?;
    Ok(())
}

pub(super) fn plain_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn with(clause: &Clause) -> String {
    clause
        .configurations
        .iter()
        .map(|builtin| builtin.name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn needs(clause: &Clause) -> String {
    match clause.needs {
        [] => "nothing beyond the lab".to_owned(),
        needs => needs
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn object(clause: &Clause) -> Value {
    let needs: Vec<String> = clause.needs.iter().map(ToString::to_string).collect();
    let configs: Vec<&str> = clause
        .configurations
        .iter()
        .map(|builtin| builtin.name)
        .collect();
    json!({
        "id": clause.id,
        "area": clause.area(),
        "kind": clause.kind,
        "how_to": clause.sections(),
        "promise": clause.promise,
        "method": clause.method,
        "needs": needs,
        "configs": configs,
    })
}
