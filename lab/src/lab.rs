//! Building a lab from its topology.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::error::Error;
use crate::fault::Fault;
use crate::host::{self, Device, Host, LOOPBACK, Mac};
use crate::hub::Hub;
use crate::rate::{self, Provider};
use crate::sandbox::Sandbox;
use crate::slow::Slow;
use crate::topology::Topology;

/// How long a link may take to pass frames: the kernel needs a few milliseconds, a machine that
/// stalls a second.
const LINK_PATIENCE: Duration = Duration::from_secs(10);

/// A lab: hosts, links, and nothing that outlives it.
pub struct Lab {
    pub(crate) topology: Topology,
    pub(crate) router: Host,
    pub(crate) switch: Host,
    pub(crate) clients: Vec<Client>,
    pub(crate) modems: Vec<Modem>,
    pub(crate) hubs: Vec<Hub>,
    pub(crate) internet: Host,
    /// The switch's end of the router's LAN cable.
    pub(crate) lan_port: Device,
    /// The router's end of it.
    pub(crate) lan_card: Device,
}

/// A client host.
pub struct Client {
    pub(crate) host: Host,
    pub(crate) address: Ipv4Addr,
    pub(crate) card: Device,
}

/// A fake DSL modem: it forwards between its line and the Internet, and translates nothing.
pub struct Modem {
    pub(crate) host: Host,
    /// Its end of the router's cable.
    pub(crate) lan: Device,
    /// The router's end of it, or of the hub's.
    pub(crate) router_card: Device,
    /// Its end of its uplink.
    pub(crate) isp: Device,
    /// Whether the router's card is other modems' too.
    pub(crate) on_hub: bool,
    /// Whether a provider's address is on the router's card.
    pub(crate) leased: bool,
    /// The Internet's end of its uplink.
    pub(crate) internet_card: Device,
    pub(crate) fault: Option<Fault>,
    /// Behind it, where its line has a rate.
    pub(crate) provider: Option<Provider>,
    /// Answers in its stead while it is slow.
    pub(crate) slow: Option<Slow>,
}

impl Client {
    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The host.
    pub fn host(&mut self) -> &mut Host {
        &mut self.host
    }
}

impl Lab {
    /// Builds a lab in a sandbox; the sandbox's own network namespace becomes the router.
    ///
    /// # Errors
    ///
    /// Says what was refused, on which host. What was built is gone when this returns.
    pub fn build(_proof: &Sandbox, topology: Topology) -> Result<Self, Error> {
        topology.check()?;
        let mut router = Host::here("router")?;
        let mut switch = Host::create("switch", &[("bridge/bridge-nf-call-iptables", "0")])?;
        // A router under test that sends a line's source by another line is answered by the right
        // one, as where no provider filters: the Internet forwards between the modems, also what
        // its own servers say.
        let settings = [
            ("ipv4/ip_forward", "1"),
            ("ipv4/conf/all/accept_local", "1"),
            // Fragments show no port to the rule that leaves frames to the lab: put together they
            // would be refused by the kernel.
            ("ipv4/ipfrag_low_thresh", "0"),
            ("ipv4/ipfrag_high_thresh", "0"),
        ];
        let mut internet = Host::create("internet", &settings)?;

        let br0 = device("br0", 2, mac(Part::Switch, 0));
        let lan_card = device(&topology.lan.interface, 2, mac(Part::Router, 0));
        let lan_port = device("router", 3, mac(Part::Switch, 1));
        switch.change([
            host::bridge(&br0),
            host::veth(&lan_port, true, Some(br0.index), &lan_card, &router),
        ])?;

        let mut hubs = Vec::new();
        let modems = build_modems(&topology, &mut router, &mut internet, &mut hubs)?;
        let clients = build_clients(&topology, &mut switch, br0.index, lan_card.mac)?;

        let cards: Vec<_> = modems.iter().map(|modem| &modem.internet_card).collect();
        let mut changes = vec![host::up(LOOPBACK), host::own(topology.servers)];
        changes.extend(host::frame_ports(&cards, Some(topology.servers)));
        for (number, line) in topology.lines.iter().enumerate() {
            let (ours, modems) = Topology::uplink(number);
            changes.push(host::address(
                cards[number].index,
                Ipv4Net::new_assert(ours, 30),
            ));
            changes.push(host::neighbour(
                cards[number].index,
                modems,
                mac(Part::Modem, 2 * number as u16 + 1),
            ));
            // The router's own address only: networks of several lines may overlap.
            changes.push(host::route(Ipv4Net::from(line.router.addr()), modems));
        }
        internet.change(changes)?;
        router.change([host::up(LOOPBACK)])?;

        let mut lab = Self {
            topology,
            router,
            switch,
            clients,
            modems,
            hubs,
            internet,
            lan_port,
            lan_card,
        };
        lab.wait_inner_links()?;
        Ok(lab)
    }

