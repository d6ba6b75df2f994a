//! Faults in a modem or on its link, and their repair.

use multiwan_kernel::nft::{Base, Chain, Family, Hook, Kind, Netfilter, Policy, Table};

use crate::error::Error;
use crate::host;
use crate::lab::{Lab, Modem};

/// A way in which a line dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The cable is out: the router's card has no carrier.
    Carrier,
    /// The modem hangs: carrier stays, nothing gets in or out, ARP is not answered.
    Silent,
}

impl Fault {
    /// The word for it on command lines and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::Silent => "silent",
        }
    }
}

/// The table that swallows a silent modem's frames.
const SILENCE: &str = "silence";

impl Lab {
    /// Breaks a line, counted from 0. A line that is broken already is repaired first.
    ///
    /// # Errors
    ///
    /// Says what the modem's kernel refused.
    pub fn break_line(&mut self, line: usize, fault: Fault) -> Result<(), Error> {
        self.repair(line)?;
        let modem = &mut self.modems[line];
        match fault {
            Fault::Carrier => modem.host.change([host::down(modem.lan.index)])?,
            Fault::Silent => modem.netfilter(|netfilter, device| {
                netfilter
                    .replace(&silence(device))
                    .map_err(std::io::Error::other)
            })?,
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
        let topology = &self.topology.lines[line];
        let modem = &mut self.modems[line];
        match modem.fault.take() {
            None => {}
            Some(Fault::Carrier) => modem.host.change([
                host::up(modem.lan.index),
                // Lost with the device, as all its neighbours.
                host::neighbour(
                    modem.lan.index,
                    topology.router.addr(),
                    modem.router_card.mac,
                ),
            ])?,
            Some(Fault::Silent) => modem.netfilter(|netfilter, _| {
                netfilter
                    .delete(Family::Netdev, SILENCE)
                    .map_err(std::io::Error::other)
            })?,
        }
        Ok(())
    }
}

impl Modem {
    fn netfilter(
        &self,
        act: impl FnOnce(&mut Netfilter, &str) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        self.host.enter(|| {
            let mut netfilter = Netfilter::open().map_err(std::io::Error::other)?;
            act(&mut netfilter, &self.lan.name)
        })
    }
}

/// Drops what comes in before the modem sees it and what goes out after: both ways, since a
/// modem that still sends revives its line by its own ARP.
fn silence(device: &str) -> Table {
    let chain = |name: &str, hook| Chain {
        name: name.to_owned(),
        base: Some(Base {
            kind: Kind::Filter,
            hook,
            priority: 0,
            device: Some(device.to_owned()),
            policy: Policy::Drop,
        }),
        rules: Vec::new(),
    };
    Table {
        family: Family::Netdev,
        name: SILENCE.to_owned(),
        dormant: false,
        chains: vec![
            chain("incoming", Hook::Ingress),
            chain("outgoing", Hook::Egress),
        ],
    }
}
