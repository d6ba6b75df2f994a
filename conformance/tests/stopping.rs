//! Runs that end before all clauses are judged: what was judged is told, files hold a whole report or
//! what they held before, and nothing is left.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use common::{BINARY, Pipe, applier};

/// A run of clauses about spread, one at a time, in a process group of its own, as a shell starts it.
fn run(applier: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("run").arg("--applier").arg(applier);
    command.args(["--only", "spread", "--jobs", "1", "--no-keep"]);
    command.process_group(0).stdout(Stdio::null());
    command
}

/// As a terminal sends it for Ctrl-C: to all of the group.
fn send(signal: Signal, run: &Child) {
    let group = Pid::from_raw(run.id().try_into().unwrap());
    killpg(group, signal).unwrap();
}

/// An applier that fails the first clause, and is at work on the second until it is ended.
fn at_work_on_the_second(pipe: &Pipe) -> String {
    let hold = pipe.hold();
    format!(
        r#"apply) first="${{0%/*}}/first"; [ -e "$first" ] && {{ {hold}; sleep 60; }}; : > "$first"; exit 0 ;;"#
    )
}

fn is_told(signal: Signal, name: &str, status: i32) {
    let pipe = Pipe::new();
    let (folder, path) = applier(&at_work_on_the_second(&pipe));
    let report = folder.path().join("report.json");
    fs::write(&report, "before").unwrap();
    let mut command = run(&path);
    command.arg("--json").arg(&report).stdout(Stdio::piped());
    let run = command.spawn().unwrap();
    let held = pipe.held();
    assert_eq!(fs::read_to_string(&report).unwrap(), "before");
    send(signal, &run);
    let output = run.wait_with_output().unwrap();
    held.expect_let_go();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(status), "{told}");
    let why = format!("interrupted by {name}");
    let read: Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(read["stopped"], *why);
    let clauses = read["clauses"].as_array().unwrap();
    let left = clauses.len() - 1;
    assert!(left > 2, "{left}");
    assert_eq!(
        (&read["failed"], &read["inconclusive"]),
        (&1.into(), &left.into())
    );
    assert_eq!(clauses[1]["reason"], format!("not judged: {why}"));
    assert!(
        told.contains(&format!("stopped, {why}\n  {left} not judged: ")),
        "{told}"
    );
    assert!(
        told.contains(&format!("1 failed, 0 skipped, {left} inconclusive")),
        "{told}"
    );
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 3, "nothing else is left: {names:?}");
}

#[test]
fn what_was_judged_before_ctrl_c_is_reported() {
    is_told(Signal::SIGINT, "SIGINT", 130);
}

#[test]
fn what_was_judged_before_sigterm_is_reported() {
    is_told(Signal::SIGTERM, "SIGTERM", 143);
}

/// The first signal's report cannot be written to the end, as nobody reads it.
#[test]
fn a_second_signal_ends_it_at_once() {
    let pipe = Pipe::new();
    let (_folder, path) = applier(&at_work_on_the_second(&pipe));
    let mut command = run(&path);
    command.args(["--json", "-"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    let stdout = run.stdout.take().unwrap();
    fcntl(&stdout, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let _held = pipe.held();
    send(Signal::SIGINT, &run);
    let mut told = BufReader::new(run.stderr.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("interrupted by SIGINT")));
    send(Signal::SIGTERM, &run);
    assert_eq!(run.wait().unwrap().code(), Some(143));
    let mut half = String::new();
    BufReader::new(stdout).read_to_string(&mut half).unwrap();
    assert!(serde_json::from_str::<Value>(&half).is_err(), "{half}");
}

#[test]
fn a_run_that_was_asked_nothing_yet_ends_too() {
    let pipe = Pipe::new();
    let (_folder, path) = applier(&format!("features) {}; sleep 60 ;;", pipe.hold()));
    let run = run(&path).stderr(Stdio::piped()).spawn().unwrap();
    let held = pipe.held();
    send(Signal::SIGINT, &run);
    let output = run.wait_with_output().unwrap();
    held.expect_let_go();
    assert_eq!(output.status.code(), Some(130));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("interrupted by SIGINT"), "{told}");
}

#[test]
fn mutants_tell_of_the_appliers_that_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("matrix.json");
    let mut command = Command::new(BINARY);
    command.args([
        "mutants",
        "--applier",
        "weights-*",
        "--only",
        "spread",
        "--jobs",
        "1",
        "--json",
    ]);
    command.arg(&report).process_group(0).stdout(Stdio::piped());
    let mut run = command.spawn().unwrap();
    let mut told = BufReader::new(run.stdout.take().unwrap()).lines();
    assert!(told.next().unwrap().unwrap().starts_with("caught "));
    send(Signal::SIGINT, &run);
    let told: Vec<String> = told.map(Result::unwrap).collect();
    assert_eq!(run.wait().unwrap().code(), Some(130), "{told:#?}");
    let read: Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    let (done, left) = (read["appliers"].as_array().unwrap().len(), &read["left"]);
    assert!(done > 0 && left.as_u64() > Some(0), "{done} {left}");
    let stopped = format!("stopped, interrupted by SIGINT: {left} appliers not judged");
    assert!(told.contains(&stopped), "{told:#?}");
}

