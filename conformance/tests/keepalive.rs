//! What the keepalive does that no packet shows.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
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
            std::thread::sleep(Duration::from_millis(200));
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
