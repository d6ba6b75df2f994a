//! The devices and their addresses as the kernel tells them, and what they mean for a line.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use pnet::util::MacAddr;

use super::arp::Question;
use super::line::Fault;
use crate::config::Line;

/// All devices of the network namespace, by their index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Devices {
    links: BTreeMap<u32, Link>,
    addresses: BTreeMap<u32, Vec<Ipv4Net>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    name: String,
    flags: LinkFlags,
    /// Where the device speaks ARP.
    hardware: Option<MacAddr>,
}

/// What a line's device allows at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlook {
    /// Nothing.
    Faulty(Fault),
    /// It carries frames.
    Carries {
        /// The device's index.
        index: u32,
        /// What is asked there; nothing where there is no ARP or no gateway, and the driver's
        /// word must do.
        question: Option<Question>,
    },
}

impl Devices {
    /// Takes in what the kernel tells; the index of the device that it concerns.
    pub(super) fn take(&mut self, message: &RouteNetlinkMessage) -> Option<u32> {
        match message {
            RouteNetlinkMessage::NewLink(link) => self.link(link),
            RouteNetlinkMessage::DelLink(link) => self.link_gone(link),
            RouteNetlinkMessage::NewAddress(address) => {
                let (index, address) = read_address(address)?;
                let addresses = self.addresses.entry(index).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
                Some(index)
            }
            RouteNetlinkMessage::DelAddress(address) => {
                let (index, address) = read_address(address)?;
                self.addresses
                    .entry(index)
                    .or_default()
                    .retain(|held| *held != address);
                Some(index)
            }
            _ => None,
        }
    }

    fn link(&mut self, message: &LinkMessage) -> Option<u32> {
        // Bridges tell of their ports by messages of a family of their own.
        if message.header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let name = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name.clone()),
                _ => None,
            })?;
        let ethernet = message.header.link_layer_type == LinkLayerType::Ether;
        let asks = ethernet && !message.header.flags.contains(LinkFlags::Noarp);
        let hardware = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Address(address) if asks => <[u8; 6]>::try_from(address.as_slice())
                    .ok()
                    .map(MacAddr::from),
                _ => None,
            });
        let index = message.header.index;
        self.links.insert(
            index,
            Link {
                name,
                flags: message.header.flags,
                hardware,
            },
        );
        Some(index)
    }

    fn link_gone(&mut self, message: &LinkMessage) -> Option<u32> {
        if message.header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let index = message.header.index;
        self.links.remove(&index);
        self.addresses.remove(&index);
        Some(index)
    }

    /// The index of the device that a message concerns, whether or not it is known.
    pub(super) fn concerned_by(&self, message: &RouteNetlinkMessage) -> Option<u32> {
        match message {
            RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
                Some(link.header.index)
            }
            RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address) => {
                Some(address.header.index)
            }
            _ => None,
        }
    }

    /// The name of a device.
    pub(super) fn name(&self, index: u32) -> Option<&str> {
        self.links.get(&index).map(|link| link.name.as_str())
    }

    /// The index of the device of that name.
    pub(super) fn index(&self, name: &str) -> Option<u32> {
        self.links
            .iter()
            .find(|(_, link)| link.name == name)
            .map(|(index, _)| *index)
    }

    /// What a line can do at present.
    pub(super) fn outlook(&self, line: &Line) -> Outlook {
        let found = self
            .links
            .iter()
            .find(|(_, link)| link.name == line.interface);
        let Some((&index, link)) = found else {
            return Outlook::Faulty(Fault::DeviceMissing);
        };
        if !link.flags.contains(LinkFlags::Up) {
            return Outlook::Faulty(Fault::AdminDown);
        }
        if !link.flags.contains(LinkFlags::LowerUp) {
            return Outlook::Faulty(Fault::NoCarrier);
        }
        let (Some(gateway), Some(own)) = (line.gateway, link.hardware) else {
            return Outlook::Carries {
                index,
                question: None,
            };
        };
        match self.source(index, line, gateway) {
            Some(source) => Outlook::Carries {
                index,
                question: Some(Question {
                    own,
                    source,
                    gateway,
                }),
            },
            None => Outlook::Faulty(Fault::NoAddress),
        }
    }

    fn source(&self, index: u32, line: &Line, gateway: Ipv4Addr) -> Option<Ipv4Addr> {
        if let Some(described) = line.address {
            return Some(described.addr());
        }
        let held = self.addresses.get(&index)?;
        let near = held.iter().find(|network| network.contains(&gateway));
        near.or_else(|| held.first()).map(Ipv4Net::addr)
    }
}

fn read_address(message: &AddressMessage) -> Option<(u32, Ipv4Net)> {
    // On point-to-point devices `Address` is the other end.
    let local = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
            _ => None,
        })?;
    let network = Ipv4Net::new(local, message.header.prefix_len).ok()?;
    Some((message.header.index, network))
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
