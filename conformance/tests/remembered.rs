//! What is remembered of a router between commands, and what of it is not believed.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use multiwan::runtime::Directory;
use multiwan_conformance::configuration::{DYNAMIC, TWO_LINES};
use multiwan_lab::{Fault, Lab, sandbox};
use stage::{Stage, Watched, run};

/// A setting that `apply` changes, and what a new network namespace has there.
const SETTING: (&str, &str) = ("/proc/sys/net/ipv4/fib_multipath_use_neigh", "0\n");

/// Inodes of network namespaces are given out again.
#[test]
fn what_a_namespace_with_the_same_inode_left_is_another_s() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play_applied((1, 0), |_lab| {
            let own = Directory::of_this_namespace().unwrap();
            let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
            let inode = fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
            let others = format!("{}-inode-{inode}", boot.trim());
            let others = own.path().with_file_name(others);
            assert_ne!(own.path(), others, "no cookies, as before Linux 5.14");
            fs::create_dir(&others).unwrap();
            let record = fs::read_to_string(own.path().join("record.json")).unwrap();
            let otherwise = record.replace("\"found\": 0", "\"found\": 1");
            assert_ne!(record, otherwise);
            fs::write(others.join("record.json"), otherwise).unwrap();
            run(&mut stage.multiwan("down"));
            assert_eq!(fs::read_to_string(SETTING.0).unwrap(), SETTING.1);
            assert!(others.join("record.json").exists(), "it is not ours");
        });
    });
}

#[test]
fn a_record_that_breaks_off() {
    is_put_aside(|record| {
        let text = fs::read(record).unwrap();
        fs::write(record, &text[..text.len() / 2]).unwrap();
    });
}

#[test]
fn a_record_that_is_no_json() {
    is_put_aside(|record| fs::write(record, b"\0\xffno JSON\n").unwrap());
}

#[test]
fn a_record_of_another_schema() {
    is_put_aside(|record| fs::write(record, r#"{"schema": 2, "settings": {}}"#).unwrap());
}

#[test]
fn a_record_that_cannot_be_read() {
    is_put_aside(|record| {
        fs::remove_file(record).unwrap();
        fs::create_dir(record).unwrap();
    });
}

/// Each command goes on without a record that was spoilt so, says so once, and leaves it to be looked
/// at; `down` removes what is in the kernel all the same.
fn is_put_aside(spoil: fn(&Path)) {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play_applied((1, 0), |_lab| {
            let record = record();
            spoil(&record);
            for command in ["status", "plan"] {
                let output = stage.multiwan(command).output().unwrap();
                says_once(&output, &record);
                assert!(record.exists(), "{command} changes nothing");
            }
            let planned = stage.multiwan("plan").output().unwrap();
            assert!(planned.stdout.is_empty(), "{planned:?}");

            says_once(&stage.multiwan("apply").output().unwrap(), &record);
            let aside = record.with_extension("json.broken");
            assert!(aside.exists());
            let again = stage.multiwan("apply").output().unwrap();
            assert_eq!(told(&again), "", "{again:?}");
        });
        stage.play_applied((1, 0), |_lab| {
            let record = record();
            spoil(&record);
            says_once(&stage.multiwan("down").output().unwrap(), &record);
            let left = list("ip", &["rule"])
                + &list("ip", &["route", "show", "table", "all", "default"])
                + &list("nft", &["list", "tables"]);
            for ours in ["lookup 222", "table 201", "table 222", "multiwan"] {
                assert!(!left.contains(ours), "{left}");
            }
            assert!(record.with_extension("json.broken").exists());
            assert!(!record.exists());
        });
    });
}

/// Forwarding is for the LAN; a card that was forwarded from before still is.
#[test]
fn forwarding_ends_with_the_last_lan() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play((1, 0), |_lab| {
            let folder = tempfile::tempdir_in("/run").unwrap();
            let alone = folder.path().join("alone.toml");
            let toml = TWO_LINES.toml;
            fs::write(&alone, &toml[toml.find("[[line]]").unwrap()..]).unwrap();
            fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
            fs::write("/proc/sys/net/ipv4/conf/eth1/forwarding", "1").unwrap();
            let forwarding = || {
                let conf = [
                    "ip_forward",
                    "conf/default/forwarding",
                    "conf/all/accept_redirects",
                ];
                let cards =
                    ["eth0", "eth1", "eth2", "lo"].map(|card| format!("conf/{card}/forwarding"));
                let paths = conf.map(str::to_owned).into_iter().chain(cards);
                let read = |path| {
                    let value = fs::read_to_string(format!("/proc/sys/net/ipv4/{path}")).unwrap();
                    format!("{path}={}", value.trim())
                };
                paths.map(read).collect::<Vec<_>>()
            };
            let before = forwarding();
            run(&mut stage.multiwan("apply"));
            let with_lan = forwarding();
            assert_ne!(with_lan, before);
            run(&mut stage.multiwan_with("apply", &alone));
            assert_eq!(forwarding(), before);
            // Nothing is left to do, and it is there again with the LAN.
            let planned = stage.multiwan_with("plan", &alone).output().unwrap();
            assert!(planned.stdout.is_empty(), "{planned:?}");
            run(&mut stage.multiwan("apply"));
            assert_eq!(forwarding(), with_lan);
            run(&mut stage.multiwan("down"));
            assert_eq!(forwarding(), before);
        });
    });
}

