//! What can go wrong, and what to do about it.

use std::{fmt, io};

use nix::errno::Errno;

/// What can go wrong between this program and the kernel's netfilter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket itself.
    #[error("{doing} a netfilter netlink socket: {source}")]
    Socket {
        /// Opening, sending to, receiving from.
        doing: &'static str,
        /// What the system call returned.
        source: io::Error,
    },
    /// The kernel refused; with a transaction, all of it, and nothing has changed.
    #[error("{attempt}: {errno}{}", Details(.instruction, .message, *.errno))]
    Refused {
        /// What was attempted, and on which table, chain or rule.
        attempt: String,
        /// The instruction of the rule at which it failed, where the kernel says so.
        instruction: Option<String>,
        /// What the kernel says beyond the number (its extended acknowledgement).
        message: Option<String>,
        /// The kernel's number.
        errno: Errno,
    },
    /// A dump that could not be understood.
    #[error("reading {object}: the kernel's answer is not understood")]
    NotUnderstood {
        /// What was being read.
        object: String,
    },
    /// Somebody changes the rules all the time.
    #[error("reading {object}: changed by others during each of {attempts} attempts")]
    Busy {
        /// What was being read.
        object: String,
        /// How often it was tried.
        attempts: u32,
    },
}

impl Error {
    /// The kernel's number: `EPERM` without CAP_NET_ADMIN, `ENOENT` for an instruction, chain or chain type that is not
    /// there, `EOPNOTSUPP` for one that this hook or family does not allow, or for a kernel without nftables.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Socket { source, .. } => source.raw_os_error().map(Errno::from_raw),
            Self::NotUnderstood { .. } | Self::Busy { .. } => None,
        }
    }
}

/// What follows the number: where, what the kernel adds, and what to do.
struct Details<'a>(&'a Option<String>, &'a Option<String>, Errno);

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(instruction, message, errno) = self;
        if let Some(message) = message {
            write!(f, " ({message})")?;
        }
        match (errno, instruction) {
            (Errno::EPERM, _) => write!(f, "; it takes CAP_NET_ADMIN in this network namespace"),
            (Errno::ENOENT, Some(name)) if name == "immediate" => {
                write!(f, "; there is no such chain")
            }
            (Errno::ENOENT, Some(name)) => {
                let option = name.to_uppercase();
                write!(
                    f,
                    "; this kernel has no instruction `{name}` (CONFIG_NFT_{option})"
                )
            }
            (_, Some(name)) => write!(f, "; at `{name}`"),
            (Errno::EOPNOTSUPP, None) => {
                write!(f, "; this kernel, hook or family does not have it")
            }
            _ => Ok(()),
        }
    }
}
