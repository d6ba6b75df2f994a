//! The step between fork and exec that gives an applier's daemon a session of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

#[test]
fn the_program_leads_a_session_under_the_name_it_was_given() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_multiwan-conformance"))
        .args([
            "__session",
            "called",
            "/bin/sh",
            "-c",
            "echo $0 started; read end",
            "argument",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert_eq!(said, "argument started\n");

    let process = format!("/proc/{}", child.id());
    let name = fs::read_to_string(format!("{process}/cmdline")).unwrap();
    assert!(name.starts_with("called\0-c\0"), "{name}");
    let stat = fs::read_to_string(format!("{process}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let [_state, _parent, group, session, terminal] = fields[..5] else {
        panic!("{stat}")
    };
    let id = child.id().to_string();
    assert_eq!((group, session, terminal), (id.as_str(), id.as_str(), "0"));

    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn a_program_that_is_not_there_is_127() {
    let output = Command::new(env!("CARGO_BIN_EXE_multiwan-conformance"))
        .args(["__session", "called", "/no/such/program"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/program: No such file"));
}
