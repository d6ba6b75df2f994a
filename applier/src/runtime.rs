//! What outlives a process: a folder per boot and network namespace, the keepalive's lock in it,
//! and the verdicts that it leaves for `apply`, `plan` and `status`.
//!
//! The folder is `<boot id>-<inode of the network namespace>` under `$RUNTIME_DIRECTORY`, else
//! under `/run/multiwan`: with `RuntimeDirectory=multiwan` a service and a command typed by hand
//! find each other.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::verdicts::{Verdict, Verdicts};

const LOCK: &str = "keepalive.lock";
const CHANGES: &str = "changes.lock";
const VERDICTS: &str = "verdicts.json";
const COUNTED: &str = "counted.json";
/// How often, and how far apart, a taken lock is tried again: [`Directory::running_keepalive`]
/// takes it for an instant to see whether it is free.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The folder of this boot and network namespace. It need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory(PathBuf);

impl Directory {
    /// The folder of the network namespace that this process is in.
    ///
    /// # Errors
    ///
    /// When `/proc` does not tell the boot or the namespace.
    pub fn of_this_namespace() -> io::Result<Self> {
        let base = std::env::var_os("RUNTIME_DIRECTORY").unwrap_or_default();
        // systemd joins several folders with colons; the first is the service's own.
        let first = base
            .to_str()
            .and_then(|list| list.split(':').next())
            .unwrap_or_default();
        let base = if first.is_empty() {
            "/run/multiwan"
        } else {
            first
        };
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let namespace = fs::metadata("/proc/self/ns/net")?.ino();
        Ok(Self(
            Path::new(base).join(format!("{}-{namespace}", boot.trim())),
        ))
    }

    /// A folder that the caller names.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
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
            .create(&self.0)
    }

    /// Writes a file whole or not at all: other processes see the old content or the new.
    ///
    /// # Errors
    ///
    /// When the folder is not there or cannot be written.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let temporary = self.0.join(format!(".{name}.{}", std::process::id()));
        let written =
            fs::write(&temporary, content).and_then(|()| fs::rename(&temporary, self.0.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Takes the lock that one keepalive per network namespace holds for its life.
    ///
    /// # Errors
    ///
    /// [`LockError::Taken`] while another lives, [`LockError::Unavailable`] where the folder
    /// cannot be written.
    pub fn lock_keepalive(&self) -> Result<KeepaliveLock, LockError> {
        let mut file = self.open(LOCK)?;
        for _ in 0..LOCK_TRIES {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(mut lock) => {
                    lock.set_len(0)?;
                    lock.write_all(format!("{}\n", std::process::id()).as_bytes())?;
                    return Ok(KeepaliveLock { _lock: lock });
                }
                Err((back, Errno::EWOULDBLOCK)) => file = back,
                Err((_, errno)) => return Err(LockError::Unavailable(errno.into())),
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        Err(LockError::Taken {
            pid: process_of(&mut file),
        })
    }

    /// Takes the lock under which one process at a time changes the kernel, where it is free.
    ///
    /// A keepalive that finds it taken looks again soon; a command may wait.
    ///
    /// # Errors
    ///
    /// [`LockError::Taken`] while another process changes the kernel, [`LockError::Unavailable`]
    /// where the folder cannot be written.
    pub fn lock_changes(&self) -> Result<ChangeLock, LockError> {
        match Flock::lock(self.open(CHANGES)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(ChangeLock { _lock: lock }),
            Err((_, Errno::EWOULDBLOCK)) => Err(LockError::Taken { pid: None }),
            Err((_, errno)) => Err(LockError::Unavailable(errno.into())),
        }
    }

    /// As [`Directory::lock_changes`], for a command: waits for its turn.
    ///
    /// # Errors
    ///
    /// As there, and [`LockError::Taken`] when `patience` is over.
    pub async fn wait_for_changes(&self, patience: Duration) -> Result<ChangeLock, LockError> {
        let begun = Instant::now();
        loop {
            match self.lock_changes() {
                Err(LockError::Taken { .. }) if begun.elapsed() < patience => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                result => return result,
            }
        }
    }

    fn open(&self, name: &str) -> io::Result<File> {
        self.create()?;
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(self.0.join(name))
    }

    /// The keepalive that holds the lock now, and what it last wrote; none where none lives.
    pub fn running_keepalive(&self) -> Option<RunningKeepalive> {
        let file = File::open(self.0.join(LOCK)).ok()?;
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Err((mut file, Errno::EWOULDBLOCK)) => Some(RunningKeepalive {
                pid: process_of(&mut file),
                lines: self.remembered(),
            }),
            _ => None,
        }
    }

    /// What a keepalive last wrote here, whether or not it still lives; empty where none did.
    pub fn remembered(&self) -> Vec<Remembered> {
        fs::read(self.0.join(VERDICTS))
            .ok()
            .and_then(|content| serde_json::from_slice::<VerdictsFile>(&content).ok())
            .map(|file| file.lines)
            .unwrap_or_default()
    }

    /// What a keepalive last counted here; none where none did.
    pub fn counted(&self) -> Option<Counted> {
        let content = fs::read(self.0.join(COUNTED)).ok()?;
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

/// The verdicts of the keepalive that runs in this network namespace; none recorded, and so all
/// lines up, where none runs.
pub fn verdicts_of_running_keepalive() -> Verdicts {
    Directory::of_this_namespace()
        .ok()
        .and_then(|directory| directory.running_keepalive())
        .map(|keepalive| keepalive.verdicts())
        .unwrap_or_default()
}

/// The lock of a running keepalive; free again when this is dropped or its process ends.
#[derive(Debug)]
pub struct KeepaliveLock {
    _lock: Flock<File>,
}

/// Held while the kernel is changed; free again when this is dropped or its process ends.
#[derive(Debug)]
pub struct ChangeLock {
    _lock: Flock<File>,
}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another one is at work in this network namespace already{}", with_pid(*.pid))]
    Taken {
        /// Its process, where the lock file tells.
        pid: Option<u32>,
    },
    /// The folder cannot be made or written.
    #[error(transparent)]
    Unavailable(#[from] io::Error),
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(", as process {pid}"))
        .unwrap_or_default()
}

/// A keepalive that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningKeepalive {
    /// Its process, where the lock file tells.
    pub pid: Option<u32>,
    /// Its lines, in the order of its configuration.
    pub lines: Vec<Remembered>,
}

impl RunningKeepalive {
    /// Makes it read its configuration again, as SIGHUP does. Sent by whoever changed the kernel
    /// by another configuration, and before [`ChangeLock`] is dropped, so that the keepalive does
    /// not change it back.
    ///
    /// # Errors
    ///
    /// When its process is not known, or not ours to signal.
    pub fn reload(&self) -> io::Result<()> {
        let pid = self
            .pid
            .and_then(|pid| i32::try_from(pid).ok())
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(kill(Pid::from_raw(pid), Signal::SIGHUP)?)
    }

    /// What it decided about each line.
    pub fn verdicts(&self) -> Verdicts {
        self.lines
            .iter()
            .map(|line| (line.name.clone(), line.verdict))
            .collect()
    }
}

/// What is remembered of one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The line's name.
    pub name: String,
    /// `up`, `suspect`, `dead` or `returning`.
    pub state: String,
    /// Whether it is given new connections.
    #[serde(with = "verdict_as_word")]
    pub verdict: Verdict,
    /// Since when it is in that state.
    #[serde(with = "time_as_rfc3339")]
    pub since: SystemTime,
    /// Why, as a sentence.
    pub reason: String,
}

