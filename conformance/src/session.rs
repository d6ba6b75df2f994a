//! A process in a session of its own.
//!
//! `setsid` between fork and exec would need unsafe code; this binary as a step between needs
//! none: it becomes a session's leader and then the program, with the same process id.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// The hidden argument that asks for it; the name the program is to see, its path and its
/// arguments follow.
pub const ARGUMENT: &str = "__session";

/// The command that runs `program` under the name `name` in a session of its own; add arguments.
#[must_use]
pub fn command(name: &str, program: &std::path::Path) -> Command {
    let mut command = Command::new(crate::process::MYSELF);
    command.arg(ARGUMENT).arg(name).arg(program);
    command
}

/// Becomes the program; only comes back if that fails.
#[must_use]
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(name), Some(program)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    if let Err(error) = rustix::process::setsid() {
        eprintln!("no session of its own: {error}");
        return ExitCode::from(126);
    }
    let error = Command::new(&program).arg0(name).args(arguments).exec();
    eprintln!("{}: {error}", program.display());
    ExitCode::from(127)
}
