//! All that tells of a router's lines, for `import`.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::{self, Family};
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkLayerType, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::read::name_of;
use super::{Kernel, message, surroundings};
use crate::clashes::ForeignRule;
use crate::desired::TABLE;
use crate::error::Error;
use crate::import::{Remembered, Router};
use crate::record::Record;
use crate::state::{FOR_EVER, State};

impl Kernel {
    /// What this network namespace holds, with the privileges that this process has: without
    /// CAP_NET_ADMIN nftables stays hidden. Nothing is changed.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub async fn router(&mut self) -> Result<Router, Error> {
        let mut state = self.read_unprivileged().await?;
        let mut tables = Vec::new();
        let hidden = match self.read_firewall() {
            Ok(firewall) => {
                state.firewall = firewall;
                tables = self.other_tables()?;
                None
            }
            Err(error) if error.exit_status() == 3 => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok(Router {
            odd_rules: self.odd_rules().await?,
            leased: leased(&state),
            ppp: self.ppp().await?,
            by_object: self.by_object().await?,
            behind: self.behind().await?,
            tables,
            hidden,
            remembered: remembered(),
            state,
        })
    }

    /// Those of IPv4 that are not multiwan's. One that is gone in between, or is of a kind that is
    /// not understood, translates nothing.
    fn other_tables(&mut self) -> Result<Vec<nft::Table>, Error> {
        let named = self.netfilter.tables().map_err(Error::Netfilter)?;
        let others = named.into_iter().filter(|(family, name)| {
            matches!(family, Family::Ip | Family::Inet)
                && (*family, name.as_str()) != (Family::Ip, TABLE)
        });
        Ok(others
            .filter_map(|(family, name)| self.netfilter.read(family, &name).ok().flatten())
            .collect())
    }

    async fn odd_rules(&mut self) -> Result<Vec<ForeignRule>, Error> {
        let mut question = RuleMessage::default();
        question.header.family = AddressFamily::Inet;
        let answers = self.list("rules", RouteNetlinkMessage::GetRule(question));
        let odd = |answer: &RouteNetlinkMessage| match answer {
            RouteNetlinkMessage::NewRule(rule) if message::read_rule(rule).is_none() => {
                surroundings::rule(rule)
            }
            _ => None,
        };
        Ok(answers.await?.iter().filter_map(odd).collect())
    }

    async fn ppp(&mut self) -> Result<BTreeSet<String>, Error> {
        let mut question = LinkMessage::default();
        question
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let answers = self.list("links", RouteNetlinkMessage::GetLink(question));
        let ppp = |answer: &RouteNetlinkMessage| match answer {
            RouteNetlinkMessage::NewLink(link)
                if link.header.link_layer_type == LinkLayerType::Ppp =>
            {
                name_of(link).map(str::to_owned)
            }
            _ => None,
        };
        Ok(answers.await?.iter().filter_map(ppp).collect())
    }

    async fn by_object(&mut self) -> Result<BTreeSet<u32>, Error> {
        let mut question = RouteMessage::default();
        question.header.address_family = AddressFamily::Inet;
        let answers = self.list("routes", RouteNetlinkMessage::GetRoute(question));
        Ok(answers
            .await?
            .iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRoute(route) => by_object_alone(route),
                _ => None,
            })
            .collect())
    }
}

fn leased(state: &State) -> BTreeSet<(String, Ipv4Net)> {
    let leased = state.addresses.iter().filter(|address| {
        let lifetime = address.attributes.lifetime;
        lifetime.is_some_and(|lifetime| lifetime.valid != FOR_EVER)
    });
    leased
        .map(|address| (address.interface.clone(), address.address))
        .collect()
}

/// The table of a default route that names a nexthop object and not where that leads.
fn by_object_alone(route: &RouteMessage) -> Option<u32> {
    let mut table = u32::from(route.header.table);
    let (mut object, mut led) = (false, false);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::NhId(_) => object = true,
            RouteAttribute::Oif(_) | RouteAttribute::MultiPath(_) => led = true,
            _ => {}
        }
    }
    (object && !led && route.header.destination_prefix_length == 0).then_some(table)
}

/// Nothing where nothing can be read.
fn remembered() -> Remembered {
    let Ok(record) = Record::open() else {
        return Remembered::default();
    };
    let content = record.content();
    Remembered {
        names: content
            .numbers
            .iter()
            .map(|(name, number)| (*number, name.clone()))
            .collect(),
        addresses: content.addresses.clone(),
    }
}
