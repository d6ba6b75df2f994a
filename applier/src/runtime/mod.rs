//! What outlives a process: a folder per boot and network namespace, the keepalive's lock in it,
//! and the verdicts that it leaves for `apply`, `plan` and `status`.
//!
//! The folder is `<boot id>-cookie-<cookie of the network namespace>` under `$RUNTIME_DIRECTORY`,
//! else under `/run/multiwan`: with `RuntimeDirectory=multiwan` a service and a command typed by
//! hand find each other. Where the kernel gives no cookies (before Linux 5.14) it is named by the
//! namespace's inode, and what it says counts only where the kernel shows that multiwan was there.

mod lock;
mod namespace;
mod remembered;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use lock::{ChangeLock, KeepaliveLock, LockError, RunningKeepalive};
pub(crate) use remembered::as_rfc3339;
pub use remembered::{Counted, Probes, Remembered};

use namespace::Namespace;

/// What `apply` found and put.
pub(crate) const RECORD: &str = "record.json";
const VERDICTS: &str = "verdicts.json";
const COUNTED: &str = "counted.json";
/// Where the folders are, unless a service manager says otherwise.
const BASE: &str = "/run/multiwan";

/// The folder of this boot and network namespace. It need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    path: PathBuf,
    /// Whether it may have been a namespace's that is gone.
    may_be_anothers: bool,
}

impl Directory {
    /// The folder of the network namespace that the calling thread is in.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell the boot or the namespace.
    pub fn of_this_namespace() -> io::Result<Self> {
        let base = std::env::var_os("RUNTIME_DIRECTORY").unwrap_or_default();
        // systemd joins several folders with colons; the first is the service's own.
        let first = base
            .to_str()
            .and_then(|list| list.split(':').next())
            .unwrap_or_default();
        let base = if first.is_empty() { BASE } else { first };
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let namespace = Namespace::current()?;
        Ok(Self {
            path: Path::new(base).join(format!("{}-{namespace}", boot.trim())),
            may_be_anothers: matches!(namespace, Namespace::Inode(_)),
        })
    }

    /// A folder that the caller names.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            may_be_anothers: false,
        }
    }

    /// One that a namespace is given which is told from others by its inode alone.
    #[cfg(test)]
    pub(crate) fn named_by_inode(path: impl Into<PathBuf>) -> Self {
        Self {
            may_be_anothers: true,
            ..Self::at(path)
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is there may have been left by a network namespace that is gone and had the
    /// same name. A living keepalive keeps its namespace.
    pub fn may_be_anothers(&self) -> bool {
        self.may_be_anothers && self.path.exists() && self.running_keepalive().is_none()
    }

    /// Creates it, readable by all and writable by its owner.
    ///
    /// # Errors
    ///
    /// When the file system does not let it be made.
    pub fn create(&self) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&self.path)
    }

    /// Writes a file whole or not at all: other processes see the old content or the new.
    ///
    /// # Errors
    ///
    /// When the folder is not there or cannot be written.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let temporary = self.path.join(format!(".{name}.{}", std::process::id()));
        let written = fs::write(&temporary, content)
            .and_then(|()| fs::rename(&temporary, self.path.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Forgets what is remembered; the locks stay.
    pub fn forget(&self, _turn: &ChangeLock) {
        let unfinished = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let unfinished = unfinished
            .map(|entry| entry.file_name())
            .filter(|name| name.as_encoded_bytes().starts_with(b"."));
        let whole = [RECORD, VERDICTS, COUNTED].map(Into::into);
        for name in unfinished.chain(whole) {
            let _ = fs::remove_file(self.path.join(name));
        }
    }

    /// Leaves nothing behind, now that nothing is in the kernel. The locks go last, and each by
    /// its own name: another process may make and hold new ones at once. Whoever has opened an old
    /// one finds out, and opens the new.
    pub fn clear(&self, keepalive: KeepaliveLock, turn: ChangeLock) {
        self.forget(&turn);
        for name in [lock::KEEPALIVE, lock::CHANGES] {
            let _ = fs::remove_file(self.path.join(name));
        }
        // Where something else is in it, it stays.
        let _ = fs::remove_dir(&self.path);
        if self.path.parent() == Some(Path::new(BASE)) {
            let _ = fs::remove_dir(BASE);
        }
        drop((keepalive, turn));
    }

    /// What a keepalive last wrote here, whether or not it still lives; empty where none did.
    pub fn remembered(&self) -> Vec<Remembered> {
        fs::read(self.path.join(VERDICTS))
            .ok()
            .and_then(|content| serde_json::from_slice::<VerdictsFile>(&content).ok())
            .map(|file| file.lines)
            .unwrap_or_default()
    }

    /// Forgets the verdicts that an earlier keepalive left, once the kernel holds others.
    pub fn forget_verdicts(&self, _turn: &ChangeLock) {
        let _ = fs::remove_file(self.path.join(VERDICTS));
    }

    /// What a keepalive last counted here; none where none did.
    pub fn counted(&self) -> Option<Counted> {
        let content = fs::read(self.path.join(COUNTED)).ok()?;
        serde_json::from_slice(&content).ok()
    }

    /// Writes what was counted for other commands.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn count(&self, counted: &Counted) -> io::Result<()> {
        self.write(COUNTED, &serde_json::to_vec(counted)?)
    }

    /// Writes the verdicts for other commands.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn remember(&self, lines: &[Remembered]) -> io::Result<()> {
        let file = VerdictsFile {
            schema: 1,
            lines: lines.to_vec(),
        };
        let mut content = serde_json::to_vec_pretty(&file)?;
        content.push(b'\n');
        self.write(VERDICTS, &content)
    }
}

