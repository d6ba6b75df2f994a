//! The lab for a described configuration.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan::config::{Config, Line, Target};
use multiwan_lab::Topology;

use crate::judgement::Trouble;

/// Whether there can be a lab for a described configuration; if not, why.
///
/// # Errors
///
/// What is in the way.
pub fn can_be_built(config: &Config) -> Result<(), String> {
    let topology = topology(config).map_err(|trouble| trouble.to_string())?;
    topology.check().map_err(|error| error.to_string())
}

/// The lab's topology for a described configuration.
pub(super) fn topology(config: &Config) -> Result<Topology, Trouble> {
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
    let targets = &config.keepalive.targets;
    // One answer is enough.
    if let (Some(target), false) = (targets.first(), targets.iter().any(is_there)) {
        return Err(Trouble::Lab(format!(
            "nobody in the lab answers as the target {}: its Internet is {INTERNET}, without name servers",
            target.address()
        )));
    }
    match topology.clients.min(room(&topology, topology.clients)) {
        0 => Err(Trouble::Lab(format!(
            "{} has no room for a client",
            lan.address
        ))),
        clients => Ok(topology.clients(clients)),
    }
}

/// Where the lab's servers are.
const INTERNET: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15);

/// Whether the lab's Internet answers as this target.
fn is_there(target: &Target) -> bool {
    !matches!(target, Target::Dns(_)) && INTERNET.contains(&target.address())
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
    let lan = topology.lan.router;
    let free = lan.hosts().filter(|&address| address != lan.addr());
    free.take(at_most).count()
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
    fn a_target_that_nobody_answers_as_is_named() {
        let two = crate::configuration::TWO_LINES.toml;
        let built = |target: &str| {
            let text = two.replace(
                "[keepalive]",
                &format!("[keepalive]\ntargets = [\"{target}\"]"),
            );
            can_be_built(&Config::parse(&text, "test.toml").unwrap())
        };
        assert_eq!(built("198.18.0.53"), Ok(()));
        assert_eq!(built("tcp:198.19.0.53:443"), Ok(()));
        for target in ["8.8.8.8", "dns:198.18.0.53"] {
            assert!(built(target).unwrap_err().contains("answers as the target"));
        }
    }

    #[test]
    fn a_lan_without_room_for_a_client_is_named() {
        let two = crate::configuration::TWO_LINES.toml;
        let text = two.replace("192.0.2.1/24", "192.0.2.1/32");
        let config = Config::parse(&text, "test.toml").unwrap();
        assert!(can_be_built(&config).unwrap_err().contains("has no room"));
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
