//! How long the shipped applier takes as a whole process, beside `ip -batch`, `nft -f` and
//! `sysctl -w` with the same content.

#[path = "../../lab/benches/side_by_side/mod.rs"]
mod side_by_side;
mod stage;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use multiwan_lab::sandbox;
use side_by_side::{Comparison, Unit};
use stage::{Stage, run};

fn main() {
    let sandbox = sandbox::enter().unwrap_or_else(|why| panic!("{why}"));
    let stage = Stage::two_lines(&sandbox);
    let mut criterion = side_by_side::criterion();

    let title = "apply on two lines, whole process, fresh router";
    let mut apply = Comparison::new(&mut criterion, title, Unit::Milliseconds);
    apply.measure("multiwan apply", || {
        stage.play(NO_CLIENTS, |_| timed(|| run(&mut stage.multiwan("apply"))))
    });
    apply.measure("sysctl, ip -batch, nft -f", || {
        stage.play(NO_CLIENTS, |_| {
            let plan = Plan::read(&stage);
            let took = timed(|| plan.batched());
            plan.check(&stage);
            took
        })
    });
    apply.measure("plan's lines by sh", || {
        stage.play(NO_CLIENTS, |_| {
            let plan = Plan::read(&stage);
            let took = timed(|| feed(Command::new("sh").arg("-e"), &plan.text));
            plan.check(&stage);
            took
        })
    });
    apply.finish("goal: 10 ms or less, and ahead");

    let title = "apply with nothing to do, whole process";
    let mut again = Comparison::new(&mut criterion, title, Unit::Milliseconds);
    again.measure("multiwan apply", || {
        stage.play_applied(NO_CLIENTS, |_| timed(|| run(&mut stage.multiwan("apply"))))
    });
    again.measure("multiwan plan", || {
        stage.play_applied(NO_CLIENTS, |_| timed(|| run(&mut stage.multiwan("plan"))))
    });
    again.measure("ip route, ip rule, nft list", || {
        stage.play_applied(NO_CLIENTS, |_| {
            timed(|| {
                run(Command::new("ip").args(["route", "show", "table", "all"]));
                run(Command::new("ip").arg("rule"));
                run(Command::new("nft").args(["list", "ruleset"]));
            })
        })
    });
    again.finish("reading alone takes others this long");

    criterion.final_summary();
}

const NO_CLIENTS: (usize, usize) = (0, 0);

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// What `multiwan plan` prints, sorted by the program that it is for.
struct Plan {
    text: String,
    sysctl: Vec<String>,
    ip: String,
    nft: String,
}

impl Plan {
    fn read(stage: &Stage<'_>) -> Self {
        let output = stage.multiwan("plan").output().expect("multiwan starts");
        let text = String::from_utf8(output.stdout).expect("plan prints text");
        let mut plan = Self {
            text: text.clone(),
            sysctl: Vec::new(),
            ip: String::new(),
            nft: String::new(),
        };
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            match line.split_once(' ') {
                Some(("sysctl", rest)) => plan.sysctl.push(rest.replace("-w ", "")),
                // By its number: in a batch, ip 6.1 forgets what `static` means once it has read
                // another protocol's number.
                Some(("ip", rest)) => {
                    plan.ip += &(rest.replace("proto static", "proto 4") + "\n");
                }
                Some(("nft", _)) => {
                    let ruleset = lines.by_ref().take_while(|line| *line != "EOF");
                    plan.nft = ruleset.collect::<Vec<_>>().join("\n");
                }
                _ => panic!("a line of another kind: {line}"),
            }
        }
        plan
    }

    /// One process of each kind.
    fn batched(&self) {
        run(Command::new("sysctl").arg("-w").args(&self.sysctl));
        feed(Command::new("ip").args(["-batch", "-"]), &self.ip);
        feed(Command::new("nft").args(["-f", "-"]), &self.nft);
    }

    /// The other way must have come to the same.
    fn check(&self, stage: &Stage<'_>) {
        let left = stage.multiwan("plan").output().expect("multiwan starts");
        assert!(
            left.stdout.is_empty(),
            "{}",
            String::from_utf8_lossy(&left.stdout)
        );
    }
}

/// Runs a command that must succeed with this input.
fn feed(command: &mut Command, input: &str) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{command:?}: {status}");
}
