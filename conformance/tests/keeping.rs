//! What a clause that goes wrong leaves to be looked at: its folder, and its lab.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_multiwan-conformance");

/// An applier that works but for its weights, with the clause that finds that out.
fn wrong() -> Command {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut command = Command::new(BINARY);
    command.env("MULTIWAN_FIXTURES", fixtures);
    command.args(["run", "--applier", "weights-ignored"]);
    command.args([
        "--only",
        "spread.weighted",
        "-c",
        "four-to-one",
        "--seed",
        "7",
    ]);
    command
}

fn show(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_failed_clause_leaves_what_its_router_was_like() {
    let scratch = tempfile::tempdir().unwrap();
    let keep = scratch.path().join("kept");
    let mut run = wrong();
    run.arg("--keep").arg(&keep).args(["--json", "-"]);
    let output = run.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let folder = keep.join("spread.weighted-four-to-one");
    assert_eq!(report["clauses"][0]["kept"], folder.to_str().unwrap());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains(&format!("kept: {}", folder.display())),
        "{told}"
    );
    for (file, has) in [
        ("rules.txt", "222: from all lookup 222"),
        ("routes.txt", "table 222: unicast default"),
        ("routes.txt", "nexthop via 203.0.113.1 dev eth2 weight 1"),
        (
            "addresses.txt",
            "eth1 198.51.100.2/24 brd 198.51.100.255 scope global\n",
        ),
        ("addresses.txt", "eth1 fe80::"),
        (
            "links.txt",
            "eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP",
        ),
        ("neighbours.txt", "198.51.100.1"),
        ("nftables.txt", "table ip multiwan {"),
        ("nftables.txt", "counter packets"),
        ("conntrack.txt", "reply"),
        ("sysctl.txt", "net.ipv4.ip_forward = 1"),
        ("applier.txt", "weights-ignored apply"),
        ("events.txt", "building the lab"),
        ("record.json", "\"status\": \"failed\""),
        ("multiwan.toml", "[[line]]"),
        (
            "repeat.txt",
            "--only spread.weighted -c four-to-one --seed 7",
        ),
    ] {
        let text =
            fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(has), "no {has:?} in {file}:\n{text}");
    }
    for device in ["eth0", "eth1", "eth2"] {
        let bytes = fs::read(folder.join(format!("{device}.pcapng"))).unwrap();
        assert_eq!(bytes[..4], 0x0a0d_0d0a_u32.to_be_bytes(), "{device}");
        assert!(bytes.len() > 100_000, "{device}: {} bytes", bytes.len());
        let text = String::from_utf8_lossy(&bytes[..400]);
        assert!(text.contains("earlier frames were cut"), "{device}: {text}");
    }
}

#[test]
fn a_passed_clause_leaves_nothing_and_a_failed_one_not_where_it_must_not() {
    let scratch = tempfile::tempdir().unwrap();
    let keep = scratch.path().join("kept");
    let output = Command::new(BINARY)
        .args(["run", "--only", "setup.layout", "-c", "two-lines", "--keep"])
        .arg(&keep)
        .env("TMPDIR", scratch.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", show(&output));
    assert!(
        folders(scratch.path()).is_empty(),
        "{:?}",
        folders(scratch.path())
    );

    let output = wrong().args(["--keep", "/run/here"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", show(&output));
    assert!(show(&output).contains("--no-keep"), "{}", show(&output));
}

#[test]
fn without_a_folder_it_is_a_new_one_among_the_temporary_files() {
    let scratch = tempfile::tempdir().unwrap();
    let output = wrong().env("TMPDIR", scratch.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let made = folders(scratch.path());
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(
        show(&output).contains(&format!("kept: {}", made[0].display())),
        "{}",
        show(&output)
    );
    assert!(made[0].join("rules.txt").exists());
}

/// A run whose lab is held, and how each host is entered.
struct Held {
    run: Child,
    enter: Vec<(String, String)>,
}

fn held() -> Held {
    let mut run = wrong()
        .args(["--pause-on-failure", "--no-keep"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stdout.as_mut().unwrap()).lines();
    let mut enter = Vec::new();
    loop {
        let line = lines.next().expect("the lab is held").unwrap();
        if line.starts_with("Enter ") {
            break;
        }
        if let Some((host, command)) = line.trim().split_once("  ")
            && command.trim().starts_with("nsenter")
        {
            enter.push((host.to_owned(), command.trim().to_owned()));
        }
    }
    Held { run, enter }
}

impl Held {
    /// What a command prints in a host.
    fn within(&self, host: &str, command: &str) -> String {
        let enter = self.enter.iter().find(|(name, _)| name == host);
        let (_, enter) = enter.unwrap_or_else(|| panic!("no {host} in {:?}", self.enter));
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-c", &format!("{enter} {command}")])
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{enter} {command}: {}",
            show(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the run prints from here on; it must end with this status.
    #[track_caller]
    fn rest(&mut self, status: i32) -> String {
        let mut rest = String::new();
        let mut stdout = self.run.stdout.take().unwrap();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(self.run.wait().unwrap().code(), Some(status), "{rest}");
        rest
    }

    /// The namespaces' holder, below `/proc`.
    fn worker(&self) -> PathBuf {
        let (_, enter) = &self.enter[0];
        let (_, rest) = enter.rsplit_once("--net=/proc/").unwrap();
        Path::new("/proc").join(rest.split('/').next().unwrap())
    }
}

fn ends(worker: &Path) {
    let since = Instant::now();
    // Gone, or a corpse that its parent will bury.
    while fs::read_link(worker.join("ns/net")).is_ok() {
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "{} lives on",
            worker.display()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_held_lab_can_be_entered_until_enter() {
    let mut held = held();
    let router = held.within("router", "ip -oneline -4 address");
    assert!(router.contains("198.51.100.2/24"), "{router}");
    let modem = held.within("modem1", "ip -oneline -4 address");
    assert!(modem.contains("198.51.100.1/24"), "{modem}");
    let answered = held.within("client1", "ping -c 1 -W 10 198.18.0.1");
    assert!(answered.contains("1 received"), "{answered}");
    let worker = held.worker();
    held.run.stdin.take().unwrap().write_all(b"\n").unwrap();
    let rest = held.rest(1);
    assert!(rest.contains("1 failed"), "{rest}");
    ends(&worker);
}

#[test]
fn a_held_lab_ends_with_standard_input_and_with_the_run() {
    let mut first = held();
    let worker = first.worker();
    drop(first.run.stdin.take());
    assert_eq!(first.run.wait().unwrap().code(), Some(1));
    ends(&worker);

    let mut second = held();
    let worker = second.worker();
    second.run.kill().unwrap();
    second.run.wait().unwrap();
    ends(&worker);
}

#[test]
fn a_held_lab_ends_with_ctrl_c_and_its_clause_is_told() {
    let mut held = held();
    let worker = held.worker();
    let run = Pid::from_raw(held.run.id().try_into().unwrap());
    kill(run, Signal::SIGINT).unwrap();
    let rest = held.rest(130);
    assert!(rest.contains("1 failed"), "{rest}");
    assert!(rest.contains("interrupted by SIGINT"), "{rest}");
    ends(&worker);
}
