//! TCP segments that fit: both ends of a connection learn from its first packets what the line takes.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use multiwan_lab::{Host, sandbox};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::TcpMaxSeg;
use stage::{Stage, Watched, run};

/// For what takes milliseconds but on a machine that stalls.
const DEADLINE: Duration = Duration::from_secs(20);
/// What a segment's headers take, with TCP's timestamps.
const HEADERS: u32 = 20 + 20 + 12;
/// A port that the lab leaves to sockets.
const PORT: u16 = 80;
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

#[test]
fn neither_end_sends_more_than_the_line_takes_whoever_opens_the_connection() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play((1, 0), |lab| {
            takes("eth1", 1400);
            takes("eth2", 1400);
            run(&mut stage.multiwan("apply"));
            lab.wait_router_links().unwrap();
            let client = lab.client(0).address();
            forwards(OUTSIDE, client);

            let server = listen(lab.internet(), SERVER);
            let out = connect(lab.client(0).host(), SERVER);
            assert_eq!(segments(&out, &server), [1400 - HEADERS; 2], "from inside");

            let server = listen(lab.client(0).host(), client);
            let incoming = connect(lab.internet(), OUTSIDE);
            assert_eq!(
                segments(&incoming, &server),
                [1400 - HEADERS; 2],
                "from outside"
            );

            let mut command = stage.multiwan("keepalive");
            command.env("RUST_LOG", "multiwan=debug");
            let mut watched = Watched::begin(command);
            watched.hears("looked at the kernel changed=false");
            takes("eth1", 1300);
            let quarrel = Some("put back");
            watched.hears_without("looked at the kernel changed=true", quarrel);
            let incoming = connect(lab.internet(), OUTSIDE);
            assert_eq!(
                segments(&incoming, &server),
                [1300 - HEADERS; 2],
                "by a new MTU"
            );
        });
    });
}

fn takes(card: &str, mtu: u32) {
    let mtu = mtu.to_string();
    run(Command::new("ip").args(["link", "set", card, "mtu", &mtu]));
}

/// As an administrator lets a server inside be reached.
fn forwards(from: Ipv4Addr, to: Ipv4Addr) {
    let rules = format!(
        "table ip forwarded {{ chain prerouting {{ type nat hook prerouting priority dstnat;
             ip daddr {from} tcp dport {PORT} dnat to {to}; }}; }}"
    );
    run(Command::new("nft").arg(rules));
}

fn listen(host: &mut Host, address: Ipv4Addr) -> TcpListener {
    host.enter(|| TcpListener::bind((address, PORT))).unwrap()
}

fn connect(host: &mut Host, server: Ipv4Addr) -> TcpStream {
    let server = SocketAddr::from((server, PORT));
    host.enter(|| TcpStream::connect_timeout(&server, DEADLINE))
        .unwrap()
}

/// What the two ends of a connection send at most in one segment, in bytes.
fn segments(opened: &TcpStream, server: &TcpListener) -> [u32; 2] {
    let (accepted, _) = server.accept().unwrap();
    [opened, &accepted].map(|end| getsockopt(end, TcpMaxSeg).unwrap())
}
