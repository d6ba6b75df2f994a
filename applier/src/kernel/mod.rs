//! Reading from and writing to the kernel: the only part that is not a pure function.

mod alongside;
mod behind;
mod device;
mod facts;
mod look;
mod message;
mod read;
mod refusal;
mod router;
mod setting;
mod surroundings;
mod witness;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use multiwan_kernel::nft::Netfilter;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::AsyncSocket;
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

pub use alongside::Alongside;
pub use device::{Device, Traffic};
pub(crate) use facts::try_packet_socket;
pub(crate) use read::asks_by_arp;
pub use refusal::Refusal;
pub use witness::Witness;

use crate::error::Error;

/// How often a listing is begun anew that others change meanwhile.
const ATTEMPTS: u32 = 16;

/// A listing may lack something, since it changed meanwhile (`NLM_F_DUMP_INTR`).
const INTERRUPTED: u16 = libc::NLM_F_DUMP_INTR as u16;

/// An open way to the kernel of the network namespace that it was opened in.
///
/// Must be made and used within a tokio runtime. One is enough for the life of a process.
#[derive(Debug)]
pub struct Kernel {
    route: rtnetlink::Handle,
    netfilter: Netfilter,
    /// Interfaces by name, as they were when the kernel was last read.
    indices: BTreeMap<String, u32>,
    witness: Option<Box<dyn Witness>>,
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
        // An end without a last word is a lost connection, and no success.
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
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
            witness: None,
        })
    }

    /// All answers to a question about a kind of objects.
    async fn dump(
        &mut self,
        question: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Refusal> {
        for _ in 0..ATTEMPTS {
            if let Some(answers) = self.dump_once(question.clone()).await? {
                return Ok(answers);
            }
        }
        Err(Refusal {
            errno: Errno::EBUSY,
            words: Some(format!("it changed during {ATTEMPTS} listings")),
        })
    }

    /// None where something changed while it was listed, so that some may be missing.
    async fn dump_once(
        &mut self,
        question: RouteNetlinkMessage,
    ) -> Result<Option<Vec<RouteNetlinkMessage>>, Refusal> {
        let mut answers = self.request(question, NLM_F_DUMP)?;
        let mut all = Some(Vec::new());
        while let Some(message) = answers.next().await {
            if message.header.flags & INTERRUPTED != 0 {
                all = None;
            }
            match message.payload {
                NetlinkPayload::InnerMessage(inner) => {
                    if let Some(all) = &mut all {
                        all.push(inner);
                    }
                }
                NetlinkPayload::Error(error) => {
                    if let Some(refusal) = Refusal::of(&error) {
                        return Err(refusal);
                    }
                }
                NetlinkPayload::Done(_) => return Ok(all),
                _ => {}
            }
        }
        Err(Refusal::connection_lost())
    }

    /// A change, acknowledged.
    async fn change(&mut self, change: RouteNetlinkMessage, flags: u16) -> Result<(), Refusal> {
        let mut answers = self.request(change, NLM_F_ACK | flags)?;
        while let Some(message) = answers.next().await {
            if let NetlinkPayload::Error(error) = message.payload {
                return Refusal::of(&error).map_or(Ok(()), Err);
            }
        }
        Err(Refusal::connection_lost())
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

/// How long the machine has been on, asleep too. A lifetime ages by it, whatever is done to the clock.
pub(crate) fn since_start() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}
