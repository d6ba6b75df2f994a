//! `multiwan apply`.

use std::process::ExitCode;

use super::File;
use super::beside::{Beside, say_clashes, say_consequences};
use super::turn::Turn;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::reconcile::reconcile_and_read_back;

/// Makes the kernel hold what the file describes; all lines are up where no keepalive says otherwise.
pub(super) async fn apply(file: &File) -> Result<ExitCode, Error> {
    let turn = Turn::take().await?;
    let config = file.load()?;
    turn.refuse_other_file(&file.path)?;
    let beside = Beside::now();
    let mut kernel = Kernel::open()?;
    let (verdicts, lans) = (beside.verdicts(), beside.absent_lan());
    let done = reconcile_and_read_back(&mut kernel, &config, &verdicts, lans).await?;
    beside.say_absent(&done.absent);
    say_consequences(&done, &turn);
    turn.tell_keepalive();
    say_clashes(&mut kernel, &config).await;
    Ok(ExitCode::SUCCESS)
}
