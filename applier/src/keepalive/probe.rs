//! Probes as frames on a packet socket of the line's device: below routing and netfilter, so that
//! they cannot leave by another line and do not need the tables that they judge.

use std::io;

use multiwan_kernel::packet::{self, PacketSocket};
use pnet::util::MacAddr;
use tokio::io::unix::AsyncFd;

use super::arp::{Heard, Question};
use super::readable::readable;

/// Longer than any frame that the filter lets through.
const RECEIVED: usize = 128;

/// Asks the gateway of one line and hears it.
pub(super) struct Prober {
    index: u32,
    question: Question,
    socket: AsyncFd<PacketSocket>,
    /// Who answered last.
    gateway: Option<MacAddr>,
}

impl Prober {
    /// Opens the socket on the device with this index.
    pub(super) fn open(index: u32, question: Question) -> io::Result<Self> {
        let socket = PacketSocket::open(index, packet::ARP)?;
        socket.attach_filter(&question.filter())?;
        Ok(Self {
            index,
            question,
            socket: readable(socket)?,
            gateway: None,
        })
    }

    /// Whether it asks this, there.
    pub(super) fn asks(&self, index: u32, question: &Question) -> bool {
        self.index == index && self.question == *question
    }

    /// The hardware address that the gateway last answered from.
    pub(super) fn gateway(&self) -> Option<MacAddr> {
        self.gateway
    }

    /// Asks once. A broadcast finds a gateway whose hardware address alternates; after a miss the
    /// last known one is asked by itself too, for where broadcasts get lost.
    pub(super) fn ask(&self, after_a_miss: bool) -> io::Result<()> {
        self.send(MacAddr::broadcast())?;
        match self.gateway {
            Some(gateway) if after_a_miss => self.send(gateway),
            _ => Ok(()),
        }
    }

    fn send(&self, to: MacAddr) -> io::Result<()> {
        self.socket.get_ref().send(&self.question.frame(to))
    }

    /// Waits for a frame from the gateway.
    pub(super) async fn heard(&mut self) -> io::Result<Heard> {
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| receive(socket.get_ref(), &self.question)) {
                Ok(Ok(Some(heard))) => return Ok(self.note(heard)),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(None)) | Err(_) => {}
            }
        }
    }

    /// Takes a frame from the gateway where one waits.
    pub(super) fn waiting(&mut self) -> Option<Heard> {
        loop {
            match receive(self.socket.get_ref(), &self.question) {
                Ok(Some(heard)) => return Some(self.note(heard)),
                Ok(None) => {}
                Err(_) => return None,
            }
        }
    }

    fn note(&mut self, heard: Heard) -> Heard {
        if let Heard::Reply(gateway) = heard {
            self.gateway = Some(gateway);
        }
        heard
    }

    /// Closes the socket aside: the kernel waits some milliseconds for the last frame on its way.
    pub(super) fn retire(self) {
        let socket = self.socket.into_inner();
        tokio::task::spawn_blocking(move || drop(socket));
    }
}

fn receive(socket: &PacketSocket, question: &Question) -> io::Result<Option<Heard>> {
    let mut frame = [0; RECEIVED];
    let length = socket.receive(&mut frame)?;
    Ok(question.heard(&frame[..length.min(RECEIVED)]))
}
