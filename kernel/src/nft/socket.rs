//! A blocking netlink socket on `NETLINK_NETFILTER`.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK_TLVS, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer,
};
use netlink_sys::{SocketAddr, protocols::NETLINK_NETFILTER};
use nix::errno::Errno;
use nix::sys::socket::{
    setsockopt,
    sockopt::{SndBuf, SndBufForce},
};

use super::{
    error::Error,
    wire::{NETFILTER_HEADER, NETLINK_HEADER, Nest},
};

/// More than the kernel puts into one datagram of a dump.
const BUFFER: usize = 64 * 1024;

/// The socket, and the sequence number of the next request.
#[derive(Debug)]
pub(super) struct Socket {
    socket: netlink_sys::Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// One message from the kernel.
#[derive(Debug)]
pub(super) enum Reply<'a> {
    /// What was asked for; `interrupted` says that it changed while it was dumped.
    Message {
        family: u8,
        generation: u16,
        interrupted: bool,
        attributes: Nest<'a>,
    },
    /// There is no more.
    Done,
    /// The request with this sequence number was refused.
    Refused { sequence: u32, refusal: Refusal },
}

/// Why a request was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) errno: Errno,
    /// What the kernel adds in words.
    pub(super) message: Option<String>,
    /// The byte of the request that it is about.
    pub(super) offset: Option<usize>,
}

impl Socket {
    pub(super) fn open() -> Result<Self, Error> {
        let open = || {
            let socket = netlink_sys::Socket::new(NETLINK_NETFILTER)?;
            // Both since Linux 4.12; without them errors have less to say.
            let _ = (socket.set_ext_ack(true), socket.set_cap_ack(true));
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(socket)
        };
        let socket = open().map_err(|source| Error::Socket {
            doing: "opening",
            source,
        })?;
        Ok(Self {
            socket,
            sequence: 1,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// The first of so many unused sequence numbers.
    pub(super) fn sequences(&mut self, count: u32) -> u32 {
        let first = self.sequence;
        self.sequence = self.sequence.wrapping_add(count);
        first
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        self.make_room_for(bytes.len());
        self.socket
            .send(bytes, 0)
            .map(drop)
            .map_err(|source| Error::Socket {
                doing: "sending to",
                source,
            })
    }

    /// A transaction is one message, which must have room in the socket's buffer: that of ten lines has
    /// in a usual one. Beyond `net.core.wmem_max` only `CAP_NET_ADMIN` of the whole machine gets more;
    /// where there is too little all the same, sending says so.
    fn make_room_for(&self, length: usize) {
        if setsockopt(&self.socket, SndBufForce, &length).is_err() {
            let _ = setsockopt(&self.socket, SndBuf, &length);
        }
    }

    /// Hands the replies to the `count` requests from `first` on to `take` until it says that it has all.
    pub(super) fn receive(
        &mut self,
        first: u32,
        count: u32,
        mut take: impl FnMut(Reply<'_>) -> bool,
    ) -> Result<(), Error> {
        loop {
            self.fill()?;
            let mut rest = self.buffer.as_slice();
            while let Ok(message) = NetlinkBuffer::new_checked(rest) {
                let length = message.length() as usize;
                // What is left of an earlier request that was given up.
                let ours = message.sequence_number().wrapping_sub(first) < count;
                if ours && reply(&message).is_some_and(&mut take) {
                    return Ok(());
                }
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }

    fn fill(&mut self) -> Result<(), Error> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Error::Socket {
                        doing: "receiving from",
                        source,
                    });
                }
            }
        }
    }
}

/// None where there is nothing to it for anybody.
fn reply<'a>(message: &NetlinkBuffer<&'a [u8]>) -> Option<Reply<'a>> {
    let payload = message.payload();
    match message.message_type() {
        NLMSG_ERROR | NLMSG_DONE => {
            let (code, rest) = payload.split_first_chunk()?;
            let code = i32::from_ne_bytes(*code);
            if code == 0 {
                return Some(Reply::Done);
            }
            let explained = message.flags() & NLM_F_ACK_TLVS != 0;
            // After the header of the refused request; at a dump's end there is none.
            let after = if message.message_type() == NLMSG_ERROR {
                NETLINK_HEADER
            } else {
                0
            };
            let details = Nest::new(rest.get(after..).filter(|_| explained).unwrap_or_default());
            Some(Reply::Refused {
                sequence: message.sequence_number(),
                refusal: refusal(code, details),
            })
        }
        kind if kind >= libc::NLMSG_MIN_TYPE as u16 => {
            let (header, attributes) = payload.split_at_checked(NETFILTER_HEADER)?;
            Some(Reply::Message {
                family: header[0],
                generation: u16::from_be_bytes([header[2], header[3]]),
                interrupted: message.flags() & NLM_F_DUMP_INTR != 0,
                attributes: Nest::new(attributes),
            })
        }
        _ => None,
    }
}

fn refusal(code: i32, details: Nest<'_>) -> Refusal {
    const NLMSGERR_ATTR_MSG: u16 = 1;
    const NLMSGERR_ATTR_OFFS: u16 = 2;
    Refusal {
        errno: Errno::from_raw(-code),
        message: details.string(NLMSGERR_ATTR_MSG).map(str::to_owned),
        // In the host's byte order, as everything of the netlink layer itself.
        offset: details
            .array(NLMSGERR_ATTR_OFFS)
            .map(|bytes| u32::from_ne_bytes(bytes) as usize),
    }
}
