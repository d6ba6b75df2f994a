//! Default routes.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::word;

/// Who put a route there: an administrator, by the how-to's `proto static` (`RTPROT_STATIC`).
pub const PROTOCOL_STATIC: u8 = 4;

/// A default route; the kernel knows it by its table and metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The table it is in.
    pub table: u32,
    /// The smaller is asked first.
    pub metric: u32,
    /// Who put it there (`RTPROT_*`).
    pub protocol: u8,
    /// Where it leads.
    pub target: Target,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// To one of these, by their weights.
    Hops {
        /// In the order that the kernel hashes over.
        hops: Vec<Hop>,
        /// The source that it suggests to programs that have chosen none.
        source: Option<Ipv4Addr>,
    },
    /// Refused, with ICMP type 3 code 13.
    Prohibit,
    /// Refused, with ICMP type 3 code 1.
    Unreachable,
    /// A type that is never put here (`RTN_*`).
    Other(u8),
}

/// One way of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The gateway; none where the destinations themselves are asked for.
    pub gateway: Option<Ipv4Addr>,
    /// The interface's name.
    pub interface: String,
    /// Whether the gateway may lie outside the interface's networks.
    pub onlink: bool,
    /// Its share, 1 to 256.
    pub weight: u16,
}

impl Route {
    /// A `proto static` default route.
    pub fn new(table: u32, metric: u32, target: Target) -> Self {
        Self {
            table,
            metric,
            protocol: PROTOCOL_STATIC,
            target,
        }
    }

    /// Its hops, none where it refuses.
    pub fn hops(&self) -> &[Hop] {
        match &self.target {
            Target::Hops { hops, .. } => hops,
            _ => &[],
        }
    }

    /// Whether a kernel would hold it in the same place.
    pub fn same_place(&self, other: &Self) -> bool {
        self.table == other.table && self.metric == other.metric
    }
}

impl Hop {
    /// Whether the other leads the same way, whatever its weight.
    pub fn same_way(&self, other: &Self) -> bool {
        self.gateway == other.gateway && self.interface == other.interface
    }
}

/// `default via 198.51.100.1 dev eth1 src 198.51.100.2 proto static table 201`: what follows
/// `ip route add`, `replace` or `del`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = self.hops().len() > 1;
        match &self.target {
            Target::Hops { .. } => f.write_str("default")?,
            Target::Prohibit => f.write_str("prohibit default")?,
            Target::Unreachable => f.write_str("unreachable default")?,
            Target::Other(kind) => write!(f, "{kind} default")?,
        }
        if let (false, Target::Hops { hops, source }) = (several, &self.target) {
            hops.iter().try_for_each(|hop| hop.way(f))?;
            if let Some(source) = source {
                write!(f, " src {source}")?;
            }
        }
        match self.protocol {
            PROTOCOL_STATIC => f.write_str(" proto static")?,
            other => write!(f, " proto {other}")?,
        }
        if self.metric != 0 {
            write!(f, " metric {}", self.metric)?;
        }
        write!(f, " table {}", self.table)?;
        if several {
            for hop in self.hops() {
                f.write_str(" nexthop")?;
                hop.way(f)?;
                write!(f, " weight {}", hop.weight)?;
            }
        }
        Ok(())
    }
}

impl Hop {
    fn way(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        write!(f, " dev {}", word(&self.interface))?;
        if self.onlink {
            f.write_str(" onlink")?;
        }
        Ok(())
    }
}
