//! What happens to lines, each noted as an event.

use std::time::Instant;

use multiwan_lab::Fault;

use super::Scene;
use super::topology::{given, network};
use crate::events::Mark;
use crate::judgement::Trouble;

impl Scene<'_> {
    /// Breaks a line.
    ///
    /// # Errors
    ///
    /// If the lab cannot.
    pub fn break_line(&mut self, line: usize, fault: Fault) -> Result<Instant, Trouble> {
        self.cx.events.mark(
            Mark::Fault,
            format!("{}: {}", self.name(line), fault.name()),
        );
        let at = Instant::now();
        self.lab.break_line(line, fault)?;
        Ok(at)
    }

    /// Repairs a line.
    ///
    /// # Errors
    ///
    /// If the lab cannot.
    pub fn repair(&mut self, line: usize) -> Result<Instant, Trouble> {
        self.cx
            .events
            .mark(Mark::Repair, format!("{}: repaired", self.name(line)));
        let at = Instant::now();
        self.lab.repair(line)?;
        Ok(at)
    }

    /// Makes every modem drop echo requests to itself, as many providers' gateways do.
    ///
    /// # Errors
    ///
    /// If the lab cannot.
    pub fn drop_echo(&mut self) -> Result<(), Trouble> {
        self.cx.events.note("gateways drop echo");
        for line in 0..self.cx.lines().len() {
            let modem = self.lab.modem(line);
            modem.set("ipv4/icmp_echo_ignore_all", "1")?;
        }
        Ok(())
    }

    /// The provider gives a dynamic line the address with this number in the network with this
    /// number, whose gateway has the number 1.
    ///
    /// # Errors
    ///
    /// If the lab cannot.
    pub fn move_line(&mut self, line: usize, net: u8, host: u8) -> Result<Instant, Trouble> {
        let address = network(given(net, host));
        let what = format!("{}: gets {address}", self.name(line));
        self.cx.events.note(what);
        let at = Instant::now();
        self.lab.change_lease(line, address, given(net, 1))?;
        Ok(at)
    }

    /// A dynamic line's lease is renewed by a client that takes the address away and puts it back.
    ///
    /// # Errors
    ///
    /// If the lab cannot.
    pub fn renew_line(&mut self, line: usize) -> Result<Instant, Trouble> {
        self.cx
            .events
            .note(format!("{}: lease renewed", self.name(line)));
        let at = Instant::now();
        self.lab.end_lease(line)?;
        self.lab.lease(line)?;
        Ok(at)
    }
}