    /// What it looks like.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The router: the namespace that this process lives in.
    pub fn router(&mut self) -> &mut Host {
        &mut self.router
    }

    /// All hosts, the router first.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        let modems = self.modems.iter().map(|modem| &modem.host);
        let providers = self
            .modems
            .iter()
            .filter_map(|modem| modem.provider.as_ref());
        let clients = self.clients.iter().map(|client| &client.host);
        [&self.router]
            .into_iter()
            .chain(modems)
            .chain(providers.map(|provider| &provider.host))
            .chain([&self.internet, &self.switch])
            .chain(clients)
    }

    /// The client with this number, from 0.
    pub fn client(&mut self, client: usize) -> &mut Client {
        &mut self.clients[client]
    }

    /// The Internet.
    pub fn internet(&mut self) -> &mut Host {
        &mut self.internet
    }

    /// Waits until the router's links pass frames: once its own ends are up, the far ends need a
    /// moment to notice. Lines with a fault and devices that are down are left out. The clients are
    /// made known to the router by the way.
    ///
    /// # Errors
    ///
    /// [`Error::Deadline`] when a link stays down.
    pub fn wait_router_links(&mut self) -> Result<(), Error> {
        if is_up(&mut self.router, &self.lan_card.name)? {
            self.switch
                .wait_running(&self.lan_port.name, LINK_PATIENCE)?;
            self.introduce_clients()?;
        }
        for hub in &mut self.hubs {
            if is_up(&mut self.router, &hub.card.name)? {
                hub.host.wait_running(Hub::PORTS[1].0, LINK_PATIENCE)?;
            }
        }
        for modem in &mut self.modems {
            if modem.fault.is_none() && is_up(&mut self.router, &modem.router_card.name)? {
                modem.host.wait_running(&modem.lan.name, LINK_PATIENCE)?;
            }
        }
        Ok(())
    }

    /// Links are made with one end up; that end learns later that the other came up too.
    fn wait_inner_links(&mut self) -> Result<(), Error> {
        for client in 0..self.clients.len() {
            self.switch
                .wait_running(&port_name(client), LINK_PATIENCE)?;
        }
        for modem in &mut self.modems {
            self.internet
                .wait_running(&modem.internet_card.name, LINK_PATIENCE)?;
            if let Some(provider) = &mut modem.provider {
                provider.host.wait_running(Provider::DOWN, LINK_PATIENCE)?;
            }
        }
        Ok(())
    }
}

