//! Reading from and writing to the kernel: the only part that is not a pure function.

mod device;
mod facts;
mod look;
mod message;
mod read;
mod refusal;
mod setting;
mod surroundings;
mod write;

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use multiwan_kernel::nft::Netfilter;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::AsyncSocket;

pub use device::{Device, Traffic};
pub(crate) use read::asks_by_arp;
pub use refusal::Refusal;

use crate::error::Error;

/// An open way to the kernel of the network namespace that it was opened in.
///
/// Must be made and used within a tokio runtime. One is enough for the life of a process.
#[derive(Debug)]
pub struct Kernel {
    route: rtnetlink::Handle,
    netfilter: Netfilter,
    /// Interfaces by name, as they were when the kernel was last read.
    indices: BTreeMap<String, u32>,
}

impl Kernel {
    /// Opens the sockets.
    ///
    /// # Errors
    ///
    /// When the kernel has no such socket or lets no more be opened.
    pub fn open() -> Result<Self, Error> {
        let attempt = |source| Error::Socket { source };
        let (mut connection, route, _) = rtnetlink::new_connection().map_err(attempt)?;
        let socket = connection.socket_mut().socket_mut();
        // The kernel's own words for a refusal, without the request in between.
        socket
            .set_ext_ack(true)
            .and_then(|()| socket.set_cap_ack(true))
            .map_err(attempt)?;
        tokio::spawn(connection);
        let netfilter = Netfilter::open().map_err(Error::Netfilter)?;
        Ok(Self {
            route,
            netfilter,
            indices: BTreeMap::new(),
        })
    }

    /// All answers to a question about a kind of objects.
    async fn dump(
        &mut self,
        question: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Refusal> {
        let answers = self.request(question, NLM_F_DUMP)?;
        answers
            .filter_map(async |message| match message.payload {
                NetlinkPayload::InnerMessage(inner) => Some(Ok(inner)),
                NetlinkPayload::Error(error) => Refusal::of(&error).map(Err),
                _ => None,
            })
            .try_collect()
            .await
    }

    /// A change, acknowledged.
    async fn change(&mut self, change: RouteNetlinkMessage, flags: u16) -> Result<(), Refusal> {
        let mut answers = self.request(change, NLM_F_ACK | flags)?;
        while let Some(message) = answers.next().await {
            if let NetlinkPayload::Error(error) = message.payload
                && let Some(refusal) = Refusal::of(&error)
            {
                return Err(refusal);
            }
        }
        Ok(())
    }

    fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<
        impl futures::Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + Unpin + use<>,
        Refusal,
    > {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | flags;
        self.route
            .request(message)
            .map(Box::pin)
            .map_err(|_| Refusal::connection_lost())
    }
}
