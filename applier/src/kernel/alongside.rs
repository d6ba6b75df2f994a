//! Routes that an address takes along when it goes.
//!
//! With an address the kernel removes, in all tables, the routes that suggest it as their source
//! (`fib_sync_down_addr` in `net/ipv4/fib_semantics.c`), and with an interface's last one all routes by
//! that (`fib_inetaddr_event` in `net/ipv4/fib_frontend.c`), and tells of neither. Those by a gateway in a
//! network that is gone stay otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHopFlags, RouteProtocol,
    RouteType,
};
use serde::{Deserialize, Serialize};

use super::Kernel;
use crate::difference::Step;
use crate::error::Error;
use crate::state::{Address, TABLE_MAIN, word};

/// A route of somebody else's that may go with an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alongside {
    /// As `ip route` shows it.
    shown: String,
    #[serde(with = "bytes")]
    message: RouteMessage,
}

impl Kernel {
    /// The routes that may go with the addresses that these steps remove, but for the default routes in
    /// `ours`, which are multiwan's.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub(crate) async fn alongside(
        &mut self,
        steps: &[Step],
        ours: &BTreeSet<u32>,
    ) -> Result<Vec<Alongside>, Error> {
        let going: Vec<&Address> = steps
            .iter()
            .filter_map(|step| match step {
                Step::RemoveAddress(address) => Some(address),
                _ => None,
            })
            .collect();
        if going.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.names();
        let routes = self.route_messages().await?;
        Ok(routes
            .into_iter()
            .filter(|route| is_somebody_s(route, ours) || stands_in(route, &going))
            .map(lasting)
            .filter(|route| going.iter().any(|address| may_go(route, address, &names)))
            .map(|message| Alongside {
                shown: shown(&message, &names),
                message,
            })
            .collect())
    }

    /// Puts back those that are not there, as far as the kernel takes them, and leads by the same
    /// interfaces still; gives those that it does not, as without the network of their gateway.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub(crate) async fn put_back(
        &mut self,
        routes: Vec<Alongside>,
    ) -> Result<Vec<Alongside>, Error> {
        if routes.is_empty() {
            return Ok(routes);
        }
        let there = self.route_messages().await?.into_iter();
        let there: Vec<RouteMessage> = there.map(lasting).collect();
        let gone = routes.into_iter();
        let gone = gone.filter(|route| !there.contains(&route.message));
        let names = self.names();
        let (mut left, astray): (Vec<_>, Vec<_>) =
            gone.partition(|route| route.shown == shown(&route.message, &names));
        loop {
            let tried = left.len();
            // One may lead to another's gateway.
            for route in std::mem::take(&mut left) {
                let new = RouteNetlinkMessage::NewRoute(route.message.clone());
                if self.change(new, NLM_F_CREATE | NLM_F_EXCL).await.is_err() {
                    left.push(route);
                }
            }
            if left.len() == tried || left.is_empty() {
                left.extend(astray);
                return Ok(left);
            }
        }
    }
}

fn is_somebody_s(route: &RouteMessage, ours: &BTreeSet<u32>) -> bool {
    let header = &route.header;
    let is_default = header.destination_prefix_length == 0;
    header.kind == RouteType::Unicast
        && header.protocol != RouteProtocol::Kernel
        && !(is_default && ours.contains(&table(route)))
}

/// Whether it is to the network of an address without one of the kernel's: NetworkManager puts such there
/// in the kernel's name.
fn stands_in(route: &RouteMessage, going: &[&Address]) -> bool {
    let mut alone = going.iter().filter(|one| one.attributes.no_prefix_route);
    let is_to = |network: Ipv4Net| {
        let to = RouteAddress::Inet(network.network());
        route.header.destination_prefix_length == network.prefix_len()
            && route.attributes.contains(&RouteAttribute::Destination(to))
    };
    route.header.kind == RouteType::Unicast && alone.any(|one| is_to(one.network()))
}

/// A route without what the kernel says of it at the moment.
fn lasting(mut route: RouteMessage) -> RouteMessage {
    route.header.flags &= RouteFlags::Onlink;
    let by_object = route
        .attributes
        .iter()
        .any(|attribute| matches!(attribute, RouteAttribute::NhId(_)));
    route.attributes.retain(|attribute| match attribute {
        RouteAttribute::CacheInfo(_) => false,
        // The object tells where it leads.
        RouteAttribute::Oif(_) | RouteAttribute::Gateway(_) | RouteAttribute::MultiPath(_) => {
            !by_object
        }
        _ => true,
    });
    for attribute in &mut route.attributes {
        if let RouteAttribute::MultiPath(hops) = attribute {
            for hop in hops {
                hop.flags &= RouteNextHopFlags::Onlink;
            }
        }
    }
    route
}

fn may_go(route: &RouteMessage, address: &Address, names: &BTreeMap<u32, String>) -> bool {
    let on = |index: &u32| names.get(index) == Some(&address.interface);
    route.attributes.iter().any(|attribute| match attribute {
        RouteAttribute::PrefSource(RouteAddress::Inet(source)) => *source == address.address.addr(),
        RouteAttribute::Oif(index) => on(index),
        RouteAttribute::MultiPath(hops) => hops.iter().any(|hop| on(&hop.interface_index)),
        _ => false,
    })
}

fn table(route: &RouteMessage) -> u32 {
    let named = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Table(table) => Some(*table),
            _ => None,
        });
    named.unwrap_or_else(|| route.header.table.into())
}

/// `10.1.0.0/16 via 198.51.100.9 dev eth1 src 198.51.100.2 metric 7 table 77`
fn shown(route: &RouteMessage, names: &BTreeMap<u32, String>) -> String {
    let way = |interface: u32, attributes: &[RouteAttribute]| {
        let via = attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(via)) => Some(format!(" via {via}")),
            _ => None,
        });
        let name = names.get(&interface).map_or("?", String::as_str);
        format!("{} dev {}", via.unwrap_or_default(), word(name))
    };
    let mut to = Ipv4Addr::UNSPECIFIED;
    // As `ip route` has them.
    let [mut led, mut source, mut metric, mut several] = [const { String::new() }; 4];
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => to = *address,
            RouteAttribute::NhId(id) => led = format!(" nhid {id}"),
            RouteAttribute::Oif(index) => led = way(*index, &route.attributes),
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => {
                source = format!(" src {address}");
            }
            RouteAttribute::Priority(number) => metric = format!(" metric {number}"),
            RouteAttribute::MultiPath(hops) => {
                let hops = hops.iter();
                let ways = hops.map(|hop| way(hop.interface_index, &hop.attributes));
                several = ways.map(|way| format!(" nexthop{way}")).collect();
            }
            _ => {}
        }
    }
    let to = match route.header.destination_prefix_length {
        0 => "default".to_owned(),
        length => format!("{to}/{length}"),
    };
    let table = match table(route) {
        TABLE_MAIN => String::new(),
        number => format!(" table {number}"),
    };
    format!("{to}{led}{source}{metric}{table}{several}")
}

impl fmt::Display for Alongside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// A route as the kernel was told it, in hexadecimal digits.
mod bytes {
    use netlink_packet_core::{Emitable as _, Parseable as _};
    use netlink_packet_route::route::RouteMessage;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        route: &RouteMessage,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut bytes = vec![0; route.buffer_len()];
        route.emit(&mut bytes);
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<RouteMessage, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        };
        let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        let bytes = bytes.ok_or_else(|| D::Error::custom("no hexadecimal digits"))?;
        RouteMessage::parse(&bytes).map_err(D::Error::custom)
    }
}
