//! What lines have now, by what a kernel holds.

use super::*;
use crate::desired::desired;
use crate::difference::difference;
use crate::kept::Undescribed;
use crate::state::{Link, Rule};

const DYNAMIC: &str = include_str!("../../fixtures/configs/dynamic.toml");

fn config() -> Config {
    Config::parse(DYNAMIC, "dynamic.toml").unwrap()
}

/// With no gateway remembered.
fn resolve(config: &Config, found: &State) -> Resolved {
    super::resolve(config, found, &Gateways::default())
}

/// A kernel after a DHCP client has been at work on eth1 and eth2.
fn leased(addresses: &[(&str, &str)], gateways: &[(&str, &str)]) -> State {
    let card = Link {
        up: true,
        cleared: false,
        arp: true,
        mtu: Some(1500),
    };
    let mut state = State::default();
    for interface in ["lo", "eth0", "eth1", "eth2"] {
        state.links.insert(interface.to_owned(), card);
    }
    let address = |(rank, (interface, net)): (usize, &(&str, &str))| Address {
        rank,
        ..Address::new(*interface, net.parse().unwrap())
    };
    state.addresses = addresses.iter().enumerate().map(address).collect();
    for (metric, (interface, gateway)) in (100..).zip(gateways) {
        state
            .routes
            .push(default(TABLE_MAIN, metric, interface, gateway));
    }
    state
}

fn default(table: u32, metric: u32, interface: &str, gateway: &str) -> Route {
    let hop = Hop {
        gateway: gateway.parse().ok(),
        interface: interface.to_owned(),
        onlink: false,
        weight: 1,
    };
    let target = Target::Hops {
        hops: vec![hop],
        source: None,
    };
    Route::new(table, metric, target)
}

fn usual() -> State {
    leased(
        &[("eth1", "100.64.1.2/24"), ("eth2", "100.64.2.2/24")],
        &[("eth1", "100.64.1.1"), ("eth2", "100.64.2.1")],
    )
}

/// Address, gateway and what lacks of the first line.
fn first(found: &State) -> (String, String, Option<Lack>) {
    let now = resolve(&config(), found);
    let line = &now.config.lines[0];
    (
        line.address.map(|net| net.to_string()).unwrap_or_default(),
        line.gateway
            .map(|address| address.to_string())
            .unwrap_or_default(),
        now.lacking.get(&line.name).copied(),
    )
}

fn has(address: &str, gateway: &str) -> (String, String, Option<Lack>) {
    (address.to_owned(), gateway.to_owned(), None)
}

/// What the kernel holds after `apply` beside that.
fn applied(mut found: State) -> State {
    let now = resolve(&config(), &found);
    let wanted = desired(&now.config, &now.verdicts(&Verdicts::default()));
    found.rules = wanted.rules;
    found.routes.extend(wanted.routes);
    found.firewall = wanted.firewall;
    found
}

#[test]
fn the_interface_and_main_tell_address_and_gateway() {
    assert_eq!(first(&usual()), has("100.64.1.2/24", "100.64.1.1"));
}

#[test]
fn of_several_addresses_the_first_in_the_gateway_s_network_counts() {
    let mut found = leased(
        &[
            ("eth1", "10.0.0.5/8"),
            ("eth1", "100.64.1.9/24"),
            ("eth1", "100.64.1.2/24"),
        ],
        &[("eth1", "100.64.1.1")],
    );
    assert_eq!(first(&found), has("100.64.1.9/24", "100.64.1.1"));
    let Target::Hops { source, .. } = &mut found.routes[0].target else {
        panic!("hops")
    };
    *source = Some([100, 64, 1, 2].into());
    assert_eq!(first(&found), has("100.64.1.2/24", "100.64.1.1"));
}

#[test]
fn a_line_that_waits_for_its_lease_is_left_out() {
    let found = leased(&[], &[]);
    let now = resolve(&config(), &found);
    assert_eq!(now.lacking.len(), 2);
    let wanted = desired(&now.config, &now.verdicts(&Verdicts::default()));
    assert!(wanted.routes.iter().all(|route| route.hops().is_empty()));
    let without_gateway = leased(&[("eth1", "100.64.1.2/24")], &[]);
    assert_eq!(first(&without_gateway).2, Some(Lack::Gateway));
}

#[test]
fn a_point_to_point_link_needs_no_gateway() {
    let mut found = leased(&[("eth1", "100.64.1.2/32")], &[]);
    found.links.get_mut("eth1").unwrap().arp = false;
    assert_eq!(first(&found), has("100.64.1.2/32", ""));
}

#[test]
fn a_gateway_at_the_other_end_of_a_point_to_point_link_is_always_in_reach() {
    let text = DYNAMIC.replace(
        "interface = \"eth1\"",
        "gateway = \"10.9.9.9\"\ninterface = \"eth1\"",
    );
    let config = Config::parse(&text, "dynamic.toml").unwrap();
    let mut found = leased(&[("eth1", "100.64.1.2/24")], &[]);
    assert_eq!(
        resolve(&config, &found).lacking.get("dsl1"),
        Some(&Lack::Gateway)
    );
    found.links.get_mut("eth1").unwrap().arp = false;
    let now = resolve(&config, &found);
    assert!(now.config.lines[0].onlink && !now.lacking.contains_key("dsl1"));
}

