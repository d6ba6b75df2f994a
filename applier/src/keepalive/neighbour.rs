//! The kernel's own entry for a gateway, which `fib_multipath_use_neigh` heeds.

use futures::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use pnet::util::MacAddr;
use rtnetlink::Handle;

use std::net::Ipv4Addr;

/// A gateway that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// The line's device.
    pub(super) index: u32,
    /// GWEi.
    pub(super) gateway: Ipv4Addr,
    /// Where it answered from.
    pub(super) hardware: MacAddr,
}

/// Makes an entry usable that the kernel calls failed or incomplete: its next packet asks again by
/// itself. Most often the answer that we heard has done so already. No entry is as good as a
/// usable one, and an administrator's permanent one is left alone. Whether it was needed.
pub(super) async fn mend(handle: &Handle, heard: Neighbour) -> Result<bool, rtnetlink::Error> {
    let mut request = handle.neighbours().get();
    request.message_mut().header.family = AddressFamily::Inet;
    let entries: Vec<_> = request.execute().try_collect().await?;
    let broken = entries.iter().any(|entry| {
        is_of(entry, &heard)
            && matches!(
                entry.header.state,
                NeighbourState::Failed | NeighbourState::Incomplete
            )
    });
    if broken {
        handle
            .neighbours()
            .add(heard.index, heard.gateway.into())
            .link_layer_address(&<[u8; 6]>::from(heard.hardware))
            .state(NeighbourState::Stale)
            .replace()
            .execute()
            .await?;
    }
    Ok(broken)
}

fn is_of(entry: &NeighbourMessage, heard: &Neighbour) -> bool {
    let address = NeighbourAttribute::Destination(NeighbourAddress::Inet(heard.gateway));
    entry.header.ifindex == heard.index && entry.attributes.contains(&address)
}
