//! What the kernel tells unasked of nftables: that somebody has touched the table that is ours.

use std::io;

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use tokio::io::unix::AsyncFd;

use super::readable::readable;
use crate::desired::TABLE;

/// `NFNLGRP_NFTABLES` (`linux/netfilter/nfnetlink.h`).
const GROUP: u32 = 7;
/// Netlink's header, and netfilter's behind it.
const HEADERS: usize = 16 + 4;
/// Room for a large ruleset's reload; the kernel grants less where `net.core.rmem_max` says so.
const BUFFER: i32 = 1 << 20;

/// A socket that hears of changes of nftables.
pub(super) struct Tables {
    socket: AsyncFd<Socket>,
}

impl Tables {
    /// Listens from now on.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.add_membership(GROUP)?;
        let _ = socket.set_rx_buf_sz(BUFFER);
        socket.set_non_blocking(true)?;
        Ok(Self {
            socket: readable(socket)?,
        })
    }

    /// Waits until our table may have been touched, or some of what the kernel told was lost.
    pub(super) async fn touched(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.socket.readable_mut().await?;
            match ready.try_io(|socket| receive(socket.get_mut())) {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}

/// Takes all that waits; whether our table is concerned.
fn receive(socket: &mut Socket) -> io::Result<bool> {
    let (mut ours, mut heard) = (false, false);
    loop {
        match socket.recv_from_full() {
            Ok((datagram, _)) => ours |= concerns_us(&datagram),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => ours = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && heard => return Ok(ours),
            Err(error) => return Err(error),
        }
        heard = true;
    }
}

/// Whether a message of a datagram names our table: in all of nftables' messages that is the first
/// attribute (`NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE` and so on). Messages of a transaction may come together.
fn concerns_us(mut datagram: &[u8]) -> bool {
    while let Some(length) = datagram.first_chunk() {
        let ours = |rest: &[u8]| rest.starts_with(&named());
        if datagram.get(HEADERS..).is_some_and(ours) {
            return true;
        }
        let length = (u32::from_ne_bytes(*length) as usize).max(HEADERS);
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    false
}

/// The first attribute of what is about our table.
fn named() -> Vec<u8> {
    let name = [TABLE.as_bytes(), &[0]].concat();
    let length = (4 + name.len()) as u16;
    [&length.to_ne_bytes()[..], &1_u16.to_ne_bytes(), &name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(table: &str) -> Vec<u8> {
        let name = [table.as_bytes(), &[0]].concat();
        let length = (HEADERS + 4 + name.len()) as u32;
        let attribute = ((4 + name.len()) as u16).to_ne_bytes();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.resize(HEADERS, 0);
        bytes.extend([&attribute[..], &1_u16.to_ne_bytes(), &name].concat());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_transaction_is_read_to_its_end() {
        assert!(concerns_us(&message(TABLE)));
        assert!(!concerns_us(&message("filter")));
        assert!(!concerns_us(&message("multiwan2")));
        assert!(concerns_us(&[message("filter"), message(TABLE)].concat()));
    }

    #[test]
    fn nonsense_is_not_ours() {
        let whole = message(TABLE);
        for length in 0..whole.len() - 4 {
            assert!(!concerns_us(&whole[..length]), "{length} bytes");
        }
        assert!(!concerns_us(&[0; 64]));
    }
}
