//! Why a keepalive ends by itself.

use std::io;

/// What a keepalive cannot go on without.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One runs in this network namespace already.
    #[error(
        "another keepalive runs in this network namespace already{}; stop that one first, or send \
         it SIGHUP to make it read its configuration again",
        .pid.map(|pid| format!(", as process {pid}")).unwrap_or_default()
    )]
    AlreadyRunning {
        /// Its process, where its lock tells.
        pid: Option<u32>,
    },
    /// The socket for the kernel's events failed.
    #[error("cannot listen to the kernel's events: {}{}", .0, needed(.0))]
    Events(io::Error),
    /// The signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// The devices and addresses could not be read.
    #[error("cannot read the kernel's devices: {0}")]
    Devices(#[from] rtnetlink::Error),
    /// Packet sockets are not allowed.
    #[error("cannot open a packet socket for line {line:?}: {source}; CAP_NET_RAW is needed")]
    Forbidden {
        /// The line's name.
        line: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The sockets for changes could not be opened.
    #[error(transparent)]
    Kernel(#[from] crate::error::Error),
}

fn needed(refused: &io::Error) -> &'static str {
    match refused.kind() {
        io::ErrorKind::PermissionDenied => "; CAP_NET_ADMIN is needed",
        _ => "",
    }
}
