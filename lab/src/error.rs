//! What can go wrong with a lab.

use std::io;
use std::time::Duration;

use multiwan_kernel::rtnl;

/// What was attempted in the lab, and why it failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request to a host's kernel.
    #[error("{host}: {source}")]
    Request {
        /// The host.
        host: String,
        /// What was attempted, and the refusal.
        source: rtnl::Error,
    },
    /// A system call on a host.
    #[error("{host}: {what}: {source}")]
    System {
        /// The host.
        host: String,
        /// What was attempted.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A topology that the lab cannot build.
    #[error("topology: {0}")]
    Topology(String),
    /// An event that did not come.
    #[error("{host}: waited {waited:?} for {event}; seen instead: {seen}")]
    Deadline {
        /// The host.
        host: String,
        /// What was waited for.
        event: String,
        /// What was there at the deadline.
        seen: String,
        /// How long.
        waited: Duration,
    },
}

impl Error {
    pub(crate) fn system(
        host: &str,
        what: impl Into<String>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::System {
            host: host.to_owned(),
            what: what.into(),
            source: source.into(),
        }
    }
}
