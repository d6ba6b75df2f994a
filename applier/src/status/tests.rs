//! The status as text and as JSON.

use std::time::{Duration, SystemTime};

use multiwan_kernel::nft::{Counter, Statement};

use super::{Seen, Status};
use crate::config::Config;
use crate::desired::{COUNTS_INCOMING, COUNTS_NEW, desired};
use crate::gateways::Gateways;
use crate::kernel::{Device, Traffic};
use crate::runtime::{Counted, Probes, Remembered, RunningKeepalive};
use crate::verdicts::Verdict;

const FOUR_TO_ONE: &str = include_str!("../../../fixtures/configs/four-to-one.toml");
const BEGIN: SystemTime = SystemTime::UNIX_EPOCH;

fn config() -> Config {
    Config::parse(FOUR_TO_ONE, "test.toml").unwrap()
}

fn held(name: &str, state: &str, verdict: Verdict, reason: &str) -> Remembered {
    Remembered {
        name: name.into(),
        interface: String::new(),
        gateway: None,
        state: state.into(),
        verdict,
        since: BEGIN + Duration::from_secs(1_700_000_000),
        reason: reason.into(),
    }
}

/// A kernel after `apply` in which connections were counted, with this keepalive.
fn seen(config: &Config, lines: Option<Vec<Remembered>>) -> Seen {
    let keepalive = lines.map(|lines| RunningKeepalive {
        pid: Some(4711),
        config: None,
        lines,
    });
    let verdicts = keepalive
        .as_ref()
        .map(RunningKeepalive::verdicts)
        .unwrap_or_default();
    let mut state = desired(config, &verdicts);
    for link in state.links.values_mut() {
        link.cleared = false;
    }
    count(&mut state, COUNTS_NEW, &[790, 210]);
    count(&mut state, COUNTS_INCOMING, &[3, 0]);
    let device = Device {
        up: true,
        carrier: true,
        received: Traffic {
            packets: 9000,
            bytes: 12_345_678,
        },
        sent: Traffic {
            packets: 8000,
            bytes: 900,
        },
    };
    let devices = ["lo", "eth0", "eth1", "eth2"].map(|name| (name.to_owned(), device));
    Seen {
        devices: devices.into(),
        state,
        hidden: None,
        keepalive,
        counted: None,
        gateways: Gateways::default(),
    }
}

fn count(state: &mut crate::state::State, chain: &str, packets: &[u64]) {
    let table = state.firewall.as_mut().unwrap();
    let chain = table.chains.iter_mut().find(|c| c.name == chain).unwrap();
    let statements = chain.rules.iter_mut().flat_map(|r| &mut r.statements);
    let counters = statements.filter_map(|statement| match statement {
        Statement::Counter(counter) => Some(counter),
        _ => None,
    });
    let mut put = 0;
    for (counter, packets) in counters.zip(packets) {
        put += 1;
        *counter = Counter {
            packets: *packets,
            bytes: packets * 60,
        };
    }
    assert_eq!(put, packets.len());
}

fn text(seen: &Seen) -> String {
    let now = BEGIN + Duration::from_secs(1_700_000_000 + 3 * 86400 + 7260);
    Status::of(&config(), seen).text(now).to_string()
}

#[track_caller]
fn same(text: &str, golden: &str) {
    assert_eq!(text, golden, "this is what came out:\n{text}");
}

#[test]
fn all_lines_up() {
    let up = |name| held(name, "up", Verdict::Up, "answers again");
    let seen = seen(&config(), Some(vec![up("dsl1"), up("dsl2")]));
    same(&text(&seen), include_str!("../../tests/golden/up.status"));
}

#[test]
fn a_dead_line() {
    let mut seen = seen(
        &config(),
        Some(vec![
            held("dsl1", "dead", Verdict::Dead, "the device has no carrier"),
            held("dsl2", "up", Verdict::Up, "not probed yet"),
        ]),
    );
    seen.devices.get_mut("eth1").unwrap().carrier = false;
    same(&text(&seen), include_str!("../../tests/golden/dead.status"));
}

