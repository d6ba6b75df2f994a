//! The kernel's settings: sysctls by their names.

use std::fmt;

pub use multiwan_kernel::devconf::DeviceSetting;
pub use multiwan_kernel::neighbour_table::NeighbourSetting;

use super::word;

/// A setting of the kernel.
///
/// For those of a device that multiwan sets, the device's own is enough: the kernel takes
/// `ignore_routes_with_linkdown` as it is there, and `src_valid_mark` if it is set there or for
/// all (`IN_DEV_IGNORE_ROUTES_WITH_LINKDOWN`, `IN_DEV_SRC_VMARK` in `linux/inetdevice.h`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// One for the network namespace.
    Global(GlobalSetting),
    /// One of a device, set by netlink, which needs no writable `/proc/sys`.
    Device(String, DeviceSetting),
    /// One of a device's ARP, set by netlink too.
    Neighbour(String, NeighbourSetting),
}

/// Settings of the network namespace, `net.ipv4.…`; only `/proc/sys` can set them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GlobalSetting {
    /// `fib_multipath_use_neigh`: a nexthop whose neighbour has failed is not chosen.
    UseNeighbours,
    /// `fib_multipath_hash_policy`: what of a packet chooses the nexthop.
    HashPolicy,
    /// `fib_multipath_hash_fields`: the same in detail, for policy 3 (Linux 5.14 and newer).
    HashFields,
    /// `ip_forward`. Writing it, even its own value, sets `forwarding` of every device.
    Forwarding,
    /// `conf.default.forwarding`: `forwarding` of devices to come.
    DefaultForwarding,
    /// `conf.all.accept_redirects`.
    AcceptRedirects,
}

impl Setting {
    /// Whether a kernel that says `found` has been told `wanted`.
    pub fn holds(&self, found: u32, wanted: u32) -> bool {
        match self {
            Self::Neighbour(_, setting) => setting.agrees(wanted.into(), found.into()),
            _ => found == wanted,
        }
    }

    /// What writing that to `ip_forward` sets this one to, if it does.
    pub(crate) fn set_by_forwarding(&self, forwards: u32) -> Option<u32> {
        match self {
            Self::Device(_, DeviceSetting::Forwarding)
            | Self::Global(GlobalSetting::DefaultForwarding) => Some(forwards),
            Self::Global(GlobalSetting::AcceptRedirects) => Some(u32::from(forwards == 0)),
            _ => None,
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
                format!("net/ipv4/conf/{interface}/{}", setting.sysctl())
            }
            Self::Neighbour(interface, setting) => {
                format!("net/ipv4/neigh/{interface}/{}", setting.sysctl())
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
    pub const ALL: [Self; 6] = [
        Self::UseNeighbours,
        Self::HashPolicy,
        Self::HashFields,
        Self::Forwarding,
        Self::DefaultForwarding,
        Self::AcceptRedirects,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::UseNeighbours => "fib_multipath_use_neigh",
            Self::HashPolicy => "fib_multipath_hash_policy",
            Self::HashFields => "fib_multipath_hash_fields",
            Self::Forwarding => "ip_forward",
            Self::DefaultForwarding => "conf/default/forwarding",
            Self::AcceptRedirects => "conf/all/accept_redirects",
        }
    }
}
