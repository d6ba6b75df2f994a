//! What others undo, a running keepalive puts back.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::fs;
use std::process::Command;
use std::time::Instant;

use multiwan::keepalive::COUNTED_EVERY;
use multiwan_lab::sandbox;
use multiwan_lab::traffic::{Options, Protocol};
use stage::{Stage, Watched, run};

/// As a reload of Debian's nftables.service begins.
#[test]
fn a_flushed_ruleset_is_put_back_and_connections_go_on() {
    const FLOWS: usize = 40;
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play_applied((4, 0), |lab| {
            let mut watched = watched(&stage);
            watched.hears("looked at the kernel");
            let mut traffic = lab.traffic(Options::default()).unwrap();
            let server = |number: usize| [198, 18, 2, number as u8].into();
            let mut open = |numbers: std::ops::Range<usize>| -> Vec<_> {
                let flows: Vec<_> = numbers
                    .map(|number| traffic.begin(number % 4, server(number), Protocol::Tcp))
                    .collect();
                traffic.finish().unwrap();
                flows
            };
            let before = open(0..FLOWS);
            run(Command::new("nft").args(["flush", "ruleset"]));
            let told = watched.hears("put back");
            assert!(told.contains("table ip multiwan"), "{told}");
            let after = open(FLOWS..2 * FLOWS);
            for &flow in &before {
                traffic.ask(flow);
            }
            traffic.finish().unwrap();
            for flow in before.into_iter().chain(after) {
                assert!(traffic.flow(flow).answered());
                assert!(traffic.ledger().line(flow).is_some(), "it changed its line");
            }
            for (line, source, _) in traffic.ledger().sources() {
                assert_eq!(source, lab.topology().lines[line].router.addr());
            }
            let status = stage.multiwan("status").output().unwrap();
            assert_eq!(status.status.code(), Some(0), "{status:?}");
        });
    });
}

/// As `sysctl --system` does it: those that the kernel tells of at once, the others when the keepalive
/// next looks at them.
#[test]
fn settings_are_put_back() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play_applied((1, 0), |_lab| {
            let mut watched = watched(&stage);
            watched.hears("looked at the kernel");
            for (name, told_of) in [
                ("fib_multipath_hash_policy", false),
                // The keepalive has just looked at all of them.
                ("ip_forward", true),
                ("conf/eth1/ignore_routes_with_linkdown", true),
                ("neigh/eth1/ucast_solicit", false),
            ] {
                let path = format!("/proc/sys/net/ipv4/{name}");
                let ours = fs::read_to_string(&path).unwrap();
                let changed = Instant::now();
                fs::write(&path, if ours == "0\n" { "1" } else { "0" }).unwrap();
                watched.hears(&name.replace('/', "."));
                assert_eq!(fs::read_to_string(&path).unwrap(), ours, "{name}");
                let took = changed.elapsed();
                assert!(!told_of || took < COUNTED_EVERY / 2, "{name}: {took:?}");
            }
        });
    });
}

/// Of a quarrel only the first round is told otherwise.
fn watched(stage: &Stage<'_>) -> Watched {
    let mut command = stage.multiwan("keepalive");
    command.env("RUST_LOG", "multiwan=debug");
    Watched::begin(command)
}
