//! The commands as people and scripts use them.

use std::process::{Command, Output, Stdio};

fn conformance(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_multiwan-conformance"))
        .args(arguments)
        .output()
        .expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// The clauses as `list --json` has them.
fn listed() -> Vec<serde_json::Value> {
    let output = conformance(&["list", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    serde_json::from_slice(&output.stdout).expect("an array")
}

#[test]
fn list_shows_every_clause_with_its_promise() {
    let text = stdout(&conformance(&["list"]));
    for clause in listed() {
        assert!(text.contains(clause["id"].as_str().unwrap()), "{clause}");
        for key in ["area", "kind", "how_to", "promise", "method"] {
            assert!(clause[key].is_string(), "{key} of {clause}");
        }
        for key in ["needs", "configs"] {
            assert!(clause[key].is_array(), "{key} of {clause}");
        }
    }
}

#[test]
fn list_into_a_pipe_has_no_colour() {
    assert!(!stdout(&conformance(&["list"])).contains('\x1b'));
}

#[test]
fn explain_tells_all_of_each_clause() {
    for clause in listed() {
        let id = clause["id"].as_str().unwrap();
        let output = conformance(&["explain", id]);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        assert!(
            text.contains(&format!("multiwan-conformance run --only {id}")),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_clause_is_wrong_usage_and_near_names_are_told() {
    let known = listed()[0]["id"].as_str().unwrap().to_owned();
    let nearly = format!("{known}x");
    for arguments in [["explain", &nearly], ["run", &format!("--only={nearly}")]] {
        let output = conformance(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = stderr(&output);
        assert!(
            text.contains(&nearly) && text.contains(&format!("did you mean {known}")),
            "{text}"
        );
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.toml");
    std::fs::write(&path, "spreads = \"pair\"\n").unwrap();
    let output = conformance(&["run", "-c", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(
        text.contains("wrong.toml:1:1: ") && text.contains("spreads"),
        "{text}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn what_is_not_there_is_named() {
    for (arguments, told) in [
        (
            &["run", "-c", "no-such.toml"][..],
            "no-such.toml: No such file or directory",
        ),
        (
            &["run", "--applier", "no-such"],
            "no applier is called `no-such`",
        ),
        (
            &["run", "--applier", "./no-such"],
            "the applier ./no-such: No such file",
        ),
        (
            &["run", "--applier", "/etc/passwd"],
            "not an executable file",
        ),
        (
            &["run", "--json", "/no/such/report"],
            "/no/such/report: No such file",
        ),
        (&["run", "--keep", "/dev/null"], "/dev/null: "),
        (&["run", "--keep", "/etc/passwd/kept"], "/etc/passwd/kept: "),
        (
            &["run", "--jobs", "0"],
            "at least 1 clause must be judged at once",
        ),
        (
            &["mutants", "--applier", "no-such*"],
            "no applier of the suite's own is called `no-such*`; they are multiwan, ",
        ),
        (
            &["mutants", "--applier=icmp-dropped", "--only=spread.even"],
            "no clause of --only is about the mistake of icmp-dropped, which is caught by ",
        ),
    ] {
        let output = conformance(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(told), "{}", stderr(&output));
    }
}

#[test]
fn one_file_for_two_reports_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report");
    let path = path.to_str().unwrap();
    let output = conformance(&["run", "--html", path, "--junit", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains(&format!("would go to {path}")),
        "{}",
        stderr(&output)
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

/// Its verdict is known from its exit status and its files all the same.
#[test]
fn a_reader_that_goes_away_is_not_complained_of() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let run = [
        "run",
        "--applier=weights-ignored",
        "--only=spread.weighted",
        "--no-keep",
        "--json",
    ];
    for json in [report.to_str().unwrap(), "-"] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_multiwan-conformance"))
            .args(run)
            .arg(json)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(run.stdout.take());
        let output = run.wait_with_output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            !said.contains("panicked") && !said.contains("ipe"),
            "{said}"
        );
    }
    assert!(report.exists());
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    for arguments in [
        &["--frobnicate"][..],
        &[],
        &["run", "--jobs", "0"],
        &["run", "--seed", "x"],
    ] {
        assert_eq!(
            conformance(arguments).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
    for arguments in [&["--help"][..], &["run", "--help"], &["--version"]] {
        assert_eq!(
            conformance(arguments).status.code(),
            Some(0),
            "{arguments:?}"
        );
    }
}

#[test]
fn the_binary_is_the_applier_by_another_name() {
    use std::os::unix::process::CommandExt as _;
    let output = Command::new(env!("CARGO_BIN_EXE_multiwan-conformance"))
        .arg0("/usr/sbin/multiwan")
        .arg("no-such-command")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        !stderr(&output).contains("multiwan-conformance"),
        "{}",
        stderr(&output)
    );
}
