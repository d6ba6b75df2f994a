//! A modem that takes its time: who asks it by ARP or echo is answered late.
//!
//! Its kernel keeps silent then, and a thread answers in its stead.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use multiwan_kernel::packet::{self, Burst, PacketSocket};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;
use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::icmp::{IcmpPacket, IcmpTypes, MutableIcmpPacket, checksum};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::{Ipv4Packet, MutableIpv4Packet};
use pnet::packet::{MutablePacket, Packet};

use crate::error::Error;
use crate::host::{Host, Mac};
use crate::lab::Modem;
use crate::traffic::frame::{self, Frame};

/// How long a slow modem takes to answer for itself.
pub const SLOWNESS: Duration = Duration::from_millis(200);

/// The modem's settings that keep its kernel silent, and as they are otherwise.
const SILENCE: [(&str, &str, &str); 2] = [
    ("ipv4/conf/lan/arp_ignore", "8", "0"),
    ("ipv4/icmp_echo_ignore_all", "1", "0"),
];

/// Longer than any frame that is answered: an echo of `ping` has 98 bytes.
const LONGEST: usize = 1514;

/// Answers late until it is ended.
pub(crate) struct Slow {
    /// Dropped, it tells the thread to end.
    _alive: OwnedFd,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Slow {
    /// Answers in a modem's stead from now on.
    pub(crate) fn begin(modem: &Modem, gateway: Ipv4Addr) -> Result<Self, Error> {
        let (index, mac) = (modem.lan.index, modem.lan.mac);
        let host = &modem.host;
        let socket = host.enter(|| {
            let socket = PacketSocket::open(index, packet::ALL)?;
            socket.ignore_outgoing()?;
            Ok(socket)
        })?;
        for (key, silent, _) in SILENCE {
            host.set(key, silent)?;
        }
        // Not for processes that are started meanwhile: they would keep it open.
        let pipe = pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from);
        let (end, alive) =
            pipe.map_err(|error| Error::system(host.name(), "making a pipe", error))?;
        let thread = thread::spawn(move || answer_late(&socket, &end, mac, gateway));
        Ok(Self {
            _alive: alive,
            thread: Some(thread),
        })
    }

    /// Lets the modem answer for itself again.
    pub(crate) fn end(self, host: &Host) -> Result<(), Error> {
        let Self { _alive, thread } = self;
        drop(_alive);
        if let Some(Err(error)) = thread.and_then(|thread| thread.join().ok()) {
            return Err(Error::system(host.name(), "answering late", error));
        }
        for (key, _, otherwise) in SILENCE {
            host.set(key, otherwise)?;
        }
        Ok(())
    }
}

fn answer_late(
    socket: &PacketSocket,
    end: &OwnedFd,
    mac: Mac,
    gateway: Ipv4Addr,
) -> io::Result<()> {
    let mut waiting: VecDeque<(Instant, Burst)> = VecDeque::new();
    let mut received = [0; LONGEST];
    loop {
        let now = Instant::now();
        while let Some((_, answer)) = waiting.pop_front_if(|(due, _)| *due <= now) {
            // A line without carrier loses it, as any.
            let _ = socket.send(answer.frame(0));
        }
        while let Ok(length) = socket.receive(&mut received) {
            let frame = &received[..length.min(LONGEST)];
            if let Some(answer) = answer(frame, mac, gateway) {
                waiting.push_back((now + SLOWNESS, answer));
            }
        }
        let timeout = match waiting.front() {
            None => PollTimeout::NONE,
            Some((due, _)) => {
                let left = due.saturating_duration_since(Instant::now()).as_micros();
                PollTimeout::try_from(left.div_ceil(1000)).unwrap_or(PollTimeout::MAX)
            }
        };
        let mut polled = [
            PollFd::new(end.as_fd(), PollFlags::empty()),
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut polled, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if polled[0].any().unwrap_or(true) {
            return Ok(());
        }
    }
}

/// What a modem says to a frame that is for itself.
fn answer(received: &[u8], mac: Mac, gateway: Ipv4Addr) -> Option<Burst> {
    let mut burst = Burst::default();
    if let Frame::ArpRequest(asker, wanted) = frame::read(received) {
        if wanted != gateway {
            return None;
        }
        frame::write_arp_reply(&mut burst, mac, gateway, &asker);
        return Some(burst);
    }
    let ethernet = EthernetPacket::new(received)?;
    let ip = Ipv4Packet::new(ethernet.payload())?;
    let echo = IcmpPacket::new(ip.payload())?;
    let asked = ethernet.get_ethertype() == EtherTypes::Ipv4
        && ip.get_destination() == gateway
        && ip.get_next_level_protocol() == IpNextHeaderProtocols::Icmp
        && echo.get_icmp_type() == IcmpTypes::EchoRequest;
    if !asked {
        return None;
    }
    burst.push_with(received.len(), |frame| {
        frame.copy_from_slice(received);
        turn_echo_around(frame, mac)
    })?;
    Some(burst)
}

/// Makes an echo request its reply. The checksum of IPv4 does not mind which address comes first.
fn turn_echo_around(frame: &mut [u8], mac: Mac) -> Option<()> {
    let mut ethernet = MutableEthernetPacket::new(frame)?;
    ethernet.set_destination(ethernet.get_source());
    ethernet.set_source(mac.into());
    let mut ip = MutableIpv4Packet::new(ethernet.payload_mut())?;
    let (source, destination) = (ip.get_source(), ip.get_destination());
    ip.set_source(destination);
    ip.set_destination(source);
    let mut echo = MutableIcmpPacket::new(ip.payload_mut())?;
    echo.set_icmp_type(IcmpTypes::EchoReply);
    let sum = checksum(&echo.to_immutable());
    echo.set_checksum(sum);
    Some(())
}
