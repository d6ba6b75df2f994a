//! Addresses that were on a line's card before: they go, and come back as they were, with what went with
//! them.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::fs;
use std::process::{Command, Output};

use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::sandbox;
use stage::{Stage, run};

/// As ifupdown's `pointopoint` puts it there.
const WITH_PEER: &str = "10.77.0.1 peer 172.31.1.1/32";
/// What a DHCP client, an administrator and a tunnel have left on the first line's card, in the order that
/// the kernel keeps them in.
const LEFT_OVER: [&str; 4] = [
    "192.168.8.1/32 scope link dev eth1",
    "198.51.100.50/24 brd + dev eth1 valid_lft 3000 preferred_lft 2000 noprefixroute",
    "192.168.9.1/24 metric 700 label eth1:v dev eth1",
    "198.51.100.51/24 dev eth1",
];
const ROUTES: [&str; 2] = [
    // NetworkManager's.
    "198.51.100.0/24 dev eth1 proto kernel scope link src 198.51.100.50 metric 100",
    "default via 198.51.100.1 dev eth1 proto dhcp src 198.51.100.50 metric 100 mtu 1400",
];

#[test]
fn one_with_a_peer_goes_and_comes_back() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play((1, 0), |_lab| {
            links_up();
            ip(&format!("address add {WITH_PEER} dev eth2"));
            let before = held();
            let found = told(&stage.multiwan("check").output().unwrap());
            let finding = format!("warning  {WITH_PEER} on eth2: `apply` takes it away: ");
            assert!(found.contains(&finding), "{found}");
            let said = succeeds(&stage, "apply");
            let warning = format!("warning: {WITH_PEER} on eth2 was taken away: ");
            assert!(said.contains(&warning), "{said}");
            assert!(!held().contains("10.77.0.1"), "{}", held());
            succeeds(&stage, "status");
            assert_eq!(succeeds(&stage, "down"), "");
            assert_eq!(held(), before);
        });
    });
}

/// The gateway may be the peer that nobody describes.
#[test]
fn a_described_one_keeps_its_peer() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play((1, 0), |_lab| {
            let folder = tempfile::tempdir_in("/run").unwrap();
            let file = folder.path().join("peer.toml");
            let alone = TWO_LINES.toml.replace("203.0.113.2/24", "203.0.113.2/32");
            let toml = alone.replacen("\"eth2\"", "\"eth2\"\nonlink = true", 1);
            fs::write(&file, toml).unwrap();
            links_up();
            ip("address add 203.0.113.2 peer 203.0.113.1/32 dev eth2");
            let before = held();
            for command in ["apply", "status", "down"] {
                let output = stage.multiwan_with(command, &file).output().unwrap();
                assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
                assert!(
                    held().contains("203.0.113.2 peer 203.0.113.1/32"),
                    "{command}"
                );
            }
            assert_eq!(held(), before);
        });
    });
}

#[test]
fn all_come_back_with_what_they_had_and_what_went_with_them() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play((1, 0), |_lab| {
            links_up();
            for address in LEFT_OVER {
                ip(&format!("address add {address}"));
            }
            for route in ROUTES {
                ip(&format!("route add {route}"));
            }
            let before = held();
            let lifetime = lifetimes();
            let said = succeeds(&stage, "apply");
            let gone = "warning: the route default via 198.51.100.1 dev eth1 src 198.51.100.50 metric 100 went";
            assert!(said.contains(gone), "{said}");
            assert!(!held().contains("198.51.100.50"), "{}", held());
            // Once it is remembered, it stays so.
            assert_eq!(succeeds(&stage, "apply"), "");
            assert_eq!(succeeds(&stage, "down"), "");
            assert_eq!(held(), before);
            let [valid, preferred] = lifetimes();
            assert!(0 < valid && valid <= lifetime[0], "{valid}");
            assert!(0 < preferred && preferred <= lifetime[1], "{preferred}");
        });
    });
}

/// What somebody else has put there meanwhile is his.
#[test]
fn a_route_that_cannot_come_back_is_named() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play((1, 0), |_lab| {
            links_up();
            ip("address add 192.0.2.1/24 dev eth0");
            ip("address add 192.168.9.1/24 dev eth1");
            ip("route add 10.98.0.0/16 via 192.168.9.9 dev eth1 src 192.168.9.1");
            succeeds(&stage, "apply");
            ip("route add 10.98.0.0/16 via 192.0.2.9 dev eth0");
            let said = succeeds(&stage, "down");
            let named = "the route 10.98.0.0/16 via 192.168.9.9 dev eth1 src 192.168.9.1 went";
            assert!(said.contains(named), "{said}");
            assert!(held().contains("10.98.0.0/16 via 192.0.2.9"), "{}", held());
        });
    });
}

fn links_up() {
    for card in ["eth0", "eth1", "eth2"] {
        ip(&format!("link set {card} up"));
    }
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

#[track_caller]
fn succeeds(stage: &Stage<'_>, command: &str) -> String {
    let output = stage.multiwan(command).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Addresses and routes as `ip` shows them, but for what changes by itself.
fn held() -> String {
    let shown = show("-4 address show dev eth1")
        + &show("-4 address show dev eth2")
        + &show("-4 route show table all").replace(" linkdown", "");
    let lasting = shown.lines().filter(|line| {
        let is_link = line.contains("mtu") && line.contains("qdisc");
        !is_link && !line.contains("valid_lft")
    });
    lasting
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// For how many seconds the first line's leased address is valid, and preferred.
fn lifetimes() -> [u32; 2] {
    let shown = show("-4 address show dev eth1 dynamic");
    let seconds = |key: &str| {
        let mut words = shown.split_whitespace().skip_while(|word| *word != key);
        let number = words.nth(1).and_then(|word| word.strip_suffix("sec"));
        number.unwrap_or_else(|| panic!("{shown}")).parse().unwrap()
    };
    [seconds("valid_lft"), seconds("preferred_lft")]
}

fn show(arguments: &str) -> String {
    let mut ip = Command::new("ip");
    let output = ip.args(arguments.split(' ')).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
