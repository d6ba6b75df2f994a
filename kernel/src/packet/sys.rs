//! The system calls of packet sockets that neither nix nor std wrap.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// Binds to a device (`ifindex` 0 is every device) and an ethertype (0 receives nothing).
pub(super) fn bind(socket: BorrowedFd<'_>, ifindex: u32, ethertype: u16) -> io::Result<()> {
    let address = address(ifindex, ethertype, None);
    // SAFETY: the address is a whole sockaddr_ll that outlives the call, and its size is given.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            mem::size_of_val(&address) as u32,
        )
    })
}

fn address(ifindex: u32, ethertype: u16, hardware: Option<[u8; 6]>) -> libc::sockaddr_ll {
    let mut address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: ifindex as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    if let Some(hardware) = hardware {
        address.sll_halen = 6;
        address.sll_addr[..6].copy_from_slice(&hardware);
    }
    address
}

/// Sends a packet, before which the kernel puts the device's header.
pub(super) fn send_to(
    socket: BorrowedFd<'_>,
    ifindex: u32,
    ethertype: u16,
    hardware: Option<[u8; 6]>,
    packet: &[u8],
) -> io::Result<()> {
    let address = address(ifindex, ethertype, hardware);
    // SAFETY: packet and address outlive the call, and their sizes are given.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            libc::MSG_DONTWAIT,
            (&raw const address).cast(),
            mem::size_of_val(&address) as u32,
        )
    };
    check(if sent < 0 { -1 } else { 0 })
}

/// `setsockopt` with a plain value.
pub(super) fn set_option<T: Copy>(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the value is a plain one that outlives the call, and its size is given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const *value).cast(),
            mem::size_of::<T>() as u32,
        )
    })
}

/// Attaches a classic BPF program (`SO_ATTACH_FILTER`).
pub fn attach_filter(socket: BorrowedFd<'_>, program: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: program.len() as u16,
        // The kernel copies the program; the pointer is mutable only in the C type.
        filter: program.as_ptr().cast_mut(),
    };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Packets seen and dropped since the last call (`PACKET_STATISTICS`).
pub(super) fn statistics(socket: BorrowedFd<'_>) -> io::Result<libc::tpacket_stats> {
    let mut statistics = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut length = mem::size_of_val(&statistics) as u32;
    // SAFETY: the kernel writes at most `length` bytes to a value of that size.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    })?;
    Ok(statistics)
}

/// Sends frames in one system call; how many the kernel took.
pub(super) fn send_many(socket: BorrowedFd<'_>, frames: &[&[u8]]) -> io::Result<usize> {
    const MOST: usize = 64;
    let frames = &frames[..frames.len().min(MOST)];
    let mut vectors = [libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }; MOST];
    // SAFETY: an all-zero mmsghdr is a valid one: no address, no data, no control message.
    let mut headers: [libc::mmsghdr; MOST] = unsafe { mem::zeroed() };
    for (index, frame) in frames.iter().enumerate() {
        vectors[index] = libc::iovec {
            // Sending only reads; the pointer is mutable only in the C type.
            iov_base: frame.as_ptr().cast_mut().cast::<c_void>(),
            iov_len: frame.len(),
        };
        headers[index].msg_hdr.msg_iov = &raw mut vectors[index];
        headers[index].msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the first `frames.len()` headers point at vectors and frames that outlive the call.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            frames.len() as u32,
            libc::MSG_DONTWAIT,
        )
    };
    check(sent)?;
    Ok(sent as usize)
}

/// Memory shared with the kernel: a packet ring.
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is owned, and its memory may be read and written from any one thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `length` bytes of the socket's ring.
    pub(super) fn new(socket: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        // SAFETY: a fresh shared mapping at an address of the kernel's choice touches nothing else.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// The header of the frame at `offset`, if the kernel has handed it over; then its bytes too.
    pub(super) fn frame(&self, offset: usize, size: usize) -> Option<(libc::tpacket2_hdr, &[u8])> {
        assert!(offset + size <= self.length && offset.is_multiple_of(16));
        // SAFETY: the frame lies in the mapping and is aligned to 16 bytes. The status word is
        // read atomically, and the rest only once it says that the kernel is done writing.
        unsafe {
            let header = self.start.as_ptr().add(offset).cast::<libc::tpacket2_hdr>();
            let status = std::sync::atomic::AtomicU32::from_ptr(&raw mut (*header).tp_status);
            if status.load(std::sync::atomic::Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return None;
            }
            let copy = header.read();
            Some((
                copy,
                std::slice::from_raw_parts(self.start.as_ptr().add(offset), size),
            ))
        }
    }

    /// Gives the frame at `offset` back to the kernel.
    pub(super) fn release(&mut self, offset: usize) {
        assert!(offset < self.length && offset.is_multiple_of(16));
        // SAFETY: as in `frame`; the exclusive borrow means that nobody reads the frame any more.
        unsafe {
            let header = self.start.as_ptr().add(offset).cast::<libc::tpacket2_hdr>();
            std::sync::atomic::AtomicU32::from_ptr(&raw mut (*header).tp_status)
                .store(libc::TP_STATUS_KERNEL, std::sync::atomic::Ordering::Release);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and nothing borrows from it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
