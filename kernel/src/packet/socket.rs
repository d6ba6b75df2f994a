//! A packet socket on one device.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socket};

use super::sys;

/// A packet socket bound to one device: whole frames with their Ethernet header go in and out.
///
/// It never blocks and is closed on exec. Needs CAP_NET_RAW in the network namespace's user
/// namespace.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
    ifindex: u32,
}

/// A packet socket bound to one device that leaves the device's own header, if it has any, to the
/// kernel: packets of one protocol go in and out.
///
/// It never blocks and is closed on exec. Needs CAP_NET_RAW in the network namespace's user
/// namespace.
#[derive(Debug)]
pub struct CookedSocket {
    socket: PacketSocket,
    ethertype: u16,
}

impl CookedSocket {
    /// Opens a socket that sends and receives packets of `ethertype` on the device with this index.
    pub fn open(ifindex: u32, ethertype: u16) -> io::Result<Self> {
        let socket = PacketSocket::of_type(SockType::Datagram, ifindex, ethertype)?;
        Ok(Self { socket, ethertype })
    }

    /// Lets through only what a classic BPF program accepts, which sees no device's header.
    pub fn attach_filter(&self, program: &[libc::sock_filter]) -> io::Result<()> {
        self.socket.attach_filter(program)
    }

    /// Sends one packet to a hardware address, which must be given where the device has those.
    pub fn send(&self, packet: &[u8], to: Option<[u8; 6]>) -> io::Result<()> {
        let ifindex = self.socket.ifindex;
        sys::send_to(self.as_fd(), ifindex, self.ethertype, to, packet)
    }

    /// Receives one packet; its length. `WouldBlock` where none waits.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.receive(buffer)
    }
}

impl AsFd for CookedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for CookedSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl PacketSocket {
    /// Opens a socket that sends on the device with this index and receives `ethertype` from it.
    ///
    /// Between creation and binding it receives nothing, so that no other device's frames slip in.
    pub fn open(ifindex: u32, ethertype: u16) -> io::Result<Self> {
        Self::of_type(SockType::Raw, ifindex, ethertype)
    }

    fn of_type(kind: SockType, ifindex: u32, ethertype: u16) -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Packet,
            kind,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )?;
        sys::bind(socket.as_fd(), ifindex, ethertype)?;
        Ok(Self { socket, ifindex })
    }

    /// Receives this ethertype from now on.
    pub(super) fn receive_only(&self, ethertype: u16) -> io::Result<()> {
        sys::bind(self.as_fd(), self.ifindex, ethertype)
    }

    /// Sends past the device's queueing discipline (`PACKET_QDISC_BYPASS`).
    pub fn bypass_queueing(&self) -> io::Result<()> {
        sys::set_option(
            self.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_QDISC_BYPASS,
            &1i32,
        )
    }

    /// Leaves out what this host itself sends (`PACKET_IGNORE_OUTGOING`, Linux 4.20).
    pub fn ignore_outgoing(&self) -> io::Result<()> {
        sys::set_option(
            self.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            &1i32,
        )
    }

    /// Lets through only what a classic BPF program accepts.
    pub fn attach_filter(&self, program: &[libc::sock_filter]) -> io::Result<()> {
        sys::attach_filter(self.as_fd(), program)
    }

    /// Sends one frame.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(self.socket.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }

    /// Sends the frames of a burst in order, as many as the kernel takes at once; how many.
    pub fn send_burst(&self, burst: &Burst) -> io::Result<usize> {
        let mut sent = 0;
        let mut frames = [&[][..]; 64];
        while sent < burst.len() {
            let count = (burst.len() - sent).min(frames.len());
            for (slot, index) in frames.iter_mut().zip(sent..sent + count) {
                *slot = burst.frame(index);
            }
            match sys::send_many(self.as_fd(), &frames[..count]) {
                Ok(taken) => sent += taken,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Receives one frame; its length. `WouldBlock` where none waits.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(
            self.socket.as_raw_fd(),
            buffer,
            MsgFlags::MSG_DONTWAIT,
        )?)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for PacketSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Frames that wait to be sent together, in one buffer.
#[derive(Debug, Default, Clone)]
pub struct Burst {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Burst {
    /// Appends a frame of `length` zero bytes and gives it to `fill`.
    pub fn push_with<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let start = self.bytes.len();
        self.bytes.resize(start + length, 0);
        self.ends.push(self.bytes.len());
        fill(&mut self.bytes[start..])
    }

    /// How many frames wait.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets all frames and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// The frame at this place.
    pub fn frame(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}
