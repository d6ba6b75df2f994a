//! The command line.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs `multiwan` with these arguments, the first of which is the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let _ = arguments;
    ExitCode::from(2)
}