#[test]
fn an_address_that_the_lan_has_too_is_no_use() {
    let found = leased(&[("eth1", "192.0.2.77/24")], &[("eth1", "192.0.2.1")]);
    assert_eq!(first(&found).2, Some(Lack::Room));
}

#[test]
fn an_address_that_is_behind_the_lan_too_is_no_use() {
    let text = DYNAMIC.replacen("[lan]", "[lan]\nnetworks = [\"100.64.0.0/10\"]", 1);
    let config = Config::parse(&text, "dynamic.toml").unwrap();
    let found = leased(&[("eth1", "100.64.1.2/24")], &[("eth1", "100.64.1.1")]);
    assert_eq!(
        resolve(&config, &found).lacking.get("dsl1"),
        Some(&Lack::Room)
    );
}

#[test]
fn a_gateway_beyond_the_network_is_on_the_link() {
    let found = leased(&[("eth1", "100.64.1.2/32")], &[("eth1", "10.9.9.9")]);
    let now = resolve(&config(), &found);
    assert!(now.config.lines[0].onlink && !now.lacking.contains_key("dsl1"));
}

#[test]
fn a_gateway_that_somebody_took_out_of_main_is_remembered_with_its_address() {
    let mut found = applied(usual());
    found.routes.retain(|route| route.table != TABLE_MAIN);
    assert_eq!(first(&found), has("100.64.1.2/24", "100.64.1.1"));
    found.addresses = leased(&[("eth1", "100.64.7.2/24")], &[]).addresses;
    assert_eq!(first(&found).2, Some(Lack::Gateway));
}

/// Then its own table does not tell it.
#[test]
fn the_gateway_of_a_dead_line_is_remembered_with_its_address() {
    let line = |found: &State, before: &Gateways| {
        let now = super::resolve(&config(), found, before);
        let lack = now.lacking.get("dsl1").copied();
        (now.config, lack)
    };
    let gateway = |config: &Config| config.lines[0].gateway;
    let (up, _) = line(&usual(), &Gateways::default());
    let before = Gateways::default().renewed(&up);

    let mut found = usual();
    found.routes.clear();
    let (dead, lack) = line(&found, &before);
    assert_eq!((gateway(&dead), lack), (gateway(&up), None));
    assert_eq!(before.renewed(&dead), before);

    // That of main counts more, and is remembered then.
    found.routes = vec![default(TABLE_MAIN, 100, "eth1", "100.64.1.254")];
    let (moved, _) = line(&found, &before);
    assert_eq!(gateway(&moved), "100.64.1.254".parse().ok());
    found.routes.clear();
    let (dead, _) = line(&found, &before.renewed(&moved));
    assert_eq!(gateway(&dead), gateway(&moved));

    // Without an address it may come back with the same; with another it is forgotten.
    found.addresses.clear();
    let (without, lack) = line(&found, &before);
    assert_eq!(lack, Some(Lack::Address));
    assert_eq!(before.renewed(&without), before);
    found.addresses = leased(&[("eth1", "100.64.7.2/24")], &[]).addresses;
    let (other, lack) = line(&found, &before);
    assert_eq!(lack, Some(Lack::Gateway));
    found.addresses = usual().addresses;
    let (_, lack) = line(&found, &before.renewed(&other));
    assert_eq!(lack, Some(Lack::Gateway));
}

#[test]
fn a_lost_address_is_remembered_until_another_comes() {
    let mut found = applied(usual());
    let held = found.addresses.clone();
    found
        .addresses
        .retain(|address| address.interface != "eth1");
    let (address, _, lack) = first(&found);
    assert_eq!(
        (address.as_str(), lack),
        ("100.64.1.2/24", Some(Lack::Address))
    );
    let now = resolve(&config(), &found);
    let wanted = desired(&now.config, &now.verdicts(&Verdicts::default()));
    assert_eq!(
        wanted.firewall, found.firewall,
        "its connections are not touched"
    );
    assert_eq!(wanted.rules, found.rules);
    found.addresses = held;
    assert_eq!(first(&found), has("100.64.1.2/24", "100.64.1.1"));
}

#[test]
fn a_pin_is_not_taken_for_the_line_s_address() {
    let mut found = leased(&[], &[]);
    found.rules.push(Rule {
        from: Some("192.0.2.9/32".parse().unwrap()),
        ..Rule::new(221, 201)
    });
    assert_eq!(first(&found).0, "");
}

