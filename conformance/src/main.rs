//! `multiwan-conformance`: the suite, and in the same file the applier that it judges.

#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use multiwan_conformance::{cli, mutant, session, worker};

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    if Path::new(&name).file_name() == Some(OsStr::new("multiwan")) {
        return multiwan::cli::main(env::args_os());
    }
    match arguments.next().as_deref().and_then(OsStr::to_str) {
        Some(worker::ARGUMENT) => worker::main(arguments),
        Some(session::ARGUMENT) => session::main(arguments),
        Some(mutant::ARGUMENT) => mutant::main(arguments),
        _ => cli::main(),
    }
}
