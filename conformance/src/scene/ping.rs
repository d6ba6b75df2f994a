//! The router pings.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::Scene;
use crate::judgement::Trouble;

const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// Any will do: nobody else pings from here by this number.
const IDENTIFIER: [u8; 2] = *b"mw";

impl Scene<'_> {
    /// Pings these addresses from the router, where this process lives, once each and all at the
    /// same time. Those that did not answer.
    ///
    /// # Errors
    ///
    /// When a socket fails.
    pub fn ping(&mut self, addresses: &[Ipv4Addr]) -> Result<Vec<Ipv4Addr>, Trouble> {
        let failed = |source| Trouble::System {
            doing: "pinging from the router",
            source,
        };
        let open = || -> io::Result<Socket> {
            let icmp = Some(Protocol::ICMPV4);
            let socket = Socket::new(Domain::IPV4, Type::RAW, icmp)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = open().map_err(failed)?;
        let mut waiting = addresses.to_vec();
        for &address in addresses {
            let message = request();
            // Where there is no way there is no answer.
            let _ = socket.send_to(&message, &SocketAddrV4::new(address, 0).into());
        }
        let deadline = Instant::now() + self.cx.deadlines.drain;
        let mut last_look = false;
        while !waiting.is_empty() {
            while let Some(from) = reply(&socket) {
                waiting.retain(|&address| address != from);
            }
            if waiting.is_empty() || last_look {
                break;
            }
            self.turn(Duration::from_millis(5))?;
            last_look = Instant::now() > deadline;
        }
        Ok(waiting)
    }
}

fn request() -> [u8; 8] {
    let mut message = [ECHO_REQUEST, 0, 0, 0, IDENTIFIER[0], IDENTIFIER[1], 0, 1];
    // The Internet checksum (RFC 1071) of four words.
    let words = message.chunks(2);
    let sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let [high, low] = (!(folded as u16)).to_be_bytes();
    message[2] = high;
    message[3] = low;
    message
}

/// Who has replied; none where no reply waits.
fn reply(mut socket: &Socket) -> Option<Ipv4Addr> {
    loop {
        let mut packet = [0; 256];
        let length = socket.read(&mut packet).ok()?;
        let header = usize::from(packet[0] & 0x0f) * 4;
        if length < header + 8 {
            continue;
        }
        let message = &packet[header..];
        if message[0] == ECHO_REPLY && message[4..6] == IDENTIFIER {
            let source: [u8; 4] = packet[12..16].try_into().ok()?;
            return Some(source.into());
        }
    }
}
