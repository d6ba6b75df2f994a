//! What a provider gives out: a line's address, as a DHCP client or PPP puts it on the router.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan_kernel::rtnl::Change;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteMessage, RouteProtocol, RouteScope};
use rtnetlink::RouteMessageBuilder;

use crate::error::Error;
use crate::host;
use crate::lab::Lab;
use crate::topology::Topology;

/// What a DHCP client gives its routes: a line's number on top, so that main can have several.
const METRIC: u32 = 100;

impl Lab {
    /// Gives a line's card the address that the topology has for it, and main a default route by
    /// its gateway (PPP: none): what a DHCP client does on the router when it begins.
    ///
    /// # Errors
    ///
    /// Says what the router's kernel refused.
    pub fn lease(&mut self, line: usize) -> Result<(), Error> {
        let described = &self.topology.lines[line];
        let index = self.modems[line].router_card.index;
        let address = if described.point_to_point {
            host::peer_address(index, described.router.addr(), described.gateway)
        } else {
            host::address(index, described.router)
        };
        self.router.change([host::up(index), address])?;
        self.modems[line].leased = true;
        self.renew_lease(line)
    }

    /// Gives main the default route of a lease again, which the kernel drops with its device.
    pub(crate) fn renew_lease(&mut self, line: usize) -> Result<(), Error> {
        let index = self.modems[line].router_card.index;
        let described = &self.topology.lines[line];
        if !self.modems[line].leased || described.point_to_point {
            return Ok(());
        }
        self.router
            .change([default_route(line, index, described.gateway)])
    }

    /// Takes the address away that [`Lab::lease`] gave; routes by it go with it.
    ///
    /// # Errors
    ///
    /// Says what the router's kernel refused.
    pub fn end_lease(&mut self, line: usize) -> Result<(), Error> {
        let described = &self.topology.lines[line];
        self.modems[line].leased = false;
        let index = self.modems[line].router_card.index;
        self.router
            .change([host::no_address(index, described.router)])
    }

    /// Gives a line another address and gateway: the provider and its modem follow at once, what
    /// is for the old address reaches nobody any more, and on the router the old address is taken
    /// away before the new one comes, as most DHCP clients do it.
    ///
    /// # Errors
    ///
    /// Says what was refused, on which host.
    pub fn change_lease(
        &mut self,
        line: usize,
        router: Ipv4Net,
        gateway: Ipv4Addr,
    ) -> Result<(), Error> {
        self.end_lease(line)?;
        let described = &mut self.topology.lines[line];
        let old = std::mem::replace(&mut described.router, router);
        let old_gateway = std::mem::replace(&mut described.gateway, gateway);
        let new = described.clone();
        let modem = &mut self.modems[line];
        let (index, length) = (modem.lan.index, old.prefix_len());
        let changes = if new.point_to_point {
            vec![
                host::no_address(index, old_gateway.into()),
                host::peer_address(index, gateway, router.addr()),
            ]
        } else {
            vec![
                host::no_address(index, Ipv4Net::new_assert(old_gateway, length)),
                host::address(index, Ipv4Net::new_assert(gateway, router.prefix_len())),
                host::neighbour(index, router.addr(), modem.router_card.mac),
            ]
        };
        modem.host.change(changes)?;
        let (_, uplink) = Topology::uplink(line);
        self.internet.change([
            host::no_route(old.addr().into(), uplink),
            host::route(router.addr().into(), uplink),
        ])?;
        self.lease(line)
    }
}

/// `ip route replace default via 198.51.100.1 dev eth1 proto dhcp metric 100`
fn default_route(line: usize, index: u32, gateway: Ipv4Addr) -> Change {
    let mut message: RouteMessage = RouteMessageBuilder::<Ipv4Addr>::new()
        .gateway(gateway)
        .output_interface(index)
        .priority(METRIC + line as u32)
        .protocol(RouteProtocol::Dhcp)
        .build();
    message.header.scope = RouteScope::Universe;
    Change::replace(
        format!("routing by {gateway}"),
        RouteNetlinkMessage::NewRoute(message),
    )
}
