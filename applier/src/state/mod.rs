//! What a kernel holds, or should hold, as far as it concerns several lines.
//!
//! One type for both, so that they can be compared and printed: every element's `Display` is the
//! `ip` or `sysctl` line that makes it (the table of nftables prints as `nft -f` reads it), fit to
//! be pasted into `sh`. Interfaces go by their names; indices are the kernel's business.

mod address;
mod behind;
mod lifetime;
mod route;
mod rule;
mod setting;
mod shell;

use std::collections::{BTreeMap, BTreeSet};

use multiwan_kernel::nft;

pub use address::{Address, Attributes};
pub use behind::Behind;
pub use lifetime::{FOR_EVER, Lifetime};
pub use route::{Hop, PROTOCOL_STATIC, Route, Target};
pub use rule::{PROTOCOL, Rule};
pub use setting::{DeviceSetting, GlobalSetting, NeighbourSetting, Setting};
pub(crate) use shell::word;

/// The kernel's main table.
pub const TABLE_MAIN: u32 = 254;

/// What a kernel holds, or should hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Which interfaces are there, and whether each is up.
    pub links: BTreeMap<String, Link>,
    /// IPv4 addresses on interfaces.
    pub addresses: BTreeSet<Address>,
    /// sysctls, global and per device.
    pub settings: BTreeMap<Setting, u32>,
    /// Routing policy rules, in the order in which the kernel asks them.
    pub rules: Vec<Rule>,
    /// Default routes, in all tables, in the order in which the kernel asks them.
    pub routes: Vec<Route>,
    /// The table `ip multiwan` of nftables.
    pub firewall: Option<nft::Table>,
}

/// An interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Whether it is up, as the administrator wants it; the carrier is another matter.
    pub up: bool,
    /// Whether it carries described addresses only, so that others are left over from an earlier
    /// set-up (how-to 2.3.2). Never so in what is read from a kernel.
    pub cleared: bool,
    /// Whether it asks by ARP whom a packet is for, so that beyond it nothing can be reached
    /// without a gateway. Of no matter in what a kernel should hold.
    pub arp: bool,
    /// How long a packet it takes, in bytes (`IFLA_MTU`); none where that is not known. Of no matter in
    /// what a kernel should hold.
    pub mtu: Option<u32>,
}
