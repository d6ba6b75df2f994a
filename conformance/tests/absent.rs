//! Where an interface is not there: who waits for it, who goes without, and who refuses.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use multiwan_lab::{Lab, Netns, sandbox};
use serde_json::Value;
use stage::{Stage, Watched, run};

/// For what takes milliseconds but on a machine that stalls.
const DEADLINE: Duration = Duration::from_secs(20);
/// A port that the lab leaves to sockets.
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1)), 80);
const LINES: [Ipv4Addr; 2] = [
    Ipv4Addr::new(198, 51, 100, 2),
    Ipv4Addr::new(203, 0, 113, 2),
];

#[test]
fn run_serves_the_lines_without_a_lan_and_takes_it_in_whenever_it_comes() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play((0, 0), |lab| {
            serve(lab);
            unplug();
            let mut command = stage.multiwan("run");
            command.env("RUST_LOG", "multiwan=debug");
            let mut watched = Watched::begin(command);
            let missing = "the LAN's device is not there; waiting for it interface=\"eth0\"";
            watched.hears(missing);
            watched.hears("looked at the kernel");
            assert!(LINES.contains(&seen_by_the_server()), "the router's own");
            says_that_it_is_missing(&stage);
            warns_and_changes_nothing(&stage);

            for _ in 0..2 {
                let client = plug();
                watched.hears("looked at the kernel changed=true");
                let source = client.enter(seen_by_the_server).unwrap();
                assert!(LINES.contains(&source), "{source}");
                let status = status(&stage);
                assert_eq!(status["lans"][0]["link"], "up", "{status:#}");
                assert_eq!(status["drift"]["drifted"], false, "{status:#}");
                unplug();
                watched.hears(missing);
            }
            says_that_it_is_missing(&stage);
        });
    });
}

#[test]
fn apply_alone_leaves_out_a_line_and_refuses_a_lan() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play((1, 0), |_lab| {
            run(Command::new("ip").args(["link", "set", "eth1", "name", "gone"]));
            for command in ["plan", "apply"] {
                let output = stage.multiwan(command).output().unwrap();
                assert_eq!(output.status.code(), Some(0), "{}", told(&output));
                let told = told(&output);
                assert_eq!(told.lines().count(), 1, "{told}");
                assert!(told.contains("eth1") && told.contains("dsl1"), "{told}");
            }
            assert!(routing().contains("lookup 222"), "{}", routing());
        });
        stage.play((1, 0), |_lab| {
            let before = routing();
            run(Command::new("ip").args(["link", "set", "eth0", "name", "gone"]));
            for command in ["plan", "apply"] {
                let refused = stage.multiwan(command).output().unwrap();
                assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
                assert!(told(&refused).contains("eth0"), "{}", told(&refused));
                assert!(refused.stdout.is_empty(), "{refused:?}");
            }
            assert_eq!(routing(), before);
            let status = stage.multiwan("status").output().unwrap();
            assert_eq!(status.status.code(), Some(4), "{status:?}");
        });
    });
}

/// Beside the keepalive that waits for the LAN.
fn says_that_it_is_missing(stage: &Stage<'_>) {
    let output = stage.multiwan("status").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text.contains("\nLAN eth0: missing\n"), "{text}");
    assert!(text.contains("\ndrift: none\n"), "{text}");
    assert_eq!(status(stage)["lans"][0]["link"], "missing");
}

/// `apply` and `plan` beside the keepalive that waits for the LAN.
fn warns_and_changes_nothing(stage: &Stage<'_>) {
    let before = routing();
    for command in ["plan", "apply"] {
        let output = stage.multiwan(command).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        assert!(output.stdout.is_empty(), "{output:?}");
        let told = told(&output);
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("warning") && told.contains("eth0"), "{told}");
    }
    assert_eq!(routing(), before);
}

fn status(stage: &Stage<'_>) -> Value {
    let output = stage.multiwan("status").arg("--json").output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Answers each connection with the address that it seems to come from.
fn serve(lab: &mut Lab) {
    let listener = lab.internet().enter(|| TcpListener::bind(SERVER));
    let listener = listener.unwrap();
    thread::spawn(move || {
        while let Ok((mut connection, SocketAddr::V4(from))) = listener.accept() {
            let _ = connection.write_all(&from.ip().octets());
        }
    });
}

/// Where a connection that is opened here seems to come from.
fn seen_by_the_server() -> Ipv4Addr {
    let mut connection = TcpStream::connect_timeout(&SERVER, DEADLINE).unwrap();
    connection.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut from = [0; 4];
    connection.read_exact(&mut from).unwrap();
    from.into()
}

/// A new LAN, with a new client at its end.
fn plug() -> Netns {
    let (client, ()) = Netns::create(|| Ok(())).unwrap();
    let veth = ["type", "veth", "peer", "name", "client"];
    run(Command::new("ip").args(["link", "add", "eth0"]).args(veth));
    let there = client.path().unwrap();
    run(Command::new("ip")
        .args(["link", "set", "client", "netns"])
        .arg(there));
    client
        .enter(|| {
            run(Command::new("ip").args(["address", "add", "192.0.2.77/24", "dev", "client"]));
            run(Command::new("ip").args(["link", "set", "client", "up"]));
            run(Command::new("ip").args(["route", "add", "default", "via", "192.0.2.1"]));
        })
        .unwrap();
    client
}

fn unplug() {
    run(Command::new("ip").args(["link", "del", "eth0"]));
}

/// The rules, and the routes that new connections take.
fn routing() -> String {
    let list = |arguments: &[&str]| {
        let output = Command::new("ip").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    list(&["rule"]) + &list(&["route", "show", "table", "222"])
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
