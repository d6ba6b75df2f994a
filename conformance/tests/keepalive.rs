//! What the keepalive does that no packet shows.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::{Fault, sandbox};
use stage::{Stage, run};

#[test]
fn a_gateway_that_does_not_answer_the_kernel_is_asked_at_once() {
    const INTERVAL: Duration = Duration::from_secs(20);
    sandbox::test(|sandbox| {
        let toml = TWO_LINES.toml.replace(
            "interval  = \"200ms\"",
            "interval = \"20s\"\ntimeout = \"100ms\"",
        );
        let stage = Stage::new(sandbox, &toml);
        stage.play_applied((1, 0), |lab| {
            run(Command::new("ping").args(["-c", "1", "-I", "eth1", "198.51.100.1"]));
            let mut command = stage.multiwan("keepalive");
            let mut daemon = command.stderr(Stdio::piped()).spawn().unwrap();
            let began = Instant::now();
            let mut said = BufReader::new(daemon.stderr.take().unwrap()).lines();
            assert!(said.any(|line| line.unwrap().contains("watching")));
            // Let the first probe be answered: with the cable out at once it would not be.
            thread::sleep(Duration::from_millis(200));
            lab.break_line(0, Fault::Silent).unwrap();
            let probe = ["change", "198.51.100.1", "dev", "eth1", "nud", "probe"];
            run(Command::new("ip").arg("neigh").args(probe));
            assert!(said.any(|line| line.unwrap().contains("to=dead")));
            let took = began.elapsed();
            daemon.kill().unwrap();
            daemon.wait().unwrap();
            assert!(took < INTERVAL / 2, "dead after {took:?}");
        });
    });
}

#[test]
fn a_name_server_beyond_the_gateway_tells_a_dead_provider() {
    sandbox::test(|sandbox| {
        let toml = TWO_LINES.toml.replace(
            "[keepalive]",
            "[keepalive]\ntargets = [\"dns:198.18.0.53\"]",
        );
        let stage = Stage::new(sandbox, &toml);
        stage.play_applied((1, 0), |lab| {
            let server = lab.internet().enter(|| UdpSocket::bind("198.18.0.53:53"));
            let server = server.unwrap();
            thread::spawn(move || {
                let mut query = [0; 512];
                while let Ok((length, client)) = server.recv_from(&mut query) {
                    // The bit that makes an answer of it (RFC 1035, 4.1.1).
                    query[2] |= 0x80;
                    let _ = server.send_to(&query[..length], client);
                }
            });
            let mut command = stage.multiwan("keepalive");
            let mut daemon = command.stderr(Stdio::piped()).spawn().unwrap();
            let mut said = BufReader::new(daemon.stderr.take().unwrap()).lines();
            let mut hears = |what: &str| {
                let about = |line: String| line.contains("dsl1") && line.contains(what);
                assert!(said.any(|line| about(line.unwrap())), "{what}");
            };
            lab.break_line(0, Fault::Upstream).unwrap();
            hears("to=dead");
            lab.repair(0).unwrap();
            hears("to=up");
            daemon.kill().unwrap();
            daemon.wait().unwrap();
            assert_eq!(
                unreachables_sent(),
                0,
                "the answers are taken without a word"
            );
        });
    });
}

/// How many ICMP errors the router has sent that say "unreachable" (`OutDestUnreachs`).
fn unreachables_sent() -> u64 {
    let table = fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut icmp = table.lines().filter(|line| line.starts_with("Icmp:"));
    let names = icmp.next().unwrap().split_whitespace();
    let mut columns = names.zip(icmp.next().unwrap().split_whitespace());
    let (_, count) = columns
        .find(|(name, _)| *name == "OutDestUnreachs")
        .unwrap();
    count.parse().unwrap()
}
