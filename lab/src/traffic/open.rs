//! The sockets that traffic goes through: all opened side by side, and all closed so.

use std::thread;

use multiwan_kernel::packet;

use super::flows::{Endpoint, Flows, Ports};
use super::port::Port;
use super::{Options, Recording, Traffic};
use crate::error::Error;
use crate::host::{Device, Host};
use crate::lab::{Lab, Modem};

impl Lab {
    /// Gets ready to make traffic and to capture what leaves.
    ///
    /// # Errors
    ///
    /// Says which socket could not be opened.
    pub fn traffic(&self, options: Options) -> Result<Traffic, Error> {
        let mut clients = Vec::new();
        let mut ports = Vec::new();
        for client in &self.clients {
            let (address, mac) = (client.address, client.card.mac);
            clients.push(Endpoint {
                address,
                mac,
                port: ports.len(),
            });
            ports.push((&client.host, &client.card, packet::IPV4, 512, false));
        }
        if self.topology.flyweights > 0 {
            let (mac, port) = (self.lan_port.mac, ports.len());
            let addresses = self.topology.client_addresses().skip(self.clients.len());
            clients.extend(addresses.map(|address| Endpoint { address, mac, port }));
            // All protocols: a switch takes frames away before those of one protocol are given out.
            ports.push((&self.switch, &self.lan_port, packet::ALL, 4096, false));
        }
        let mut servers = Vec::new();
        let mut taps = Vec::new();
        let mut on_hub = Vec::new();
        let mut cards = Vec::new();
        let record = options.capture && options.record > 0;
        for modem in &self.modems {
            let card = &modem.internet_card;
            servers.push((&self.internet, card, packet::IPV4, 4096, false));
            if options.capture {
                // All protocols: only such a capture comes before a silent modem's drop.
                taps.push((&modem.host, &modem.lan, packet::ALL, 16384, record));
                cards.push(&modem.router_card);
            }
            on_hub.push(modem.on_hub);
        }
        if record {
            taps.push((&self.switch, &self.lan_port, packet::ALL, 16384, true));
            cards.push(&self.lan_card);
        } else {
            cards.clear();
        }
        let recordings = cards
            .iter()
            .map(|card| Recording::new(&card.name, options.record));
        let [ports, servers, taps] = open_all([ports, servers, taps])?;
        let uplink = |modem: &Modem| (modem.internet_card.mac, modem.isp.mac);
        let uplinks = self.modems.iter().map(uplink).collect();
        let (router, internet) = (self.lan_card.mac, self.topology.servers);
        Ok(Traffic {
            flows: Flows::new(clients, router, uplinks, internet, options.window),
            ports: Ports {
                clients: ports,
                servers,
                taps,
            },
            cards: self
                .modems
                .iter()
                .map(|modem| modem.router_card.mac)
                .collect(),
            on_hub,
            recordings: recordings.collect(),
        })
    }
}

/// What a port is opened with.
type Opening<'a> = (&'a Host, &'a Device, u16, usize, bool);

/// Opens all ports side by side: each has to wait until no core of the machine is in the middle of
/// a packet, and one such wait serves for all.
fn open_all(openings: [Vec<Opening<'_>>; 3]) -> Result<[Vec<Port>; 3], Error> {
    let mut opened = [const { Vec::new() }; 3];
    thread::scope(|scope| {
        let open = |(host, device, ethertype, frames, both): Opening<'_>| {
            Port::open(host, device, ethertype, frames, both)
        };
        let opening = openings.map(|openings| -> Vec<_> {
            openings
                .into_iter()
                .map(|opening| scope.spawn(move || open(opening)))
                .collect()
        });
        for (opened, opening) in opened.iter_mut().zip(opening) {
            for port in opening {
                opened.push(port.join().expect("opening a port does not panic")?);
            }
        }
        Ok(opened)
    })
}

impl Drop for Traffic {
    /// Closes all ports side by side, for the same reason.
    fn drop(&mut self) {
        let Ports {
            clients,
            servers,
            taps,
        } = &mut self.ports;
        let all = [clients, servers, taps];
        thread::scope(|scope| {
            for port in all.into_iter().flat_map(std::mem::take) {
                scope.spawn(move || drop(port));
            }
        });
    }
}
