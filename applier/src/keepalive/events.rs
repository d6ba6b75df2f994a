//! What the kernel tells unasked: links, addresses, routes and rules, on one netlink socket.

use std::io;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rtnetlink::MulticastGroup;
use tokio::io::unix::AsyncFd;

use super::readable::readable;
use crate::config::Kernel;
use crate::state::TABLE_MAIN;

/// Room for some ten thousand events; the kernel grants less where `net.core.rmem_max` says so.
const BUFFER: usize = 1 << 20;

/// Lines' tables end here: there are at most 21 of them.
const LINES: u32 = 21;

/// A socket that hears of changes.
pub(super) struct Events {
    socket: AsyncFd<Socket>,
}

/// What came at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The messages, in order.
    pub(super) messages: Vec<RouteNetlinkMessage>,
    /// Whether some were lost: all must be read again.
    pub(super) overrun: bool,
}

impl Events {
    /// Listens from now on.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        for group in [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv4Rule,
        ] {
            socket.add_membership(group as u32)?;
        }
        // A smaller buffer only means that an overrun comes sooner.
        let _ = socket.set_rx_buf_sz(BUFFER as i32);
        socket.set_non_blocking(true)?;
        Ok(Self {
            socket: readable(socket)?,
        })
    }

    /// Waits for events and takes all that are there.
    pub(super) async fn next(&mut self) -> io::Result<Batch> {
        let mut batch = Batch::default();
        loop {
            let mut ready = self.socket.readable_mut().await?;
            match ready.try_io(|socket| receive(socket.get_mut(), &mut batch)) {
                Ok(received) => received?,
                Err(_would_block) => continue,
            }
            return Ok(batch);
        }
    }
}

/// Takes all that waits; `WouldBlock` where nothing did.
fn receive(socket: &mut Socket, batch: &mut Batch) -> io::Result<()> {
    loop {
        match socket.recv_from_full() {
            Ok((datagram, _)) => parse(&datagram, batch),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => batch.overrun = true,
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock
                    && (batch.overrun || !batch.messages.is_empty()) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

/// The messages of one datagram. One that cannot be read may have been any: all is read again.
fn parse(mut datagram: &[u8], batch: &mut Batch) {
    while !datagram.is_empty() {
        let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram) else {
            batch.overrun = true;
            return;
        };
        let length = (message.header.length as usize).next_multiple_of(4);
        datagram = datagram.get(length..).unwrap_or_default();
        match message.payload {
            NetlinkPayload::InnerMessage(inner) => batch.messages.push(inner),
            NetlinkPayload::Overrun(_) => batch.overrun = true,
            _ => {}
        }
    }
}

/// Whether a message tells of a route or rule that the configuration's numbers make ours. Routes
/// in other tables, as a routing daemon changes them by the thousand, are not.
pub(super) fn concerns_tables(message: &RouteNetlinkMessage, kernel: &Kernel) -> bool {
    match message {
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
            let table = table_of(route);
            let lines = kernel.first_table..kernel.first_table.saturating_add(LINES);
            table == kernel.balance_table || lines.contains(&table)
        }
        RouteNetlinkMessage::NewRule(_) | RouteNetlinkMessage::DelRule(_) => true,
        _ => false,
    }
}

/// Whether a message tells of a default route in main, which may name a dynamic line's gateway.
pub(super) fn concerns_default(message: &RouteNetlinkMessage) -> bool {
    match message {
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
            route.header.destination_prefix_length == 0 && table_of(route) == TABLE_MAIN
        }
        _ => false,
    }
}

fn table_of(route: &RouteMessage) -> u32 {
    let long = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Table(table) => Some(*table),
            _ => None,
        });
    long.unwrap_or(u32::from(route.header.table))
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NetlinkHeader;
    use netlink_packet_route::rule::RuleMessage;

    use super::*;

    const KERNEL: Kernel = Kernel {
        main_priority: 50,
        first_table: 201,
        balance_table: 222,
        mark_mask: 0x3f00,
    };

    fn route(table: u32) -> RouteNetlinkMessage {
        let mut route = RouteMessage::default();
        route.header.table = u8::try_from(table).unwrap_or(252);
        route.attributes.push(RouteAttribute::Table(table));
        RouteNetlinkMessage::DelRoute(route)
    }

    #[test]
    fn routes_concern_us_in_our_tables_only() {
        for (table, ours) in [
            (200, false),
            (201, true),
            (221, true),
            (222, true),
            (223, false),
            (254, false),
            (1222, false),
        ] {
            assert_eq!(
                concerns_tables(&route(table), &KERNEL),
                ours,
                "table {table}"
            );
        }
        let rule = RouteNetlinkMessage::DelRule(RuleMessage::default());
        assert!(concerns_tables(&rule, &KERNEL));
    }

    #[test]
    fn a_datagram_of_several_messages_is_read_whole() {
        let mut datagram = Vec::new();
        for table in [201, 222] {
            let mut message =
                NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(route(table)));
            message.finalize();
            let start = datagram.len();
            datagram.resize(start + message.buffer_len(), 0);
            message.serialize(&mut datagram[start..]);
        }
        let mut batch = Batch::default();
        parse(&datagram, &mut batch);
        assert_eq!(batch.messages, [route(201), route(222)]);
        assert!(!batch.overrun);
    }

    #[test]
    fn what_cannot_be_read_counts_as_lost() {
        let mut batch = Batch::default();
        parse(&[1, 2, 3], &mut batch);
        assert!(batch.overrun);
    }
}
