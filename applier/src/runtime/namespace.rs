//! Which network namespace this is.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;

use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, sockopt_impl};

/// `SO_NETNS_COOKIE` of `asm-generic/socket.h`; where the number is another, the kernel refuses it.
const SO_NETNS_COOKIE: libc::c_int = 71;

sockopt_impl!(
    /// The cookie of the socket's network namespace.
    Cookie,
    GetOnly,
    libc::SOL_SOCKET,
    SO_NETNS_COOKIE,
    u64
);

/// What a network namespace is told from others by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespace {
    /// Its cookie, which no other of the same boot has, nor will have (Linux 5.14).
    Cookie(u64),
    /// Its inode in nsfs, which a later one may have when it is gone.
    Inode(u64),
}

impl Namespace {
    /// The calling thread's.
    pub(super) fn current() -> io::Result<Self> {
        match getsockopt(&UnixDatagram::unbound()?, Cookie) {
            Ok(cookie) => Ok(Self::Cookie(cookie)),
            Err(_) => Ok(Self::Inode(fs::metadata("/proc/thread-self/ns/net")?.ino())),
        }
    }
}

/// As part of a folder's name.
impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(cookie) => write!(f, "cookie-{cookie}"),
            Self::Inode(inode) => write!(f, "inode-{inode}"),
        }
    }
}
