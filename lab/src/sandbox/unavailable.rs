//! Why no lab can be built here, and what to do about it.

use std::fmt;
use std::io;

/// The step of entering a sandbox that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Making namespaces, `unshare(2)`.
    Unshare = 1,
    /// Mapping this user to root of the new user namespace.
    Map,
    /// Making process 1.
    Fork,
    /// Making the mounts private.
    Mount,
    /// Opening what the lab works with.
    Open,
}

impl Stage {
    pub(super) fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Unshare,
            2 => Self::Map,
            3 => Self::Fork,
            4 => Self::Mount,
            _ => Self::Open,
        }
    }
}

/// No sandbox can be entered here.
#[derive(Debug)]
pub struct Unavailable {
    /// What was refused.
    pub stage: Stage,
    /// What the kernel said.
    pub source: io::Error,
    pub(super) seccomp: bool,
}

impl Unavailable {
    /// What to do about it.
    pub fn fix(&self) -> String {
        let errno = self.source.raw_os_error().unwrap_or_default();
        match (self.stage, errno) {
            (Stage::Unshare, libc::EPERM) if self.seccomp => {
                "the container's seccomp profile forbids namespaces; \
                 run it with `docker run --security-opt seccomp=unconfined --security-opt \
                 apparmor=unconfined --security-opt systempaths=unconfined`, or with \
                 `podman run --security-opt unmask=/proc/sys`"
                    .to_owned()
            }
            (Stage::Unshare, libc::EPERM) => {
                "user namespaces are not allowed here; `sudo sysctl -w \
                 kernel.unprivileged_userns_clone=1` where that exists, and not in a chroot; \
                 or run as root"
                    .to_owned()
            }
            (Stage::Unshare, libc::ENOSPC) => format!(
                "no namespace is left; raise user.max_user_namespaces ({}) or \
                 user.max_net_namespaces ({})",
                limit("max_user_namespaces"),
                limit("max_net_namespaces"),
            ),
            (Stage::Unshare, libc::EINVAL) => {
                "the process has several threads already; enter the sandbox first".to_owned()
            }
            (Stage::Map | Stage::Mount, libc::EPERM | libc::EACCES) => {
                "a security module takes the rights of new user namespaces away (Ubuntu 24.04's \
                 AppArmor does); `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
                    .to_owned()
            }
            _ => "see `multiwan-lab doctor`".to_owned(),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.stage {
            Stage::Unshare => "making namespaces",
            Stage::Map => "mapping this user to root of a user namespace",
            Stage::Fork => "making a process",
            Stage::Mount => "making the mounts private",
            Stage::Open => "opening what the lab works with",
        };
        write!(
            f,
            "no lab can be built here: {what}: {}: {}",
            self.source,
            self.fix()
        )
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

fn limit(name: &str) -> String {
    let value = std::fs::read_to_string(format!("/proc/sys/user/{name}"));
    value.map_or_else(|_| "unknown".to_owned(), |value| value.trim().to_owned())
}
