//! `multiwan status`.

use std::io::Write;
use std::process::ExitCode;
use std::time::SystemTime;

use super::DIFFERS;
use crate::config::Config;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::runtime::Directory;
use crate::status::Status;

/// How the status is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Table,
    Json,
    Metrics,
}

/// Shows how the lines fare; [`DIFFERS`] where the kernel has drifted.
pub(super) async fn status(config: &Config, shown: Shown) -> Result<ExitCode, Error> {
    let directory = Directory::of_this_namespace().ok();
    let keepalive = directory.as_ref().and_then(Directory::running_keepalive);
    let counted = keepalive
        .as_ref()
        .and(directory)
        .and_then(|directory| directory.counted());
    let seen = Kernel::open()?.look(keepalive, counted).await?;
    let status = Status::of(config, &seen);
    let text = match shown {
        Shown::Metrics => status.metrics(),
        Shown::Table => status.text(SystemTime::now()).to_string(),
        Shown::Json => status.json(),
    };
    // A reader that has seen enough (`| head`) is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if status.drift.drifted == Some(true) {
        ExitCode::from(DIFFERS)
    } else {
        ExitCode::SUCCESS
    })
}
