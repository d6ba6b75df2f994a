//! The lab by hand.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use multiwan_lab::doctor;

/// A router, its modems, an Internet and many clients in network namespaces, without root
#[derive(Parser)]
#[command(name = "multiwan-lab", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says whether a lab can be built here and in which mode; else why not and the fix
    #[command(
        after_help = "Exit status: 0 a lab can be built with all it needs; 3 it cannot, or \
                            not all of it."
    )]
    Doctor,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Doctor => doctor::main(),
    }
}
