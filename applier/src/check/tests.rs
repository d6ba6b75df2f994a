//! What is said of a kernel that lacks something: no old kernel is needed to find that out.

use std::collections::BTreeMap;

use super::facts::other;
use super::{Facts, Feature, Finding, Level, findings};
use crate::clashes::{Action, ForeignRule};
use crate::config::Config;
use crate::desired::desired;
use crate::kernel::Device;
use crate::state::{
    Address, Behind, DeviceSetting, GlobalSetting, Hop, NeighbourSetting, Route, Setting,
    TABLE_MAIN, Target,
};
use crate::verdicts::Verdicts;

const TWO_LINES: &str = include_str!("../../../fixtures/configs/two-lines.toml");

fn config(text: &str) -> Config {
    Config::parse(text, "test.toml").unwrap()
}

/// A kernel of today after `apply`, with nothing beside it.
fn all_there() -> Facts {
    let mut state = desired(&config(TWO_LINES), &Verdicts::default());
    for global in GlobalSetting::ALL {
        state.settings.entry(Setting::Global(global)).or_insert(0);
    }
    for interface in ["eth1", "eth2"] {
        let rp_filter = Setting::Device(interface.into(), DeviceSetting::RpFilter);
        state.settings.insert(rp_filter, 1);
    }
    let device = Device {
        up: true,
        carrier: true,
        ..Device::default()
    };
    Facts {
        devices: state
            .links
            .keys()
            .map(|name| (name.clone(), device))
            .collect(),
        state,
        others: BTreeMap::from([
            (other::HASH_SEED, 0),
            (other::CONNTRACK_COUNT, 100),
            (other::CONNTRACK_MAX, 65536),
        ]),
        ..Facts::default()
    }
}

fn found(text: &str, facts: &Facts) -> Vec<Finding> {
    let mut found = findings(Some(&config(text)), facts);
    found.retain(|one| one.level != Level::Ok && one.what != "keepalive");
    found
}

/// Exactly one thing is said, at that level, of that, with these words.
#[track_caller]
fn only(found: &[Finding], level: Level, what: &str, words: &str) {
    let [one] = found else {
        panic!("one finding was expected: {found:#?}");
    };
    assert_eq!((one.level, one.what.as_str()), (level, what), "{one}");
    assert!(one.says.contains(words), "{one}");
}

#[test]
fn nothing_is_said_where_all_is_there() {
    assert_eq!(found(TWO_LINES, &all_there()), []);
}

#[test]
fn no_capability() {
    let mut facts = all_there();
    facts.forbidden = true;
    facts.no_packet_socket = Some("Operation not permitted".into());
    let found = found(TWO_LINES, &facts);
    let missing: Vec<_> = found
        .iter()
        .filter(|one| one.level == Level::Missing)
        .map(|one| one.what.as_str())
        .collect();
    assert_eq!(missing, ["CAP_NET_ADMIN", "CAP_NET_RAW"]);
}

#[test]
fn read_only_settings() {
    let mut facts = all_there();
    facts.no_writing = Some("Read-only file system (os error 30)".into());
    let found = found(TWO_LINES, &facts);
    only(
        &found,
        Level::Missing,
        "/proc/sys/net",
        "ProtectKernelTunables",
    );
}

#[test]
fn hash_fields_before_5_14() {
    let mut facts = all_there();
    let fields = Setting::Global(GlobalSetting::HashFields);
    facts.state.settings.remove(&fields);
    let name = "net.ipv4.fib_multipath_hash_fields";
    only(&found(TWO_LINES, &facts), Level::Note, name, "5.14");
    let finer = format!("spread = \"connection\"\n{TWO_LINES}");
    let found = found(&finer, &facts);
    only(&found, Level::Warning, name, "uses hash policy 1 instead");
}

#[test]
fn hash_seed_before_6_11() {
    let mut facts = all_there();
    facts.others.remove(other::HASH_SEED);
    let name = "net.ipv4.fib_multipath_hash_seed";
    only(&found(TWO_LINES, &facts), Level::Note, name, "6.11");
}

