//! Services on the router, which hosts on the Internet ask.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use multiwan_lab::traffic::Protocol;

use super::Scene;
use crate::judgement::Trouble;

/// Sockets of this process, which lives on the router, at each of its lines' addresses. They say
/// back what they hear. The router's kernel answers ICMP echo by itself.
pub struct Service {
    addresses: Vec<Ipv4Addr>,
    listeners: Vec<TcpListener>,
    connections: Vec<TcpStream>,
    datagrams: Vec<UdpSocket>,
    /// The sources of all that was heard.
    pub heard: Vec<SocketAddr>,
}

impl Service {
    /// At these addresses, each at a port that the kernel picks.
    ///
    /// # Errors
    ///
    /// If the router does not have one of them.
    pub fn at(addresses: &[Ipv4Addr]) -> Result<Self, Trouble> {
        let open = || -> io::Result<Self> {
            let mut service = Self {
                addresses: addresses.to_vec(),
                listeners: Vec::new(),
                connections: Vec::new(),
                datagrams: Vec::new(),
                heard: Vec::new(),
            };
            for &address in addresses {
                let listener = TcpListener::bind((address, 0))?;
                listener.set_nonblocking(true)?;
                service.listeners.push(listener);
                let socket = UdpSocket::bind((address, 0))?;
                socket.set_nonblocking(true)?;
                service.datagrams.push(socket);
            }
            Ok(service)
        };
        open().map_err(|source| Trouble::System {
            doing: "opening a service on the router",
            source,
        })
    }

    /// Where the service of one of the addresses is, by its place among them.
    #[must_use]
    pub fn address(&self, place: usize, protocol: Protocol) -> SocketAddrV4 {
        let port = match protocol {
            Protocol::Tcp => self.listeners[place].local_addr(),
            Protocol::Udp => self.datagrams[place].local_addr(),
            Protocol::Echo => return SocketAddrV4::new(self.addresses[place], 0),
        };
        let port = port.map_or(0, |address| address.port());
        SocketAddrV4::new(self.addresses[place], port)
    }

    /// Answers what waits.
    fn serve(&mut self) {
        let mut buffer = [0; 2048];
        for socket in &self.datagrams {
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                self.heard.push(from);
                // Where no route leads back, nobody is answered.
                let _ = socket.send_to(&buffer[..length], from);
            }
        }
        for listener in &self.listeners {
            while let Ok((connection, from)) = listener.accept() {
                self.heard.push(from);
                if connection.set_nonblocking(true).is_ok() {
                    self.connections.push(connection);
                }
            }
        }
        self.connections
            .retain_mut(|connection| match connection.read(&mut buffer) {
                Ok(0) => false,
                Ok(length) => connection.write_all(&buffer[..length]).is_ok(),
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            });
    }
}

impl Scene<'_> {
    /// Goes on until every exchange has its outcome, with a service at work.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn finish_with(&mut self, service: &mut Service) -> Result<(), Trouble> {
        while self.traffic.busy() {
            self.turn(Duration::from_millis(1))?;
            service.serve();
        }
        self.finish()?;
        service.serve();
        Ok(())
    }
}
