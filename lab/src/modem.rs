//! What a modem can be told beside breaking it.

use multiwan_kernel::rtnl::Change;
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::LinkUnspec;

use crate::error::Error;
use crate::host::Host;
use crate::lab::Lab;

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
        modem.host.change([Change::existing(
            format!("changing the address of {}", modem.lan.name),
            RouteNetlinkMessage::SetLink(link),
        )])
    }
}
