//! `multiwan down`.

use std::io::Write;
use std::process::ExitCode;

use super::beside::say_gone;
use super::turn::Turn;
use super::{File, warn};
use crate::down;
use crate::error::Error;
use crate::kernel::Kernel;

/// Removes what `apply` put there, unless a keepalive runs, which would put it back.
pub(super) async fn down(file: &File) -> Result<ExitCode, Error> {
    let turn = Turn::take().await?;
    let alone = turn.without_keepalive()?;
    let removed = down::down(&mut Kernel::open()?, file.load().ok().as_ref()).await?;
    if !removed.remembered && !turn.has_told_of_the_record() {
        let _ = writeln!(
            std::io::stderr(),
            "multiwan: nothing is remembered of what was there before; settings, addresses and \
             links stay as they are"
        );
    }
    for address in &removed.over {
        warn(format_args!(
            "{} on {} does not come back: the lifetime that it had is over",
            address.shown(),
            address.interface
        ));
    }
    say_gone(&removed.gone);
    turn.leave_nothing(alone);
    Ok(ExitCode::SUCCESS)
}
