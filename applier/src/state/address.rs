//! Addresses on interfaces.

use std::cmp::Ordering;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::lifetime::Lifetime;
use super::word;

/// An IPv4 address on an interface.
///
/// Two are equal when interface, address, prefix length and the network that they lead to are: the
/// kernel cannot change the broadcast address or the place of one that is there, and taking it away
/// for that, or for what else it has, would end connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Address {
    /// The interface's name.
    pub interface: String,
    /// Address and prefix length.
    pub address: Ipv4Net,
    /// The other end of a point-to-point link, which the prefix length is of then.
    #[serde(default)]
    pub peer: Option<Ipv4Addr>,
    /// The broadcast address, if it has one.
    pub broadcast: Option<Ipv4Addr>,
    /// Its place among the interface's addresses, as the kernel lists and prefers them.
    #[serde(default)]
    pub rank: usize,
    /// What else it has.
    #[serde(default)]
    pub attributes: Attributes,
}

/// What an address has besides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// Where it is valid (`RT_SCOPE_*`).
    pub scope: u8,
    /// Its name, where that is not the interface's.
    pub label: Option<String>,
    /// The metric of the route to its network (`IFA_RT_PRIORITY`).
    pub metric: u32,
    /// Whether the kernel makes no route to its network.
    pub no_prefix_route: bool,
    /// Whether the kernel joins the multicast group that it is.
    pub auto_join: bool,
    /// Who put it there (`IFA_PROTO`).
    pub protocol: u8,
    /// How long it stays; none where it does for ever.
    pub lifetime: Option<Lifetime>,
}

impl Address {
    /// An address with its network's last address for broadcasts, as `brd +` gives.
    pub fn new(interface: impl Into<String>, address: Ipv4Net) -> Self {
        let broadcast = (address.prefix_len() < 31).then(|| address.broadcast());
        Self {
            interface: interface.into(),
            address,
            peer: None,
            broadcast,
            rank: 0,
            attributes: Attributes::default(),
        }
    }

    /// The network that it leads to: its peer's, where it has one.
    pub fn network(&self) -> Ipv4Net {
        let length = self.address.prefix_len();
        let far = self.peer.unwrap_or(self.address.addr());
        Ipv4Net::new_assert(far, length).trunc()
    }

    /// As `ip` shows and takes it: `198.51.100.2/24`, `10.0.0.1 peer 10.0.0.2/32`.
    pub fn shown(&self) -> String {
        let net = self.address;
        match self.peer {
            Some(peer) => format!("{} peer {peer}/{}", net.addr(), net.prefix_len()),
            None => net.to_string(),
        }
    }

    /// Whether the kernel would have taken it away by now, so long after the machine started.
    pub fn is_over(&self, now: Duration) -> bool {
        let lifetime = self.attributes.lifetime;
        lifetime.is_some_and(|lifetime| lifetime.left(now).is_none())
    }

    /// As the kernel tells them apart (`__inet_insert_ifa` in `net/ipv4/devinet.c`).
    fn key(&self) -> (&str, Ipv4Net, Ipv4Net) {
        (&self.interface, self.address, self.network())
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
        write!(f, "ip address add {}", self.shown())?;
        if let Some(broadcast) = self.broadcast {
            write!(f, " brd {broadcast}")?;
        }
        write!(f, " dev {}", word(&self.interface))?;
        self.attributes.fmt(f)
    }
}

/// ` scope link label eth1:v metric 700 valid_lft 3000 preferred_lft 1800 noprefixroute`
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            0 => {}
            253 => f.write_str(" scope link")?,
            254 => f.write_str(" scope host")?,
            other => write!(f, " scope {other}")?,
        }
        if let Some(label) = &self.label {
            write!(f, " label {}", word(label))?;
        }
        if self.metric != 0 {
            write!(f, " metric {}", self.metric)?;
        }
        if self.protocol != 0 {
            write!(f, " proto {:#x}", self.protocol)?;
        }
        if let Some(lifetime) = &self.lifetime {
            write!(f, " {lifetime}")?;
        }
        if self.no_prefix_route {
            f.write_str(" noprefixroute")?;
        }
        if self.auto_join {
            f.write_str(" autojoin")?;
        }
        Ok(())
    }
}
