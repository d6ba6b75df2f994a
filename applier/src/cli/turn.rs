//! One process at a time changes the kernel.

use std::time::Duration;

use crate::error::Error;
use crate::runtime::{ChangeLock, Directory, LockError};

/// Changes take milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until no other process changes the kernel; none where nothing can be locked because
/// nothing can be written.
pub(super) async fn take() -> Result<Option<ChangeLock>, Error> {
    let Ok(directory) = Directory::of_this_namespace() else {
        return Ok(None);
    };
    match directory.wait_for_changes(PATIENCE).await {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Unavailable(_)) => Ok(None),
        Err(LockError::Taken { .. }) => Err(Error::Busy(PATIENCE)),
    }
}

/// A running keepalive reads its configuration again, so that it does not change back what was
/// changed by a newer one.
pub(super) fn tell_running_keepalive() {
    let running = Directory::of_this_namespace()
        .ok()
        .and_then(|dir| dir.running_keepalive());
    if let Some(keepalive) = running {
        // It has ended in between, or belongs to somebody else.
        let _ = keepalive.reload();
    }
}
