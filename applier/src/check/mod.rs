//! Whether this kernel, and this process in it, can do what several lines need: found out by
//! trying, not by version numbers.
//!
//! `facts` is what was found, and pure functions turn it into findings, each with what to do.

mod behind;
mod facts;
mod features;
mod judgement;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

pub use facts::Facts;
pub(crate) use facts::other::ALL as OTHER_SETTINGS;
pub use features::Feature;
pub use judgement::findings;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it is.
    pub level: Level,
    /// What was looked at, for example `CAP_NET_RAW` or `net.ipv4.fib_multipath_hash_fields`.
    pub what: String,
    /// How it is, what comes of it, and what to do, as a sentence; empty where all is well.
    pub says: String,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it must be.
    Ok,
    /// Not as good as it could be; or good to know.
    Note,
    /// It works, and something is wrong beside it.
    Warning,
    /// It does not work without.
    Missing,
}

impl Finding {
    fn new(level: Level, what: impl Into<String>, says: impl Into<String>) -> Self {
        Self {
            level,
            what: what.into(),
            says: says.into(),
        }
    }

    fn ok(what: impl Into<String>) -> Self {
        Self::new(Level::Ok, what, "")
    }

    /// Fine, or missing with this to say.
    fn needed(there: bool, what: impl Into<String>, says: &str) -> Self {
        if there {
            Self::ok(what)
        } else {
            Self::new(Level::Missing, what, says)
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Missing => "missing",
        })
    }
}

/// `missing  CAP_NET_RAW: the keepalive's probes …`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8} {}", self.level, self.what)?;
        if self.says.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.says)
        }
    }
}
