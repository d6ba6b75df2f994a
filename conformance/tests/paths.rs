//! The ways of packets that are not a client's by a line: with real sockets.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use multiwan_conformance::configuration::{BACKUP, TWO_LINES_RESET};
use multiwan_lab::traffic::{Options, Protocol};
use multiwan_lab::{Fault, Host, sandbox};
use nix::sys::socket::sockopt::{BindToDevice, SendTimeout};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use stage::{Stage, Watched, run};

/// An answer takes microseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// As a program's that looks after the backup: it is not in 222, and its way is not the whole Internet for
/// neighbours.
#[test]
fn a_socket_on_a_backup_s_card_uses_that_line() {
    const LINE: usize = 2;
    sandbox::test(|sandbox| {
        let stage = Stage::new(sandbox, BACKUP.toml);
        stage.play_applied((1, 0), |lab| {
            let mut traffic = lab.traffic(Options::default()).unwrap();
            let flow = traffic.watch([198, 18, 0, 1].into(), Protocol::Udp);
            let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            setsockopt(&socket, BindToDevice, &"eth3".into()).unwrap();
            socket.set_nonblocking(true).unwrap();
            // Connecting would look its way up once more, with the address of the card.
            socket
                .send_to(b"question", traffic.flow(flow).server)
                .unwrap();
            let deadline = Instant::now() + PATIENCE;
            while socket.recv(&mut [0; 64]).is_err() {
                assert!(Instant::now() < deadline, "no answer");
                traffic.turn(Duration::from_millis(5)).unwrap();
            }
            assert_eq!(traffic.ledger().line(flow), Some(LINE));
        });
    });
}

/// Two hosts of the LAN, one of whom asks for the other by the first line's address: that is no
/// connection of the line's, whose death is none of theirs.
#[test]
fn who_asks_for_a_line_s_address_from_inside_outlives_the_line() {
    const PORT: u16 = 40_000;
    sandbox::test(|sandbox| {
        let stage = Stage::new(sandbox, TWO_LINES_RESET.toml);
        stage.play_applied((2, 0), |lab| {
            let server = lab.client(1).address();
            forward(server, PORT);
            let other = lab.client(0).address();
            answer_by_the_router(lab.client(1).host(), other);
            let mut keepalive = stage.multiwan("keepalive");
            keepalive.env("RUST_LOG", "multiwan=debug");
            let mut keepalive = Watched::begin(keepalive);
            let listen = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT));
            let listener = lab.client(1).host().enter(listen).unwrap();
            let line = Ipv4Addr::new(198, 51, 100, 2);
            let connect = || TcpStream::connect((line, PORT));
            let mut asking = lab.client(0).host().enter(connect).unwrap();
            let (mut answering, _) = listener.accept().unwrap();
            asking.set_read_timeout(Some(PATIENCE)).unwrap();
            answering.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut ask = |when: &str| {
                let mut heard = [0; 8];
                asking.write_all(b"question").unwrap();
                let heard_of = answering.read_exact(&mut heard);
                heard_of.unwrap_or_else(|why| panic!("{when}: the server: {why}"));
                answering.write_all(b"answered").unwrap();
                let heard_of = asking.read_exact(&mut heard);
                heard_of.unwrap_or_else(|why| panic!("{when}: the client: {why}"));
            };
            ask("before");
            lab.break_line(0, Fault::Carrier).unwrap();
            keepalive.hears("to=dead");
            keepalive.hears("looked at the kernel changed=true");
            ask("while the line is dead");
        });
    });
}