#[test]
fn another_address_moves_that_line_only_and_ends_what_had_the_old_one() {
    let mut found = applied(usual());
    found.addresses =
        leased(&[("eth1", "100.64.9.7/24"), ("eth2", "100.64.2.2/24")], &[]).addresses;
    found.routes[0] = default(TABLE_MAIN, 100, "eth1", "100.64.9.1");
    let now = resolve(&config(), &found);
    let mut wanted = desired(&now.config, &now.verdicts(&Verdicts::default()));
    wanted.settings.clear();
    wanted.addresses.clear();
    let changes = difference(&found, &wanted).to_string();
    let steps: Vec<&str> = changes
        .lines()
        .filter(|line| line.starts_with("ip ") || line.starts_with("conntrack"))
        .collect();
    assert_eq!(
        steps,
        [
            "ip route replace default via 100.64.2.1 dev eth2 proto static table 222",
            "ip route replace default via 100.64.9.1 dev eth1 src 100.64.9.7 proto static table 201",
            "ip rule add prio 48 to 100.64.9.0/24 table main suppress_prefixlength 24 protocol 222",
            "ip rule add prio 49 to 100.64.9.0/24 fwmark 0x200/0x3f00 table 202 protocol 222",
            "ip rule add prio 201 from 100.64.9.7/32 table 201 protocol 222",
            "ip route replace default proto static table 222 nexthop via 100.64.9.1 dev eth1 weight \
             1 nexthop via 100.64.2.1 dev eth2 weight 1",
            "ip rule del prio 48 to 100.64.1.0/24 table main suppress_prefixlength 24 protocol 222",
            "ip rule del prio 49 to 100.64.1.0/24 fwmark 0x200/0x3f00 table 202 protocol 222",
            "ip rule del prio 201 from 100.64.1.2/32 table 201 protocol 222",
            "conntrack -D -f ipv4 -m 0x100/0x3f00 -q 100.64.1.2 || true",
            "conntrack -D -f ipv4 -m 0x100/0x3f00 -d 100.64.1.2 || true",
        ]
    );
}

const TWO_LINES: &str = include_str!("../../fixtures/configs/two-lines.toml");

/// The usual two lines, of which the first keeps this.
fn keeping(keep: &str) -> Config {
    let key = format!("\"eth1\"\nkeep = [{keep}]");
    let text = TWO_LINES.replacen("\"eth1\"", &key, 1);
    Config::parse(&text, "test.toml").unwrap()
}

#[test]
fn what_others_have_on_a_line_s_card_stays_where_it_is_described() {
    let config = keeping("\"198.51.100.200\", \"192.168.100.0/24\"");
    let found = leased(
        &[
            ("eth1", "198.51.100.2/24"),
            ("eth1", "198.51.100.77/24"),
            ("eth1", "198.51.100.200/32"),
            ("eth1", "192.168.100.2/24"),
            ("eth2", "192.168.100.3/24"),
        ],
        &[],
    );
    let wanted = resolve(&config, &found).desired(&Verdicts::default());
    let changes = difference(&found, &wanted);
    let taken = Undescribed::taken(&changes, &config, &BTreeSet::new());
    let places: Vec<String> = taken.iter().map(Undescribed::place).collect();
    assert_eq!(
        places,
        ["198.51.100.77/24 on eth1", "192.168.100.3/24 on eth2"]
    );
    assert!(
        taken[0]
            .to_string()
            .contains("keep = [\"198.51.100.77/32\"]")
    );
    // What multiwan had put there is nobody else's.
    let put = found.addresses.clone();
    assert_eq!(Undescribed::taken(&changes, &config, &put), []);
}

#[test]
fn what_has_a_kept_address_leaves_by_that_line() {
    let rules = |keep| -> Vec<String> {
        let config = keeping(keep);
        let rules = desired(&config, &Verdicts::default()).rules.into_iter();
        rules
            .filter(|rule| rule.priority == 201)
            .filter_map(|rule| Some(rule.from?.to_string()))
            .collect()
    };
    assert_eq!(
        rules("\"192.168.100.2/24\", \"10.0.0.0/24\""),
        ["198.51.100.0/24", "192.168.100.2/32", "10.0.0.0/24"]
    );
    // The line's network is asked for once.
    assert_eq!(rules("\"198.51.100.200\""), ["198.51.100.0/24"]);
    assert_eq!(rules("\"198.51.100.0/24\""), ["198.51.100.0/24"]);
}

#[test]
fn a_kept_address_is_not_a_dynamic_line_s() {
    let text = DYNAMIC.replacen("\"eth1\"", "\"eth1\"\nkeep = [\"192.168.100.2/24\"]", 1);
    let config = Config::parse(&text, "dynamic.toml").unwrap();
    let mut found = leased(
        &[("eth1", "192.168.100.2/24"), ("eth2", "100.64.2.2/24")],
        &[("eth2", "100.64.2.1")],
    );
    let line = |found: &State| resolve(&config, found).config.lines[0].address;
    assert_eq!(line(&found), None);
    // Nor was it when there was one.
    let of = |from: &str| Rule {
        from: from.parse().ok(),
        ..Rule::new(201, 201)
    };
    found.rules = vec![of("192.168.100.2/32"), of("100.64.1.2/32")];
    assert_eq!(line(&found), "100.64.1.2/32".parse().ok());
}
