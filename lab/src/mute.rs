//! A device that sends nothing: all that is to leave by it goes to a queue that is a black hole.
//!
//! Also what needs no IP, as ARP, and on every kernel: an egress hook of nftables would need Linux
//! 5.16.

use multiwan_kernel::rtnl::Change;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};

/// `tc qdisc add dev … root blackhole`
pub(crate) fn mute(index: u32) -> Change {
    let mut message = root(index);
    message.attributes = vec![TcAttribute::Kind("blackhole".to_owned())];
    Change::create(
        format!("muting device {index}"),
        RouteNetlinkMessage::NewQueueDiscipline(message),
    )
}

/// `tc qdisc delete dev … root`
pub(crate) fn unmute(index: u32) -> Change {
    Change::existing(
        format!("letting device {index} send again"),
        RouteNetlinkMessage::DelQueueDiscipline(root(index)),
    )
}

fn root(index: u32) -> TcMessage {
    let mut message = TcMessage::default();
    message.header.index = index as i32;
    message.header.parent = TcHandle::ROOT;
    message
}
