//! Who may be the keepalive of a network namespace, and whose turn it is to change the kernel.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Directory, Remembered};
use crate::verdicts::Verdicts;

pub(super) const KEEPALIVE: &str = "keepalive.lock";
pub(super) const CHANGES: &str = "changes.lock";
/// How often, and how far apart, a taken lock is tried again: [`Directory::running_keepalive`]
/// takes it for an instant to see whether it is free.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

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

impl Directory {
    /// Takes the lock that one keepalive per network namespace holds for its life, and leaves
    /// there which configuration it reads.
    ///
    /// # Errors
    ///
    /// [`LockError::Taken`] while another lives, [`LockError::Unavailable`] where the folder
    /// cannot be written.
    pub fn lock_keepalive(&self, config: Option<&Path>) -> Result<KeepaliveLock, LockError> {
        let mut tries = 1;
        loop {
            match self.lock(KEEPALIVE) {
                Ok(mut lock) => {
                    lock.set_len(0)?;
                    lock.write_all(&Holder::new(config).written())?;
                    return Ok(KeepaliveLock { _lock: lock });
                }
                Err(LockError::Taken { .. }) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
            std::thread::sleep(PAUSE);
        }
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
        let lock = self.lock(CHANGES)?;
        Ok(ChangeLock { _lock: lock })
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
                    tokio::time::sleep(PAUSE).await;
                }
                result => return result,
            }
        }
    }

    /// The keepalive that holds the lock now, and what it last wrote; none where none lives.
    pub fn running_keepalive(&self) -> Option<RunningKeepalive> {
        let file = File::open(self.path().join(KEEPALIVE)).ok()?;
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let Holder { pid, config } = Holder::read(&mut file);
                Some(RunningKeepalive {
                    pid,
                    config,
                    lines: self.remembered(),
                })
            }
            _ => None,
        }
    }

    /// Locks the file of that name. One that was removed after it was opened is locked for
    /// nothing: the next process makes another ([`Directory::clear`]).
    fn lock(&self, name: &str) -> Result<Flock<File>, LockError> {
        let mut tries = 1;
        loop {
            let lacking = match self.open(name) {
                Ok(file) => match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                    Ok(lock) if self.still_has(name, &lock)? => return Ok(lock),
                    Ok(_) => io::ErrorKind::NotFound.into(),
                    Err((mut file, Errno::EWOULDBLOCK)) => {
                        let Holder { pid, .. } = Holder::read(&mut file);
                        return Err(LockError::Taken { pid });
                    }
                    Err((_, errno)) => return Err(LockError::Unavailable(errno.into())),
                },
                Err(error) => error,
            };
            if lacking.kind() != io::ErrorKind::NotFound || tries == TRIES {
                return Err(LockError::Unavailable(lacking));
            }
            tries += 1;
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
            .open(self.path().join(name))
    }

    fn still_has(&self, name: &str, file: &File) -> io::Result<bool> {
        let place = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
        match fs::metadata(self.path().join(name)) {
            Ok(there) => Ok(place(&there) == place(&file.metadata()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What a lock's file says of who holds it: the process, and in the lines below the configuration.
struct Holder {
    pid: Option<u32>,
    config: Option<PathBuf>,
}

impl Holder {
    fn new(config: Option<&Path>) -> Self {
        Self {
            pid: Some(std::process::id()),
            config: config.map(Path::to_owned),
        }
    }

    fn written(&self) -> Vec<u8> {
        let pid = self.pid.map(|pid| pid.to_string()).unwrap_or_default();
        let config = self.config.as_deref().unwrap_or(Path::new(""));
        [pid.as_bytes(), b"\n", config.as_os_str().as_bytes(), b"\n"].concat()
    }

    fn read(lock: &mut File) -> Self {
        let mut content = Vec::new();
        let read = lock.rewind().and_then(|()| lock.read_to_end(&mut content));
        if read.is_err() {
            content.clear();
        }
        let mut parts = content.splitn(2, |byte| *byte == b'\n');
        let pid = parts.next().and_then(|pid| str::from_utf8(pid).ok());
        let config = parts.next().and_then(|config| config.strip_suffix(b"\n"));
        let config = config.filter(|config| !config.is_empty());
        Self {
            pid: pid.and_then(|pid| pid.parse().ok()),
            config: config.map(|config| OsStr::from_bytes(config).into()),
        }
    }
}

/// A keepalive that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningKeepalive {
    /// Its process, where the lock file tells.
    pub pid: Option<u32>,
    /// The file that it reads its configuration from, where the lock file tells.
    pub config: Option<PathBuf>,
    /// Its lines, in the order of its configuration.
    pub lines: Vec<Remembered>,
}

impl RunningKeepalive {
    /// Makes it read its configuration again, as SIGHUP does. Sent by whoever changed the kernel
    /// by a newer one, and before [`ChangeLock`] is dropped, so that the keepalive does not change
    /// it back.
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

    /// The file that it reads, where that is another than `config`, whatever their names.
    pub fn other_config(&self, config: &Path) -> Option<&Path> {
        let real = |path: &Path| {
            fs::canonicalize(path)
                .or_else(|_| std::path::absolute(path))
                .ok()
        };
        let own = self.config.as_deref()?;
        (real(own) != real(config)).then_some(own)
    }

    /// What it decided about each line.
    pub fn verdicts(&self) -> Verdicts {
        self.lines
            .iter()
            .map(|line| (line.name.clone(), line.verdict))
            .collect()
    }
}
