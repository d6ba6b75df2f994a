//! Whole runs with appliers that go wrong before any clause's own work, so that the verdict does
//! not depend on the clause.

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use common::{BINARY, Pipe, applier};

/// The first clause that decides for any applier and needs no claim, with one configuration; nothing
/// is kept.
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
    let needs_a_claim = |clause: &Value| clause["needs"].to_string().contains("applier");
    let clause = listed
        .iter()
        .find(|clause| clause["kind"] == "behaviour" && !needs_a_claim(clause))
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
    let (_folder, path) = applier("apply) echo out of clay; exit 9 ;;");
    let output = run(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let told = text(&output.stdout);
    assert!(
        told.contains("apply` ended with 9") && told.contains("| out of clay"),
        "{told}"
    );
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
fn a_claim_that_nobody_knows_is_told_once_and_passed_over() {
    let (_folder, path) = applier("features) echo telepathy down; exit 0 ;; apply) exit 9 ;;");
    let mut command = run(&path);
    let output = command.args(["--only", "spread.even"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let warned = text(&output.stderr);
    assert_eq!(warned.matches("`telepathy`").count(), 1, "{warned}");
    assert_eq!(warned.lines().count(), 1, "{warned}");
    assert!(
        !text(&output.stdout).contains("telepathy"),
        "{}",
        show(&output)
    );
}

#[test]
fn who_does_not_say_what_he_claims_is_not_judged() {
    let (folder, path) = applier("features) echo out of clay; exit 9 ;;");
    let report = folder.path().join("report.json");
    fs::write(&report, "before").unwrap();
    let output = run(&path).arg("--json").arg(&report).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", show(&output));
    let told = text(&output.stderr);
    assert!(
        told.contains("features` ended with 9; by `exit 64`")
            && told.contains("\n  | out of clay\n"),
        "{told}"
    );
    assert!(output.stdout.is_empty(), "{}", show(&output));
    assert_eq!(fs::read_to_string(&report).unwrap(), "before");
}

/// One pair uses both lines here: that is told, whatever comes after.
#[test]
fn a_down_that_fails_takes_no_verdict_away() {
    let policy = "/proc/sys/net/ipv4/fib_multipath_hash_policy";
    let (_folder, path) = applier(&format!(
        "apply) \"$MULTIWAN\" apply -c \"$MULTIWAN_CONFIG\" && echo 1 > {policy}; exit ;; down) exit 9 ;;"
    ));
    let mut command = Command::new(BINARY);
    command.args(["run", "--no-keep", "-c", "two-lines", "--applier"]);
    command.arg(&path).args(["--only", "spread.single-pair"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let told = text(&output.stdout);
    let line = told
        .lines()
        .find(|line| line.contains("down` ended with 9"));
    assert!(line.is_some_and(|line| line.contains("one line")), "{told}");
}

/// Neither a terminal nor who reads a file is led by what an applier prints.
#[test]
fn escape_sequences_are_shown_and_not_obeyed() {
    let (folder, path) = applier(r"apply) printf '\033]0;mine\007\033[2Jgone\r\n'; exit 9 ;;");
    let [junit, html] = ["report.xml", "report.html"].map(|name| folder.path().join(name));
    let mut command = run(&path);
    command.arg("--junit").arg(&junit).arg("--html").arg(&html);
    // With colour, as on a terminal: else all that begins with an escape is taken out.
    let output = command.env("CLICOLOR_FORCE", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let files = [&junit, &html].map(|path| fs::read_to_string(path).unwrap());
    for told in [text(&output.stdout)].iter().chain(&files) {
        assert!(
            told.contains(r"\u{1b}]0;mine\u{7}\u{1b}[2Jgone"),
            "{told:?}"
        );
        assert!(
            !told.contains("\x1b]") && !told.contains("\x1b[2J"),
            "{told:?}"
        );
        assert!(!told.contains('\x07') && !told.contains('\r'), "{told:?}");
    }
    assert!(
        text(&output.stdout).contains("\x1b["),
        "colour was asked for"
    );
}

#[test]
fn json_on_standard_output_is_alone_there() {
    let (_folder, path) = applier("apply) exit 9 ;;");
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
    let (folder, path) = applier("apply) exit 9 ;;");
    let file = folder.path().join("report.json");
    let output = run(&path).arg("--json").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let report: Value = serde_json::from_reader(File::open(file).unwrap()).expect("one object");
    assert_eq!(report["failed"], 1);
    assert!(text(&output.stdout).contains("1 failed"));
}

#[test]
fn a_worker_that_dies_is_inconclusive_and_with_strict_a_failure() {
    let (_folder, path) = applier("apply) kill -9 $PPID; sleep 60 ;;");
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
    let (folder, path) = applier("apply) kill -9 $PPID; sleep 60 ;;");
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
        "the configuration does not fit: it needs two lines or more that are no backup"
    );
    assert_eq!(report["skipped"], 1);
}

#[test]
fn nothing_outlives_a_killed_run() {
    let pipe = Pipe::new();
    let (_folder, path) = applier(&format!("apply) {}; sleep 60 ;;", pipe.hold()));
    let mut run = run(&path).stdout(Stdio::null()).spawn().unwrap();
    let held = pipe.held();
    run.kill().unwrap();
    run.wait().unwrap();
    held.expect_let_go();
}

/// Its lines are as they should be, but nobody watches them any more: that is told wherever somebody
/// will look, with what was seen instead of a promise or alone.
#[test]
fn a_keepalive_that_ends_early_is_told() {
    let (_folder, path) = applier(
        "apply) exec \"$MULTIWAN\" apply -c \"$MULTIWAN_CONFIG\" ;; down) exec \"$MULTIWAN\" down ;;
         keepalive) echo up; echo no probes today; exit 3 ;;",
    );
    let kept = tempfile::tempdir().unwrap();
    let output = Command::new(BINARY)
        .arg("run")
        .arg("--applier")
        .arg(&path)
        .args(["--only", "dead.silent", "--only", "spread.even"])
        .args(["-c", "two-lines", "--json", "-", "--keep"])
        .arg(kept.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = format!(
        "`{} keepalive` was to stay, and ended with 3 by itself after ",
        path.display()
    );
    let said = "ms, its last words \"no probes today\"";
    for (id, before) in [("spread.even", ""), ("dead.silent", ": not within ")] {
        let clauses = report["clauses"].as_array().unwrap();
        let clause = clauses.iter().find(|clause| clause["id"] == id).unwrap();
        assert_eq!(clause["status"], "failed", "{clause:#}");
        let reason = clause["reason"].as_str().unwrap();
        assert!(reason.contains(before), "{reason}");
        assert!(reason.contains(&told) && reason.contains(said), "{reason}");
        let folder = Path::new(clause["kept"].as_str().unwrap());
        for file in ["events.txt", "applier.txt"] {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            let mut lines = text.lines();
            assert!(
                lines.any(|line| line.contains(&told) && !line.starts_with(id)),
                "{file}: {text}"
            );
        }
    }
}