fn build_modems(
    topology: &Topology,
    router: &mut Host,
    internet: &mut Host,
    hubs: &mut Vec<Hub>,
) -> Result<Vec<Modem>, Error> {
    let mut modems = Vec::with_capacity(topology.lines.len());
    for (number, line) in topology.lines.iter().enumerate() {
        let nth = number as u16;
        let mut host = Host::create(format!("modem{}", number + 1), &[("ipv4/ip_forward", "1")])?;
        let mut lan = device("lan", 2, mac(Part::Modem, 2 * nth));
        let isp = device("isp", 3, mac(Part::Modem, 2 * nth + 1));
        let known = hubs.iter().find(|hub| hub.card.name == line.interface);
        let router_card = match known {
            Some(hub) => hub.card.clone(),
            None => device(
                &line.interface,
                3 + u32::from(nth),
                mac(Part::Router, 1 + nth),
            ),
        };
        if line.point_to_point {
            // Without ARP a frame goes to the sender's own address.
            lan.mac = router_card.mac;
        }
        let on_hub = topology.shares_card(number);
        let internet_card = device(
            &format!("isp{}", number + 1),
            2 + u32::from(nth),
            mac(Part::Internet, nth),
        );
        let provider = match line.rate {
            None => {
                internet.change([host::veth(&internet_card, true, None, &isp, &host)])?;
                None
            }
            Some(rate) => {
                let ends = ((&internet_card, &mut *internet), (&isp, &host));
                let servers = topology.servers;
                Some(Provider::create(number, rate, servers, ends.0, ends.1)?)
            }
        };
        let (gateway, own) = Topology::uplink(number);
        if on_hub {
            plug(hubs, &router_card, router, &lan, &host, nth)?;
            host.change([host::up(lan.index)])?;
        } else {
            host.change([host::veth(&lan, true, None, &router_card, router)])?;
        }
        host.change([
            host::up(LOOPBACK),
            host::up(isp.index),
            host::address(isp.index, Ipv4Net::new_assert(own, 30)),
            host::route(Ipv4Net::default(), gateway),
            host::neighbour(isp.index, gateway, internet_card.mac),
        ])?;
        host.change(line.rate.map(|rate| rate::limit(isp.index, rate)))?;
        if line.point_to_point {
            router.change([host::no_arp(router_card.index)])?;
            host.change([
                host::no_arp(lan.index),
                host::peer_address(lan.index, line.gateway, line.router.addr()),
            ])?;
        } else {
            host.change([
                host::address(
                    lan.index,
                    Ipv4Net::new_assert(line.gateway, line.router.prefix_len()),
                ),
                // Its own ARP would tell the router that a dead line is alive.
                host::neighbour(lan.index, line.router.addr(), router_card.mac),
            ])?;
        }
        modems.push(Modem {
            host,
            lan,
            router_card,
            isp,
            on_hub,
            leased: false,
            internet_card,
            fault: None,
            provider,
            slow: None,
        });
    }
    Ok(modems)
}

/// Plugs a modem into the hub of the router's card, which the first one makes.
fn plug(
    hubs: &mut Vec<Hub>,
    card: &Device,
    router: &Host,
    lan: &Device,
    modem: &Host,
    nth: u16,
) -> Result<(), Error> {
    let at = match hubs.iter().position(|hub| hub.card == *card) {
        Some(at) => at,
        None => {
            let ends = Hub::PORTS.map(|(name, index)| {
                let number = 2 * (u16::from(u8::MAX) - nth) + index as u16;
                device(name, index, mac(Part::Hub, number))
            });
            hubs.push(Hub::create(card.clone(), router, ends)?);
            hubs.len() - 1
        }
    };
    let hub = &mut hubs[at];
    let port = device(modem.name(), hub.next_port(), mac(Part::Hub, nth));
    hub.plug(&port, lan, modem)
}

fn build_clients(
    topology: &Topology,
    switch: &mut Host,
    bridge: u32,
    router: Mac,
) -> Result<Vec<Client>, Error> {
    let lan = topology.lan.router;
    let addresses = topology.client_addresses().take(topology.clients);
    let mut clients = Vec::with_capacity(topology.clients);
    for (number, address) in addresses.enumerate() {
        let nth = number as u16;
        let mut host = Host::create(format!("client{}", number + 1), &[])?;
        let card = device("eth0", 2, mac(Part::Client, nth));
        let port = device(
            &port_name(number),
            4 + u32::from(nth),
            mac(Part::Switch, 2 + nth),
        );
        switch.change([host::veth(&port, true, Some(bridge), &card, &host)])?;
        let mut changes = vec![
            host::up(LOOPBACK),
            host::up(card.index),
            host::address(card.index, Ipv4Net::new_assert(address, lan.prefix_len())),
            host::route(Ipv4Net::default(), lan.addr()),
            host::neighbour(card.index, lan.addr(), router),
        ];
        changes.extend(host::frame_ports(&[&card], None));
        host.change(changes)?;
        clients.push(Client {
            host,
            address,
            card,
        });
    }
    Ok(clients)
}

fn is_up(host: &mut Host, device: &str) -> Result<bool, Error> {
    use netlink_packet_route::link::LinkFlags;
    Ok(host.link(device)?.header.flags.contains(LinkFlags::Up))
}

fn port_name(client: usize) -> String {
    format!("client{}", client + 1)
}

fn device(name: &str, index: u32, mac: Mac) -> Device {
    Device {
        name: name.to_owned(),
        index,
        mac,
    }
}

#[derive(Clone, Copy)]
enum Part {
    Router = 1,
    Switch,
    Modem,
    Internet,
    Client,
    Hub,
}

/// A locally administered address that says in a capture whose it is.
fn mac(part: Part, number: u16) -> Mac {
    let [high, low] = number.to_be_bytes();
    [0x02, b'm', b'w', part as u8, high, low]
}
