//! What a keepalive leaves for other commands: its verdicts, and what it has counted.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::config::Line;
use crate::verdicts::Verdict;

/// What is remembered of one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The line's name.
    pub name: String,
    /// Its interface.
    #[serde(default)]
    pub interface: String,
    /// Its gateway, where it is described.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// `up`, `suspect`, `dead` or `returning`.
    pub state: String,
    /// Whether it is given new connections.
    #[serde(with = "verdict_as_word")]
    pub verdict: Verdict,
    /// Since when it is in that state.
    #[serde(with = "time_as_rfc3339")]
    pub since: SystemTime,
    /// Why, as a sentence.
    pub reason: String,
}

impl Remembered {
    /// Whether it is about this line, as that is described now.
    pub fn is_about(&self, line: &Line) -> bool {
        self.name == line.name && self.interface == line.interface && self.gateway == line.gateway
    }
}

/// What a keepalive has counted since it started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Times it compared the kernel with what it should hold.
    pub reconciles: u64,
    /// Times that failed.
    pub reconcile_failures: u64,
    /// By the lines' names.
    pub lines: BTreeMap<String, Probes>,
}

/// What the probes of one line came to.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Probes {
    /// Sent.
    pub sent: u64,
    /// Not answered in time.
    pub missed: u64,
    /// From the last answered one to its answer, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Times the line was taken out of use or back into it.
    pub verdict_changes: u64,
}

mod verdict_as_word {
    use super::{Deserialize, Verdict};

    pub(super) fn serialize<S: serde::Serializer>(
        verdict: &Verdict,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match verdict {
            Verdict::Up => "up",
            Verdict::Dead => "dead",
        })
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Verdict, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "up" => Ok(Verdict::Up),
            "dead" => Ok(Verdict::Dead),
            other => Err(serde::de::Error::unknown_variant(other, &["up", "dead"])),
        }
    }
}

/// A time as `2026-01-31T12:00:00.250Z`.
pub(crate) fn as_rfc3339<S: serde::Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

mod time_as_rfc3339 {
    use super::{Deserialize, SystemTime};

    pub(super) use super::as_rfc3339 as serialize;

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}
