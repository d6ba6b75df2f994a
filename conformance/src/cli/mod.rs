//! The command line.

mod columns;
mod list;
mod mutants;
mod outputs;
mod people;
mod run;

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::{applier, configuration, runner, selection};

/// Proves with real packets what a router with several Internet lines promises.
///
/// It builds labs in namespaces of their own (no root needed, nothing outside is changed),
/// configures the router with the applier under test, sends traffic, and judges by the packets
/// that left each line.
#[derive(Debug, Parser)]
#[command(
    name = "multiwan-conformance",
    version,
    after_help = "Exit status: 0 all judged clauses hold; 1 a clause failed; 2 wrong usage or \
                  configuration; 3 no lab can be built here; 4 none failed but some could not be \
                  judged; 130 and 143 interrupted by SIGINT and SIGTERM."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge an applier, clause by clause
    Run(Run),
    /// Show the clauses
    List(List),
    /// Tell what a clause promises, where the how-to says so, how it is measured, what it needs
    Explain(Explain),
    /// Judge the suite itself by appliers of its own, correct ones and ones with a mistake each
    Mutants(Mutants),
}

/// What `run` is asked.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  multiwan-conformance run
      every clause with the shipped applier
  multiwan-conformance run --applier ./my-router.sh --only 'spread.*' --only nat
      some clauses with an applier of yours
  multiwan-conformance run -c /etc/multiwan.toml --json report.json
      your own configuration, and a report for programs
  multiwan-conformance run --html report.html --junit report.xml
      a page to look at, and what CI systems read
  multiwan-conformance run --only dead.silent --pause-on-failure
      the lab as it is when the clause fails, to look around in
  multiwan-conformance run --only spread.even -c two-lines --seed 7
      one clause once more, with the same flows")]
struct Run {
    /// What is judged: `multiwan` (the shipped one), a fixture's name, or an executable's path
    /// with a slash
    #[arg(long, value_name = "NAME|PATH", default_value = "multiwan")]
    applier: String,
    /// Run the clauses that fit this configuration, instead of each with its own; a file, or a
    /// name that `list` shows; may be repeated
    #[arg(short, long = "config", value_name = "FILE")]
    configs: Vec<String>,
    /// Only clauses whose name or area matches, as `spread.*`, or the `core`; may be repeated
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// How many clauses are judged at once [default: two per core, 8 at most]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    jobs: Option<NonZeroUsize>,
    /// Repeat the flows of the run that said this seed [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// A skipped or inconclusive clause is a failure
    #[arg(long)]
    strict: bool,
    /// Write the report for programs; `-` for standard output, and people's goes to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as JUnit XML, for CI systems; `-` as with `--json`
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the report as one HTML page that needs nothing else; `-` as with `--json`
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Keep a folder of each clause that fails or cannot be judged in this one: frames, rules,
    /// routes, counters, what the applier said [default: a new one each among the temporary files]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Keep nothing of them
    #[arg(long, conflicts_with = "keep")]
    no_keep: bool,
    /// Hold the lab of a clause that fails or cannot be judged, one clause at a time, and say how
    /// to enter it, until Enter is pressed
    #[arg(long, conflicts_with = "jobs")]
    pause_on_failure: bool,
}

/// What `list` is asked.
#[derive(Debug, Args)]
struct List {
    /// What the how-to says, claim by claim, and which clauses judge it
    #[arg(long)]
    claims: bool,
    /// As an array of objects
    #[arg(long)]
    json: bool,
}

/// What `explain` is asked.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  multiwan-conformance explain spread.even")]
struct Explain {
    /// The clause's name, as `list` shows it
    clause: String,
}

/// What `mutants` is asked.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 every mistake is caught by the clauses that are about it, and \
                        every correct applier passes; 1 not so; 130 and 143 interrupted by SIGINT and SIGTERM.

