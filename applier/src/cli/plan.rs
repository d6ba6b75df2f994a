//! `multiwan plan`.

use std::io::Write;
use std::process::ExitCode;

use super::beside::Beside;
use super::{DIFFERS, File};
use crate::error::Error;
use crate::kernel::Kernel;
use crate::reconcile;

/// Prints what `apply` would change; [`DIFFERS`] where that is something and `exit_code` asks for it.
pub(super) async fn plan(file: &File, exit_code: bool) -> Result<ExitCode, Error> {
    let config = file.load()?;
    let beside = Beside::now();
    let mut kernel = Kernel::open()?;
    let (verdicts, lans) = (beside.verdicts(), beside.absent_lan());
    let planned = reconcile::plan(&mut kernel, &config, &verdicts, lans).await?;
    beside.say_absent(&planned.absent);
    // A reader that has seen enough (`| head`) is no error.
    let _ = write!(std::io::stdout(), "{}", planned.changes);
    Ok(if exit_code && !planned.changes.is_empty() {
        ExitCode::from(DIFFERS)
    } else {
        ExitCode::SUCCESS
    })
}