#[test]
fn no_multipath() {
    let mut facts = all_there();
    let policy = Setting::Global(GlobalSetting::HashPolicy);
    facts.state.settings.remove(&policy);
    let found = found(TWO_LINES, &facts);
    only(
        &found,
        Level::Missing,
        "multipath routes",
        "CONFIG_IP_ROUTE_MULTIPATH",
    );
}

#[test]
fn no_rules() {
    let mut facts = all_there();
    facts.state.rules.clear();
    let found = found(TWO_LINES, &facts);
    only(
        &found,
        Level::Missing,
        "policy routing",
        "CONFIG_IP_MULTIPLE_TABLES",
    );
}

#[test]
fn no_source_nat() {
    let mut facts = all_there();
    let words = "adding a rule: No such file or directory".to_owned();
    facts.refused = vec![(Feature::SourceNat, words)];
    let found = found(TWO_LINES, &facts);
    only(
        &found,
        Level::Missing,
        "nftables: source NAT",
        "CONFIG_NFT_NAT",
    );
}

#[test]
fn what_only_others_need_is_a_note() {
    let mut facts = all_there();
    facts.refused = vec![(Feature::Nexthop, "no".into())];
    let name = "nftables: rt nexthop";
    only(
        &found(TWO_LINES, &facts),
        Level::Note,
        name,
        "several lines on one card",
    );
    let shared = TWO_LINES.replace("\"eth2\"", "\"eth1\"");
    let found = found(&shared, &facts);
    let needed: Vec<_> = found.iter().filter(|one| one.what == name).collect();
    assert_eq!(needed.len(), 1);
    assert_eq!(needed[0].level, Level::Missing);
}

#[test]
fn resets_need_reject() {
    let mut facts = all_there();
    facts.refused = vec![(Feature::Reject, "no".into())];
    let name = "nftables: reject";
    only(&found(TWO_LINES, &facts), Level::Note, name, "reset");
    for established in ["reset", "release"] {
        let resets = format!("established = \"{established}\"\n{TWO_LINES}");
        let found = found(&resets, &facts);
        only(&found, Level::Missing, name, "CONFIG_NFT_REJECT");
    }
}

#[test]
fn no_neighbour_timers() {
    let mut facts = all_there();
    let timer = Setting::Neighbour("eth2".into(), NeighbourSetting::RetransTime);
    facts.state.settings.remove(&timer);
    let found = found(TWO_LINES, &facts);
    only(
        &found,
        Level::Note,
        "neighbour timers of eth2",
        "retrans_time_ms",
    );
}

#[test]
fn strict_source_validation_without_the_mark() {
    let mut facts = all_there();
    let mark = Setting::Device("eth2".into(), DeviceSetting::SrcValidMark);
    facts.state.settings.insert(mark, 0);
    let what = "source validation on eth2";
    only(
        &found(TWO_LINES, &facts),
        Level::Warning,
        what,
        "src_valid_mark is 0",
    );
    facts.others.insert(other::SRC_VALID_MARK_ALL, 1);
    assert_eq!(found(TWO_LINES, &facts), []);
    facts.others.insert(other::SRC_VALID_MARK_ALL, 0);
    facts.others.insert(other::RP_FILTER_ALL, 2);
    assert_eq!(
        found(TWO_LINES, &facts),
        [],
        "loose counts, being the greater"
    );
}