Examples:
  multiwan-conformance mutants
      correct ones by every clause, broken ones by the core and the clauses about their mistakes
  multiwan-conformance mutants --full
      each by every clause with every configuration, which takes an hour on two cores
  multiwan-conformance mutants --applier 'weights-*' --only spread
      some of them by some clauses"
)]
struct Mutants {
    /// Only clauses whose name or area matches, or the `core`, and the mistakes that they are about;
    /// may be repeated
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// Only appliers whose name matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    applier: Vec<String>,
    /// Each applier by each clause with all its configurations
    #[arg(long)]
    full: bool,
    /// How many clauses are judged at once [default: six per core, 24 at most]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    jobs: Option<NonZeroUsize>,
    /// Repeat the flows of the run that said this seed [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// What an applier fails beside, among the core, must be what its header says
    #[arg(long)]
    strict: bool,
    /// Write the matrix for programs; `-` for standard output, and people's goes to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn at_least_one(asked: &str) -> Result<NonZeroUsize, String> {
    let number: usize = asked.parse().map_err(|_| "this is no number of clauses")?;
    NonZeroUsize::new(number).ok_or_else(|| "at least 1 clause must be judged at once".to_owned())
}

/// What keeps a command from being carried out.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Applier(#[from] applier::FindError),
    #[error(transparent)]
    Configuration(#[from] configuration::Error),
    #[error(transparent)]
    Selection(#[from] selection::Error),
    #[error(transparent)]
    Runner(#[from] runner::Error),
    #[error("`{asked}` is no pattern: {reason}; try `no-*`")]
    Pattern { asked: String, reason: &'static str },
    #[error("no applier of the suite's own is called `{asked}`; they are {}", known.join(", "))]
    NoApplier { asked: String, known: Vec<String> },
    #[error(
        "no clause of --only is about the mistake of {}: give another, or no --only",
        mistakes.join("; ")
    )]
    OtherMistake { mistakes: Vec<String> },
    #[error("no selected clause says anything about {0}; `list` shows what each runs with")]
    Nothing(String),
    #[error("two of --json, --junit and --html would go to {path}; give each a file", path = path.display())]
    OneFile { path: PathBuf },
    #[error("only one of --json, --junit and --html can go to standard output; give files")]
    OneOutput,
    #[error(
        "--keep {path}: each lab has a {top} of its own; give a folder elsewhere, or --no-keep",
        path = path.display()
    )]
    Keep { path: PathBuf, top: &'static str },
    #[error("{path}: {source}", path = path.display())]
    Output {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Print(#[from] std::io::Error),
}

impl Error {
    /// By the contract: 2 wrong usage or configuration, 3 no lab can be built here.
    fn exit_status(&self) -> u8 {
        match self {
            Error::Applier(_)
            | Error::Configuration(_)
            | Error::Selection(_)
            | Error::Pattern { .. }
            | Error::NoApplier { .. }
            | Error::OtherMistake { .. }
            | Error::Nothing(_)
            | Error::OneOutput
            | Error::OneFile { .. }
            | Error::Keep { .. }
            | Error::Output { .. } => 2,
            Error::Runner(runner::Error::Unfit { .. }) => 2,
            Error::Runner(runner::Error::Stopped(why)) => why.exit_status(),
            Error::Runner(_) => 3,
            Error::Print(_) => 1,
        }
    }
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(asked) => run::run(&asked),
        Command::List(asked) => list::list(&asked).map(|()| 0),
        Command::Explain(asked) => list::explain(&asked).map(|()| 0),
        Command::Mutants(asked) => mutants::mutants(&asked),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        // Whoever reads us has had enough, as `list | head`.
        Err(Error::Print(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Nobody may be there to hear it.
            let _ = writeln!(anstream::stderr(), "{ERROR}error:{ERROR:#} {error}");
            ExitCode::from(error.exit_status())
        }
    }
}

const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
const WARNING: anstyle::Style = anstyle::AnsiColor::Yellow.on_default().bold();

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