/// Twenty seconds for the first command, and not for each.
#[test]
fn an_applier_that_hangs_is_told_once() {
    let (_folder, path) = applier("apply) echo hm; sleep 60 ;;");
    let since = Instant::now();
    let output = run(&path).stdout(Stdio::piped()).output().unwrap();
    let took = since.elapsed();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(took < Duration::from_secs(39), "{took:?}");
    let stopped = format!("stopped, `{} apply` still ran after 20 s\n", path.display());
    assert!(told.contains(&stopped), "{told}");
    assert!(told.contains("0 passed, 1 failed, 0 skipped, "), "{told}");
    assert!(told.contains("  | hm\n"), "{told}");
}

/// It prints its first error first: that, and one record, is what is told.
#[test]
fn an_applier_that_cannot_apply_is_told_once() {
    let (_folder, path) = applier(r#"apply) echo the first; seq 99; exit 9 ;;"#);
    let mut command = Command::new(BINARY);
    command.arg("run").arg("--applier").arg(&path);
    command.args([
        "--only",
        "core",
        "-c",
        "two-lines",
        "--jobs",
        "4",
        "--no-keep",
    ]);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let stopped = format!("stopped, `{} apply` ended with 9\n", path.display());
    assert!(told.contains(&stopped), "{told}");
    assert_eq!(told.matches("  | the first\n").count(), 1, "{told}");
    assert!(told.contains(" lines between\n"), "{told}");
    assert!(told.contains("  | 99\n"), "{told}");
    assert_eq!(told.matches("apply` ended with 9\n").count(), 3, "{told}");
}

/// What it cannot do with a further configuration fails there, and is judged on.
#[test]
fn an_apply_that_refuses_a_further_configuration_ends_nothing() {
    let (_folder, path) = applier(r#"apply) [ "$NLINES" = 2 ]; exit ;;"#);
    let mut command = Command::new(BINARY);
    command.arg("run").arg("--applier").arg(&path);
    command.args(["--only", "sticky.every-packet", "--jobs", "2", "--no-keep"]);
    command.args(["-c", "two-lines", "-c", "three-lines", "-c", "four-lines"]);
    let output = command.args(["--json", "-"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!(report["stopped"], Value::Null);
    assert_eq!(report["failed"], 3);
}

/// As above, beside one that does not hang and is judged by all its clauses.
#[test]
fn an_applier_of_mutants_that_hangs_is_done_with() {
    let fixtures = tempfile::tempdir().unwrap();
    let broken = fixtures.path().join("appliers/broken");
    fs::create_dir_all(&broken).unwrap();
    let text = "#!/bin/sh\n# It hangs.\n# caught by: spread.even spread.single-pair\n\
        [ $1 = apply ] && exec sleep 60\nexit 64\n";
    let plain = fixtures.path().join("plain");
    fs::write(&plain, text).unwrap();
    // By another process, as of any applier.
    let mut install = Command::new("install");
    install.arg(&plain).arg(broken.join("hanging.sh"));
    assert!(install.status().unwrap().success());
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/appliers/broken");
    fs::copy(
        source.join("weights-ignored.toml"),
        broken.join("weights-ignored.toml"),
    )
    .unwrap();
    let since = Instant::now();
    let output = Command::new(BINARY)
        .env("MULTIWAN_FIXTURES", fixtures.path())
        .args([
            "mutants",
            "--applier",
            "hanging",
            "--applier",
            "weights-ignored",
        ])
        .args(["--only", "spread", "--jobs", "2", "--json", "-"])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let took = since.elapsed();
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{read:#}");
    assert!(took < Duration::from_secs(39), "{took:?}");
    let appliers = read["appliers"].as_array().unwrap();
    let of = |name: &str| appliers.iter().find(|one| one["name"] == name).unwrap();
    let hangs = "`hanging apply` still ran after 20 s";
    assert_eq!(of("hanging")["wrong"], serde_json::json!([hangs]));
    assert_eq!(of("weights-ignored")["wrong"], serde_json::json!([]));
    let clauses = of("hanging")["clauses"].as_array().unwrap();
    let not_judged = format!("not judged: {hangs}");
    let left = clauses.iter().filter(|one| one["reason"] == not_judged);
    assert!(left.count() >= clauses.len() - 2, "{clauses:#?}");
    assert!(clauses.len() > 4, "{clauses:#?}");
}

/// It works otherwise: what hangs is one clause's failure.
#[test]
fn a_hang_of_one_clause_is_its_own() {
    let (_folder, path) = applier(
        r#"apply) [ "$WEIGHT1" = 4 ] && sleep 60; exec "$MULTIWAN" apply -c "$MULTIWAN_CONFIG" ;;
           keepalive) exec "$MULTIWAN" keepalive -c "$MULTIWAN_CONFIG" ;;"#,
    );
    let mut command = Command::new(BINARY);
    command.arg("run").arg("--applier").arg(path);
    command.args([
        "--only",
        "spread.single-pair",
        "--jobs",
        "1",
        "--no-keep",
        "--json",
        "-",
    ]);
    command.args(["-c", "two-lines", "-c", "four-to-one", "-c", "three-lines"]);
    let output = command.output().unwrap();
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{read:#}");
    let verdicts = read["clauses"].as_array().unwrap().iter();
    let verdicts: Vec<&str> = verdicts
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["passed", "failed", "passed"], "{read:#}");
    assert!(read["stopped"].is_null(), "{read:#}");
}
