//! The described configuration: what the administrator wants, as a value.
//!
//! [`Config::load`] reads it from TOML and refuses what cannot work; the fields here are what is
//! left after that, with defaults filled in. The comments name the how-to's abbreviations.

mod check;
mod error;
mod file;
mod number;
mod target;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::Deserialize;

pub(crate) use check::default_timeout;
pub use error::ConfigError;
pub use number::numbers;
pub use target::{NoTarget, Target};

/// Where the described configuration is unless something else is said.
pub const DEFAULT_PATH: &str = "/etc/multiwan.toml";

/// Lines are numbered from 1 to this: the how-to's tables 201 to 221, before 222.
pub const MOST_LINES: u8 = 21;

/// A whole described configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What stays together on one line.
    pub spread: Spread,
    /// What a dead line's connections get.
    pub established: Established,
    /// How long a dead line's UDP and the like are told before they are set free, with
    /// [`Established::Prohibit`].
    pub release_after: Duration,
    /// The networks behind the router; none for a host without a network behind it.
    pub lans: Vec<Lan>,
    /// The Internet lines, in the order of the file, 1 to 21.
    pub lines: Vec<Line>,
    /// How each line's state is found out.
    pub keepalive: Keepalive,
    /// What must use one line.
    pub pins: Vec<Pin>,
    /// The numbers that are shared with the rest of the system.
    pub kernel: Kernel,
}

impl Config {
    /// Reads a described configuration from a file.
    ///
    /// # Errors
    ///
    /// When there is no such file, or when what is in it cannot work.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_numbered(path, &BTreeMap::new())
    }

    /// [`Config::load`], where a line that is named in `previous` keeps that number.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn load_numbered(
        path: &Path,
        previous: &BTreeMap<String, u8>,
    ) -> Result<Self, ConfigError> {
        let unreadable = |reason: String, advice| ConfigError::Unreadable {
            path: path.to_owned(),
            reason,
            advice,
        };
        let bytes = std::fs::read(path).map_err(|error| {
            unreadable(
                error.to_string(),
                "name the configuration with -c FILE or MULTIWAN_CONFIG",
            )
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let byte = error.utf8_error().valid_up_to();
            unreadable(
                format!("byte {byte} is not UTF-8"),
                "save the file as UTF-8",
            )
        })?;
        Self::parse_numbered(&text, &path.display().to_string(), previous)
    }

    /// Reads a described configuration from its text; `name` is the file's in what is refused.
    ///
    /// # Errors
    ///
    /// When what is written cannot work.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        Self::parse_numbered(text, name, &BTreeMap::new())
    }

    /// [`Config::parse`], where a line that is named in `previous` keeps that number.
    ///
    /// # Errors
    ///
    /// As [`Config::parse`].
    pub fn parse_numbered(
        text: &str,
        name: &str,
        previous: &BTreeMap<String, u8>,
    ) -> Result<Self, ConfigError> {
        toml::from_str(text)
            .map_err(|error| error::Complaint::of(&error, text))
            .and_then(|file| check::check(file, previous))
            .map_err(|complaint| complaint.locate(text, name))
    }
}

impl Config {
    /// The tables of the lines and the balance table.
    pub fn tables(&self) -> impl Iterator<Item = u32> {
        let lines = self.lines.iter().map(|line| self.kernel.table(line.number));
        lines.chain([self.kernel.balance_table])
    }
}

/// How connections are spread over the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// A client and a server stay together, as with the how-to's route cache.
    #[default]
    Pair,
    /// Every connection is placed by itself.
    Connection,
}

/// What a dead line's established connections get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Established {
    /// ICMP type 3 code 13, as the how-to promises (2.3.3).
    #[default]
    Prohibit,
    /// TCP clients are told with a reset.
    Reset,
    /// Their connection tracking entries are flushed, so that the same five-tuple goes on elsewhere.
    Release,
}

