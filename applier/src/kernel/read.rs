//! What the kernel holds: five dumps of rtnetlink, one table of nftables, six sysctls.

use std::collections::{BTreeMap, BTreeSet};

use multiwan_kernel::devconf::DeviceConf;
use multiwan_kernel::neighbour_table::{self, ArpTable};
use multiwan_kernel::nft::{self, Family};
use netlink_packet_route::link::{
    LinkAttribute, LinkExtentMask, LinkFlags, LinkLayerType, LinkMessage,
};
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Kernel, message, setting, since_start};
use crate::desired::TABLE;
use crate::error::Error;
use crate::state::{Address, DeviceSetting, GlobalSetting, Link, Setting, State};

type Settings = BTreeMap<Setting, u32>;

impl Kernel {
    /// What the kernel holds now.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer; reading needs no privilege but for nftables.
    pub async fn read(&mut self) -> Result<State, Error> {
        let state = self.read_unprivileged().await?;
        Ok(State {
            firewall: self.read_firewall()?,
            ..state
        })
    }

    /// The table `ip multiwan` of nftables; none where it is not there.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer, above all for want of CAP_NET_ADMIN.
    pub fn read_firewall(&mut self) -> Result<Option<nft::Table>, Error> {
        self.netfilter
            .read(Family::Ip, TABLE)
            .map_err(Error::Netfilter)
    }

    /// As [`Kernel::read`], but for nftables, and so without any privilege.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub async fn read_unprivileged(&mut self) -> Result<State, Error> {
        let (links, settings) = self.read_settings().await?;
        let names = self.names();
        Ok(State {
            links,
            addresses: self.addresses(&names).await?,
            settings,
            rules: self.rules().await?,
            routes: self.routes(&names).await?,
            firewall: None,
        })
    }

    /// The links, and the settings of all of them and of the whole network.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub async fn read_settings(&mut self) -> Result<(BTreeMap<String, Link>, Settings), Error> {
        let mut settings = Settings::new();
        for global in GlobalSetting::ALL {
            let key = Setting::Global(global);
            let value = setting::read_global(global).map_err(|source| Error::Sysctl {
                setting: key.clone(),
                source,
            })?;
            settings.extend(value.map(|value| (key, value)));
        }
        let links = self.links(&mut settings).await?;
        let names = self.names();
        self.neighbour_settings(&names, &mut settings).await?;
        Ok((links, settings))
    }

    /// The interfaces that were read last, by their numbers.
    pub(super) fn names(&self) -> BTreeMap<u32, String> {
        let indices = self.indices.iter();
        indices
            .map(|(name, index)| (*index, name.clone()))
            .collect()
    }

    async fn links(&mut self, settings: &mut Settings) -> Result<BTreeMap<String, Link>, Error> {
        let mut question = LinkMessage::default();
        question
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let answers = self
            .list("links", RouteNetlinkMessage::GetLink(question))
            .await?;
        self.indices.clear();
        let mut links = BTreeMap::new();
        for answer in answers {
            let RouteNetlinkMessage::NewLink(message) = answer else {
                continue;
            };
            let Some(name) = name_of(&message) else {
                continue;
            };
            if let Some(conf) = DeviceConf::from_link(&message) {
                for setting in DeviceSetting::ALL {
                    let value = u32::try_from(conf.get(setting)).unwrap_or(0);
                    settings.insert(Setting::Device(name.to_owned(), setting), value);
                }
            }
            let up = message.header.flags.contains(LinkFlags::Up);
            self.indices.insert(name.to_owned(), message.header.index);
            let link = Link {
                up,
                cleared: false,
                arp: asks_by_arp(&message),
                mtu: mtu_of(&message),
            };
            links.insert(name.to_owned(), link);
        }
        Ok(links)
    }

    async fn neighbour_settings(
        &mut self,
        names: &BTreeMap<u32, String>,
        settings: &mut Settings,
    ) -> Result<(), Error> {
        let question = RouteNetlinkMessage::GetNeighbourTable(neighbour_table::get_message());
        let answers = self.list("neighbour tables", question).await?;
        let table = ArpTable::from_messages(answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewNeighbourTable(table) => Some(table),
            _ => None,
        }));
        for (index, conf) in table.devices {
            let Some(name) = names.get(&index) else {
                continue;
            };
            settings.extend(conf.into_iter().map(|(setting, value)| {
                let value = u32::try_from(value).unwrap_or(u32::MAX);
                (Setting::Neighbour(name.clone(), setting), value)
            }));
        }
        Ok(())
    }

    async fn addresses(
        &mut self,
        names: &BTreeMap<u32, String>,
    ) -> Result<BTreeSet<Address>, Error> {
        let mut question = netlink_packet_route::address::AddressMessage::default();
        question.header.family = AddressFamily::Inet;
        let answers = self
            .list("addresses", RouteNetlinkMessage::GetAddress(question))
            .await?;
        let now = since_start();
        let addresses = answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(address) => message::read_address(address, names, now),
            _ => None,
        });
        let ranked = addresses
            .enumerate()
            .map(|(rank, address)| Address { rank, ..address });
        Ok(ranked.collect())
    }

    pub(super) async fn rules(&mut self) -> Result<Vec<crate::state::Rule>, Error> {
        let mut question = netlink_packet_route::rule::RuleMessage::default();
        question.header.family = AddressFamily::Inet;
        let answers = self
            .list("rules", RouteNetlinkMessage::GetRule(question))
            .await?;
        Ok(answers
            .iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRule(rule) => message::read_rule(rule),
                _ => None,
            })
            .collect())
    }

    async fn routes(
        &mut self,
        names: &BTreeMap<u32, String>,
    ) -> Result<Vec<crate::state::Route>, Error> {
        let routes = self.route_messages().await?;
        let routes = routes.iter();
        Ok(routes
            .filter_map(|route| message::read_route(route, names))
            .collect())
    }

    /// The IPv4 routes of all tables, as the kernel says them.
    pub(super) async fn route_messages(&mut self) -> Result<Vec<RouteMessage>, Error> {
        let mut question = RouteMessage::default();
        question.header.address_family = AddressFamily::Inet;
        let question = RouteNetlinkMessage::GetRoute(question);
        let answers = self.list("routes", question).await?.into_iter();
        Ok(answers
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRoute(route) => Some(route),
                _ => None,
            })
            .collect())
    }

    pub(super) async fn list(
        &mut self,
        what: &'static str,
        question: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.dump(question)
            .await
            .map_err(|refusal| Error::Read { what, refusal })
    }
}

/// Ethernet, unless that was switched off (`ip link set dev eth1 arp off`).
pub(crate) fn asks_by_arp(link: &LinkMessage) -> bool {
    link.header.link_layer_type == LinkLayerType::Ether
        && !link.header.flags.contains(LinkFlags::Noarp)
}

fn mtu_of(link: &LinkMessage) -> Option<u32> {
    let mut attributes = link.attributes.iter();
    attributes.find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    })
}

pub(super) fn name_of(message: &LinkMessage) -> Option<&str> {
    message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.as_str()),
            _ => None,
        })
}
