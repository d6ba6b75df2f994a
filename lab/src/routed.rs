//! A network behind the router that is not its LAN, and whose addresses are good outside.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::error::Error;
use crate::host;
use crate::lab::Lab;

impl Lab {
    /// Has every provider route a network to this router, and the router to a client behind which it
    /// is, as a provider's block of public addresses may be. Its hosts are those that
    /// [`Traffic::begin_from`] speaks for. The router's LAN must be set up.
    ///
    /// # Errors
    ///
    /// Says what was refused, on which host.
    ///
    /// [`Traffic::begin_from`]: crate::traffic::Traffic::begin_from
    pub fn route_behind(&mut self, client: usize, network: Ipv4Net) -> Result<(), Error> {
        let inside: Ipv4Addr = self.clients[client].address;
        self.router.change([host::route(network, inside)])?;
        for (modem, line) in self.modems.iter_mut().zip(&self.topology.lines) {
            modem
                .host
                .change([host::route(network, line.router.addr())])?;
        }
        Ok(())
    }
}
