//! The lab for a described configuration.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan::config::{Config, Line};
use multiwan_lab::Topology;

use crate::judgement::Trouble;

/// The lab's topology for a described configuration.
pub(super) fn topology(config: &Config) -> Result<Topology, Trouble> {
    let [lan] = &config.lans[..] else {
        return Err(Trouble::Lab("the lab has exactly one LAN".to_owned()));
    };
    let mut topology = Topology::new(&lan.interface, lan.address);
    for (line, number) in config.lines.iter().zip(1..) {
        let (near, far) = (given(number, 2), line.gateway.unwrap_or(given(number, 1)));
        topology = match line.address {
            _ if is_point_to_point(line) => {
                let near = line.address.map_or(near, |address| address.addr());
                topology.point_to_point(&line.interface, near, far)
            }
            Some(address) => topology.line(&line.interface, address, far),
            None if line.gateway.is_some() => {
                return Err(Trouble::Lab(format!(
                    "the lab's provider gives {} its gateway too; leave that out",
                    line.name
                )));
            }
            None => topology.line(&line.interface, network(near), far),
        };
    }
    let room = topology.lan.router.hosts().count().saturating_sub(1);
    let clients = topology.clients.min(room);
    Ok(topology.clients(clients))
}

/// Whether the lab makes the line a link without ARP: nothing else can be without a gateway, and what
/// is called so is.
pub fn is_point_to_point(line: &Line) -> bool {
    line.gateway.is_none() && (!line.dynamic || line.interface.starts_with("ppp"))
}

/// The networks that the lab's providers give addresses from, as those do that translate once more
/// (RFC 6598): for each line as many as it is told to move through.
pub(super) fn given(network: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(100, 64, network, host)
}

/// What a provider tells of its network.
pub(super) fn network(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new_assert(address, 24)
}
