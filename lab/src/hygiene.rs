//! What must be known about the router's kernel before a verdict is one.

use std::fs;

use multiwan_kernel::neighbour_table::ArpTable;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour_table::NeighbourTableMessage;

use crate::error::Error;
use crate::host;
use crate::lab::Lab;

/// Settings of the router that a distribution or an earlier namespace may have left at anything,
/// made explicit. The applier changes what it needs otherwise.
const EXPLICIT: &[(&str, &str)] = &[
    // Loose, as systemd ships it.
    ("ipv4/conf/all/rp_filter", "2"),
    ("ipv4/conf/default/rp_filter", "2"),
    ("ipv4/icmp_ratelimit", "1000"),
    ("ipv4/fib_multipath_hash_policy", "0"),
    ("ipv4/fib_multipath_use_neigh", "0"),
];

/// The seed of the hash that picks a nexthop, one for each namespace (Linux 6.11).
const HASH_SEED: &str = "ipv4/fib_multipath_hash_seed";

impl Lab {
    /// Sets the router's settings to known values, and the seed of its multipath hash where the
    /// kernel has one. Whether it has: without, the seed is the same for all until the next boot.
    ///
    /// # Errors
    ///
    /// Says which setting could not be written.
    pub fn prepare_router(&mut self, hash_seed: u32) -> Result<bool, Error> {
        for (key, value) in EXPLICIT {
            let path = format!("/proc/sys/net/{key}");
            let found = fs::read_to_string(path).unwrap_or_default();
            if !found.is_empty() && found.trim() != *value {
                self.router.set(key, value)?;
            }
        }
        let seeded = fs::exists(format!("/proc/sys/net/{HASH_SEED}")).unwrap_or(false);
        if seeded {
            // 0 means the kernel's own.
            self.router.set(HASH_SEED, &hash_seed.max(1).to_string())?;
        }
        Ok(seeded)
    }

    /// Makes all clients known to the router for good: of other neighbours the kernel holds 1024
    /// over all namespaces of the machine (`gc_thresh3`), forgets them from 512 on, and drops what
    /// is for those that find no room. The router's LAN card must be up.
    pub(crate) fn introduce_clients(&mut self) -> Result<(), Error> {
        // As many as the socket has room for the answers to.
        const AT_ONCE: usize = 64;
        let card = self.lan_card.index;
        let macs = self.clients.iter().map(|client| client.card.mac);
        let macs = macs.chain(std::iter::repeat(self.lan_port.mac));
        let clients: Vec<_> = self.topology.client_addresses().zip(macs).collect();
        for some in clients.chunks(AT_ONCE) {
            let known = some
                .iter()
                .map(|&(address, mac)| host::neighbour(card, address, mac));
            self.router.change(known)?;
        }
        Ok(())
    }

    /// Keeps the router's entry for a line's gateway from being forgotten, whatever else the
    /// machine's ARP table has to hold; it is in doubt at first, and its state goes on changing as
    /// ever. Of entries that have failed, the kernel else collects one now and then, once the table
    /// has so many as a few labs have (`gc_thresh1`).
    ///
    /// # Errors
    ///
    /// Says what the router's kernel refused.
    pub fn keep_gateway_entry(&mut self, line: usize) -> Result<(), Error> {
        let modem = &self.modems[line];
        let gateway = self.topology.lines[line].gateway;
        let entry = host::kept_neighbour(modem.router_card.index, gateway, modem.lan.mac);
        self.router.change([entry])
    }

    /// How often since boot the machine's ARP table, which all labs and all else on it share, had no
    /// room for one more entry: then packets are lost through no fault of the applier.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn neighbour_overflows(&mut self) -> Result<u64, Error> {
        let ask = RouteNetlinkMessage::GetNeighbourTable(NeighbourTableMessage::default());
        let answers = self.router.dump("asking for the ARP table", ask)?;
        let tables: Vec<_> = answers
            .iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewNeighbourTable(table) => Some(table),
                _ => None,
            })
            .collect();
        Ok(ArpTable::from_messages(tables).overflows)
    }

    /// How many entries the router's connection tracking has lost for want of room or by a race:
    /// with any, a flow can change its line or source through no fault of the applier.
    ///
    /// None where the kernel does not count them in `/proc`.
    pub fn conntrack_losses(&self) -> Option<u64> {
        let table = fs::read_to_string("/proc/net/stat/nf_conntrack").ok()?;
        Some(losses(&table))
    }
}

/// The sum over all cores of the columns that count lost entries.
fn losses(table: &str) -> u64 {
    let mut lines = table.lines();
    let names: Vec<_> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let lossy = |name: &&str| matches!(*name, "insert_failed" | "drop" | "early_drop");
    lines
        .flat_map(|line| names.iter().zip(line.split_whitespace()))
        .filter(|(name, _)| lossy(name))
        .filter_map(|(_, count)| u64::from_str_radix(count, 16).ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_all_cores_are_added() {
        let table = "entries  clashres found new invalid ignore delete delete_list insert \
                     insert_failed drop early_drop icmp_error\n\
                     00000002 00000000 00000000 00000000 00000000 00000000 00000000 00000000 \
                     00000000 00000001 00000010 00000000 00000000\n\
                     00000002 00000000 00000000 00000000 00000000 00000000 00000000 00000000 \
                     00000000 00000000 00000000 0000000a 00000000\n";
        assert_eq!(losses(table), 1 + 16 + 10);
        assert_eq!(losses(""), 0);
    }
}
