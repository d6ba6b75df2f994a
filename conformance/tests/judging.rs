//! Whole runs with appliers that go wrong before any clause's own work, so that the verdict does
//! not depend on the clause.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_multiwan-conformance");

/// An applier that does this when it is asked for its features.
fn applier(features: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.sh");
    // Written by another process: were it open here for writing, another test's fork would keep
    // it so, and the kernel refuse to execute it.
    let mut install = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("#!/bin/sh\ncase $1 in features) {features} ;; esac\nexit 64\n");
    install
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(install.wait().unwrap().success());
    (folder, path)
}

/// The first clause that decides for any applier, with one configuration; nothing is kept.
fn run(applier: &Path) -> Command {
    let mut command = judge(applier);
    command.arg("--no-keep");
    command
}

fn judge(applier: &Path) -> Command {
    let listed = Command::new(BINARY)
        .args(["list", "--json"])
        .output()
        .unwrap();
    let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    let clause = listed
        .iter()
        .find(|clause| clause["kind"] == "behaviour")
        .expect("there is one");
    let mut command = Command::new(BINARY);
    command.arg("run").arg("--applier").arg(applier);
    command.args(["--only", clause["id"].as_str().unwrap(), "--seed", "7"]);
    command.args(["-c", clause["configs"][0].as_str().unwrap()]);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn show(output: &Output) -> String {
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_failed_clause_is_told_with_the_command_that_repeats_it() {
    let (_folder, path) = applier("echo telepathy; exit 0");
    let output = run(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let told = text(&output.stdout);
    assert!(told.contains("`telepathy`"), "{told}");
    assert!(
        told.contains(&format!("run --applier {} --only ", path.display())),
        "{told}"
    );
    assert!(
        told.contains("0 passed, 1 failed, 0 skipped, 0 inconclusive"),
        "{told}"
    );
    assert!(!told.contains('\x1b'), "colour is for terminals: {told}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn an_applier_s_output_is_shown() {
    let (_folder, path) = applier("echo out of clay; exit 9");
    let output = run(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let told = text(&output.stdout);
    assert!(
        told.contains("features` ended with 9") && told.contains("| out of clay"),
        "{told}"
    );
}

#[test]
fn json_on_standard_output_is_alone_there() {
    let (_folder, path) = applier("echo telepathy; exit 0");
    let output = run(&path).args(["--json", "-"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!((&report["schema"], &report["seed"]), (&1.into(), &7.into()));
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&0.into(), &1.into())
    );
    assert_eq!(report["applier"], path.to_str().unwrap());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(report["kernel"], kernel.trim());
    assert_eq!(report["clauses"][0]["status"], "failed");
    assert!(
        text(&output.stderr).contains("1 failed"),
        "{}",
        show(&output)
    );
}

#[test]
fn json_goes_to_a_file_too() {
    let (folder, path) = applier("echo telepathy; exit 0");
    let file = folder.path().join("report.json");
    let output = run(&path).arg("--json").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let report: Value = serde_json::from_reader(File::open(file).unwrap()).expect("one object");
    assert_eq!(report["failed"], 1);
    assert!(text(&output.stdout).contains("1 failed"));
}

#[test]
fn a_worker_that_dies_is_inconclusive_and_with_strict_a_failure() {
    let (_folder, path) = applier("kill -9 $PPID; sleep 60");
    let output = run(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", show(&output));
    let told = text(&output.stdout);
    assert!(
        told.contains("its worker ended with 137 before the verdict"),
        "{told}"
    );
    assert_eq!(
        run(&path).arg("--strict").output().unwrap().status.code(),
        Some(1)
    );
}

#[test]
fn what_is_known_of_a_worker_that_dies_is_kept() {
    let (folder, path) = applier("kill -9 $PPID; sleep 60");
    let kept = folder.path().join("kept");
    let mut run = judge(&path);
    let output = run.arg("--keep").arg(&kept).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", show(&output));
    let folders: Vec<_> = fs::read_dir(kept).unwrap().collect();
    let [Ok(of_clause)] = &folders[..] else {
        panic!("one folder: {folders:?}");
    };
    for file in ["multiwan.toml", "repeat.txt", "record.json", "events.txt"] {
        assert!(of_clause.path().join(file).exists(), "{file}");
    }
}

#[test]
fn what_does_not_fit_is_skipped_with_its_reason_and_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, report) = (
        folder.path().join("line.toml"),
        folder.path().join("report.json"),
    );
    let line = "name = \"dsl\"\ninterface = \"eth1\"\naddress = \"198.51.100.2/24\"\n\
        gateway = \"198.51.100.1\"\n";
    let lan = "interface = \"eth0\"\naddress = \"192.0.2.1/24\"\n";
    fs::write(&lines, format!("[lan]\n{lan}\n[[line]]\n{line}")).unwrap();
    let output = Command::new(BINARY)
        .args(["run", "--strict", "--no-keep", "--only", "setup.layout"])
        .args(["--only", "spread.even", "-c"])
        .arg(&lines)
        .arg("--json")
        .arg(&report)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", show(&output));
    let report: Value = serde_json::from_reader(File::open(report).unwrap()).unwrap();
    let [layout, even] = &report["clauses"].as_array().unwrap()[..] else {
        panic!("two clauses: {report}");
    };
    assert_eq!(
        (&layout["status"], &layout["fits"]),
        (&"passed".into(), &true.into())
    );
    assert_eq!(
        (&even["status"], &even["fits"]),
        (&"skipped".into(), &false.into())
    );
    assert_eq!(
        even["reason"],
        "the configuration does not fit: it needs two lines or more"
    );
    assert_eq!(report["skipped"], 1);
}

/// The applier holds a pipe open; its end is read here, where the applier's process number is
/// not known.
#[test]
fn nothing_outlives_a_killed_run() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("alive");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let (_other, path) = applier(&format!("exec 3>{}; echo up >&3; sleep 60", pipe.display()));
    let mut run = run(&path).stdout(Stdio::null()).spawn().unwrap();
    let mut alive = File::open(&pipe).unwrap();
    let mut said = [0; 3];
    alive.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"up\n");
    run.kill().unwrap();
    run.wait().unwrap();
    let since = std::time::Instant::now();
    assert_eq!(alive.read_to_end(&mut Vec::new()).unwrap(), 0);
    assert!(
        since.elapsed().as_secs() < 10,
        "the applier lived on for {:?}",
        since.elapsed()
    );
}
