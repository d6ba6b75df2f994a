//! The command line.

mod apply;
mod beside;
mod check;
mod down;
mod generate;
mod import;
mod log;
mod man;
mod page;
mod plan;
mod status;
mod turn;
mod watch;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, DEFAULT_PATH};
use crate::error::Error;
use crate::record::{Record, RecordError};

/// A permission or a feature of the kernel is missing.
const LACKING: u8 = 3;
/// Something would change, or has drifted.
const DIFFERS: u8 = 4;

/// Several independent Internet lines on one stock Linux router.
#[derive(Debug, Parser)]
#[command(name = "multiwan", version, about, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  multiwan plan                    what would change, as lines for sh
  multiwan apply                   change it
  multiwan run -c /etc/lines.toml  apply, then watch the lines: for a service manager
  multiwan import > lines.toml     describe what this router does already
  multiwan check                   what this kernel and this user can do
  multiwan status                  how the lines fare
  multiwan down                    remove it all, and restore what was there

Exit status: 0 done; 1 the kernel refused a step and what was done is undone; 2 wrong usage or
configuration; 3 a permission or kernel feature is missing; 4 something would change or has
drifted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the kernel hold what the configuration describes; safe to repeat
    #[command(after_help = APPLY)]
    Apply(File),
    /// Prints what `apply` would change now, as `ip`, `nft` and `sysctl` lines for sh
    #[command(after_help = "Example: multiwan plan --exit-code || echo 'drifted'")]
    Plan {
        #[command(flatten)]
        file: File,
        /// Exits with 4 when something would change
        #[arg(long)]
        exit_code: bool,
    },
    /// Watches the lines and keeps the kernel's view of them true; SIGHUP reloads, SIGTERM ends
    Keepalive(Watching),
    /// `apply`, then `keepalive`: what a service manager starts
    Run(Watching),
    /// Shows how the lines fare, and whether the kernel has drifted from the configuration
    #[command(after_help = STATUS)]
    Status {
        #[command(flatten)]
        file: File,
        /// Prints one JSON object
        #[arg(long)]
        json: bool,
        /// Prints metrics in Prometheus's text format
        #[arg(long, conflicts_with = "json")]
        metrics: bool,
    },
    /// Says which kernel features and permissions are there, missing or misconfigured, and what to do
    #[command(after_help = CHECK)]
    Check {
        #[command(flatten)]
        file: File,
        /// Prints one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Reads how this router works now, and prints a configuration for it; changes nothing
    #[command(after_help = IMPORT)]
    Import {
        /// Writes it there, where no file is yet, and not to standard output
        #[arg(short = 'o', long = "output", value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Removes what `apply` put there and nothing else, and restores the settings it changed
    Down(File),
    /// Prints completions for a shell
    #[command(after_help = "Example: multiwan completions bash > /etc/bash_completion.d/multiwan")]
    Completions {
        /// For which
        shell: clap_complete::Shell,
    },
    /// Prints the man page, or writes those of all commands and of the configuration
    #[command(after_help = "Example: multiwan man /usr/local/share/man")]
    Man {
        /// Writes all pages there, below man1 and man5
        folder: Option<PathBuf>,
    },
    /// What the conformance suite may expect beyond fixed lines on cards of their own
    #[command(hide = true)]
    Features,
}

const APPLY: &str = "\
A line without its interface is left out, with a warning. So is a LAN without one while a keepalive
runs here, which sets it up when it comes; without a keepalive it is refused, and `multiwan run` waits
for it.

Exit status: 2 when a LAN is refused so, and when the configuration is; nothing is changed then.";

const STATUS: &str = "\
Shares are of the connections that leave: expected by the weights of the lines that are used now, and
seen since the table of nftables was put there. Without CAP_NET_ADMIN, nftables cannot be read:
connections are not counted then, nor is that table compared.

Example: multiwan status --json | jq -r '.lines[] | [.name, .state] | @tsv'

Exit status: 4 when the kernel has drifted from the configuration, else 0.";

const CHECK: &str = "\
Features are tried, not guessed from the kernel's version; nothing stays of that. Without a file at
the default place, the kernel alone is looked at.

Example: multiwan check | grep -v ^ok

Exit status: 3 when something is missing that is needed, else 0.";

const IMPORT: &str = "\
Lines are found by the default routes of all tables, with their gateways, weights, metrics and
rules: as of the how-to of 2001 and LARTC, of mwan3 and VyOS, of DHCP clients, and of multiwan
itself. Each value has a comment that says where it was found. What cannot be told is said in the
file and on standard error. What is there stays, and is to be removed by hand where `multiwan check`
says so.

Examples:
  multiwan import -o /etc/multiwan.toml
  multiwan plan

Exit status: 2 when there is nothing to describe, or what was found cannot be: what is written then
has to be put right by hand.";

/// In the words of the suite's contract.
const FEATURES: &str = "targets dynamic shared-card reload down pin backup inbound established";

#[derive(Debug, Args)]
struct File {
    /// The described configuration
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        env = "MULTIWAN_CONFIG",
        default_value = DEFAULT_PATH
    )]
    path: PathBuf,
}

#[derive(Debug, Args)]
struct Watching {
    #[command(flatten)]
    file: File,
    /// Leaves metrics there every 10 s, in Prometheus's text format, for node_exporter's textfile
    /// collector
    #[arg(long = "metrics", value_name = "FILE.prom", env = "MULTIWAN_METRICS")]
    metrics_file: Option<PathBuf>,
    /// How changes are logged
    #[arg(long, value_enum, default_value_t)]
    log_format: log::Format,
}

impl File {
    /// Whether nobody named another file than the default, and that is not there.
    fn is_absent_default(&self) -> bool {
        self.path == Path::new(DEFAULT_PATH) && !self.path.exists()
    }

    /// Reads it; a line that is known already keeps its number.
    fn load(&self) -> Result<Config, ConfigError> {
        let numbers = match Record::open() {
            Ok(record) => record.content().numbers.clone(),
            Err(RecordError::Namespace(_)) => BTreeMap::new(),
            Err(wrong) => {
                warn(format_args!("{wrong}; the next `apply` puts it aside"));
                BTreeMap::new()
            }
        };
        Config::load_numbered(&self.path, &numbers)
    }
}

/// Runs `multiwan` with these arguments, the first of which is the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.command,
        Err(usage) => {
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    match run(command) {
        Ok(status) => status,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "multiwan: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Socket { source })?;
    runtime.block_on(async {
        match command {
            Command::Apply(file) => apply::apply(&file).await,
            Command::Plan { file, exit_code } => plan::plan(&file, exit_code).await,
            Command::Keepalive(watching) => watch::watch(watching, false).await,
            Command::Run(watching) => watch::watch(watching, true).await,
            Command::Status {
                file,
                json,
                metrics,
            } => {
                let shown = match (json, metrics) {
                    (true, _) => status::Shown::Json,
                    (_, true) => status::Shown::Metrics,
                    _ => status::Shown::Table,
                };
                status::status(&file.load()?, shown).await
            }
            Command::Check { file, json } => check::check(&file, json).await,
            Command::Import { file } => import::import_to(file.as_deref()).await,
            Command::Down(file) => down::down(&file).await,
            Command::Completions { shell } => generate::completions(shell),
            Command::Man { folder } => generate::man(folder.as_deref()),
            Command::Features => {
                let _ = writeln!(std::io::stdout(), "{FEATURES}");
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

fn warn(what: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "multiwan: warning: {what}");
}
