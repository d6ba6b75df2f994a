//! Sockets that tokio waits for.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for a socket that owns its descriptor to have something to read.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for types that change or close their descriptor; \
              these own one for life, as `AsFd` shows"
)]
pub(super) fn readable<T: AsRawFd + AsFd>(socket: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}
