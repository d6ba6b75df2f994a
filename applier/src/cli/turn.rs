//! One process at a time changes the kernel.

use std::path::Path;
use std::time::Duration;

use super::warn;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::record::{PutAside, Record};
use crate::runtime::{ChangeLock, Directory, KeepaliveLock, LockError};

/// Changes take milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held while no other process may change the kernel, over what is remembered; over nothing where
/// nothing can be written.
pub(super) struct Turn {
    held: Option<(Directory, ChangeLock)>,
    /// Whether the record was of no use, and that was said.
    told_of_record: bool,
}

impl Turn {
    /// Waits until no other process changes the kernel, and sees to it that what is remembered
    /// can be trusted.
    pub(super) async fn take() -> Result<Self, Error> {
        match Directory::of_this_namespace() {
            Ok(directory) => Self::over(directory).await,
            Err(_) => Ok(Self::over_nothing()),
        }
    }

    async fn over(directory: Directory) -> Result<Self, Error> {
        let lock = match directory.wait_for_changes(PATIENCE).await {
            Ok(lock) => lock,
            Err(LockError::Unavailable(_)) => return Ok(Self::over_nothing()),
            Err(LockError::Taken { .. }) => return Err(Error::Busy(PATIENCE)),
        };
        if directory.may_be_anothers() && !Kernel::open()?.has_been_applied_to().await? {
            directory.forget(&lock);
        }
        let put_aside = Record::put_broken_aside(&directory);
        if let Some(put_aside) = &put_aside {
            warn(told(put_aside));
        }
        Ok(Self {
            held: Some((directory, lock)),
            told_of_record: put_aside.is_some(),
        })
    }

    fn over_nothing() -> Self {
        Self {
            held: None,
            told_of_record: false,
        }
    }

    /// What another file describes would be changed back by a keepalive that has its own.
    pub(super) fn refuse_other_file(&self, asked: &Path) -> Result<(), Error> {
        let running = self
            .held
            .as_ref()
            .and_then(|(dir, _)| dir.running_keepalive());
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
        let Some((directory, lock)) = &self.held else {
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
        let Some((directory, _)) = &self.held else {
            return Ok(None);
        };
        match directory.lock_keepalive(None) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Unavailable(_)) => Ok(None),
            Err(LockError::Taken { pid }) => Err(Error::KeepaliveRuns { pid }),
        }
    }

    /// Whether it was said that the record of what was there before was of no use.
    pub(super) fn has_told_of_the_record(&self) -> bool {
        self.told_of_record
    }

    /// Forgets everything.
    pub(super) fn leave_nothing(self, alone: Option<KeepaliveLock>) {
        if let (Some((directory, lock)), Some(alone)) = (self.held, alone) {
            directory.clear(alone, lock);
        }
    }
}

fn told(put_aside: &PutAside) -> String {
    let PutAside { wrong, kept_as } = put_aside;
    let kept = match kept_as {
        Some(path) => format!("it is kept as {}", path.display()),
        None => "it cannot be moved away, so that nothing is remembered".to_owned(),
    };
    format!("{wrong}; {kept}, and `down` leaves settings, addresses and links as they are")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use multiwan_lab::sandbox;

    use super::*;

    /// Where the kernel gives no cookies, a namespace may find what one before it left, which had the
    /// same inode.
    #[test]
    fn what_may_be_another_namespace_s_counts_only_where_multiwan_has_been() {
        sandbox::test(|_| {
            let folder = tempfile::tempdir().unwrap();
            let directory = Directory::named_by_inode(folder.path());
            let remembers = || {
                let left = ["record.json", "verdicts.json"];
                left.map(|name| folder.path().join(name).exists())
            };
            let leave = || {
                directory.write("record.json", RECORD.as_bytes()).unwrap();
                directory.write("verdicts.json", b"{}").unwrap();
            };
            let take = || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                drop(runtime.block_on(Turn::over(directory.clone())).unwrap());
            };
            leave();
            take();
            assert_eq!(remembers(), [false; 2], "nothing of multiwan's is here");

            leave();
            let rule = "rule add prio 222 table 222 protocol 222";
            let added = Command::new("ip").args(rule.split(' ')).status().unwrap();
            assert!(added.success());
            take();
            assert_eq!(remembers(), [true; 2], "it is this one's");
        });
    }

    const RECORD: &str = r#"{"settings": [], "links": [], "addresses": [], "removed": [],
        "tables": [201], "routes": [], "numbers": {}}"#;
}
