//! What the router itself says: sockets of this process, which lives there.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use multiwan_lab::traffic::{FlowId, Protocol};
use socket2::{Domain, Socket, Type};

use super::{Scene, protocol};
use crate::judgement::Trouble;

/// So many wait for their answers at once.
const AT_ONCE: usize = 64;

/// Why a call failed that had neither answer nor error.
pub const NO_ANSWER: &str = "no answer";

/// A socket that has asked a server on the Internet.
pub struct Call {
    /// Its packets.
    pub flow: FlowId,
    /// Why it had no answer.
    pub failure: Option<String>,
    asker: Option<Asker>,
}

impl Scene<'_> {
    /// Makes so many sockets, TCP and UDP by turns, bound to an address or to none, and lets each
    /// ask one server and close.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn call(&mut self, count: usize, from: Option<Ipv4Addr>) -> Result<Vec<Call>, Trouble> {
        let mut calls = Vec::with_capacity(count);
        while calls.len() < count {
            let mut some = self.hold(AT_ONCE.min(count - calls.len()), from)?;
            for call in &mut some {
                call.asker = None;
            }
            calls.extend(some);
        }
        // What closing the last ones has sent is judged too.
        self.finish()?;
        Ok(calls)
    }

    /// As [`Scene::call`], and the sockets stay open as long as what is returned.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn hold(&mut self, count: usize, from: Option<Ipv4Addr>) -> Result<Vec<Call>, Trouble> {
        let mut calls: Vec<Call> = (0..count)
            .map(|number| {
                let server = self.server();
                let flow = self.traffic.watch(server, protocol(number));
                let server = self.traffic.flow(flow).server;
                let (asker, failure) = match Asker::connect(protocol(number), from, server) {
                    Ok(asker) => (Some(asker), None),
                    Err(error) => (None, Some(error.to_string())),
                };
                Call {
                    flow,
                    failure,
                    asker,
                }
            })
            .collect();
        self.hear(&mut calls)?;
        Ok(calls)
    }

    /// Lets each of these ask once more.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn call_again(&mut self, calls: &mut [Call]) -> Result<(), Trouble> {
        for call in &mut *calls {
            if let Some(Err(error)) = call.asker.as_mut().map(Asker::ask) {
                call.failure = Some(error.to_string());
                call.asker = None;
            }
        }
        self.hear(calls)
    }

    /// Waits for the answers.
    fn hear(&mut self, calls: &mut [Call]) -> Result<(), Trouble> {
        let deadline = Instant::now() + self.cx.deadlines.drain;
        let mut last_look = false;
        loop {
            self.turn(Duration::from_millis(5))?;
            for call in &mut *calls {
                if let Some(asker) = &call.asker
                    && !asker.answered()
                    && let Some(error) = asker.error()
                {
                    call.failure = Some(error);
                    call.asker = None;
                }
            }
            let waits = |call: &Call| call.asker.as_ref().is_some_and(|call| !call.answered());
            if !calls.iter().any(waits) || last_look {
                break;
            }
            // One more look after the deadline: what came while we were not running counts.
            last_look = Instant::now() > deadline;
        }
        for call in calls {
            if let Some(asker) = &call.asker
                && !asker.answered()
            {
                call.failure = Some(NO_ANSWER.to_owned());
            }
        }
        Ok(())
    }

    /// What of these was not answered or left otherwise than `right` says of a line and a source.
    pub fn wrong_calls(
        &self,
        calls: &[Call],
        right: impl Fn(usize, Ipv4Addr) -> bool,
    ) -> Option<String> {
        let unanswered: Vec<_> = calls.iter().filter_map(|c| c.failure.as_ref()).collect();
        let astray: Vec<String> = calls
            .iter()
            .flat_map(|call| self.traffic.ledger().sightings(call.flow))
            .filter(|seen| !right(seen.line, *seen.source.ip()))
            .map(|seen| format!("one by {} from {}", self.name(seen.line), seen.source.ip()))
            .collect();
        let first = unanswered
            .first()
            .map(|why| why.as_str())
            .or(astray.first().map(String::as_str));
        first.map(|first| {
            format!(
                "of {} connections {} were not answered and {} left by a wrong line or with a \
                 wrong source: {first}",
                calls.len(),
                unanswered.len(),
                astray.len(),
            )
        })
    }
}

/// A socket that has asked.
struct Asker {
    socket: Socket,
    /// TCP's first answer is the handshake.
    connecting: bool,
}

/// A connection that is under way (`EINPROGRESS`).
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

impl Asker {
    fn connect(
        protocol: Protocol,
        from: Option<Ipv4Addr>,
        server: SocketAddrV4,
    ) -> io::Result<Self> {
        let kind = match protocol {
            Protocol::Tcp => Type::STREAM,
            Protocol::Udp => Type::DGRAM,
            Protocol::Echo => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = Socket::new(Domain::IPV4, kind.nonblocking(), None)?;
        if let Some(from) = from {
            socket.bind(&SocketAddrV4::new(from, 0).into())?;
        }
        match socket.connect(&server.into()) {
            Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
            other => other?,
        }
        let mut asker = Self {
            socket,
            connecting: protocol == Protocol::Tcp,
        };
        if asker.connecting {
            // Closing sends a reset: nothing of it stays behind.
            asker.socket.set_linger(Some(Duration::ZERO))?;
        } else {
            asker.ask()?;
        }
        Ok(asker)
    }

    fn ask(&mut self) -> io::Result<()> {
        let mut old = [MaybeUninit::uninit(); 64];
        while self.socket.recv(&mut old).is_ok_and(|length| length > 0) {}
        self.connecting = false;
        self.socket.send(b"question").map(drop)
    }

    fn answered(&self) -> bool {
        if self.connecting {
            return self.socket.peer_addr().is_ok();
        }
        let mut buffer = [MaybeUninit::uninit(); 64];
        self.socket.peek(&mut buffer).is_ok_and(|length| length > 0)
    }

    fn error(&self) -> Option<String> {
        match self.socket.take_error() {
            Ok(Some(error)) | Err(error) => Some(error.to_string()),
            Ok(None) => None,
        }
    }
}
