//! A hub: one card of the router, several modems (how-to 2.3).

use crate::error::Error;
use crate::host::{self, Device, Host};

const BRIDGE: u32 = 2;
const ROUTER_PORT: u32 = 3;
/// Those behind it are the modems'.
const FIRST_PORT: u32 = 4;

/// What several lines' modems and one card of the router are plugged into.
pub(crate) struct Hub {
    pub(crate) host: Host,
    /// The router's card.
    pub(crate) card: Device,
    modems: u32,
}

impl Hub {
    /// Makes it, with the router's card plugged in. `ports` are its bridge and its end of that
    /// cable.
    pub(crate) fn create(card: Device, router: &Host, ports: [Device; 2]) -> Result<Self, Error> {
        let mut host = Host::create(
            format!("hub-{}", card.name),
            &[("bridge/bridge-nf-call-iptables", "0")],
        )?;
        let [bridge, port] = ports;
        host.change([
            host::bridge(&bridge),
            host::veth(&port, true, Some(BRIDGE), &card, router),
        ])?;
        Ok(Self {
            host,
            card,
            modems: 0,
        })
    }

    /// The indices of its bridge and of its end of the router's cable.
    pub(crate) const PORTS: [(&str, u32); 2] = [("br0", BRIDGE), ("router", ROUTER_PORT)];

    /// The index of the next modem's port.
    pub(crate) fn next_port(&self) -> u32 {
        FIRST_PORT + self.modems
    }

    /// Plugs a modem in.
    pub(crate) fn plug(&mut self, port: &Device, lan: &Device, modem: &Host) -> Result<(), Error> {
        self.modems += 1;
        self.host
            .change([host::veth(port, true, Some(BRIDGE), lan, modem)])
    }
}
