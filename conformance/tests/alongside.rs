//! Routes of others that the kernel removes with an address: put back, or named.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::fs;
use std::process::{Command, Output};

use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::sandbox;
use stage::{Stage, Watched, run};

/// Each route, and whether the kernel takes it without the first line's address.
const ROUTES: [(&str, bool); 5] = [
    ("10.1.0.0/16 via 198.51.100.9 dev eth1", false),
    (
        "10.2.0.0/16 via 203.0.113.9 dev eth2 src 198.51.100.2",
        false,
    ),
    ("10.3.0.0/16 dev eth1 metric 7", true),
    (
        "10.6.0.0/16 metric 9 table 78 nexthop via 198.51.100.9 dev eth1 nexthop via 198.51.100.8 dev eth1",
        false,
    ),
    ("10.4.0.0/16 via 203.0.113.9 dev eth2", true),
];
/// By the one before, in a table that nobody of multiwan's asks for.
const BEYOND: &str = "10.5.0.0/16 via 10.3.0.1 dev eth1 onlink table 77";

#[test]
fn what_goes_with_a_line_s_address_is_put_back_or_named() {
    with_routes(|stage| {
        let folder = tempfile::tempdir_in("/run").unwrap();
        let one = folder.path().join("one.toml");
        fs::write(&one, without_the_first_line()).unwrap();
        let output = stage.multiwan_with("apply", &one).output().unwrap();
        for (route, takes) in ROUTES {
            is_there_or_named(&output, route, takes);
        }
        assert!(there().contains("10.5.0.0/16"), "{}", there());
        // Once.
        let again = stage.multiwan_with("apply", &one).output().unwrap();
        assert_eq!(told(&again), "");
    });
}

/// A keepalive that reads its configuration again says so too.
#[test]
fn what_goes_with_a_line_at_a_reload_is_in_the_log() {
    with_routes(|stage| {
        let folder = tempfile::tempdir_in("/run").unwrap();
        let file = folder.path().join("lines.toml");
        fs::write(&file, TWO_LINES.toml).unwrap();
        let mut command = stage.multiwan_with("run", &file);
        command.env("RUST_LOG", "multiwan=debug");
        let mut keepalive = Watched::begin(command);
        keepalive.hears("looked at the kernel");
        fs::write(&file, without_the_first_line()).unwrap();
        let pid = keepalive.pid().to_string();
        run(Command::new("kill").args(["-HUP", &pid]));
        let said = keepalive.hears(&format!("route=\"{}\"", ROUTES[0].0));
        assert!(said.contains("a route went with an address"), "{said}");
        keepalive.hears("looked at the kernel changed=true");
        assert!(there().contains("10.3.0.0/16"), "{}", there());
    });
}

/// The second line's address goes too, and takes along what leads by its network.
#[test]
fn what_goes_with_all_addresses_is_put_back_or_named() {
    with_routes(|stage| {
        let output = stage.multiwan("down").output().unwrap();
        let is_on_link = |route: &str| route.contains("metric 7");
        for (route, _) in ROUTES {
            is_there_or_named(&output, route, is_on_link(route));
        }
    });
}

/// Plays in a router with two lines, and these routes beside them.
fn with_routes(play: fn(&Stage<'_>)) {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play((1, 0), |_lab| {
            for card in ["eth0", "eth1", "eth2"] {
                run(Command::new("ip").args(["link", "set", card, "up"]));
            }
            run(&mut stage.multiwan("apply"));
            for route in ROUTES.map(|(route, _)| route).into_iter().chain([BEYOND]) {
                run(Command::new("ip")
                    .args(["route", "add"])
                    .args(route.split(' ')));
            }
            play(&stage);
        });
    });
}

#[track_caller]
fn is_there_or_named(output: &Output, route: &str, expected: bool) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let network = route.split(' ').next().unwrap();
    let there = there();
    let is_there = there.lines().any(|line| line.starts_with(network));
    assert_eq!(is_there, expected, "{route}: {there}");
    let named = format!("warning: the route {route} went with an address");
    assert_eq!(told(output).contains(&named), !expected, "{}", told(output));
}

fn without_the_first_line() -> String {
    let toml = TWO_LINES.toml;
    let first = toml.find("[[line]]").unwrap();
    let second = toml.rfind("[[line]]").unwrap();
    format!("{}{}", &toml[..first], &toml[second..])
}

fn there() -> String {
    let mut ip = Command::new("ip");
    let output = ip.args(["route", "show", "table", "all"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