/// The keepalive that runs in this network namespace; none where none does.
pub fn running_keepalive() -> Option<RunningKeepalive> {
    Directory::of_this_namespace().ok()?.running_keepalive()
}

#[derive(Serialize, Deserialize)]
struct VerdictsFile {
    schema: u32,
    lines: Vec<Remembered>,
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::verdicts::Verdict;

    fn line(name: &str, verdict: Verdict) -> Remembered {
        Remembered {
            name: name.into(),
            interface: "eth1".into(),
            gateway: None,
            state: "dead".into(),
            verdict,
            since: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250),
            reason: "carrier lost".into(),
        }
    }

    #[test]
    fn verdicts_count_only_while_the_lock_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path().join("a/b"));
        assert_eq!(directory.running_keepalive(), None);

        let file = Path::new("lines\n.toml");
        let lock = directory.lock_keepalive(Some(file)).unwrap();
        let lines = [line("dsl1", Verdict::Dead), line("dsl2", Verdict::Up)];
        directory.remember(&lines).unwrap();
        let running = directory.running_keepalive().unwrap();
        assert_eq!(running.pid, Some(std::process::id()));
        assert_eq!(running.config.as_deref(), Some(file));
        assert_eq!(running.lines, lines);
        assert!(!running.verdicts().is_up("dsl1"));
        assert!(running.verdicts().is_up("dsl2"));

        drop(lock);
        assert_eq!(directory.running_keepalive(), None);
        assert_eq!(directory.remembered(), lines);
    }

    #[test]
    fn a_second_keepalive_is_refused_and_told_who_runs() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path());
        let _lock = directory.lock_keepalive(None).unwrap();
        let refused = directory.lock_keepalive(None).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "another one is at work in this network namespace already, as process {}",
                std::process::id()
            )
        );
    }

    #[test]
    fn one_at_a_time_changes_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path());
        let changing = directory.lock_changes().unwrap();
        assert!(matches!(
            directory.lock_changes(),
            Err(LockError::Taken { .. })
        ));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let wait = |patience| runtime.block_on(directory.wait_for_changes(patience));
        assert!(matches!(
            wait(Duration::from_millis(1)),
            Err(LockError::Taken { .. })
        ));
        drop(changing);
        wait(Duration::ZERO).unwrap();
    }

    #[test]
    fn a_broken_file_is_no_verdict() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path());
        directory
            .write(VERDICTS, b"{\"schema\": 1, \"lines\": [")
            .unwrap();
        assert_eq!(directory.remembered(), []);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file stays: {left:?}");
    }

    /// A later command must not hold the lock of a file that is gone beside one that holds the new.
    #[test]
    fn what_is_cleared_is_gone_and_can_be_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path().join("a"));
        let keepalive = directory.lock_keepalive(None).unwrap();
        let turn = directory.lock_changes().unwrap();
        directory.write(RECORD, b"{}").unwrap();
        directory.remember(&[line("dsl1", Verdict::Dead)]).unwrap();
        directory.count(&Counted::default()).unwrap();
        fs::write(directory.path().join(".record.json.1"), b"{").unwrap();
        directory.clear(keepalive, turn);
        assert!(!directory.path().exists());

        let keepalive = directory.lock_keepalive(None).unwrap();
        let turn = directory.lock_changes().unwrap();
        let anothers = directory.path().join("anothers");
        fs::write(&anothers, b"").unwrap();
        directory.clear(keepalive, turn);
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "what is not ours stays: {left:?}");
    }

    #[test]
    fn the_wait_for_a_turn_goes_on_when_the_lock_is_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path().join("a"));
        let keepalive = directory.lock_keepalive(None).unwrap();
        let turn = directory.lock_changes().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                runtime
                    .block_on(directory.wait_for_changes(Duration::from_secs(20)))
                    .unwrap()
            });
            directory.clear(keepalive, turn);
            let turn = waiting.join().unwrap();
            let second = directory.lock_changes();
            assert!(matches!(second, Err(LockError::Taken { .. })), "{second:?}");
            drop(turn);
        });
    }

    #[test]
    fn a_folder_named_by_an_inode_may_be_anothers_while_no_keepalive_lives() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::named_by_inode(folder.path());
        assert!(directory.may_be_anothers());
        let lock = directory.lock_keepalive(None).unwrap();
        assert!(!directory.may_be_anothers());
        drop(lock);
        assert!(directory.may_be_anothers());
        assert!(!Directory::at(folder.path()).may_be_anothers());
    }

    #[test]
    fn an_unwritable_place_is_an_error_not_a_taken_lock() {
        let directory = Directory::at("/proc/no-such-place");
        assert!(matches!(
            directory.lock_keepalive(None),
            Err(LockError::Unavailable(_))
        ));
    }
}
