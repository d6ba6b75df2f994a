//! What can go wrong, and the exit status that says so.

/// Anything that keeps a command from doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The netlink sockets could not be opened.
    #[error("cannot talk to the kernel: {0}")]
    Socket(#[from] std::io::Error),
}