#[test]
fn strict_source_validation_on_two_cards_in_one_network() {
    let text = TWO_LINES
        .replace("203.0.113.2/24", "198.51.100.3/24")
        .replace("203.0.113.1", "198.51.100.1");
    let mut facts = all_there();
    facts.put.clone_from(&facts.state.addresses);
    let expected = [("eth1", "eth2"), ("eth2", "eth1")].map(|(card, beside)| {
        format!(
            "warning  source validation on {card}: rp_filter is strict, and {beside} is in the same network"
        )
    });
    let said = found(&text, &facts);
    assert_eq!(said.len(), 2, "{said:?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.to_string().starts_with(&expected), "{said}");
    }
    assert!(said[1].says.contains("net.ipv4.conf.eth2.rp_filter=2"));
    let loose = Setting::Device("eth2".into(), DeviceSetting::RpFilter);
    facts.state.settings.insert(loose, 2);
    assert_eq!(found(&text, &facts).len(), 1);
    facts.others.insert(other::RP_FILTER_ALL, 2);
    assert_eq!(found(&text, &facts), []);
}

#[test]
fn ipv6_passes_by() {
    let mut facts = all_there();
    let address = "2001:db8::2".parse().unwrap();
    facts.ipv6.insert("eth1".into(), vec![address]);
    // That of a LAN harms nobody.
    facts.ipv6.insert("eth0".into(), vec![address]);
    let words = "has 2001:db8::2: multiwan leaves IPv6 alone";
    only(
        &found(TWO_LINES, &facts),
        Level::Warning,
        "IPv6 on eth1",
        words,
    );
    facts.ipv6_defaults.insert("eth1".into());
    let found = found(TWO_LINES, &facts);
    only(
        &found,
        Level::Warning,
        "IPv6 on eth1",
        "2001:db8::2 and a default route",
    );
}

#[test]
fn a_table_of_connections_that_is_nearly_full() {
    let mut facts = all_there();
    facts.others.insert(other::CONNTRACK_COUNT, 60_000);
    let found = found(TWO_LINES, &facts);
    let what = "connection tracking's table";
    only(&found, Level::Warning, what, "60000 of 65536");
}

#[test]
fn interfaces_that_are_not_there() {
    let mut facts = all_there();
    facts.devices.remove("eth0");
    let found = found(TWO_LINES, &facts);
    only(&found, Level::Missing, "interface eth0", "it is not there");
}

#[test]
fn a_line_without_carrier() {
    let mut facts = all_there();
    facts.devices.get_mut("eth1").unwrap().carrier = false;
    let found = found(TWO_LINES, &facts);
    only(&found, Level::Warning, "interface eth1", "no carrier");
}

#[test]
fn addresses_that_go() {
    let mut facts = all_there();
    let extra = Address::new("eth1", "198.51.100.77/24".parse().unwrap());
    facts.state.addresses.insert(extra.clone());
    only(
        &found(TWO_LINES, &facts),
        Level::Warning,
        "198.51.100.77/24 on eth1",
        "`apply` takes it away: the card of a line has its described address alone; if this one is somebody \
         else's, write keep = [\"198.51.100.77/32\"]",
    );
    let kept = TWO_LINES.replacen("\"eth1\"", "\"eth1\"\nkeep = [\"198.51.100.77\"]", 1);
    assert_eq!(found(&kept, &facts), []);
    facts.put = [extra].into();
    assert_eq!(found(TWO_LINES, &facts), []);
}

#[test]
fn rules_of_others() {
    let mut facts = all_there();
    let rule = ForeignRule {
        priority: 5270,
        action: Action::Lookup {
            table: 52,
            suppress_prefix_length: None,
        },
        ..ForeignRule::default()
    };
    facts.surroundings.rules = vec![rule];
    let found = found(TWO_LINES, &facts);
    only(
        &found,
        Level::Warning,
        "beside multiwan",
        "is never reached",
    );
}

const DYNAMIC: &str = include_str!("../../../fixtures/configs/dynamic.toml");

