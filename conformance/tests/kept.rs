//! What others have on the cards of lines: what is described as theirs stays and is answered, the rest goes
//! and is named.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::Duration;

use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::{Lab, sandbox};
use stage::{Stage, Watched, run};

/// For what takes milliseconds but on a machine that stalls.
const DEADLINE: Duration = Duration::from_secs(20);
/// As keepalived puts it there, and as an administrator does to reach a modem.
const KEPT: [&str; 2] = ["203.0.113.200/32", "192.168.100.2/24"];
const UNDESCRIBED: &str = "203.0.113.77/24";

#[test]
fn what_is_described_as_somebody_else_s_stays_and_is_answered() {
    sandbox::test(|sandbox| {
        let stage = Stage::new(sandbox, &keeping());
        stage.play((1, 0), |lab| {
            set_up();
            let found = text(&stage.multiwan("check").output().unwrap());
            let finding = format!("warning  {UNDESCRIBED} on eth2: `apply` takes it away: ");
            assert!(found.contains(&finding), "{found}");
            let output = stage.multiwan("apply").output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let told = text(&output);
            let warning = format!("warning: {UNDESCRIBED} on eth2 was taken away: ");
            assert_eq!(told.lines().count(), 1, "{told}");
            assert!(
                told.contains(&warning) && told.contains("keep = "),
                "{told}"
            );
            stays_alone();
            let status = stage.multiwan("status").output().unwrap();
            assert_eq!(status.status.code(), Some(0), "{status:?}");

            lab.wait_router_links().unwrap();
            answers(lab, Ipv4Addr::new(203, 0, 113, 200));
            leaves_by_the_line();

            run(&mut stage.multiwan("down"));
            assert!(
                KEPT.iter().all(|kept| there().contains(kept)),
                "{}",
                there()
            );
        });
    });
}

#[test]
fn a_keepalive_leaves_it_alone_and_names_the_rest() {
    sandbox::test(|sandbox| {
        let stage = Stage::new(sandbox, &keeping());
        stage.play((1, 0), |_lab| {
            for card in ["eth0", "eth1", "eth2"] {
                ip(&format!("link set {card} up"));
            }
            let mut command = stage.multiwan("run");
            command.env("RUST_LOG", "multiwan=debug");
            let mut watched = Watched::begin(command);
            watched.hears("looked at the kernel");
            for kept in KEPT {
                ip(&format!("address add {kept} dev eth2"));
                watched.hears("looked at the kernel changed=false");
            }
            ip(&format!("address add {UNDESCRIBED} dev eth2"));
            watched.hears(
                "an address was taken away: the card of a line has its described address alone",
            );
            watched.hears("looked at the kernel changed=true");
            stays_alone();
        });
    });
}

fn keeping() -> String {
    let [vip, admin] = KEPT;
    let key = format!("\"eth2\"\nkeep = [\"{vip}\", \"{admin}\"]");
    TWO_LINES.toml.replacen("\"eth2\"", &key, 1)
}

fn set_up() {
    for card in ["eth0", "eth1", "eth2"] {
        ip(&format!("link set {card} up"));
    }
    for address in KEPT.into_iter().chain([UNDESCRIBED]) {
        ip(&format!("address add {address} dev eth2"));
    }
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

#[track_caller]
fn stays_alone() {
    let there = there();
    assert!(KEPT.iter().all(|kept| there.contains(kept)), "{there}");
    assert!(!there.contains(UNDESCRIBED), "{there}");
}

/// The addresses on the second line's card.
fn there() -> String {
    let mut ip = Command::new("ip");
    let output = ip.args(["-4", "address", "show", "dev", "eth2"]).output();
    text(&output.unwrap())
}

/// Connections from the Internet, whose route to the address is that to the line's own.
fn answers(lab: &mut Lab, address: Ipv4Addr) {
    let internet = lab.internet();
    internet
        .enter(|| {
            let mut show = Command::new("ip");
            let line = text(&show.args(["route", "show", "203.0.113.2"]).output()?);
            ip(&format!(
                "route add {}",
                line.trim().replace("203.0.113.2", &address.to_string())
            ));
            Ok(())
        })
        .unwrap();
    let server = TcpListener::bind((address, 0)).unwrap();
    let server = server.local_addr().unwrap();
    for _ in 0..8 {
        let connect = || TcpStream::connect_timeout(&server, DEADLINE);
        let connection = internet.enter(connect).unwrap();
        assert_eq!(connection.peer_addr().unwrap(), server);
    }
}

/// What the kernel does with what is bound to a kept address, whatever it is for.
fn leaves_by_the_line() {
    for host in 1..9 {
        for kept in KEPT {
            let (address, _) = kept.split_once('/').unwrap();
            let mut get = Command::new("ip");
            get.args(["route", "get", &format!("198.18.0.{host}"), "from", address]);
            let answer = text(&get.output().unwrap());
            assert!(answer.contains("dev eth2"), "{answer}");
        }
    }
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}
