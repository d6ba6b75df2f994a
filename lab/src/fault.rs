//! Faults in a modem or on its link, and their repair.

use std::io;

use multiwan_kernel::nft::{self, Base, Chain, Family, Hook, Kind, Netfilter, Policy, Table};

use crate::error::Error;
use crate::host::{self, Device};
use crate::lab::{Lab, Modem};
use crate::mute::{mute, unmute};
use crate::slow::Slow;

/// A way in which a line dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The cable is out: the router's card has no carrier.
    Carrier,
    /// The modem hangs: carrier stays, nothing gets in or out, ARP is not answered.
    Silent,
    /// Somebody takes the router's own card down.
    AdminDown,
    /// The provider is dead behind a modem that lives: what is for the modem itself is answered.
    Upstream,
    /// The modem drops all that it gets, but still sends: its own ARP, which
    /// [`Lab::modem_asks`] makes, says that it lives.
    HalfDead,
    /// The router's device is gone, as an unplugged USB modem's or a hung-up PPP's: with it go its
    /// addresses, routes and settings. On repair there is a new one of the same name, with another
    /// index, down and without an address.
    DeviceRemoved,
    /// No death: the modem passes everything on, but answers for itself, by ARP or echo, only
    /// [after some time](crate::SLOWNESS), as bridged DSL does under load.
    SlowGateway,
}

impl Fault {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Carrier,
        Self::Silent,
        Self::AdminDown,
        Self::Upstream,
        Self::HalfDead,
        Self::DeviceRemoved,
        Self::SlowGateway,
    ];

    /// The word for it on command lines and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::Silent => "silent",
            Self::AdminDown => "admin-down",
            Self::Upstream => "upstream",
            Self::HalfDead => "half-dead",
            Self::DeviceRemoved => "device-removed",
            Self::SlowGateway => "slow-gateway",
        }
    }
}

/// The table that swallows a broken modem's packets.
const BROKEN: &str = "broken";
/// What a removed device is called where it is kept.
const UNPLUGGED: &str = "unplugged";
/// More than any topology has devices: a device that comes back has an index that none had.
const NEW_INDEX: u32 = 100;

impl Lab {
    /// Breaks a line, counted from 0. A line that is broken already is repaired first.
    ///
    /// # Errors
    ///
    /// Says what the modem's kernel refused.
    pub fn break_line(&mut self, line: usize, fault: Fault) -> Result<(), Error> {
        self.repair(line)?;
        let gateway = self.topology.lines[line].gateway;
        let modem = &mut self.modems[line];
        match fault {
            Fault::Carrier => modem.host.change([host::down(modem.lan.index)])?,
            Fault::AdminDown => self.router.change([host::down(modem.router_card.index)])?,
            Fault::Silent | Fault::Upstream | Fault::HalfDead => {
                // A modem that still sends revives its line by its own ARP.
                if fault == Fault::Silent {
                    modem.host.change([mute(modem.lan.index)])?;
                }
                let table = broken(fault, &modem.lan.name);
                modem.netfilter(|netfilter| netfilter.replace(&table))?;
            }
            // Where the router cannot see it, it is no more.
            Fault::DeviceRemoved => {
                let gone = host::hand_over(&modem.router_card, &modem.host, UNPLUGGED);
                self.router.change([gone])?;
            }
            Fault::SlowGateway => modem.slow = Some(Slow::begin(modem, gateway)?),
        }
        modem.fault = Some(fault);
        Ok(())
    }

    /// Repairs a line, counted from 0; one that works is left alone.
    ///
    /// Returns when the modem's end is as before; the router's end may need a moment to notice.
    ///
    /// # Errors
    ///
    /// Says what the modem's kernel refused.
    pub fn repair(&mut self, line: usize) -> Result<(), Error> {
        let (address, arp) = {
            let line = &self.topology.lines[line];
            (line.router.addr(), !line.point_to_point)
        };
        let modem = &mut self.modems[line];
        match modem.fault {
            None => {}
            Some(Fault::Carrier) => {
                // Lost with the device, as all its neighbours.
                let known = host::neighbour(modem.lan.index, address, modem.router_card.mac);
                let changes = std::iter::once(host::up(modem.lan.index));
                modem.host.change(changes.chain(arp.then_some(known)))?;
            }
            Some(Fault::AdminDown) => {
                self.router.change([host::up(modem.router_card.index)])?;
                self.renew_lease(line)?;
            }
            Some(fault @ (Fault::Silent | Fault::Upstream | Fault::HalfDead)) => {
                let family = broken(fault, &modem.lan.name).family;
                modem.netfilter(|netfilter| netfilter.delete(family, BROKEN))?;
                if fault == Fault::Silent {
                    modem.host.change([unmute(modem.lan.index)])?;
                }
            }
            Some(Fault::DeviceRemoved) => {
                let unplugged = Device {
                    name: UNPLUGGED.to_owned(),
                    index: modem.host.link(UNPLUGGED)?.header.index,
                    mac: modem.router_card.mac,
                };
                let card = &mut modem.router_card;
                let index = card.index + NEW_INDEX;
                let back = host::hand_over_as(&unplugged, &self.router, &card.name, index);
                modem.host.change([back])?;
                // A kernel that chooses by itself may give it any.
                card.index = self.router.link(&card.name)?.header.index;
            }
            Some(Fault::SlowGateway) => {
                if let Some(slow) = modem.slow.take() {
                    slow.end(&modem.host)?;
                }
            }
        }
        self.modems[line].fault = None;
        Ok(())
    }
}

impl Modem {
    fn netfilter(
        &self,
        act: impl FnOnce(&mut Netfilter) -> Result<(), nft::Error>,
    ) -> Result<(), Error> {
        self.host.enter(|| {
            Netfilter::open()
                .and_then(|mut open| act(&mut open))
                .map_err(io::Error::other)
        })
    }
}

/// The table that makes a modem drop what comes in from the router, before it sees anything, or what
/// it would pass on.
fn broken(fault: Fault, lan: &str) -> Table {
    let (family, base) = match fault {
        Fault::Silent | Fault::HalfDead => {
            let base = Base::new(Kind::Filter, Hook::Ingress, 0).device(lan);
            (Family::Netdev, base)
        }
        _ => (Family::Ip, Base::new(Kind::Filter, Hook::Forward, 0)),
    };
    let mut table = Table::new(family, BROKEN);
    table
        .chains
        .push(Chain::base("all", base.policy(Policy::Drop)));
    table
}