/// A network behind the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lan {
    /// IFI.
    pub interface: String,
    /// IPI/NMI.
    pub address: Ipv4Net,
    /// Networks behind it, which routes of the administrator's own lead to.
    pub networks: Vec<Ipv4Net>,
}

impl Lan {
    /// All networks whose packets come from there: NWI/NMI, and those behind it.
    pub fn inside(&self) -> impl Iterator<Item = Ipv4Net> {
        std::iter::once(self.address.trunc()).chain(self.networks.iter().copied())
    }
}

/// One Internet line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The administrator's name for it.
    pub name: String,
    /// 1 to 21: its table is `first_table + number - 1`, its mark `number` under the mask.
    pub number: u8,
    /// IFEi.
    pub interface: String,
    /// Whether IPEi, and GWEi where none is described, are taken from the interface (`"dynamic"`).
    pub dynamic: bool,
    /// IPEi/NMEi; none where it is dynamic and not [resolved](crate::resolve).
    pub address: Option<Ipv4Net>,
    /// BRDi, where it is not the network's last address.
    pub broadcast: Option<Ipv4Addr>,
    /// GWEi; none on point-to-point devices, and where it is dynamic and not resolved.
    pub gateway: Option<Ipv4Addr>,
    /// Whether the gateway may lie outside the line's network.
    pub onlink: bool,
    /// Addresses in these are others' where they are on the line's interface: they stay there, and what is
    /// asked of them is answered by this line.
    pub keep: Vec<Ipv4Net>,
    /// Its share of new connections, reduced to smallest terms over all lines (400:100 is 4:1).
    pub weight: u16,
    /// Whether it gets new connections only while no other line is up.
    pub backup: bool,
}

/// How each line's state is found out (how-to 2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keepalive {
    /// Between probes of a line.
    pub interval: Duration,
    /// Until a probe counts as unanswered; by default the interval, or with short ones so long that
    /// no line is called dead in less than 250 ms.
    pub timeout: Duration,
    /// Unanswered probes in a row until the line is dead.
    pub failures: u32,
    /// Answered probes in a row until it is back.
    pub successes: u32,
    /// Who is asked beyond the gateway too; one answer is enough.
    pub targets: Vec<Target>,
}

/// Traffic that must use one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Destinations.
    pub to: Option<Ipv4Net>,
    /// Sources.
    pub from: Option<Ipv4Net>,
    /// `tcp`, `udp`, `icmp` or a number.
    pub protocol: Option<u8>,
    /// Destination port, with TCP and UDP.
    pub port: Option<u16>,
    /// The name of the line.
    pub line: String,
}

/// Priorities, tables and marks: what the described configuration shares with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Priority of the rule that looks up main first; 3 or more.
    pub main_priority: u32,
    /// Table and priority of line 1.
    pub first_table: u32,
    /// Table and priority of the multipath route.
    pub balance_table: u32,
    /// The bits of packet and connection marks that are multiwan's.
    pub mark_mask: u32,
}

impl Kernel {
    /// The table, and the priority of its rules, of the line with that number.
    pub fn table(&self, number: u8) -> u32 {
        self.first_table + u32::from(number) - 1
    }

    /// The priority of the rules for what main has within a line's network: before those that lead away.
    pub fn within_priority(&self) -> u32 {
        self.main_priority - 2
    }

    /// The priority of the rules for what goes from one line into another's network: before main.
    pub fn between_priority(&self) -> u32 {
        self.main_priority - 1
    }

    /// The priority of the rules for [`Pin`]s: behind those of the lines, before the balance table's.
    pub fn pins_priority(&self) -> u32 {
        self.balance_table.saturating_sub(1)
    }

    /// The mark, under [`Kernel::mark_mask`], of the line with that number.
    pub fn mark(&self, number: u8) -> u32 {
        u32::from(number) << self.mark_mask.trailing_zeros()
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            main_priority: 50,
            first_table: 201,
            balance_table: 222,
            mark_mask: 0x3f00,
        }
    }
}
