//! The lab for a described configuration.

use multiwan::config::Config;
use multiwan_lab::Topology;

use crate::judgement::Trouble;

/// The lab's topology for a described configuration.
pub(super) fn topology(config: &Config) -> Result<Topology, Trouble> {
    let [lan] = &config.lans[..] else {
        return Err(Trouble::Lab("the lab has exactly one LAN".to_owned()));
    };
    let mut topology = Topology::new(&lan.interface, lan.address);
    for line in &config.lines {
        let (Some(address), Some(gateway)) = (line.address, line.gateway) else {
            return Err(Trouble::Lab(format!(
                "the lab needs {}'s address and gateway",
                line.name
            )));
        };
        topology = topology.line(&line.interface, address, gateway);
    }
    let room = topology.lan.router.hosts().count().saturating_sub(1);
    let clients = topology.clients.min(room);
    Ok(topology.clients(clients))
}
