//! What can be done here: tried, and left as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use multiwan_kernel::nft::{self, Transaction};
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::sys::socket::{SockFlag, SockType, socket};

use super::Kernel;
use crate::check::{Facts, Feature, OTHER_SETTINGS};
use crate::error::Error;
use crate::gateways::Gateways;
use crate::record::Record;
use crate::runtime::Directory;
use crate::state::{GlobalSetting, Setting};

impl Kernel {
    /// What is found here, and what the kernel says to what is tried. Nothing stays of that.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer; a refusal is a fact.
    pub async fn facts(&mut self) -> Result<Facts, Error> {
        let mut facts = Facts {
            no_packet_socket: try_packet_socket()
                .err()
                .map(|errno| errno.desc().to_owned()),
            no_writing: self.no_writing(),
            state: self.read_unprivileged().await?,
            put: Record::open()
                .map(|record| record.content().addresses.clone())
                .unwrap_or_default(),
            gateways: Gateways::remembered(),
            behind: self.behind().await?,
            devices: self.devices().await?,
            others: other_settings(),
            keepalive: Directory::of_this_namespace()
                .ok()
                .and_then(|directory| directory.running_keepalive()),
            ..Facts::default()
        };
        for feature in Feature::ALL {
            match self.try_out(&feature.table()) {
                Ok(()) => {}
                Err(error) if error.errno() == Some(Errno::EPERM) => {
                    facts.forbidden = true;
                    break;
                }
                Err(error) => facts.refused.push((feature, error.to_string())),
            }
        }
        if !facts.forbidden {
            facts.surroundings = self.surroundings().await?;
        }
        (facts.ipv6, facts.ipv6_defaults) = self.ipv6().await?;
        Ok(facts)
    }

    /// Puts a table and removes it in the same batch.
    fn try_out(&mut self, table: &nft::Table) -> Result<(), nft::Error> {
        let trial = Transaction::new()
            .create(table)
            .delete(table.family, &table.name);
        self.netfilter.commit(&trial)
    }

    fn no_writing(&self) -> Option<String> {
        GlobalSetting::ALL
            .into_iter()
            .map(Setting::Global)
            .find_map(|setting| match self.can_set(&setting) {
                Err(Error::Sysctl { source, .. })
                    if source.kind() != std::io::ErrorKind::NotFound =>
                {
                    Some(source.to_string())
                }
                _ => None,
            })
    }

    /// Addresses that lead out, and default routes, by interface.
    async fn ipv6(&mut self) -> Result<(BTreeMap<String, Vec<Ipv6Addr>>, BTreeSet<String>), Error> {
        let names: BTreeMap<u32, String> = self
            .indices
            .iter()
            .map(|(name, index)| (*index, name.clone()))
            .collect();
        let mut question = AddressMessage::default();
        question.header.family = AddressFamily::Inet6;
        let mut addresses = BTreeMap::<String, Vec<Ipv6Addr>>::new();
        let answers = self.list("IPv6 addresses", RouteNetlinkMessage::GetAddress(question));
        for answer in answers.await? {
            if let RouteNetlinkMessage::NewAddress(message) = answer
                && message.header.scope == AddressScope::Universe
                && let Some(name) = names.get(&message.header.index)
                && let Some(address) = address(&message)
            {
                addresses.entry(name.clone()).or_default().push(address);
            }
        }
        let mut question = RouteMessage::default();
        question.header.address_family = AddressFamily::Inet6;
        let answers = self.list("IPv6 routes", RouteNetlinkMessage::GetRoute(question));
        let defaults = answers
            .await?
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRoute(route)
                    if route.header.destination_prefix_length == 0
                        && route.header.kind == RouteType::Unicast =>
                {
                    let index = route
                        .attributes
                        .iter()
                        .find_map(|attribute| match attribute {
                            RouteAttribute::Oif(index) => Some(*index),
                            _ => None,
                        })?;
                    names.get(&index).cloned()
                }
                _ => None,
            });
        Ok((addresses, defaults.collect()))
    }
}

fn address(message: &AddressMessage) -> Option<Ipv6Addr> {
    message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Local(IpAddr::V6(address))
            | AddressAttribute::Address(IpAddr::V6(address)) => Some(*address),
            _ => None,
        })
}

/// Opens a packet socket, and closes it: whether that may be done.
///
/// # Errors
///
/// `EPERM` above all, without CAP_NET_RAW.
pub(crate) fn try_packet_socket() -> Result<(), Errno> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let family = nix::sys::socket::AddressFamily::Packet;
    socket(family, SockType::Raw, flags, None).map(drop)
}

fn other_settings() -> BTreeMap<&'static str, u64> {
    let read = |path: &'static str| {
        let text = std::fs::read_to_string(Path::new("/proc/sys").join(path)).ok()?;
        Some((path, text.split_whitespace().next()?.parse().ok()?))
    };
    OTHER_SETTINGS.into_iter().filter_map(read).collect()
}
