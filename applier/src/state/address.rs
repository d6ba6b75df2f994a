//! Addresses on interfaces.

use std::cmp::Ordering;
use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::word;

/// An IPv4 address on an interface.
///
/// Two are equal when interface, address and prefix length are: the kernel cannot change the
/// broadcast address or the place of one that is there, and taking it away for that would end
/// connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Address {
    /// The interface's name.
    pub interface: String,
    /// Address and prefix length.
    pub address: Ipv4Net,
    /// The broadcast address, if it has one.
    pub broadcast: Option<Ipv4Addr>,
    /// Its place among the interface's addresses, as the kernel lists and prefers them.
    #[serde(default)]
    pub rank: usize,
}

impl Address {
    /// An address with its network's last address for broadcasts, as `brd +` gives.
    pub fn new(interface: impl Into<String>, address: Ipv4Net) -> Self {
        let broadcast = (address.prefix_len() < 31).then(|| address.broadcast());
        Self {
            interface: interface.into(),
            address,
            broadcast,
            rank: 0,
        }
    }

    fn key(&self) -> (&str, Ipv4Net) {
        (&self.interface, self.address)
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Address {}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// `ip address add 198.51.100.2/24 brd 198.51.100.255 dev eth1`
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ip address add {}", self.address)?;
        if let Some(broadcast) = self.broadcast {
            write!(f, " brd {broadcast}")?;
        }
        write!(f, " dev {}", word(&self.interface))
    }
}
