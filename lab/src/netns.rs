//! Network namespaces held by a file descriptor: when the last holder is gone, so are they.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace.
#[derive(Debug)]
pub struct Netns(File);

impl Netns {
    /// The calling thread's.
    pub fn current() -> io::Result<Self> {
        Ok(Self(File::open("/proc/thread-self/ns/net")?))
    }

    /// Makes one, and runs `inside` in it while it is fresh: before anything can have been seen
    /// or sent there.
    pub fn create<T>(inside: impl FnOnce() -> io::Result<T>) -> io::Result<(Self, T)> {
        let home = Home::remember()?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let made = Self::current()?;
        let result = inside();
        drop(home);
        Ok((made, result?))
    }

    /// Runs `inside` with the calling thread in this namespace.
    ///
    /// What is opened there, sockets above all, stays there and works from every thread.
    pub fn enter<T>(&self, inside: impl FnOnce() -> T) -> io::Result<T> {
        let home = Home::remember()?;
        setns(&self.0, CloneFlags::CLONE_NEWNET)?;
        let result = inside();
        drop(home);
        Ok(result)
    }

    /// Where it is found below `/proc`, for a program that is to enter it while this process
    /// lives: by the number that this process has for whoever mounted `/proc`.
    pub fn path(&self) -> io::Result<PathBuf> {
        use std::os::fd::AsRawFd;
        let me = fs::read_link("/proc/self")?;
        let descriptor = self.0.as_raw_fd();
        Ok(Path::new("/proc").join(me).join(format!("fd/{descriptor}")))
    }

    /// The namespace as what a link message names it by.
    pub(crate) fn file(&self) -> &File {
        &self.0
    }
}

/// Brings the thread back, also out of a panic.
struct Home(Netns);

impl Home {
    fn remember() -> io::Result<Self> {
        Netns::current().map(Self)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A thread that is lost in another namespace must not go on.
        setns(&self.0.0, CloneFlags::CLONE_NEWNET).expect("a thread can return to its namespace");
    }
}
