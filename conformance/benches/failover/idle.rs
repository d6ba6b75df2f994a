//! What a keepalive costs that has nothing to do but to ask.

use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use multiwan_lab::sandbox::Sandbox;

use crate::round;
use crate::stage::Stage;

const LINES: usize = 8;
/// Until what comes with the start is over.
const SETTLED: Duration = Duration::from_secs(3);
const WATCHED: Duration = Duration::from_secs(15);

/// Eight lines asked each second: processor time, and memory.
pub(crate) fn measure(sandbox: &Sandbox) {
    let mut toml = "[lan]\ninterface = \"eth0\"\naddress = \"192.0.2.1/24\"\n".to_owned();
    for line in 1..=LINES {
        let _ = write!(
            toml,
            "[[line]]\nname = \"dsl{line}\"\ninterface = \"eth{line}\"\n\
             address = \"10.1.{line}.2/24\"\ngateway = \"10.1.{line}.1\"\n"
        );
    }
    let stage = Stage::new(sandbox, &toml);
    stage.play_applied((1, 0), |_| {
        let daemon = round::daemon(&stage);
        let process = daemon.0.id();
        thread::sleep(SETTLED);
        let (began, before) = (Instant::now(), ran(process));
        thread::sleep(WATCHED);
        let share = (ran(process) - before).as_secs_f64() / began.elapsed().as_secs_f64();
        println!(
            "==> {:56} {:>8.3}% {:>9} {:>9}",
            format!("idle, {LINES} lines each second: of a core"),
            share * 100.0,
            "",
            "0.1%"
        );
        println!(
            "==> {:56} {:>6} MB {:>9} {:>9}",
            format!("idle, {LINES} lines each second: resident"),
            resident(process) / 1024,
            "",
            "10 MB"
        );
    });
}

/// The processor time of all threads of a process, to the nanosecond.
fn ran(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it lives");
    let each = threads.filter_map(|thread| {
        let statistics = thread.ok()?.path().join("schedstat");
        let text = fs::read_to_string(statistics).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(each.sum())
}

/// What a process has in memory, in KiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    size.expect("VmRSS is there")
}
