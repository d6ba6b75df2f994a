//! `multiwan keepalive` and `multiwan run`.

use std::process::ExitCode;

use super::beside::{say_clashes, say_consequences};
use super::turn::Turn;
use super::{Watching, log};
use crate::error::Error;
use crate::keepalive;
use crate::kernel::Kernel;
use crate::reconcile::{AbsentLan, reconcile_and_read_back};

/// Watches the lines; before, and after it is sure to be the only one, applies the configuration
/// where that is asked for, from the verdicts that the keepalive goes on with. What is not there yet
/// the keepalive names, and sets up as it comes.
pub(super) async fn watch(watching: Watching, apply: bool) -> Result<ExitCode, Error> {
    let Watching {
        file,
        metrics_file,
        log_format,
    } = watching;
    let turn = Turn::take().await?;
    let config = file.load()?;
    log::to(log_format);
    let memory = keepalive::Memory::open(&config, &file.path).map_err(Box::new)?;
    keepalive::may_probe(&config).map_err(Box::new)?;
    if apply {
        let mut kernel = Kernel::open()?;
        let lans = AbsentLan::Awaited;
        let done = reconcile_and_read_back(&mut kernel, &config, &memory.verdicts(), lans).await?;
        say_consequences(&done, &turn);
        say_clashes(&mut kernel, &config).await;
    }
    drop(turn);
    keepalive::run(memory, config, metrics_file, || file.load())
        .await
        .map_err(Box::new)?;
    Ok(ExitCode::SUCCESS)
}
