//! Every clause with each of its configurations as a test: `cargo test -- spread.even`.
//!
//! The tests are made from the list of clauses, so that none can be forgotten. Each is a run of
//! the binary, which enters a sandbox of its own; so they run side by side like any others.

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use multiwan_conformance::clauses;

/// With this set to `limited`, a clause whose needs are not met here is no failure.
const LENIENCE: &str = "MULTIWAN_LAB";

/// Mostly they wait, so several share a core.
const AT_ONCE: usize = 6;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let trials = clauses::all().flat_map(|clause| {
        clause.configurations.iter().map(|with| {
            let name = format!("{}::{}", clause.id, with.name);
            Trial::test(name, || judge(clause.id, with.name))
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn judge(clause: &str, configuration: &str) -> Result<(), Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multiwan-conformance"));
    command.args(["run", "--only", clause, "-c", configuration]);
    if std::env::var_os(LENIENCE).is_none_or(|lenience| lenience != "limited") {
        command.arg("--strict");
    }
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&said)).into())
}
