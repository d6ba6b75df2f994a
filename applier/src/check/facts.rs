//! What is found in the kernel and about this process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use crate::clashes::Surroundings;
use crate::gateways::Gateways;
use crate::kernel::Device;
use crate::runtime::RunningKeepalive;
use crate::state::{Address, Behind, State};

use super::Feature;

/// What is found in the kernel and about this process.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Why packet sockets cannot be opened; none where they can.
    pub no_packet_socket: Option<String>,
    /// Why `/proc/sys/net` cannot be written; none where it can.
    pub no_writing: Option<String>,
    /// The features of nftables that the kernel refused, with its words.
    pub refused: Vec<(Feature, String)>,
    /// Whether this process may not change the network at all (`EPERM` of nftables).
    pub forbidden: bool,
    /// What the kernel holds, nftables left out.
    pub state: State,
    /// Addresses that multiwan has put there.
    pub put: BTreeSet<Address>,
    /// The gateways that dynamic lines had last.
    pub gateways: Gateways,
    /// What main leads to by each interface.
    pub behind: Vec<Behind>,
    /// All interfaces.
    pub devices: BTreeMap<String, Device>,
    /// Other settings below `/proc/sys`, by path, as far as they are there.
    pub others: BTreeMap<&'static str, u64>,
    /// Addresses of IPv6 that lead out, by interface.
    pub ipv6: BTreeMap<String, Vec<Ipv6Addr>>,
    /// Interfaces with a default route of IPv6.
    pub ipv6_defaults: BTreeSet<String>,
    /// What others have in the kernel.
    pub surroundings: Surroundings,
    /// The keepalive, where one runs.
    pub keepalive: Option<RunningKeepalive>,
}

/// Settings that multiwan does not change, below `/proc/sys`.
pub(crate) mod other {
    /// The greater of this and the device's counts.
    pub(crate) const RP_FILTER_ALL: &str = "net/ipv4/conf/all/rp_filter";
    /// Either this or the device's.
    pub(crate) const SRC_VALID_MARK_ALL: &str = "net/ipv4/conf/all/src_valid_mark";
    /// Linux 6.11.
    pub(crate) const HASH_SEED: &str = "net/ipv4/fib_multipath_hash_seed";
    /// Connections tracked now.
    pub(crate) const CONNTRACK_COUNT: &str = "net/netfilter/nf_conntrack_count";
    /// Connections that can be tracked.
    pub(crate) const CONNTRACK_MAX: &str = "net/netfilter/nf_conntrack_max";

    /// All of them.
    pub(crate) const ALL: [&str; 5] = [
        RP_FILTER_ALL,
        SRC_VALID_MARK_ALL,
        HASH_SEED,
        CONNTRACK_COUNT,
        CONNTRACK_MAX,
    ];
}
