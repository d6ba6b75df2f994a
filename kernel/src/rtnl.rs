//! Route netlink for programs that want an answer before they go on: a blocking socket that
//! sends many changes in one system call and says which of them the kernel refused.
//!
//! The messages are rtnetlink's; what is left out is its runtime. The socket belongs to the
//! network namespace that it was opened in and works from every thread.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// So many changes go in one system call that all their answers have room in the socket.
const AT_ONCE: usize = 64;

/// A listing may be inconsistent, since something changed meanwhile (`NLM_F_DUMP_INTR`).
const NLM_F_DUMP_INTR: u16 = libc::NLM_F_DUMP_INTR as u16;

/// A blocking route netlink socket.
pub struct Rtnl {
    socket: Socket,
    sequence: u32,
    received: Vec<u8>,
}

/// One change, with the words for it should it be refused.
#[derive(Debug, Clone)]
pub struct Change {
    what: String,
    message: RouteNetlinkMessage,
    flags: u16,
}

/// A request that the kernel refused or that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct Error {
    /// What was attempted, on what.
    pub what: String,
    /// What the kernel said.
    pub source: io::Error,
}

impl Change {
    /// Something that must not be there yet.
    pub fn create(what: impl Into<String>, message: RouteNetlinkMessage) -> Self {
        Self {
            what: what.into(),
            message,
            flags: NLM_F_CREATE | NLM_F_EXCL,
        }
    }

    /// Something that takes the place of what is there.
    pub fn replace(what: impl Into<String>, message: RouteNetlinkMessage) -> Self {
        Self {
            what: what.into(),
            message,
            flags: NLM_F_CREATE | NLM_F_REPLACE,
        }
    }

    /// Something that is there already, changed or removed.
    pub fn existing(what: impl Into<String>, message: RouteNetlinkMessage) -> Self {
        Self {
            what: what.into(),
            message,
            flags: 0,
        }
    }
}

impl Rtnl {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_cap_ack(true)?;
        Ok(Self {
            socket,
            sequence: 0,
            received: Vec::with_capacity(1 << 16),
        })
    }

    /// Makes changes in order, many in one system call.
    ///
    /// The kernel goes on after a refused one; the first refusal is the error.
    pub fn change(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<(), Error> {
        let mut changes = changes.into_iter().peekable();
        let mut refused = Ok(());
        while changes.peek().is_some() {
            refused = refused.and(self.change_some(changes.by_ref().take(AT_ONCE)));
        }
        refused
    }

    fn change_some(&mut self, changes: impl Iterator<Item = Change>) -> Result<(), Error> {
        let first = self.sequence + 1;
        let mut names = Vec::new();
        let mut request = Vec::new();
        for Change {
            what,
            message,
            flags,
        } in changes
        {
            self.append(&mut request, message, flags | NLM_F_ACK);
            names.push(what);
        }
        let failed = |source| Error {
            what: names[0].clone(),
            source,
        };
        self.socket.send(&request, 0).map_err(failed)?;
        let mut refused = Ok(());
        let mut missing = names.len();
        while missing > 0 {
            for message in self.receive(first).map_err(failed)? {
                let NetlinkPayload::Error(answer) = message.payload else {
                    continue;
                };
                missing -= 1;
                if answer.code.is_some() {
                    let place = (message.header.sequence_number - first) as usize;
                    let error = Error {
                        what: names[place].clone(),
                        source: answer.to_io(),
                    };
                    refused = refused.and(Err(error));
                }
            }
        }
        refused
    }

    /// Asks for one thing.
    pub fn ask(
        &mut self,
        what: &str,
        question: RouteNetlinkMessage,
    ) -> Result<RouteNetlinkMessage, Error> {
        let mut answers = self.query(what, question, 0)?;
        let nothing = || io::Error::from(io::ErrorKind::UnexpectedEof);
        answers.pop().ok_or_else(|| Error {
            what: what.to_owned(),
            source: nothing(),
        })
    }

    /// Asks for all things of a kind.
    pub fn dump(
        &mut self,
        what: &str,
        question: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.query(what, question, NLM_F_DUMP)
    }

    fn query(
        &mut self,
        what: &str,
        question: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let failed = |source| Error {
            what: what.to_owned(),
            source,
        };
        // The kernel says so when what it lists changed meanwhile: then it is listed again.
        'again: loop {
            let mut request = Vec::new();
            self.append(&mut request, question.clone(), flags);
            let sequence = self.sequence;
            self.socket.send(&request, 0).map_err(failed)?;
            let mut answers = Vec::new();
            let mut interrupted = false;
            loop {
                for message in self.receive(sequence).map_err(failed)? {
                    interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                    match message.payload {
                        NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                        NetlinkPayload::Error(answer) => return Err(failed(answer.to_io())),
                        NetlinkPayload::Done(done) if done.code != 0 => {
                            return Err(failed(io::Error::from_raw_os_error(-done.code)));
                        }
                        _ if interrupted => continue 'again,
                        _ => return Ok(answers),
                    }
                }
                if flags & NLM_F_DUMP != NLM_F_DUMP {
                    return Ok(answers);
                }
            }
        }
    }

    fn append(&mut self, request: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16) {
        self.sequence += 1;
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let start = request.len();
        request.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut request[start..]);
    }

    /// The messages of one datagram, but for those that answer a request before `first`.
    fn receive(&mut self, first: u32) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
        let mut received = mem::take(&mut self.received);
        received.clear();
        let length = self.socket.recv(&mut received, libc::MSG_TRUNC)?;
        if length > received.len() {
            self.received = Vec::with_capacity(length);
            return Err(io::Error::other(
                "an answer was longer than the room for it",
            ));
        }
        let asked = first..=self.sequence;
        let messages = messages(&received);
        self.received = received;
        let mut messages = messages?;
        messages.retain(|message| asked.contains(&message.header.sequence_number));
        Ok(messages)
    }
}