/// What a keepalive has counted since it started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Times it compared the kernel with what it should hold.
    pub reconciles: u64,
    /// Times that failed.
    pub reconcile_failures: u64,
    /// By the lines' names.
    pub lines: BTreeMap<String, Probes>,
}

/// What the probes of one line came to.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Probes {
    /// Sent.
    pub sent: u64,
    /// Not answered in time.
    pub missed: u64,
    /// From the last answered one to its answer, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Times the line was taken out of use or back into it.
    pub verdict_changes: u64,
}

#[derive(Serialize, Deserialize)]
struct VerdictsFile {
    schema: u32,
    lines: Vec<Remembered>,
}

mod verdict_as_word {
    use super::{Deserialize, Verdict};

    pub(super) fn serialize<S: serde::Serializer>(
        verdict: &Verdict,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match verdict {
            Verdict::Up => "up",
            Verdict::Dead => "dead",
        })
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Verdict, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "up" => Ok(Verdict::Up),
            "dead" => Ok(Verdict::Dead),
            other => Err(serde::de::Error::unknown_variant(other, &["up", "dead"])),
        }
    }
}

/// A time as `2026-01-31T12:00:00.250Z`.
pub(crate) fn as_rfc3339<S: serde::Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

mod time_as_rfc3339 {
    use super::{Deserialize, SystemTime};

    pub(super) use super::as_rfc3339 as serialize;

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

fn process_of(lock: &mut File) -> Option<u32> {
    let mut content = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut content).ok()?;
    content.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, verdict: Verdict) -> Remembered {
        Remembered {
            name: name.into(),
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

        let lock = directory.lock_keepalive().unwrap();
        let lines = [line("dsl1", Verdict::Dead), line("dsl2", Verdict::Up)];
        directory.remember(&lines).unwrap();
        let running = directory.running_keepalive().unwrap();
        assert_eq!(running.pid, Some(std::process::id()));
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
        let _lock = directory.lock_keepalive().unwrap();
        let refused = directory.lock_keepalive().unwrap_err();
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

    #[test]
    fn an_unwritable_place_is_an_error_not_a_taken_lock() {
        let directory = Directory::at("/proc/no-such-place");
        assert!(matches!(
            directory.lock_keepalive(),
            Err(LockError::Unavailable(_))
        ));
    }
}
