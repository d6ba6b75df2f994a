//! What can go wrong, and the exit status that says so.

use std::io;

use multiwan_kernel::nft;
use nix::errno::Errno;

use crate::config::ConfigError;
use crate::difference::{Step, Unfeasible};
use crate::import;
use crate::keepalive;
use crate::kernel::Refusal;
use crate::state::Setting;

/// Anything that keeps a command from doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The described configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The netlink sockets could not be opened.
    #[error("opening a netlink socket: {source}")]
    Socket {
        /// What the system call returned.
        source: io::Error,
    },
    /// The kernel did not answer a question.
    #[error("listing {what}: {refusal}")]
    Read {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        refusal: Refusal,
    },
    /// nftables could not be read or changed.
    #[error(transparent)]
    Netfilter(nft::Error),
    /// A setting could not be read, or could not be written if it had to be.
    #[error("{setting}: {source}{}", sysctl_advice(.source))]
    Sysctl {
        /// Which.
        setting: Setting,
        /// What the system call returned.
        source: io::Error,
    },
    /// The kernel lacks something that must be there.
    #[error(transparent)]
    Unfeasible(#[from] Unfeasible),
    /// An interface went away between reading and writing.
    #[error("there is no interface {0} any more")]
    NoInterface(String),
    /// The kernel refused a step.
    #[error("{}: {refusal}{}", first_line(.step), advice(Some(.refusal.errno)))]
    Refused {
        /// The step.
        step: Box<Step>,
        /// What it said.
        refusal: Refusal,
    },
    /// The kernel said that it had done a step, and had not, or not all of it.
    #[error(
        "{}: the kernel acknowledges it and does not hold it; it is too old for a part of that",
        first_line(.0)
    )]
    NotHeld(Box<Step>),
    /// A step failed, and so did taking back those before.
    #[error("{cause}; and taking back what was done before failed at: {left}")]
    HalfDone {
        /// Why.
        cause: Box<Error>,
        /// What could not be taken back, and why.
        left: Box<Error>,
    },
    /// Another process changes the kernel and does not come to an end.
    #[error("another multiwan has been changing the kernel for {0:?}; `ps` shows it")]
    Busy(std::time::Duration),
    /// A keepalive would put back what is to be removed.
    #[error(
        "a keepalive runs here{}, and would put all of it back; stop it first: {}",
        .pid.map(|pid| format!(", as process {pid}")).unwrap_or_default(),
        .pid.map_or_else(|| "systemctl stop multiwan".to_owned(), |pid| format!(
            "`systemctl stop multiwan` where that started it, else `kill {pid}`"
        ))
    )]
    KeepaliveRuns {
        /// Its process, where its lock tells.
        pid: Option<u32>,
    },
    /// A keepalive has a configuration of its own.
    #[error(
        "the keepalive that runs here{} reads {}, and would change back what {} describes; apply \
         that file, or stop it and start it with this one",
        .pid.map(|pid| format!(", process {pid},")).unwrap_or_default(),
        .its.display(),
        .asked.display()
    )]
    OtherFile {
        /// Its process, where its lock tells.
        pid: Option<u32>,
        /// The file that it reads.
        its: std::path::PathBuf,
        /// The file that was to be applied.
        asked: std::path::PathBuf,
    },
    /// A LAN's interface is not there.
    #[error(
        "there is no interface {0}, which is a LAN's; `ip link` shows those that are there, and \
         `multiwan run` waits for it"
    )]
    NoLan(String),
    /// A file could not be written.
    #[error("writing {what}: {source}")]
    Writing {
        /// Which.
        what: String,
        /// What the system call returned.
        source: io::Error,
    },
    /// A file would be overwritten.
    #[error("{0} is there already; name another file, or remove it first")]
    AlreadyThere(String),
    /// There is nothing to describe.
    #[error(transparent)]
    Nothing(#[from] import::Nothing),
    /// The keepalive ended.
    #[error(transparent)]
    Keepalive(#[from] Box<keepalive::Error>),
}

impl Error {
    /// The exit status that says so: 1 refused and undone, 2 wrong configuration, 3 a permission
    /// or feature of the kernel is missing.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::NoLan(_)
            | Self::Unfeasible(Unfeasible::NoGateway(_))
            | Self::AlreadyThere(_)
            | Self::Nothing(_) => 2,
            Self::Unfeasible(Unfeasible::NoSetting(_)) | Self::Sysctl { .. } => 3,
            Self::HalfDone { cause, .. } => cause.exit_status(),
            Self::Keepalive(error) => match error.as_ref() {
                keepalive::Error::Forbidden { .. } => 3,
                keepalive::Error::Events(refused)
                    if refused.kind() == io::ErrorKind::PermissionDenied =>
                {
                    3
                }
                keepalive::Error::Kernel(error) => error.exit_status(),
                _ => 1,
            },
            Self::NotHeld(_) => 3,
            other => match other.errno() {
                Some(Errno::EPERM | Errno::EACCES | Errno::EROFS | Errno::EOPNOTSUPP) => 3,
                _ => 1,
            },
        }
    }

    /// Whether the kernel may have done what it did not answer for: it has no memory for the answer
    /// (`ENOBUFS`), or the connection to it is lost.
    pub(crate) fn outcome_is_unknown(&self) -> bool {
        matches!(self.errno(), Some(Errno::ENOBUFS | Errno::ENOTCONN))
    }

    pub(crate) fn is_already_there(&self) -> bool {
        self.errno() == Some(Errno::EEXIST)
    }

    fn errno(&self) -> Option<Errno> {
        match self {
            Self::Netfilter(error) => error.errno(),
            Self::Refused { refusal, .. } | Self::Read { refusal, .. } => Some(refusal.errno),
            Self::Socket { source } => source.raw_os_error().map(Errno::from_raw),
            _ => None,
        }
    }
}

fn first_line(step: &Step) -> String {
    step.to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn advice(errno: Option<Errno>) -> &'static str {
    match errno {
        Some(Errno::EPERM) => "; run it as root, or with CAP_NET_ADMIN in this network namespace",
        _ => "",
    }
}

fn sysctl_advice(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EROFS) => {
            "; make /proc/sys writable (podman run --security-opt unmask=/proc/sys, docker \
             --security-opt systempaths=unconfined) or set it outside"
        }
        Some(Errno::EPERM | Errno::EACCES) => {
            "; run it as root of this network namespace, with CAP_NET_ADMIN, or set it outside"
        }
        _ => "",
    }
}
