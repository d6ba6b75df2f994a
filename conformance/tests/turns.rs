//! Commands beside a running keepalive: each changes what it may, or nothing and says why.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::{Fault, sandbox};
use stage::{Stage, Watched, run};

#[test]
fn down_is_refused_while_a_keepalive_runs_and_leaves_nothing_when_it_is_gone() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play_applied((1, 0), |_lab| {
            let keepalive = keepalive(&stage, "keepalive");
            let before = routing();
            let refused = stage.multiwan("down").output().unwrap();
            assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
            let pid = keepalive.pid().to_string();
            assert!(said(&refused).contains(&pid), "{}", said(&refused));
            assert_eq!(routing(), before);
            // Killed by force: nothing of it is in the way.
            drop(keepalive);
            run(&mut stage.multiwan("down"));
            assert!(!Path::new("/run/multiwan").exists(), "something is left");
            assert!(!routing().contains("lookup 222"), "{}", routing());
        });
    });
}

#[test]
fn another_file_than_the_keepalive_s_is_refused() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play_applied((1, 0), |_lab| {
            let keepalive = keepalive(&stage, "keepalive");
            let folder = tempfile::tempdir_in("/run").unwrap();
            let other = folder.path().join("other.toml");
            let text = TWO_LINES
                .toml
                .replacen("gateway ", "weight = 4\ngateway ", 1);
            fs::write(&other, text).unwrap();
            let before = routing();
            let refused = stage.multiwan_with("apply", &other).output().unwrap();
            assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
            let pid = keepalive.pid().to_string();
            assert!(said(&refused).contains(&pid), "{}", said(&refused));
            assert_eq!(routing(), before);
            run(&mut stage.multiwan("apply"));
        });
    });
}

#[test]
fn a_second_run_changes_nothing_and_a_later_one_knows_the_dead() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play_applied((1, 0), |lab| {
            let mut first = keepalive(&stage, "run");
            lab.break_line(0, Fault::Silent).unwrap();
            first.hears("to=dead");
            first.hears("looked at the kernel changed=true");
            let dead = routing();
            assert!(!dead.contains("dev eth1 weight"), "{dead}");
            let mut second = Watched::begin(stage.multiwan("run"));
            second.hears("another keepalive runs");
            assert_eq!(second.ends().code(), Some(1));
            assert_eq!(routing(), dead);
            drop(first);
            let mut monitor = Command::new("ip");
            let monitor = monitor.args(["monitor", "route"]).stdout(Stdio::piped());
            let mut monitor = monitor.spawn().unwrap();
            let _later = keepalive(&stage, "run");
            monitor.kill().unwrap();
            let told = said(&monitor.wait_with_output().unwrap());
            assert!(
                !told.contains("default"),
                "a dead line was put back: {told}"
            );
            assert_eq!(routing(), dead);
        });
    });
}

/// The rules, and the routes that new connections take.
fn routing() -> String {
    let list = |arguments: &[&str]| {
        let output = Command::new("ip").args(arguments).output().unwrap();
        said(&output)
    };
    list(&["rule"]) + &list(&["route", "show", "table", "222"])
}

fn said(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One that has looked at the kernel.
fn keepalive(stage: &Stage<'_>, verb: &str) -> Watched {
    let mut command = stage.multiwan(verb);
    command.env("RUST_LOG", "multiwan=debug");
    let mut watched = Watched::begin(command);
    watched.hears("looked at the kernel");
    watched
}
