//! A port of this router that a kind of probe has for itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use multiwan_kernel::packet::attach_filter;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, setsockopt, socket, sockopt,
};

use super::filter::{RETURN, op};

/// A port that the kernel gives to nobody else as long as this is held.
///
/// It takes nothing in. Were it not there, the kernel would say to a name server that nobody has
/// the port (ICMP type 3 code 3); a UDP socket drops the answer without a word. With TCP the
/// socket neither listens nor connects: what comes is answered by a reset, which is as well.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _socket: OwnedFd,
}

impl Port {
    /// Takes a free one at this address of a line, which need not be there yet.
    pub(super) fn hold(address: Ipv4Addr, kind: SockType) -> io::Result<Self> {
        let socket = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&socket, sockopt::IpFreebind, &true)?;
        attach_filter(socket.as_fd(), &[op(RETURN, 0, 0, 0)])?;
        let any = SockaddrIn::from(SocketAddrV4::new(address, 0));
        bind(socket.as_raw_fd(), &any)?;
        let bound: SockaddrIn = getsockname(socket.as_raw_fd())?;
        Ok(Self {
            number: bound.port(),
            _socket: socket,
        })
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }
}
