//! The `multiwan` program: see [`multiwan::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    multiwan::cli::main(std::env::args_os())
}
