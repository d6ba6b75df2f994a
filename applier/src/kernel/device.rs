//! What each interface has carried.

use std::collections::BTreeMap;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::Kernel;
use super::read::name_of;
use crate::error::Error;

/// An interface as it fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Device {
    /// Whether it is up, as the administrator wants it.
    pub up: bool,
    /// Whether it has a carrier (`LOWER_UP`).
    pub carrier: bool,
    /// What came in by it.
    pub received: Traffic,
    /// What left by it.
    pub sent: Traffic,
}

/// Packets and bytes since the interface is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes, with the headers of the link.
    pub bytes: u64,
}

impl Kernel {
    /// All interfaces by their names. Needs no privilege.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub async fn devices(&mut self) -> Result<BTreeMap<String, Device>, Error> {
        let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.list("links", question).await?;
        Ok(answers
            .iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewLink(link) => {
                    Some((name_of(link)?.to_owned(), Device::of(link)))
                }
                _ => None,
            })
            .collect())
    }
}

impl Device {
    fn of(link: &LinkMessage) -> Self {
        let mut device = Self {
            up: link.header.flags.contains(LinkFlags::Up),
            carrier: link.header.flags.contains(LinkFlags::LowerUp),
            ..Self::default()
        };
        for attribute in &link.attributes {
            if let LinkAttribute::Stats64(counts) = attribute {
                device.received = Traffic {
                    packets: counts.rx_packets,
                    bytes: counts.rx_bytes,
                };
                device.sent = Traffic {
                    packets: counts.tx_packets,
                    bytes: counts.tx_bytes,
                };
            }
        }
        device
    }
}
