//! The clients' own sockets, of their own kernels, all driven from here: a socket that was opened
//! in a namespace works from any thread.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream, UdpSocket};

use futures::future::join_all;
use multiwan_lab::Lab;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::server;

const REQUEST: &[u8; 16] = b"are you at home?";
const REPLY: &[u8; 16] = b"yes, come in now";
/// Ports below 1024 belong to kernels, here the Internet's.
const PORT: u16 = 80;
/// How many conversations are under way at once.
const AT_ONCE: usize = 64;

/// Sends datagrams, each client's to another server.
pub(crate) fn send_datagrams(lab: &mut Lab, count: usize) {
    let clients = lab.topology().clients;
    let open = |client| {
        let host = lab.client(client).host();
        host.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))
    };
    let sockets: Result<Vec<_>, _> = (0..clients).map(open).collect();
    let sockets = sockets.unwrap_or_else(|why| panic!("{why}"));
    for number in 0..count {
        let sent = sockets[number % clients].send_to(REQUEST, (server(number / clients), PORT));
        sent.expect("datagrams can be sent");
    }
}

/// Holds conversations with one thread: both ends of all of them.
pub(crate) fn converse(lab: &mut Lab, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let listener = listen(lab);
    runtime.expect("a runtime").block_on(async {
        listener.set_nonblocking(true).expect("a socket");
        tokio::spawn(answer(listener));
        let clients = lab.topology().clients;
        let (lab, next) = (RefCell::new(lab), Cell::new(0));
        let talk = async || {
            while next.get() < count {
                let number = next.replace(next.get() + 1);
                let open = || {
                    let mut lab = lab.borrow_mut();
                    lab.client(number % clients).host().enter(TcpSocket::new_v4)
                };
                let socket = open().unwrap_or_else(|why| panic!("{why}"));
                let server = SocketAddrV4::new(server(number / clients), PORT);
                ask(socket, server).await.expect("a conversation");
            }
        };
        join_all((0..AT_ONCE).map(|_| talk())).await;
    });
}

async fn ask(socket: TcpSocket, server: SocketAddrV4) -> io::Result<()> {
    let mut stream = socket.connect(server.into()).await?;
    stream.write_all(REQUEST).await?;
    let mut reply = [0; REPLY.len()];
    stream.read_exact(&mut reply).await?;
    stream.shutdown().await?;
    // The other end closes too.
    stream.read(&mut reply).await.map(drop)
}

async fn answer(listener: TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut request = [0; REQUEST.len()];
            stream.read_exact(&mut request).await?;
            stream.write_all(REPLY).await?;
            stream.read(&mut request).await
        });
    }
}

/// Holds conversations one after the other, a thread for each end.
pub(crate) fn converse_blocking(lab: &mut Lab, count: usize) {
    let clients = lab.topology().clients;
    let listener = listen(lab);
    std::thread::scope(|scope| {
        scope.spawn(|| answer_blocking(&listener, count).expect("requests"));
        for number in 0..count {
            let server = (server(number / clients), PORT);
            let host = lab.client(number % clients).host();
            host.enter(|| ask_blocking(server))
                .unwrap_or_else(|why| panic!("{why}"));
        }
    });
}

fn ask_blocking(server: (Ipv4Addr, u16)) -> io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(REQUEST)?;
    let mut reply = [0; REPLY.len()];
    stream.read_exact(&mut reply)?;
    stream.shutdown(Shutdown::Write)?;
    stream.read(&mut reply).map(drop)
}

fn answer_blocking(listener: &TcpListener, count: usize) -> io::Result<()> {
    for stream in listener.incoming().take(count) {
        let mut stream = stream?;
        let mut request = [0; REQUEST.len()];
        stream.read_exact(&mut request)?;
        stream.write_all(REPLY)?;
        // The other end closes.
        let _end = stream.read(&mut request)?;
    }
    Ok(())
}

/// Listens at every server's address.
fn listen(lab: &mut Lab) -> TcpListener {
    let bind = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT));
    lab.internet()
        .enter(bind)
        .unwrap_or_else(|why| panic!("{why}"))
}
