//! Appliers that are not the shipped one, from `fixtures/appliers/`: each broken one is caught by
//! the clauses that its header names, and a correct one passes every behavioural clause, however it
//! does it.
//!
//! The tests are made from the folders, so that no applier can be forgotten, and each is a run of
//! the binary: `cargo test --test mutants -- no-marks`.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use multiwan_conformance::clause::{Clause, Kind};
use multiwan_conformance::clauses;
use serde_json::Value;

/// Mostly they wait for what does not come, so several share a core.
const AT_ONCE: usize = 6;

/// What the appliers are made of, and where to get it.
const PROGRAMS: [(&str, &str); 3] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("ping", "iputils-ping"),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let mut trials = vec![Trial::test(
        "every_clause_catches_one",
        every_clause_catches_one,
    )];
    for path in appliers("correct") {
        for clause in clauses::all().filter(|clause| clause.kind == Kind::Behaviour) {
            let path = path.clone();
            let name = format!("correct::{}::{}", name(&path), clause.id);
            trials.push(Trial::test(name, move || passes(&path, clause)));
        }
    }
    for path in appliers("broken") {
        for clause in caught_by(&path) {
            let path = path.clone();
            let name = format!("broken::{}::{clause}", name(&path));
            trials.push(Trial::test(name, move || is_caught(&path, &clause)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn every_clause_catches_one() -> Result<(), Failed> {
    let catching: HashSet<String> = appliers("broken")
        .iter()
        .flat_map(|path| caught_by(path))
        .collect();
    let without: Vec<&str> = clauses::all()
        .map(|clause| clause.id)
        .filter(|id| !catching.contains(*id))
        .collect();
    ensure(without.is_empty(), || {
        format!("no broken applier is caught by {}", without.join(", "))
    })
}

fn is_caught(applier: &Path, clause: &str) -> Result<(), Failed> {
    let clause = clauses::find(clause)
        .ok_or_else(|| format!("{} names {clause}, which is no clause", applier.display()))?;
    let (status, verdict) = judge(applier, clause)?;
    let reason = verdict["reason"].as_str().unwrap_or_default();
    // The how-to's layout is counted apart, and is no foreign applier's failure.
    let expected = i32::from(clause.kind == Kind::Behaviour);
    ensure(verdict["status"] == "failed" && status == expected, || {
        format!("not caught, exit status {status}: {verdict:#}")
    })?;
    // It must work but for the mistake: an applier that does not even run is caught by anything.
    let works = !reason.is_empty() && !reason.starts_with('`') && !reason.starts_with(NOT_SET);
    ensure(works, || format!("caught for another reason: {verdict:#}"))
}

/// How a reason begins when the applier has not got as far as the clause.
const NOT_SET: &str = "every line carries new flows";

fn passes(applier: &Path, clause: &Clause) -> Result<(), Failed> {
    let (status, verdict) = judge(applier, clause)?;
    let reason = verdict["reason"].as_str().unwrap_or_default();
    let passed = verdict["status"] == "passed" || reason.starts_with("not claimed");
    ensure(passed && status == 0, || {
        format!("exit status {status}: {verdict:#}")
    })
}

/// Judges the applier by the clause with the first of its configurations: the exit status, and the
/// verdict as it is reported.
fn judge(applier: &Path, clause: &Clause) -> Result<(i32, Value), Failed> {
    let missing: Vec<String> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_installed(program))
        .map(|(program, package)| format!("{program} (apt install {package})"))
        .collect();
    ensure(missing.is_empty(), || {
        format!("the appliers need {}", missing.join(", "))
    })?;
    let output = Command::new(env!("CARGO_BIN_EXE_multiwan-conformance"))
        .arg("run")
        .arg("--applier")
        .arg(applier)
        .args(["--only", clause.id])
        .args(["-c", clause.configurations[0].name])
        .args(["--json", "-"])
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{}, no report ({error}): {said}", output.status)
    })?;
    let status = output.status.code().ok_or("killed")?;
    Ok((status, report["clauses"][0].clone()))
}

/// Whether the suite's appliers find it, by the caller's search path and these folders.
fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(program).is_file())
}

/// All appliers of a folder, by name.
fn appliers(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/appliers")
        .join(folder);
    let entries = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path());
    let mut appliers: Vec<PathBuf> = entries.collect();
    appliers.sort();
    assert!(!appliers.is_empty(), "{} is empty", folder.display());
    appliers
}

fn name(applier: &Path) -> String {
    let stem = applier.file_stem().expect("a file");
    stem.to_string_lossy().into_owned()
}

/// The clauses in the header's line `# caught by: CLAUSE...`.
fn caught_by(applier: &Path) -> Vec<String> {
    let text = fs::read_to_string(applier).expect("an applier is a script");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("# caught by: "));
    let line = line.unwrap_or_else(|| panic!("{} names no clause", applier.display()));
    line.split_whitespace().map(str::to_owned).collect()
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}
