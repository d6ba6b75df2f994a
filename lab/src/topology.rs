//! What a lab looks like, before it is built: pure data.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::error::Error;
use crate::rate::Rate;

/// The how-to's network: clients behind a router with several lines, each through a modem to one
/// Internet.
///
/// ```text
/// client1 eth0 ─┐                     ┌─ eth1 ── lan modem1 isp ─┐
/// client2 eth0 ─┼─ switch ── eth0 router                         ├─ internet
/// client… eth0 ─┘                     └─ eth2 ── lan modem2 isp ─┘
/// ```
///
/// Lines that have the same card of the router are plugged into a hub, with their modems. Behind
/// the modem of a line with a [`Rate`] is a provider's router that holds back what is too much.
///
/// The router's devices are there, down and without addresses: to set them up is the business of
/// the applier under test. All else is up and runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The network behind the router.
    pub lan: Lan,
    /// The Internet lines, in order.
    pub lines: Vec<Line>,
    /// How many client hosts there are, each with a namespace of its own.
    pub clients: usize,
    /// How many clients there are beside these whose frames the lab makes itself, on the LAN's
    /// cable at the router: they have addresses and answer ARP, but no kernel.
    pub flyweights: usize,
    /// Addresses of the LAN that no client gets.
    pub vacant: Vec<Ipv4Net>,
    /// What the Internet answers for; by default the range for benchmarks (RFC 2544).
    pub servers: Ipv4Net,
}

/// The network behind the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lan {
    /// The router's device (IFI).
    pub interface: String,
    /// The router's address (IPI/NMI), which the clients use as their gateway.
    pub router: Ipv4Net,
}

/// An Internet line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The router's device (IFE).
    pub interface: String,
    /// The router's address (IPE/NME).
    pub router: Ipv4Net,
    /// The modem's address (GWE).
    pub gateway: Ipv4Addr,
    /// Whether it is a link between two without ARP, as PPP is.
    pub point_to_point: bool,
    /// What it carries; as much as the machine can where there is none.
    pub rate: Option<Rate>,
}

impl Topology {
    /// A LAN and no line yet, with the how-to's 17 clients.
    pub fn new(interface: &str, router: Ipv4Net) -> Self {
        Self {
            lan: Lan {
                interface: interface.to_owned(),
                router,
            },
            lines: Vec::new(),
            clients: 17,
            flyweights: 0,
            vacant: Vec::new(),
            servers: Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
        }
    }

    /// Adds a line.
    #[must_use]
    pub fn line(mut self, interface: &str, router: Ipv4Net, gateway: Ipv4Addr) -> Self {
        self.lines.push(Line {
            interface: interface.to_owned(),
            router,
            gateway,
            point_to_point: false,
            rate: None,
        });
        self
    }

    /// Adds a line between two addresses, without ARP.
    #[must_use]
    pub fn point_to_point(mut self, interface: &str, router: Ipv4Addr, peer: Ipv4Addr) -> Self {
        self = self.line(interface, router.into(), peer);
        self.lines.last_mut().expect("just added").point_to_point = true;
        self
    }

    /// Limits the line that was added last.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.lines.last_mut().expect("a line").rate = Some(rate);
        self
    }

    /// Whether another line has the same card.
    pub(crate) fn shares_card(&self, line: usize) -> bool {
        let card = &self.lines[line].interface;
        let sharing = self.lines.iter().filter(|other| other.interface == *card);
        sharing.count() > 1
    }

    /// Sets the number of clients.
    #[must_use]
    pub fn clients(mut self, clients: usize) -> Self {
        self.clients = clients;
        self
    }

    /// Sets the number of clients without a namespace.
    #[must_use]
    pub fn flyweights(mut self, flyweights: usize) -> Self {
        self.flyweights = flyweights;
        self
    }

    /// The clients' addresses, those of clients without a namespace last: from both ends of
    /// [`Topology::room`] by turns, as a LAN has its hosts all over.
    pub fn client_addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let mut room = self.room();
        (0..self.clients + self.flyweights).map_while(move |client| match client % 2 {
            0 => room.next(),
            _ => room.next_back(),
        })
    }

    /// The addresses that clients can have: the LAN's in order, without the router's and those that
    /// are to be vacant.
    pub fn room(&self) -> impl DoubleEndedIterator<Item = Ipv4Addr> {
        let router = self.lan.router;
        let taken = move |address: &Ipv4Addr| {
            *address == router.addr() || self.vacant.iter().any(|net| net.contains(address))
        };
        router.hosts().filter(move |address| !taken(address))
    }

    /// The link between a modem and the Internet: addresses of the Internet's and of the modem's
    /// end.
    pub(crate) fn uplink(line: usize) -> (Ipv4Addr, Ipv4Addr) {
        let base = u32::from(Ipv4Addr::new(10, 255, 0, 0)) + 4 * line as u32;
        (Ipv4Addr::from(base + 1), Ipv4Addr::from(base + 2))
    }

    /// Whether there can be such a lab.
    ///
    /// # Errors
    ///
    /// Says what cannot be built.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Topology(why));
        if self.lines.is_empty() || self.lines.len() > 60 {
            return refuse(format!("{} lines; 1 to 60 can be built", self.lines.len()));
        }
        let wanted = self.clients + self.flyweights;
        if self.client_addresses().count() < wanted {
            return refuse(format!(
                "{} has no room for {wanted} clients",
                self.lan.router
            ));
        }
        for (number, line) in self.lines.iter().enumerate() {
            let shared = self.shares_card(number);
            if line.interface == self.lan.interface || (shared && line.point_to_point) {
                return refuse(format!(
                    "{} is the LAN's card, or a point-to-point link of two lines",
                    line.interface
                ));
            }
            let near = line.point_to_point || line.router.contains(&line.gateway);
            if !near || line.gateway == line.router.addr() {
                return refuse(format!(
                    "the gateway {} does not fit {}",
                    line.gateway, line.router
                ));
            }
        }
        let inside = Ipv4Net::new_assert(Ipv4Addr::new(10, 255, 0, 0), 24);
        let nets = self
            .lines
            .iter()
            .map(|line| line.router)
            .chain([self.lan.router]);
        for net in nets.clone() {
            for other in [inside, self.servers] {
                if net.contains(&other) || other.contains(&net.addr()) {
                    return refuse(format!(
                        "{net} overlaps {other}, which the lab needs itself"
                    ));
                }
            }
        }
        Ok(())
    }
}
