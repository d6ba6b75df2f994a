//! The devices as the kernel tells of them, and what they mean for a line.

use std::collections::BTreeMap;

use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use pnet::util::MacAddr;

use super::arp::Question;
use super::line::Fault;
use super::probe::{Asked, OtherEnd};
use crate::config::Line;
use crate::kernel::asks_by_arp;
use crate::resolve::Lack;

/// All devices of the network namespace, by their index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Devices {
    links: BTreeMap<u32, Link>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    name: String,
    flags: LinkFlags,
    /// Where the device is an Ethernet.
    hardware: Option<MacAddr>,
    /// Whether it asks by ARP whom a packet is for.
    arp: bool,
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
        /// Who is asked there; nobody where a gateway is missing that must be there.
        asked: Option<Asked>,
    },
}

impl Devices {
    /// Takes in what the kernel tells of a device; its index.
    pub(super) fn take(&mut self, message: &RouteNetlinkMessage) -> Option<u32> {
        match message {
            RouteNetlinkMessage::NewLink(link) => self.link(link),
            RouteNetlinkMessage::DelLink(link) => self.link_gone(link),
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
        let hardware = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Address(address) if ethernet => {
                    <[u8; 6]>::try_from(address.as_slice())
                        .ok()
                        .map(MacAddr::from)
                }
                _ => None,
            });
        let index = message.header.index;
        self.links.insert(
            index,
            Link {
                name,
                flags: message.header.flags,
                hardware,
                arp: asks_by_arp(message),
            },
        );
        Some(index)
    }

    /// Whether the device with that index is to carry.
    pub(super) fn is_up(&self, index: u32) -> bool {
        let link = self.links.get(&index);
        link.is_some_and(|link| link.flags.contains(LinkFlags::Up))
    }

    fn link_gone(&mut self, message: &LinkMessage) -> Option<u32> {
        if message.header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let index = message.header.index;
        self.links.remove(&index);
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

    /// What a line can do at present, lacking that beside its device.
    pub(super) fn outlook(&self, line: &Line, lack: Option<Lack>) -> Outlook {
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
        if let Some(lack) = lack {
            return Outlook::Faulty(Fault::Lacks(lack));
        }
        let asked = match (line.address, line.gateway, link.hardware) {
            (Some(address), Some(gateway), Some(own)) if link.arp => {
                Some(Asked::Gateway(Question {
                    own,
                    source: address.addr(),
                    gateway,
                }))
            }
            (Some(address), _, hardware) if !link.arp => Some(Asked::OtherEnd(OtherEnd {
                source: address.addr(),
                hardware,
            })),
            _ => None,
        };
        Outlook::Carries { index, asked }
    }
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