/// Main knows a shorter way to them than the one they came by: the first line's card.
#[test]
fn who_is_in_one_line_s_network_is_answered_by_the_line_that_they_ask() {
    const PORT: u16 = 40_001;
    let neighbour = Ipv4Addr::new(198, 51, 100, 77);
    let other = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 2), PORT);
    sandbox::test(|sandbox| {
        let stage = Stage::new(sandbox, TWO_LINES_RESET.toml);
        stage.play_applied((1, 0), |lab| {
            // As far as the router can tell, what comes by the second line is from there.
            let internet = lab.internet();
            let add = || ip(&format!("address add {neighbour}/32 dev lo"));
            internet.enter(add).unwrap();
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
            let ask = || {
                let question = UdpSocket::bind((neighbour, 0))?;
                question.connect(other)?;
                let asking = socket(
                    AddressFamily::Inet,
                    SockType::Stream,
                    SockFlag::empty(),
                    None,
                )?;
                bind(
                    asking.as_raw_fd(),
                    &SockaddrIn::from(SocketAddrV4::new(neighbour, 0)),
                )?;
                setsockopt(&asking, SendTimeout, &TimeVal::seconds(5))?;
                connect(asking.as_raw_fd(), &SockaddrIn::from(other))?;
                Ok((question, TcpStream::from(asking)))
            };
            let udp = UdpSocket::bind(other).unwrap();
            let (question, mut asking) = internet.enter(ask).expect("the second line answers");
            let (mut answering, from) = listener.accept().unwrap();
            assert_eq!(from.ip(), neighbour);
            asking.write_all(b"question").unwrap();
            answering.read_exact(&mut [0; 8]).unwrap();
            answering.write_all(b"answered").unwrap();
            asking.set_read_timeout(Some(PATIENCE)).unwrap();
            asking
                .read_exact(&mut [0; 8])
                .expect("an answer to what is sent");
            question.send(b"question").unwrap();
            let (_, from) = udp.recv_from(&mut [0; 8]).unwrap();
            udp.send_to(b"answered", from).unwrap();
            question.set_read_timeout(Some(PATIENCE)).unwrap();
            question.recv(&mut [0; 8]).expect("an answer by UDP");
            // And the other way round, from the address that the router is asked for.
            let service = internet
                .enter(|| UdpSocket::bind((neighbour, PORT)))
                .unwrap();
            service.set_read_timeout(Some(PATIENCE)).unwrap();
            let router = UdpSocket::bind((*other.ip(), 0)).unwrap();
            router.send_to(b"question", (neighbour, PORT)).unwrap();
            let (_, from) = service
                .recv_from(&mut [0; 8])
                .expect("a question from the router");
            assert_eq!(from, router.local_addr().unwrap());
        });
    });
}

/// Out of the second line's network, as a provider's customers have it: behind the router, which main says.
#[test]
fn a_host_within_another_line_s_network_is_reached_where_main_leads_to_it() {
    const PORT: u16 = 40_002;
    let server = Ipv4Addr::new(203, 0, 113, 77);
    sandbox::test(|sandbox| {
        let stage = Stage::new(sandbox, TWO_LINES_RESET.toml);
        stage.play_applied((1, 0), |lab| {
            ip(&format!("route add {server}/32 dev eth0")).unwrap();
            let listen = || {
                ip(&format!("address add {server}/32 dev eth0"))?;
                TcpListener::bind((server, PORT))
            };
            let listener = lab.client(0).host().enter(listen).unwrap();
            forward(server, PORT);
            let line = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 2), PORT);
            let ask = || TcpStream::connect_timeout(&line.into(), PATIENCE);
            let mut asking = lab.internet().enter(ask).expect("forwarded and answered");
            asking.write_all(b"question").unwrap();
            let (mut answering, _) = listener.accept().unwrap();
            answering.read_exact(&mut [0; 8]).unwrap();
        });
    });
}

fn ip(command: &str) -> io::Result<()> {
    run(Command::new("ip").args(command.split(' ')));
    Ok(())
}

/// To a host of the LAN what comes to a line's address and this port.
fn forward(to: Ipv4Addr, port: u16) {
    let rules = format!(
        "table ip forwarded {{
            chain to {{
                type nat hook prerouting priority dstnat
                ip daddr 198.51.100.2 tcp dport {port} dnat to {to}
            }}
        }}"
    );
    let mut nft = Command::new("nft");
    let mut nft = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    nft.stdin
        .take()
        .unwrap()
        .write_all(rules.as_bytes())
        .unwrap();
    assert!(nft.wait().unwrap().success());
}

/// This host answers the other by the router, which knows whom that has asked.
fn answer_by_the_router(host: &Host, other: Ipv4Addr) {
    for card in ["all", "eth0"] {
        let key = format!("ipv4/conf/{card}/accept_redirects");
        host.set(&key, "0").unwrap();
    }
    let way = format!("route add {other} via 192.0.2.1");
    host.enter(|| ip(&way)).unwrap();
}