/// One of the lines has its lease, the other waits for it.
#[test]
fn dynamic_lines_are_told_by_what_they_have_now() {
    let mut facts = all_there();
    for link in facts.state.links.values_mut() {
        link.arp = true;
    }
    facts.state.addresses = [Address::new("eth1", "100.64.1.2/24".parse().unwrap())].into();
    let lines = |facts: &Facts| {
        let found = findings(Some(&config(DYNAMIC)), facts);
        let about = found.iter().filter(|one| one.what.starts_with("line "));
        about.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(&facts),
        [
            "warning  line dsl1: the device has no gateway within reach; the DHCP client must put \
             a default route there, or write gateway = \"…\", until then the line gets nothing",
            "warning  line dsl2: the device has no address yet; its DHCP client or PPP must put \
             one there, until then the line gets nothing",
        ]
    );
    let hop = Hop {
        gateway: Some([100, 64, 1, 1].into()),
        interface: "eth1".to_owned(),
        onlink: false,
        weight: 1,
    };
    let target = Target::Hops {
        hops: vec![hop],
        source: None,
    };
    facts.state.routes.push(Route::new(TABLE_MAIN, 100, target));
    assert_eq!(
        lines(&facts)[0],
        "ok       line dsl1: has 100.64.1.2/24 by gateway 100.64.1.1 now"
    );
    facts.state.links.get_mut("eth2").unwrap().arp = false;
    let ppp = Address::new("eth2", "100.64.2.2/32".parse().unwrap());
    facts.state.addresses.insert(ppp);
    assert_eq!(
        lines(&facts)[1],
        "ok       line dsl2: has 100.64.2.2/32 now, and no gateway: all goes to the other end"
    );
    // Of one whose interface is not there, that is said.
    facts.devices.remove("eth2");
    assert_eq!(lines(&facts).len(), 1);
}

#[test]
fn a_line_that_needs_a_gateway_and_has_none_is_told() {
    let text = TWO_LINES.replace("gateway   = \"203.0.113.1\"", "");
    let mut facts = all_there();
    assert_eq!(found(&text, &facts), []);
    for link in facts.state.links.values_mut() {
        link.arp = true;
    }
    only(
        &found(&text, &facts),
        Level::Missing,
        "line dsl2",
        "line dsl2 has no gateway, and its interface",
    );
}

/// Main leads to the LAN's own network, and to these, by the LAN's card.
fn leads_to(networks: &[&str]) -> Facts {
    let mut facts = all_there();
    let behind = |network: &str, interface: &str| Behind {
        network: network.parse().unwrap(),
        interface: interface.to_owned(),
    };
    let own = [
        behind("192.0.2.0/24", "eth0"),
        behind("198.51.100.0/24", "eth1"),
    ];
    let more = networks.iter().map(|network| behind(network, "eth0"));
    facts.behind = own.into_iter().chain(more).collect();
    facts
}

#[test]
fn what_is_behind_a_lan_and_not_described_would_leave_untranslated() {
    let facts = leads_to(&[
        "10.8.0.0/16",
        "192.0.2.128/25",
        "224.0.0.0/4",
        "169.254.0.0/16",
    ]);
    only(
        &found(TWO_LINES, &facts),
        Level::Warning,
        "10.8.0.0/16 behind eth0",
        "write networks = [\"10.8.0.0/16\"] under its [lan], or remove the route",
    );
    let described = TWO_LINES.replacen("[lan]", "[lan]\nnetworks = [\"10.0.0.0/8\"]", 1);
    assert_eq!(found(&described, &facts), []);
}

#[test]
fn addresses_that_are_good_outside_may_leave_as_they_are() {
    let facts = leads_to(&["203.0.112.0/24"]);
    only(
        &found(TWO_LINES, &facts),
        Level::Note,
        "203.0.112.0/24 behind eth0",
        "right where every provider routes 203.0.112.0/24 here",
    );
}

#[test]
fn what_is_described_behind_a_lan_needs_a_route() {
    let described = TWO_LINES.replacen("[lan]", "[lan]\nnetworks = [\"10.8.0.0/16\"]", 1);
    only(
        &found(&described, &leads_to(&[])),
        Level::Warning,
        "10.8.0.0/16 behind eth0",
        "ip route add 10.8.0.0/16 via … dev eth0",
    );
}
