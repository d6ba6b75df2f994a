//! The lab for a described configuration.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan::config::{Config, Line};
use multiwan_lab::Topology;

use super::pins::{self, Pins};
use crate::judgement::Trouble;

/// Whether there can be a lab for a described configuration; if not, why.
///
/// # Errors
///
/// What is in the way.
pub fn can_be_built(config: &Config, pins: Pins) -> Result<(), String> {
    let topology = topology(config, pins).map_err(|trouble| trouble.to_string())?;
    topology.check().map_err(|error| error.to_string())
}

/// The lab's topology for a described configuration.
pub(super) fn topology(config: &Config, pins: Pins) -> Result<Topology, Trouble> {
    let [lan] = &config.lans[..] else {
        return Err(Trouble::Lab("the lab has one LAN".to_owned()));
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
    topology.servers = pins::servers(config, pins).map_err(Trouble::Lab)?;
    pins::leave_some(config).map_err(Trouble::Lab)?;
    if pins == Pins::Avoided {
        topology.vacant = pins::sources(config);
    }
    let clients = room(&topology, topology.clients);
    let topology = topology.clients(clients);
    if unpinned(&topology, config).is_empty() {
        return Err(Trouble::Lab(format!(
            "{} has no room for a client{}",
            lan.address,
            match pins::sources(config)[..] {
                [] => "",
                _ => " that is not pinned",
            }
        )));
    }
    Ok(topology)
}

/// The clients with a kernel of their own that no pin sends by one line, whatever they ask for.
pub(super) fn unpinned(topology: &Topology, config: &Config) -> Vec<usize> {
    let pinned = pins::sources(config);
    let clients = topology.client_addresses().take(topology.clients);
    let free = |address: &Ipv4Addr| !pinned.iter().any(|net| net.contains(address));
    let free = clients.enumerate().filter(|(_, address)| free(address));
    free.map(|(client, _)| client).collect()
}

/// With so many clients more that have no kernel. A LAN that has no room for all has a kernel for one
/// of four.
pub(super) fn with_more(topology: Topology, more: usize) -> Topology {
    let wanted = topology.clients + more;
    let room = room(&topology, wanted);
    let clients = if room < wanted {
        topology.clients.min((room / 4).max(1))
    } else {
        topology.clients
    };
    topology
        .clients(clients)
        .flyweights(more.min(room - clients))
}

/// For how many clients a LAN has addresses, so many at most.
fn room(topology: &Topology, at_most: usize) -> usize {
    topology.room().take(at_most).count()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lan: &str, more: usize) -> (usize, usize) {
        let topology = Topology::new("eth0", lan.parse().unwrap());
        let clients = topology.clients.min(room(&topology, topology.clients));
        let topology = with_more(topology.clients(clients), more);
        let clients = (topology.clients, topology.flyweights);
        assert!(topology.client_addresses().count() == clients.0 + clients.1);
        clients
    }

    #[test]
    fn clients_have_addresses_that_no_pin_is_about() {
        let two = crate::configuration::TWO_LINES.toml;
        let built = |from: &str, pins| {
            let text = format!("{two}\n[[pin]]\nfrom = \"{from}\"\nline = \"dsl1\"\n");
            topology(&Config::parse(&text, "test.toml").unwrap(), pins)
        };
        let addresses = |from, pins| {
            let topology = built(from, pins).unwrap();
            let addresses: Vec<_> = topology.client_addresses().collect();
            (addresses.len(), addresses[0].octets()[3])
        };
        assert_eq!(addresses("192.0.2.0/28", Pins::Avoided), (17, 16));
        assert_eq!(addresses("192.0.2.0/28", Pins::Met), (17, 2));
        let error = built("192.0.2.0/24", Pins::Avoided).unwrap_err();
        assert!(error.to_string().contains("client that is not pinned"));
    }

    #[test]
    fn a_lan_without_room_for_a_client_is_named() {
        let two = crate::configuration::TWO_LINES.toml;
        let text = two.replace("192.0.2.1/24", "192.0.2.1/32");
        let config = Config::parse(&text, "test.toml").unwrap();
        let error = can_be_built(&config, Pins::Avoided).unwrap_err();
        assert!(error.contains("has no room"));
    }

    #[test]
    fn a_small_lan_has_as_many_clients_as_it_has_room_for() {
        assert_eq!(of("192.0.2.1/24", 64), (17, 64));
        assert_eq!(of("192.0.2.1/24", 0), (17, 0));
        assert_eq!(of("192.0.2.1/26", 64), (15, 46));
        assert_eq!(of("192.0.2.1/28", 0), (13, 0));
        assert_eq!(of("192.0.2.1/28", 64), (3, 10));
        assert_eq!(of("192.0.2.1/29", 64), (1, 4));
        assert_eq!(of("192.0.2.1/30", 64), (1, 0));
    }
}
