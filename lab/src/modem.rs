//! What a modem can be told beside breaking it.

use multiwan_kernel::packet::{self, Burst, PacketSocket};
use multiwan_kernel::rtnl::Change;
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::LinkUnspec;

use crate::error::Error;
use crate::host::{self, Host};
use crate::lab::Lab;
use crate::traffic::frame::{self, ArpRequest};

impl Lab {
    /// The modem of a line, counted from 0.
    pub fn modem(&mut self, line: usize) -> &mut Host {
        &mut self.modems[line].host
    }

    /// Gives a line's modem its other Ethernet address towards the router, or its first again; it
    /// announces that by ARP, as a provider's takeover does.
    ///
    /// # Errors
    ///
    /// Says what the modem's kernel refused.
    pub fn change_modem_mac(&mut self, line: usize, other: bool) -> Result<(), Error> {
        let modem = &mut self.modems[line];
        let mut mac = modem.lan.mac;
        // The lab's own addresses leave this bit alone.
        mac[3] |= if other { 0x80 } else { 0 };
        modem
            .host
            .set(&format!("ipv4/conf/{}/arp_notify", modem.lan.name), "1")?;
        let link = LinkUnspec::new_with_index(modem.lan.index)
            .address(mac.to_vec())
            .build();
        let changed = Change::existing(
            format!("changing the address of {}", modem.lan.name),
            RouteNetlinkMessage::SetLink(link),
        );
        // The kernel forgets a device's neighbours with its address: see `build_modems`.
        let router = self.topology.lines[line].router.addr();
        let known = host::neighbour(modem.lan.index, router, modem.router_card.mac);
        modem.host.change([changed, known])
    }

    /// Lets a line's modem ask for the router by ARP, as one does that has something for it: the
    /// router's kernel takes that for a sign of life, also where the modem hears no answer.
    ///
    /// # Errors
    ///
    /// Says what the modem's kernel refused.
    pub fn modem_asks(&mut self, line: usize) -> Result<(), Error> {
        let described = &self.topology.lines[line];
        let modem = &self.modems[line];
        let mut burst = Burst::default();
        let asker = ArpRequest {
            mac: modem.lan.mac,
            address: described.gateway,
        };
        frame::write_arp_request(&mut burst, &asker, described.router.addr());
        modem.host.enter(|| {
            let socket = PacketSocket::open(modem.lan.index, packet::ARP)?;
            socket.send(burst.frame(0))
        })
    }
}
