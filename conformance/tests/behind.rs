//! A network behind a host of the LAN, with real packets.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::sandbox;
use multiwan_lab::traffic::{Options, Protocol};
use stage::Stage;

const BEHIND: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 77, 0, 0), 24);
/// The lines' own addresses.
const LINES: [Ipv4Addr; 2] = [
    Ipv4Addr::new(198, 51, 100, 2),
    Ipv4Addr::new(203, 0, 113, 2),
];

#[test]
fn what_is_described_behind_a_lan_leaves_translated() {
    let described = TWO_LINES
        .toml
        .replacen("[lan]", "[lan]\nnetworks = [\"10.77.0.0/24\"]", 1);
    leaves_with(&described, |_, leaving| LINES.contains(&leaving), false);
}

/// As a provider's block of public addresses is to.
#[test]
fn what_is_not_described_leaves_as_it_is_and_check_names_it() {
    leaves_with(TWO_LINES.toml, |source, leaving| source == leaving, true);
}

/// All connections from there are answered, and leave with sources that are as they should; `check`
/// names the network, or does not.
fn leaves_with(config: &str, right: fn(Ipv4Addr, Ipv4Addr) -> bool, named: bool) {
    const FLOWS: usize = 40;
    sandbox::test(|sandbox| {
        let stage = Stage::new(sandbox, config);
        stage.play_applied((1, 0), |lab| {
            lab.route_behind(0, BEHIND).unwrap();
            let checked = stage.multiwan("check").output().unwrap();
            let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
            let finding = "warning  10.77.0.0/24 behind eth0: ";
            assert_eq!(checked.contains(finding), named, "{checked}");

            let mut traffic = lab.traffic(Options::default()).unwrap();
            let flows: Vec<_> = BEHIND
                .hosts()
                .take(FLOWS)
                .enumerate()
                .map(|(at, source)| {
                    let server = Ipv4Addr::new(198, 18, 1, u8::try_from(at).unwrap());
                    let protocol = [Protocol::Tcp, Protocol::Udp][at % 2];
                    (source, traffic.begin_from(0, source, server, protocol))
                })
                .collect();
            traffic.finish().unwrap();
            for (source, flow) in flows {
                assert!(traffic.flow(flow).answered(), "{source} is not answered");
                let seen = traffic.ledger().sightings(flow);
                assert!(!seen.is_empty(), "{source} leaves by no line");
                for one in seen {
                    assert!(
                        right(source, *one.source.ip()),
                        "{source} leaves as {}",
                        one.source
                    );
                }
            }
        });
    });
}