#[test]
fn without_a_keepalive_and_with_drift() {
    let mut seen = seen(&config(), None);
    seen.state.rules.pop();
    seen.state.addresses.clear();
    let golden = include_str!("../../tests/golden/drifted.status");
    same(&text(&seen), golden);
}

#[test]
fn without_the_privilege_to_read_nftables() {
    let mut seen = seen(&config(), None);
    seen.state.firewall = None;
    seen.hidden = Some("listing chains: Operation not permitted".into());
    let status = Status::of(&config(), &seen);
    assert_eq!(status.drift.drifted, None, "{:?}", status.drift);
    let share = status.lines[0].share;
    assert_eq!((share.seen, share.new_connections), (None, None));
    let text = status.text(BEGIN).to_string();
    let told = "drift: not compared: listing chains: Operation not permitted";
    assert!(text.contains(told), "{text}");
    assert!(!text.contains("drift: none"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&status.json()).unwrap();
    assert_eq!(json["drift"]["drifted"], serde_json::Value::Null);
    let metrics = status.metrics();
    assert!(!metrics.contains("multiwan_drifted"), "{metrics}");

    seen.state.rules.pop();
    let drift = Status::of(&config(), &seen).drift;
    assert_eq!(drift.drifted, Some(true), "{drift:?}");
}

/// What is not there is not the same as what cannot be read.
#[test]
fn without_the_table_of_nftables() {
    let mut seen = seen(&config(), None);
    seen.state.firewall = None;
    let drift = Status::of(&config(), &seen).drift;
    assert_eq!(drift.drifted, Some(true));
    assert_eq!(drift.changes.len(), 1, "{drift:?}");
    assert!(drift.changes[0].starts_with("nft -f -"), "{drift:?}");
}

#[test]
fn without_an_interface() {
    let mut seen = seen(&config(), None);
    seen.state.links.remove("eth1");
    seen.devices.remove("eth1");
    let status = Status::of(&config(), &seen);
    assert_eq!(status.drift.drifted, Some(true));
    assert_eq!(status.lines[0].link, "missing");
    // As `apply` would leave it out, not as it cannot be compared.
    assert_eq!(status.drift.unknown, None);
    assert_eq!(status.lines[0].share.expected, 0.0);
}

/// The keepalive waits for it; without one nobody does, and `apply` refuses it.
#[test]
fn without_a_lan() {
    let gone = |lines| {
        let mut seen = seen(&config(), lines);
        seen.state.links.remove("eth0");
        seen.state
            .addresses
            .retain(|address| address.interface != "eth0");
        seen.devices.remove("eth0");
        Status::of(&config(), &seen)
    };
    let waited_for = gone(Some(Vec::new()));
    assert_eq!(waited_for.lans[0].link, "missing");
    assert_eq!(waited_for.drift.drifted, Some(false), "{waited_for:?}");
    let text = waited_for.text(BEGIN).to_string();
    assert!(text.contains("\nLAN eth0: missing\n"), "{text}");
    let alone = gone(None);
    assert_eq!(alone.drift.drifted, Some(true));
    assert!(alone.drift.unknown.unwrap().contains("eth0"));
}

#[test]
fn as_json() {
    let mut seen = seen(
        &config(),
        Some(vec![
            held("dsl1", "dead", Verdict::Dead, "the device was set down"),
            held("dsl2", "up", Verdict::Up, "not probed yet"),
        ]),
    );
    seen.devices.get_mut("eth1").unwrap().up = false;
    let json = Status::of(&config(), &seen).json();
    same(&json, include_str!("../../tests/golden/status.json"));
}

#[test]
fn as_metrics() {
    let mut seen = seen(
        &config(),
        Some(vec![
            held("dsl1", "returning", Verdict::Dead, "answers again"),
            held("dsl2", "up", Verdict::Up, "not probed yet"),
        ]),
    );
    let probes = Probes {
        sent: 600,
        missed: 3,
        round_trip_ms: Some(1.25),
        verdict_changes: 2,
    };
    seen.counted = Some(Counted {
        reconciles: 7,
        reconcile_failures: 1,
        lines: [("dsl1".to_owned(), probes)].into(),
    });
    let metrics = Status::of(&config(), &seen).metrics();
    same(&metrics, include_str!("../../tests/golden/metrics.prom"));
}
