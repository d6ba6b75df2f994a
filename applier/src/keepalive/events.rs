//! What the kernel tells unasked: links, addresses, routes, rules, and neighbours that do not answer,
//! on one netlink socket.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use libc::sock_filter;
use multiwan_kernel::packet::attach_filter;
use netlink_packet_core::{NetlinkBuffer, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rtnetlink::MulticastGroup;
use tokio::io::unix::AsyncFd;

use super::filter::{EQUAL, LOAD_HALF, RETURN, op};
use super::readable::readable;
use crate::config::Kernel;
use crate::state::TABLE_MAIN;

/// Room for some ten thousand events; the kernel grants less where `net.core.rmem_max` says so.
const BUFFER: usize = 1 << 20;

/// `RTNLGRP_IPV4_NETCONF` (`linux/rtnetlink.h`): forwarding, rp_filter and a few more of
/// `/proc/sys/net/ipv4/conf`.
const SETTINGS: u32 = 24;
/// Its messages, which `netlink-packet-route` does not know.
const RTM_NEWNETCONF: u16 = 80;
const RTM_DELNETCONF: u16 = 81;

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
    /// Whether settings of interfaces changed.
    pub(super) settings: bool,
    /// Whether some were lost: all must be read again.
    pub(super) overrun: bool,
}

impl Events {
    /// Listens from now on.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        // Only a busy LAN would notice that this is missing.
        let _ = attach_filter(socket.as_fd(), &failed_neighbours_only());
        // Many a setting is told of by no event.
        let _ = socket.add_membership(SETTINGS);
        for group in [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv4Rule,
            MulticastGroup::Neigh,
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
                    && (batch.overrun || batch.settings || !batch.messages.is_empty()) =>
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
        if let Some((RTM_NEWNETCONF | RTM_DELNETCONF, length)) = kind_and_length(datagram) {
            batch.settings = true;
            datagram = datagram.get(length..).unwrap_or_default();
            continue;
        }
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

/// What kind of message begins here, and how far it is to the next.
fn kind_and_length(datagram: &[u8]) -> Option<(u16, usize)> {
    let header = NetlinkBuffer::new_checked(datagram).ok()?;
    let length = header.length() as usize;
    Some((header.message_type(), length.next_multiple_of(4)))
}

/// A classic BPF program that drops what is told of neighbours but that one does not answer: those of
/// a LAN with a thousand clients change all the time.
fn failed_neighbours_only() -> [sock_filter; 7] {
    // Netlink's numbers are in the host's order, and classic BPF reads the network's.
    let half = |number: u16| u32::from(u16::from_be_bytes(number.to_ne_bytes()));
    [
        op(LOAD_HALF, 4, 0, 0),
        op(EQUAL, half(libc::RTM_DELNEIGH), 3, 0),
        op(EQUAL, half(libc::RTM_NEWNEIGH), 0, 3),
        op(LOAD_HALF, 24, 0, 0),
        op(EQUAL, half(u16::from(NeighbourState::Failed)), 1, 0),
        op(RETURN, 0, 0, 0),
        op(RETURN, u32::MAX, 0, 0),
    ]
}

/// The device and address of a neighbour that does not answer the kernel.
pub(super) fn failed_neighbour(message: &RouteNetlinkMessage) -> Option<(u32, Ipv4Addr)> {
    let RouteNetlinkMessage::NewNeighbour(neighbour) = message else {
        return None;
    };
    if neighbour.header.state != NeighbourState::Failed {
        return None;
    }
    let address = neighbour
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(*address),
            _ => None,
        })?;
    Some((neighbour.header.ifindex, address))
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
    use netlink_packet_route::neighbour::NeighbourMessage;
    use netlink_packet_route::rule::RuleMessage;

    use super::super::filter::run;
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
    fn of_neighbours_only_failures_are_heard() {
        let accepts = |message: RouteNetlinkMessage| {
            let mut message =
                NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
            message.finalize();
            let mut bytes = vec![0; message.buffer_len()];
            message.serialize(&mut bytes);
            run(&failed_neighbours_only(), &bytes) != 0
        };
        let gateway = Ipv4Addr::new(198, 51, 100, 1);
        let neighbour = |state| {
            let mut message = NeighbourMessage::default();
            message.header.ifindex = 7;
            message.header.state = state;
            let address = NeighbourAddress::Inet(gateway);
            message
                .attributes
                .push(NeighbourAttribute::Destination(address));
            message
        };
        let failed = RouteNetlinkMessage::NewNeighbour(neighbour(NeighbourState::Failed));
        assert_eq!(failed_neighbour(&failed), Some((7, gateway)));
        assert!(accepts(failed));
        let stale = RouteNetlinkMessage::NewNeighbour(neighbour(NeighbourState::Stale));
        assert_eq!(failed_neighbour(&stale), None);
        assert!(!accepts(stale));
        assert!(!accepts(RouteNetlinkMessage::DelNeighbour(neighbour(
            NeighbourState::Failed
        ))));
        assert!(accepts(route(222)));
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
