//! The kernel's settings: sysctls by their names.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::word;

/// A setting of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// One for the network namespace.
    Global(GlobalSetting),
    /// One of a device (`net.ipv4.conf`), set by netlink where `/proc/sys` is read-only.
    Device(String, DeviceSetting),
    /// One of a device's ARP (`net.ipv4.neigh`), set by netlink too.
    Neighbour(String, NeighbourSetting),
}

/// Settings of the network namespace, `net.ipv4.…`; only `/proc/sys` can set them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GlobalSetting {
    /// `fib_multipath_use_neigh`: a nexthop whose neighbour has failed is not chosen.
    UseNeighbours,
    /// `fib_multipath_hash_policy`: what of a packet chooses the nexthop.
    HashPolicy,
    /// `fib_multipath_hash_fields`: the same in detail, for policy 3 (Linux 5.14 and newer).
    HashFields,
    /// `ip_forward`. Writing it, even its own value, sets `forwarding` of every device.
    Forwarding,
}

/// Settings of a device, `net.ipv4.conf.DEVICE.…`.
///
/// For both, the device's own is enough: the kernel takes the first as it is and the second or
/// `all`'s (`IN_DEV_IGNORE_ROUTES_WITH_LINKDOWN`, `IN_DEV_SRC_VMARK` in `linux/inetdevice.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceSetting {
    /// `ignore_routes_with_linkdown`: routes over a device without carrier do not count.
    IgnoreRoutesWithLinkdown,
    /// `src_valid_mark`: the reverse path filter looks at marks.
    SrcValidMark,
    /// `promote_secondaries`: with an address, its secondary ones do not go.
    PromoteSecondaries,
}

/// Settings of a device's ARP, `net.ipv4.neigh.DEVICE.…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeighbourSetting {
    /// `retrans_time_ms`: between requests, in milliseconds, rounded up to the kernel's ticks.
    RetransTimeMs,
    /// `ucast_solicit`: requests to a neighbour that was known, until it has failed.
    UcastSolicit,
    /// `mcast_solicit`: requests to all, until an unknown neighbour has failed.
    McastSolicit,
}

/// The kernel's longest tick, at `HZ=100`.
const LONGEST_TICK_MS: u32 = 10;

impl Setting {
    /// Whether a kernel that says `found` has been told `wanted`.
    pub fn holds(&self, found: u32, wanted: u32) -> bool {
        match self {
            Self::Neighbour(_, NeighbourSetting::RetransTimeMs) => {
                (wanted..wanted.saturating_add(LONGEST_TICK_MS)).contains(&found)
            }
            _ => found == wanted,
        }
    }

    /// The device it is of, if it is one's.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::Global(_) => None,
            Self::Device(interface, _) | Self::Neighbour(interface, _) => Some(interface),
        }
    }

    /// Its parts below `/proc/sys`.
    pub fn path(&self) -> String {
        match self {
            Self::Global(setting) => format!("net/ipv4/{}", setting.name()),
            Self::Device(interface, setting) => {
                format!("net/ipv4/conf/{interface}/{}", setting.name())
            }
            Self::Neighbour(interface, setting) => {
                format!("net/ipv4/neigh/{interface}/{}", setting.name())
            }
        }
    }
}

/// As `sysctl` knows it: `net.ipv4.ip_forward`, or with slashes where an interface's name has dots.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        let name = if path.contains('.') {
            path
        } else {
            path.replace('/', ".")
        };
        f.write_str(&word(&name))
    }
}

impl GlobalSetting {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::UseNeighbours,
        Self::HashPolicy,
        Self::HashFields,
        Self::Forwarding,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::UseNeighbours => "fib_multipath_use_neigh",
            Self::HashPolicy => "fib_multipath_hash_policy",
            Self::HashFields => "fib_multipath_hash_fields",
            Self::Forwarding => "ip_forward",
        }
    }
}

impl DeviceSetting {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::IgnoreRoutesWithLinkdown,
        Self::SrcValidMark,
        Self::PromoteSecondaries,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::IgnoreRoutesWithLinkdown => "ignore_routes_with_linkdown",
            Self::SrcValidMark => "src_valid_mark",
            Self::PromoteSecondaries => "promote_secondaries",
        }
    }
}

impl NeighbourSetting {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RetransTimeMs, Self::UcastSolicit, Self::McastSolicit];

    fn name(self) -> &'static str {
        match self {
            Self::RetransTimeMs => "retrans_time_ms",
            Self::UcastSolicit => "ucast_solicit",
            Self::McastSolicit => "mcast_solicit",
        }
    }
}