/// Where no folder can be made, all is done but what needs one, and each command says so once.
#[test]
fn nothing_can_be_remembered() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        let nowhere = |command: &str| {
            let mut command = stage.multiwan(command);
            command.env("RUNTIME_DIRECTORY", "/dev/null/multiwan");
            command
        };
        stage.play((1, 0), |_lab| {
            for (command, says) in [
                ("apply", Some("what was there before cannot be remembered")),
                ("apply", None),
                (
                    "down",
                    Some("nothing is remembered of what was there before"),
                ),
            ] {
                let output = nowhere(command).output().unwrap();
                assert_eq!(output.status.code(), Some(0), "{output:?}");
                let told = told(&output);
                assert_eq!(told.lines().count(), usize::from(says.is_some()), "{told}");
                assert!(told.contains(says.unwrap_or_default()), "{told}");
            }
        });
        stage.play((1, 0), |_lab| {
            let mut run = Watched::begin(nowhere("run"));
            run.hears("what was there before cannot be remembered");
            run.hears("watching");
        });
    });
}

/// The line stays up, and no route tells its gateway once it is dead.
#[test]
fn the_gateway_of_a_dead_line_whose_route_somebody_took_out_of_main() {
    const GATEWAY: &str = "198.51.100.1";
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        let folder = tempfile::tempdir_in("/run").unwrap();
        let file = folder.path().join("dynamic.toml");
        fs::write(&file, DYNAMIC.toml).unwrap();
        let multiwan = |verb: &str| stage.multiwan_with(verb, &file);
        let begin = || {
            let mut command = multiwan("run");
            command.env("RUST_LOG", "multiwan=debug");
            let mut keepalive = Watched::begin(command);
            keepalive.hears("looked at the kernel");
            keepalive
        };
        let shows = |verb: &str| {
            let output = multiwan(verb).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        stage.play((1, 0), |lab| {
            lab.lease(0).unwrap();
            lab.lease(1).unwrap();
            lab.wait_router_links().unwrap();
            let mut keepalive = begin();
            let gone = ["route", "del", "default", "dev", "eth1"];
            run(Command::new("ip").args(gone));
            keepalive.hears("looked at the kernel");
            let breaks = |lab: &mut Lab, keepalive: &mut Watched| {
                lab.break_line(0, Fault::Silent).unwrap();
                keepalive.hears("to=dead");
                keepalive.hears("looked at the kernel changed=true");
                keepalive.hears("looked at the kernel changed=false");
                assert!(shows("status").contains(GATEWAY), "{}", shows("status"));
                assert_eq!(shows("plan"), "");
            };
            breaks(lab, &mut keepalive);
            lab.repair(0).unwrap();
            keepalive.hears("to=up");

            // So does another keepalive, and `apply` without one.
            breaks(lab, &mut keepalive);
            drop(keepalive);
            let mut keepalive = begin();
            lab.repair(0).unwrap();
            keepalive.hears("to=up");
            breaks(lab, &mut keepalive);
            drop(keepalive);
            run(&mut multiwan("apply"));
            let applied = list("ip", &["route", "show", "table", "201"]);
            assert!(applied.contains(GATEWAY), "{applied}");

            // It belongs to the address.
            for change in ["del 198.51.100.2/24", "add 198.51.100.77/24"] {
                let arguments = change.split(' ').chain(["dev", "eth1"]);
                run(Command::new("ip").arg("address").args(arguments));
            }
            assert!(!shows("status").contains(GATEWAY), "{}", shows("status"));
        });
    });
}

fn record() -> PathBuf {
    let directory = Directory::of_this_namespace().unwrap();
    directory.path().join("record.json")
}

#[track_caller]
fn says_once(output: &Output, record: &Path) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = told(output);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains(&record.display().to_string()), "{told}");
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn list(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
