//! What main leads to by each card, as far as hosts are there.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};

use super::Kernel;
use crate::error::Error;
use crate::state::{Behind, TABLE_MAIN};

impl Kernel {
    /// The networks that main leads to, but for default routes; one of several ways is one for each
    /// interface.
    pub(super) async fn behind(&mut self) -> Result<Vec<Behind>, Error> {
        let names = self.names();
        let routes = self.route_messages().await?;
        let routes = routes.iter();
        Ok(routes.flat_map(|route| behind(route, &names)).collect())
    }
}

fn behind(message: &RouteMessage, names: &BTreeMap<u32, String>) -> Vec<Behind> {
    let header = &message.header;
    let mut table = u32::from(header.table);
    let mut to = Ipv4Addr::UNSPECIFIED;
    let mut cards = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(RouteAddress::Inet(address)) => to = *address,
            RouteAttribute::Oif(index) => cards.push(*index),
            RouteAttribute::MultiPath(hops) => {
                cards.extend(hops.iter().map(|hop| hop.interface_index));
            }
            _ => {}
        }
    }
    let length = header.destination_prefix_length;
    let (Ok(network), true) = (
        Ipv4Net::new(to, length),
        table == TABLE_MAIN && header.kind == RouteType::Unicast && length != 0,
    ) else {
        return Vec::new();
    };
    cards.sort_unstable();
    cards.dedup();
    let names = cards.iter().filter_map(|card| names.get(card));
    names
        .map(|name| Behind {
            network,
            interface: name.clone(),
        })
        .collect()
}
