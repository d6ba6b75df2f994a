//! Appliers that are not the shipped one, from `fixtures/appliers/`: each broken one is caught by the
//! clause that is about its mistake, each clause lets a stranger's correct one pass, and the how-to's
//! own commands get the verdicts that the README tells.
//!
//! The whole table of docs/how-to-2001.md takes a run for each column: `cargo test --test mutants --
//! --ignored`.
//!
//! The tests are made from the folders, so that no applier can be forgotten, and each is a run of the
//! binary: `cargo test --test mutants -- no-marks`. This is the part of `multiwan-conformance
//! mutants` that fits into a test: there each applier is judged by each clause.

use std::collections::HashSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use multiwan_conformance::clause::{Clause, Kind as Of, Need};
use multiwan_conformance::clauses;
use multiwan_conformance::fixtures::{self, Fixture, Kind};
use serde_json::Value;

/// Mostly they wait for what does not come, so several share a core.
const AT_ONCE: usize = 6;

/// What the appliers are made of, and where to get it.
const PROGRAMS: [(&str, &str); 4] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("ping", "iputils-ping"),
];

const README: &str = include_str!("../../README.md");

/// The verdict of every clause on the how-to's commands, one column for each applier of these.
const HOW_TO: &str = include_str!("../../docs/how-to-2001.md");
const COLUMNS: [&str; 3] = [
    "how-to-2001",
    "how-to-2001-masquerade",
    "how-to-2001-settings",
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let mut trials = vec![
        Trial::test("every_clause_catches_one", every_clause_catches_one),
        Trial::test("headers_name_clauses", headers_name_clauses),
        Trial::test("the_how_to_s_table_has_every_clause", table_is_whole),
    ];
    let correct = all(Kind::Correct);
    let behaviour = clauses::all().filter(|clause| clause.kind == Of::Behaviour);
    for (clause, fixture) in behaviour.zip(correct.iter().cycle()) {
        let fixture = fixture.clone();
        let name = format!("correct::{}::{}", fixture.name, clause.id);
        trials.push(Trial::test(name, move || passes(&fixture, clause)));
    }
    for fixture in all(Kind::Broken) {
        let name = format!("broken::{}", fixture.name);
        trials.push(Trial::test(name, move || is_caught(&fixture)));
    }
    for (clause, verdict) in told_of_the_how_to() {
        let name = format!("verbatim::{clause}");
        trials.push(Trial::test(name, move || is_as_told(&clause, &verdict)));
    }
    for (column, applier) in (2..).zip(COLUMNS) {
        let name = format!("verbatim::table::{applier}");
        let whole_run = Trial::test(name, move || is_as_in_the_table(applier, column));
        trials.push(whole_run.with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn all(kind: Kind) -> Vec<Fixture> {
    let fixtures = fixtures::all(kind).expect("the fixtures can be read");
    assert!(!fixtures.is_empty(), "no {}", kind.folder());
    fixtures
}

fn every_clause_catches_one() -> Result<(), Failed> {
    let catching: HashSet<String> = all(Kind::Broken)
        .into_iter()
        .flat_map(|fixture| fixture.header.caught_by)
        .collect();
    let without: Vec<&str> = clauses::all()
        // What is about the shipped applier alone is broken in the tests of the applier.
        .filter(|clause| !clause.needs.contains(&Need::Shipped))
        .map(|clause| clause.id)
        .filter(|id| !catching.contains(*id))
        .collect();
    ensure(without.is_empty(), || {
        format!("no broken applier is caught by {}", without.join(", "))
    })
}

fn headers_name_clauses() -> Result<(), Failed> {
    for fixture in all(Kind::Broken) {
        let header = &fixture.header;
        ensure(!header.caught_by.is_empty(), || {
            format!("{} is caught by no clause", fixture.name)
        })?;
        let beside = header.also_fails.iter().chain(&header.may_fail);
        let named = header.caught_by.iter().chain(beside);
        let unknown: Vec<&String> = named.filter(|id| clauses::find(id).is_none()).collect();
        ensure(unknown.is_empty(), || {
            format!("{} names {unknown:?}, which is no clause", fixture.name)
        })?;
        let about = header.caught_by.iter().filter_map(|id| clauses::find(id));
        let configurations = |clause: &Clause| clause.configurations.iter().map(|with| with.name);
        let known: HashSet<&str> = about.flat_map(configurations).collect();
        let unknown: Vec<&String> = header
            .with
            .iter()
            .filter(|with| !known.contains(with.as_str()))
            .collect();
        ensure(unknown.is_empty(), || {
            format!("{}: no clause about it runs with {unknown:?}", fixture.name)
        })?;
    }
    Ok(())
}

/// By the first clause of its header; `mutants` asks the others too.
fn is_caught(fixture: &Fixture) -> Result<(), Failed> {
    let nearest = fixture.header.caught_by.first().ok_or("no clause")?;
    is_judged_right(fixture, nearest)
}

fn passes(fixture: &Fixture, clause: &Clause) -> Result<(), Failed> {
    is_judged_right(fixture, clause.id)
}

fn is_judged_right(fixture: &Fixture, clause: &str) -> Result<(), Failed> {
    let arguments = ["mutants", "--applier", &fixture.name, "--only", clause];
    let (status, matrix) = suite(&arguments)?;
    let wrong = &matrix["appliers"][0]["wrong"];
    ensure(status == 0, || format!("exit status {status}: {wrong:#}"))
}

/// The README's table about the commands of 2001: clause, and the verdict in its third column.
fn told_of_the_how_to() -> Vec<(String, String)> {
    let table = README
        .lines()
        .skip_while(|line| !line.starts_with("| promise | clause | 2001"));
    rows(table)
        .map(|row| (row[1].replace('`', ""), row[2].to_owned()))
        .collect()
}

/// The cells of a table that begins here.
fn rows<'a>(table: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Vec<&'a str>> {
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
}

/// The clauses of docs/how-to-2001.md, with a column's verdicts.
fn told_in_the_table(column: usize) -> Vec<(String, &'static str)> {
    let table = HOW_TO
        .lines()
        .skip_while(|line| !line.starts_with("| clause |"));
    rows(table)
        .map(|row| (row[0].replace('`', ""), row[column]))
        .collect()
}

/// What is about the shipped applier alone, the how-to's commands do not know.
fn strangers_clauses() -> impl Iterator<Item = &'static Clause> {
    clauses::all().filter(|clause| !clause.needs.contains(&Need::Shipped))
}

fn table_is_whole() -> Result<(), Failed> {
    let told: Vec<String> = told_in_the_table(2).into_iter().map(|row| row.0).collect();
    let expected: Vec<&str> = strangers_clauses().map(|clause| clause.id).collect();
    let missing = expected.iter().filter(|id| !told.iter().any(|t| t == *id));
    let missing: Vec<_> = missing.collect();
    let unknown: Vec<_> = told
        .iter()
        .filter(|id| !expected.contains(&id.as_str()))
        .collect();
    ensure(missing.is_empty() && unknown.is_empty(), || {
        format!("not in the table: {missing:?}; no clauses: {unknown:?}")
    })
}

/// A run of everything says of each clause what the table says in this column.
fn is_as_in_the_table(applier: &str, column: usize) -> Result<(), Failed> {
    let told = told_in_the_table(column);
    let (_, report) = suite(&["run", "--no-keep", "--applier", applier])?;
    let judged = report["clauses"].as_array().ok_or("no clauses")?;
    let mut wrong = Vec::new();
    for clause in strangers_clauses() {
        let of = |record: &&Value| record["id"] == clause.id;
        let status: HashSet<&str> = judged
            .iter()
            .filter(of)
            .filter_map(|record| record["status"].as_str())
            .collect();
        let seen = ["failed", "inconclusive", "passed", "skipped"]
            .into_iter()
            .find(|status_| status.contains(status_));
        let seen = match seen {
            Some("failed") => "**fails**",
            Some("passed") => "holds",
            Some("skipped") => "not claimed",
            other => other.unwrap_or("not run"),
        };
        let told = told.iter().find(|(id, _)| id == clause.id);
        let told = told.map_or("nothing", |(_, verdict)| *verdict);
        if told != seen {
            wrong.push(format!("{}: told {told}, seen {seen}", clause.id));
        }
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

fn is_as_told(clause: &str, verdict: &str) -> Result<(), Failed> {
    let clause = clauses::find(clause).ok_or_else(|| format!("{clause} is no clause"))?;
    let arguments = [
        "run",
        "--no-keep",
        "--applier",
        "how-to-2001",
        "--only",
        clause.id,
    ];
    let config = clause.configurations[0].name;
    let (_, report) = suite(&[&arguments[..], &["-c", config]].concat())?;
    let seen = &report["clauses"][0];
    let expected = match verdict.split([' ', ',', ';', ':']).next() {
        Some("holds") => "passed",
        Some("fails") => "failed",
        other => return Err(format!("the README says {other:?}, neither holds nor fails").into()),
    };
    ensure(seen["status"] == expected, || {
        format!("the README says \"{verdict}\": {seen:#}")
    })
}

/// Runs the suite's binary: its exit status, and what it writes for programs.
fn suite(arguments: &[&str]) -> Result<(i32, Value), Failed> {
    let missing: Vec<String> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_installed(program))
        .map(|(program, package)| format!("{program} (apt install {package})"))
        .collect();
    ensure(missing.is_empty(), || {
        format!("the appliers need {}", missing.join(", "))
    })?;
    let output = Command::new(env!("CARGO_BIN_EXE_multiwan-conformance"))
        .args(arguments)
        .args(["--json", "-"])
        .env(
            "MULTIWAN_FIXTURES",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures"),
        )
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{}, no report ({error}): {said}", output.status)
    })?;
    Ok((output.status.code().ok_or("killed")?, report))
}

/// Whether the suite's appliers find it, by the caller's search path and these folders.
fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(program).is_file())
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}
