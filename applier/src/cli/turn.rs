//! One process at a time changes the kernel.

use std::path::Path;
use std::time::Duration;

use super::warn;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::record::Record;
use crate::runtime::{ChangeLock, Directory, KeepaliveLock, LockError};

/// Changes take milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held while no other process may change the kernel, over what is remembered; over nothing where
/// nothing can be written.
pub(super) struct Turn(Option<(Directory, ChangeLock)>);

impl Turn {
    /// Waits until no other process changes the kernel, and sees to it that what is remembered
    /// can be trusted.
    pub(super) async fn take() -> Result<Self, Error> {
        let Ok(directory) = Directory::of_this_namespace() else {
            return Ok(Self(None));
        };
        let lock = match directory.wait_for_changes(PATIENCE).await {
            Ok(lock) => lock,
            Err(LockError::Unavailable(_)) => return Ok(Self(None)),
            Err(LockError::Taken { .. }) => return Err(Error::Busy(PATIENCE)),
        };
        if directory.may_be_anothers() && !Kernel::open()?.has_been_applied_to().await? {
            directory.forget(&lock);
        }
        if let Some((wrong, path)) = Record::put_broken_aside(&directory) {
            warn(format_args!(
                "what was there before the first `apply` is not known any more: the record is \
                 broken ({wrong}); it is kept as {}",
                path.display()
            ));
        }
        Ok(Self(Some((directory, lock))))
    }

    /// What another file describes would be changed back by a keepalive that has its own.
    pub(super) fn refuse_other_file(&self, asked: &Path) -> Result<(), Error> {
        let running = self.0.as_ref().and_then(|(dir, _)| dir.running_keepalive());
        let Some(running) = running else {
            return Ok(());
        };
        match running.other_config(asked) {
            None => Ok(()),
            Some(its) => Err(Error::OtherFile {
                pid: running.pid,
                its: its.to_owned(),
                asked: asked.to_owned(),
            }),
        }
    }

    /// A running keepalive reads its configuration again, so that it does not change back what was
    /// changed by a newer one. Without one, all lines are up now, whatever an earlier one left.
    pub(super) fn tell_keepalive(&self) {
        let Some((directory, lock)) = &self.0 else {
            return;
        };
        match directory.running_keepalive() {
            // It has ended in between, or belongs to somebody else.
            Some(keepalive) => drop(keepalive.reload()),
            None => directory.forget_verdicts(lock),
        }
    }

    /// Makes sure that no keepalive runs, nor begins to.
    pub(super) fn without_keepalive(&self) -> Result<Option<KeepaliveLock>, Error> {
        let Some((directory, _)) = &self.0 else {
            return Ok(None);
        };
        match directory.lock_keepalive(None) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Unavailable(_)) => Ok(None),
            Err(LockError::Taken { pid }) => Err(Error::KeepaliveRuns { pid }),
        }
    }

    /// Forgets everything.
    pub(super) fn leave_nothing(self, alone: Option<KeepaliveLock>) {
        if let (Some((directory, lock)), Some(alone)) = (self.0, alone) {
            directory.clear(alone, lock);
        }
    }
}
