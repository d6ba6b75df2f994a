//! Where frames go in and come out.

use std::io;

use multiwan_kernel::packet::{Burst, Captured, PacketSocket, Ring};

use crate::error::Error;
use crate::host::{Device, Host, Mac};

/// Bytes kept of a captured frame: all headers and what the lab writes behind them.
pub(super) const KEPT: usize = 160;

/// A host's card, with the frames that came and those that are to go.
pub(super) struct Port {
    pub(super) ring: Ring,
    pub(super) burst: Burst,
    pub(super) mac: Mac,
}

impl Port {
    /// Opens a host's card for an ethertype, with room for so many frames that wait to be read;
    /// with `both`, what the host sends is captured too.
    pub(super) fn open(
        host: &Host,
        device: &Device,
        ethertype: u16,
        frames: usize,
        both: bool,
    ) -> Result<Self, Error> {
        let ring = host.enter(|| {
            let socket = PacketSocket::open(device.index, 0)?;
            if !both {
                socket.ignore_outgoing()?;
            }
            socket.bypass_queueing()?;
            Ring::new(socket, ethertype, frames, KEPT)
        })?;
        Ok(Self {
            ring,
            burst: Burst::default(),
            mac: device.mac,
        })
    }

    /// Reads what came, with the burst for what it calls for; whether anything came.
    pub(super) fn read(&mut self, mut see: impl FnMut(Captured<'_>, &mut Burst)) -> bool {
        let Self { ring, burst, .. } = self;
        ring.drain(|captured| see(captured, burst)) > 0
    }

    /// Sends what was appended. What a device that is down or full does not take is lost, as on
    /// any Ethernet.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.burst.is_empty() {
            return Ok(());
        }
        let sent = self.ring.socket().send_burst(&self.burst);
        self.burst.clear();
        match sent {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOBUFS | libc::ENETDOWN | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }
}