/// A socket that hears of changes in the network namespace that it was opened in.
pub struct Monitor(Socket);

impl Monitor {
    /// Hears of devices that come, go or change (`RTNLGRP_LINK`).
    pub fn links() -> io::Result<Self> {
        Self::of(&[RTNLGRP_LINK])
    }

    /// Hears of devices and of IPv4 routes (`RTNLGRP_IPV4_ROUTE`).
    pub fn links_and_routes() -> io::Result<Self> {
        Self::of(&[RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE])
    }

    fn of(groups: &[u32]) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for &group in groups {
            socket.add_membership(group)?;
        }
        socket.set_non_blocking(true)?;
        Ok(Self(socket))
    }

    /// Waits until something changed, or until `patience` is over; what changed is to be asked
    /// for, since news can be lost.
    pub fn wait(&mut self, patience: Duration) -> io::Result<()> {
        self.hear(patience, |_| {})
    }

    /// Waits until something changed, or until `patience` is over, and tells what. News that came
    /// faster than it was heard is lost without a word.
    pub fn hear(
        &mut self,
        patience: Duration,
        mut tell: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        let milliseconds = patience.as_millis().saturating_add(1);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        poll(
            &mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)],
            timeout,
        )?;
        let mut news = Vec::with_capacity(1 << 15);
        loop {
            news.clear();
            match self.0.recv(&mut news, 0) {
                Ok(_) => {
                    // What cannot be read is passed over: it is news, but not of a known kind.
                    for message in messages(&news).into_iter().flatten() {
                        if let NetlinkPayload::InnerMessage(inner) = message.payload {
                            tell(inner);
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // News was lost: which is news enough.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV4_ROUTE: u32 = 7;

/// The messages of one datagram.
fn messages(mut datagram: &[u8]) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
    let mut messages = Vec::new();
    while datagram.len() >= 16 {
        let message = NetlinkMessage::deserialize(datagram).map_err(io::Error::other)?;
        let length = (message.header.length as usize).next_multiple_of(4);
        datagram = datagram.get(length..).unwrap_or_default();
        messages.push(message);
    }
    Ok(messages)
}
