//! Where the keepalive's log goes.

use std::io::IsTerminal;

use clap::ValueEnum;
use nix::sys::stat::fstat;
use tracing::Level;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// How changes are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// To the journal where systemd listens, else lines for people on standard error
    #[default]
    Auto,
    /// Lines for people on standard error
    Text,
    /// One JSON object a line on standard error
    Json,
}

/// Logs that way from now on, by `RUST_LOG` or at level info.
pub(super) fn to(format: Format) {
    let filter = EnvFilter::builder()
        .with_default_directive(Level::INFO.into())
        .from_env_lossy();
    let journal = (format == Format::Auto).then(journal).flatten();
    let lines = || fmt::layer().with_writer(std::io::stderr);
    let layer = match (journal, format) {
        (Some(journal), _) => journal.boxed(),
        (None, Format::Json) => lines().json().flatten_event(true).boxed(),
        (None, _) => lines().with_ansi(has_colours()).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .init();
}

/// On a terminal, unless `NO_COLOR` is set and not empty (<https://no-color.org>).
fn has_colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !unwanted
}

/// The journal, where systemd says that standard error goes there: it has its own time and level,
/// and takes a change of state as fields (`MULTIWAN_LINE`, `MULTIWAN_FROM`, `MULTIWAN_TO`).
fn journal() -> Option<tracing_journald::Layer> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let stderr = fstat(std::io::stderr()).ok()?;
    if stream != format!("{}:{}", stderr.st_dev, stderr.st_ino) {
        return None;
    }
    let layer = tracing_journald::layer().ok()?;
    Some(
        layer
            .with_syslog_identifier("multiwan".to_owned())
            .with_field_prefix(Some("MULTIWAN".to_owned())),
    )
}
