//! Capture into memory shared with the kernel.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::socket::PacketSocket;
use super::sys::{self, Mapping};

/// Frames are written to blocks of this size, the largest that is dependably there in one piece.
const BLOCK: usize = 1 << 16;

/// A receive ring of a packet socket (`TPACKET_V2`): each frame can be read the moment it is
/// written, with no system call, and what did not fit is counted.
///
/// Version 3 of the ring hands over whole blocks on a timer of a millisecond or more, which every
/// answer of a conversation would have to wait for; version 2 has no such delay.
pub struct Ring {
    socket: PacketSocket,
    mapping: Mapping,
    frame_size: usize,
    frames: usize,
    next: usize,
    seen: RingStatistics,
}

/// What a ring has seen since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RingStatistics {
    /// Frames that passed the filter.
    pub packets: u64,
    /// Of these, frames lost because the ring was full. A verdict on a capture with losses is none.
    pub drops: u64,
}

/// Which way a frame went, seen from the host that captured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To this host, or to all.
    In,
    /// To another host; seen only in promiscuous mode or where a hub floods.
    Elsewhere,
    /// From this host.
    Out,
}

/// A captured frame.
#[derive(Debug, Clone, Copy)]
pub struct Captured<'a> {
    /// The frame from its Ethernet header on, as far as it was kept.
    pub bytes: &'a [u8],
    /// Its length on the wire, which may be more than was kept.
    pub length: usize,
    /// When the kernel saw it, since the epoch.
    pub time: Duration,
    /// Which way it went.
    pub direction: Direction,
    /// The index of the device that it was seen on.
    pub ifindex: u32,
}

impl Ring {
    /// Makes a ring on a socket for `frames` frames, of which up to `keep` bytes are kept, and has
    /// the socket receive `ethertype` from then on: nothing is seen before there is room for it.
    pub fn new(
        socket: PacketSocket,
        ethertype: u16,
        frames: usize,
        keep: usize,
    ) -> io::Result<Self> {
        const { assert!(size_of::<libc::tpacket2_hdr>() == 32) };
        // Header, address, room for the link-level header, and the kernel's alignment of 16.
        const OVERHEAD: usize = 80;
        let frame_size = (OVERHEAD + keep).next_power_of_two().min(BLOCK);
        let blocks = (frames * frame_size).div_ceil(BLOCK).max(1);
        let frames = blocks * BLOCK / frame_size;
        let fd = socket.as_fd();
        let version = libc::tpacket_versions::TPACKET_V2 as i32;
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        let request = libc::tpacket_req {
            tp_block_size: BLOCK as u32,
            tp_block_nr: blocks as u32,
            tp_frame_size: frame_size as u32,
            tp_frame_nr: frames as u32,
        };
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let mapping = Mapping::new(fd, blocks * BLOCK)?;
        socket.receive_only(ethertype)?;
        Ok(Self {
            socket,
            mapping,
            frame_size,
            frames,
            next: 0,
            seen: RingStatistics::default(),
        })
    }

    /// The socket under the ring, to send on.
    pub fn socket(&self) -> &PacketSocket {
        &self.socket
    }

    /// Hands every frame that waits, oldest first, to `see`; how many there were.
    pub fn drain(&mut self, mut see: impl FnMut(Captured<'_>)) -> usize {
        let mut count = 0;
        // At most once round: a sender that never stops must not keep us here.
        while count < self.frames {
            let offset = self.next * self.frame_size;
            let Some((header, frame)) = self.mapping.frame(offset, self.frame_size) else {
                break;
            };
            let start = usize::from(header.tp_mac);
            let kept = (header.tp_snaplen as usize).min(self.frame_size - start);
            let (direction, ifindex) = link_address(frame);
            see(Captured {
                bytes: &frame[start..start + kept],
                length: header.tp_len as usize,
                time: Duration::new(header.tp_sec.into(), header.tp_nsec),
                direction,
                ifindex,
            });
            self.mapping.release(offset);
            self.next = (self.next + 1) % self.frames;
            count += 1;
        }
        count
    }

    /// What was seen and lost since the ring was made.
    pub fn statistics(&mut self) -> io::Result<RingStatistics> {
        let since_last = sys::statistics(self.socket.as_fd())?;
        self.seen.packets += u64::from(since_last.tp_packets);
        self.seen.drops += u64::from(since_last.tp_drops);
        Ok(self.seen)
    }
}

/// The direction and device from the `sockaddr_ll` that follows the frame's header.
fn link_address(frame: &[u8]) -> (Direction, u32) {
    const AT: usize = size_of::<libc::tpacket2_hdr>();
    let ifindex = u32::from_ne_bytes(frame[AT + 4..AT + 8].try_into().expect("four bytes"));
    let direction = match frame[AT + 10] {
        libc::PACKET_OUTGOING => Direction::Out,
        libc::PACKET_OTHERHOST => Direction::Elsewhere,
        _ => Direction::In,
    };
    (direction, ifindex)
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
