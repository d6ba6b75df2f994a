//! Current, desired, difference: as triples.

use multiwan_kernel::nft::Mark;

use super::{Changes, Step, difference, feasible};
use crate::config::Config;
use crate::desired::{desired, refused_by};
use crate::state::{DeviceSetting, GlobalSetting, Link, Route, Rule, Setting, State, Target};
use crate::verdicts::{Verdict, Verdicts};

const TWO_LINES: &str = include_str!("../../../fixtures/configs/two-lines.toml");

fn wanted(text: &str) -> State {
    desired(
        &Config::parse(text, "test.toml").unwrap(),
        &Verdicts::default(),
    )
}

/// A kernel after `apply`, with the rules that are always there.
fn applied() -> State {
    let mut state = wanted(TWO_LINES);
    state
        .links
        .values_mut()
        .for_each(|link| link.cleared = false);
    let kernels = |priority, table| Rule {
        protocol: 2,
        ..Rule::new(priority, table)
    };
    state.rules.insert(0, kernels(0, 255));
    state.rules.push(kernels(32766, 254));
    state
}

fn lines(changes: &Changes) -> Vec<String> {
    changes
        .steps()
        .iter()
        .map(|step| {
            step.to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

fn changes(found: &State, text: &str) -> Vec<String> {
    lines(&difference(found, &wanted(text)))
}

#[test]
fn nothing_differs_after_apply() {
    assert_eq!(changes(&applied(), TWO_LINES), [""; 0]);
}

#[test]
fn a_weight_is_one_route() {
    let text = TWO_LINES.replace("\"eth1\"", "\"eth1\"\nweight = 4");
    assert_eq!(
        changes(&applied(), &text),
        [
            "ip route replace default proto static table 222 nexthop via 198.51.100.1 dev eth1 \
          weight 4 nexthop via 203.0.113.1 dev eth2 weight 1"
        ]
    );
}

#[test]
fn a_death_is_taken_from_new_connections_first() {
    let config = Config::parse(TWO_LINES, "test.toml").unwrap();
    let dead: Verdicts = [("dsl1", Verdict::Dead)].into_iter().collect();
    let steps = difference(&applied(), &desired(&config, &dead));
    assert_eq!(
        lines(&steps),
        [
            "ip route replace default via 203.0.113.1 dev eth2 proto static table 222",
            "ip route del default via 198.51.100.1 dev eth1 src 198.51.100.2 proto static table 201",
        ]
    );
    assert_eq!(
        lines(&steps.inverse()),
        [
            "ip route add default via 198.51.100.1 dev eth1 src 198.51.100.2 proto static table 201",
            "ip route replace default proto static table 222 nexthop via 198.51.100.1 dev eth1 \
             weight 1 nexthop via 203.0.113.1 dev eth2 weight 1",
        ]
    );
}

#[test]
fn a_line_that_is_replaced_leaves_before_the_firewall_and_its_heir_joins_after() {
    let text = TWO_LINES
        .replace("203.0.113.", "192.88.99.")
        .replace("\"dsl2\"", "\"dsl3\"");
    assert_eq!(
        changes(&applied(), &text),
        [
            "ip address add 192.88.99.2/24 brd 192.88.99.255 dev eth2",
            "ip route replace default via 198.51.100.1 dev eth1 proto static table 222",
            "nft -f - <<'EOF'",
            "ip route replace default via 192.88.99.1 dev eth2 src 192.88.99.2 proto static table 202",
            "ip rule add prio 48 to 192.88.99.0/24 table main suppress_prefixlength 24 protocol 222",
            "ip rule add prio 49 to 192.88.99.0/24 fwmark 0x100/0x3f00 table 201 protocol 222",
            "ip rule add prio 202 from 192.88.99.0/24 table 202 protocol 222",
            "ip route replace default proto static table 222 nexthop via 198.51.100.1 dev eth1 \
             weight 1 nexthop via 192.88.99.1 dev eth2 weight 1",
            "ip rule del prio 48 to 203.0.113.0/24 table main suppress_prefixlength 24 protocol 222",
            "ip rule del prio 49 to 203.0.113.0/24 fwmark 0x100/0x3f00 table 201 protocol 222",
            "ip rule del prio 202 from 203.0.113.0/24 table 202 protocol 222",
            "ip address del 203.0.113.2/24 dev eth2",
            "conntrack -D -f ipv4 -m 0x200/0x3f00 -q 203.0.113.2 || true",
            "nft -f - <<'EOF'",
        ]
    );
}

#[test]
fn a_line_that_goes_leaves_nothing_but_its_address() {
    let text = TWO_LINES
        .split("[[line]]")
        .take(2)
        .collect::<Vec<_>>()
        .join("[[line]]");
    let text = format!("{text}\n[keepalive]\ninterval = \"200ms\"");
    assert_eq!(
        changes(&applied(), &text),
        [
            "ip route replace default via 198.51.100.1 dev eth1 proto static table 222",
            "nft -f - <<'EOF'",
            "ip rule del prio 48 to 198.51.100.0/24 table main suppress_prefixlength 24 protocol 222",
            "ip rule del prio 48 to 203.0.113.0/24 table main suppress_prefixlength 24 protocol 222",
            "ip rule del prio 49 to 203.0.113.0/24 fwmark 0x100/0x3f00 table 201 protocol 222",
            "ip rule del prio 49 to 198.51.100.0/24 fwmark 0x200/0x3f00 table 202 protocol 222",
            "ip rule del prio 202 fwmark 0x200/0x3f00 table 202 protocol 222",
            "ip rule del prio 202 from 203.0.113.0/24 table 202 protocol 222",
            "ip rule del prio 202 oif eth2 table 202 protocol 222",
            "ip route del default via 203.0.113.1 dev eth2 src 203.0.113.2 proto static table 202",
            "ip route del prohibit default proto static metric 1 table 202",
            "conntrack -D -f ipv4 -m 0x200/0x3f00 -q 203.0.113.2 || true",
            "nft -f - <<'EOF'",
        ]
    );
}

/// An address that its line has no more is refused from the firewall on, before a route leads
/// elsewhere, until its connections are forgotten, when nothing can be refused any more; and cut off in
/// between, they are forgotten by the next change.
#[test]
fn connections_of_an_address_are_refused_until_they_are_forgotten() {
    let moved = wanted(&TWO_LINES.replace("198.51.100.2/24", "198.51.100.77/24"));
    let mut found = applied();
    let changes = difference(&found, &moved);
    let put = |step: &Step| matches!(step, Step::PutRoute { route, .. } if route.table == 201);
    let firewall = |step: &Step| matches!(step, Step::Firewall { .. });
    let at = |wanted: &dyn Fn(&Step) -> bool| changes.steps().iter().position(wanted).unwrap();
    assert!(at(&firewall) < at(&put));
    let Step::Firewall { to, .. } = &changes.steps()[at(&firewall)] else {
        unreachable!()
    };
    let refused = refused_by(to.as_ref().unwrap());
    assert_eq!(
        refused,
        [(Mark::new(0x100, 0x3f00), [198, 51, 100, 2].into())]
    );

    found.firewall.clone_from(to);
    found.addresses.clone_from(&moved.addresses);
    found.rules.retain(|rule| !rule.is_ours());
    found.rules.extend(moved.rules.iter().cloned());
    found.routes.clone_from(&moved.routes);
    assert_eq!(
        lines(&difference(&found, &moved)),
        [
            "conntrack -D -f ipv4 -m 0x100/0x3f00 -q 198.51.100.2 || true",
            "nft -f - <<'EOF'",
        ]
    );
    // Back again, they are the line's own.
    let back = difference(&found, &wanted(TWO_LINES));
    let address = |step: &Step| match step {
        Step::Forget { address, .. } => Some(address.to_string()),
        _ => None,
    };
    let forgotten: Vec<_> = back.steps().iter().filter_map(address).collect();
    assert_eq!(forgotten, ["198.51.100.77"]);
}

#[test]
fn what_is_foreign_stays() {
    let mut found = applied();
    let mut foreign = |rule: Rule| {
        found.rules.push(Rule {
            protocol: 3,
            ..rule
        })
    };
    foreign(Rule::new(50, 254));
    foreign(Rule::new(32764, 51820));
    found.routes.push(Route::new(254, 100, Target::Unreachable));
    found.routes.push(Route::new(51820, 0, Target::Prohibit));
    assert_eq!(changes(&found, TWO_LINES), [""; 0]);
}

#[test]
fn rules_of_the_how_to_s_own_script_stay_beside() {
    let mut found = applied();
    let ours = found.rules.clone().into_iter().filter(Rule::is_ours);
    let theirs = ours.map(|rule| Rule {
        protocol: 0,
        ..rule
    });
    found.rules.extend(theirs);
    assert_eq!(changes(&found, TWO_LINES), [""; 0]);
    let bare = State {
        rules: found
            .rules
            .iter()
            .filter(|rule| !rule.is_ours())
            .cloned()
            .collect(),
        ..found.clone()
    };
    assert_eq!(difference(&bare, &found).steps().len(), 12);
}

#[test]
fn routes_left_over_in_the_lines_tables_go() {
    let mut found = applied();
    found.routes.push(Route::new(201, 7, Target::Unreachable));
    found.routes.push(found.routes[0].clone());
    assert_eq!(
        changes(&found, TWO_LINES),
        [
            "ip route del unreachable default proto static metric 7 table 201",
            "ip route del default via 198.51.100.1 dev eth1 src 198.51.100.2 proto static table 201",
        ]
    );
}

#[test]
fn an_address_in_the_way_does_not_take_the_described_one_along() {
    let mut found = applied();
    let mut old = found
        .addresses
        .iter()
        .find(|a| a.interface == "eth1")
        .unwrap()
        .clone();
    old.address = "198.51.100.9/24".parse().unwrap();
    found.addresses.insert(old);
    let promote = Setting::Device(
        "eth1".into(),
        crate::state::DeviceSetting::PromoteSecondaries,
    );
    found.settings.insert(promote, 0);
    assert_eq!(
        changes(&found, TWO_LINES),
        [
            "sysctl -w net.ipv4.conf.eth1.promote_secondaries=1",
            "ip address del 198.51.100.9/24 dev eth1",
        ]
    );
}

#[test]
fn forwarding_comes_after_the_firewall() {
    let mut found = applied();
    let forwarding = Setting::Global(GlobalSetting::Forwarding);
    for (setting, value) in &mut found.settings {
        if *setting == forwarding || setting.set_by_forwarding(0).is_some() {
            *value = 0;
        }
    }
    found
        .settings
        .insert(Setting::Global(GlobalSetting::UseNeighbours), 0);
    found.firewall = None;
    let steps = |found: &State| changes(found, TWO_LINES);
    let [first, firewall] = [
        "sysctl -w net.ipv4.fib_multipath_use_neigh=1",
        "nft -f - <<'EOF'",
    ];
    let all = "sysctl -w net.ipv4.ip_forward=1";
    assert_eq!(steps(&found), [first, firewall, all]);
    // What is written with it, and would not come back with it, is written before it as well.
    let card = Setting::Device("eth1".to_owned(), DeviceSetting::Forwarding);
    found.settings.insert(card.clone(), 1);
    let one = "sysctl -w net.ipv4.conf.eth1.forwarding=1";
    assert_eq!(steps(&found), [first, firewall, one, all]);
    // And a card that is left out of what is on already is let in.
    found.settings.insert(card, 0);
    found.settings.insert(forwarding, 1);
    for card in ["eth0", "eth2"] {
        let card = Setting::Device(card.to_owned(), DeviceSetting::Forwarding);
        found.settings.insert(card, 1);
    }
    assert_eq!(steps(&found), [first, firewall, one]);
}

#[test]
fn forwarding_ends_before_the_firewall_changes() {
    let found = applied();
    let mut wanted = wanted(TWO_LINES);
    let card = |card: &str| Setting::Device(card.to_owned(), DeviceSetting::Forwarding);
    for setting in [
        Setting::Global(GlobalSetting::Forwarding),
        card("eth0"),
        card("eth2"),
    ] {
        wanted.settings.insert(setting, 0);
    }
    wanted.firewall = None;
    let steps = difference(&found, &wanted);
    let told: Vec<String> = steps
        .steps()
        .iter()
        .map(|step| step.to_string().lines().next().unwrap().to_owned())
        .collect();
    let expected = [
        "sysctl -w net.ipv4.ip_forward=0",
        // That card was forwarded from before.
        "sysctl -w net.ipv4.conf.eth1.forwarding=1",
        "nft -f - <<'EOF'",
    ];
    assert_eq!(told, expected);
}

#[test]
fn timers_rounded_up_to_a_tick_are_as_they_should_be() {
    let text = TWO_LINES.replace("200ms", "201ms");
    let mut found = wanted(&text);
    for (setting, value) in &mut found.settings {
        if setting.to_string().ends_with("retrans_time_ms") {
            *value = 204;
        }
    }
    assert_eq!(changes(&found, &text), [""; 0]);
}

#[test]
fn an_interface_may_be_missing_while_its_line_is_dead() {
    let config = Config::parse(TWO_LINES, "test.toml").unwrap();
    let mut found = applied();
    found.links.remove("eth1");
    found
        .settings
        .retain(|setting, _| setting.interface() != Some("eth1"));
    found
        .addresses
        .retain(|address| address.interface != "eth1");

    let refused = feasible(desired(&config, &Verdicts::default()), &found).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no interface eth1; `ip link` shows those that are there"
    );
    let dead = [("dsl1", Verdict::Dead)].into_iter().collect();
    let wanted = feasible(desired(&config, &dead), &found).unwrap();
    let steps = difference(&found, &wanted);
    assert!(
        steps
            .steps()
            .iter()
            .all(|step| !matches!(step, Step::AddAddress(_))),
        "{steps}"
    );
}

#[test]
fn older_kernels_spread_connections_by_their_own_five_tuple() {
    let text = format!("spread = \"connection\"\n{TWO_LINES}");
    let mut found = applied();
    let fields = Setting::Global(GlobalSetting::HashFields);
    assert!(wanted(&text).settings.contains_key(&fields));
    found.settings.remove(&fields);
    let feasible = feasible(wanted(&text), &found).unwrap();
    assert_eq!(
        lines(&difference(&found, &feasible)),
        ["sysctl -w net.ipv4.fib_multipath_hash_policy=1"]
    );
}

#[test]
fn the_keepalive_does_without_neighbour_timers() {
    let mut found = applied();
    let timers = |setting: &Setting| matches!(setting, Setting::Neighbour(..));
    assert!(found.settings.keys().any(timers));
    found.settings.retain(|setting, _| !timers(setting));
    let feasible = feasible(wanted(TWO_LINES), &found).unwrap();
    assert!(difference(&found, &feasible).is_empty());
}

/// As Linux before 4.17 would have taken the rules of a pin without its port.
#[test]
fn what_is_acknowledged_and_not_held_is_found() {
    let text = format!("{TWO_LINES}\n[[pin]]\nline = \"dsl1\"\nprotocol = \"udp\"\nport = 53\n");
    let wanted = wanted(&text);
    let mut found = applied();
    let done = difference(&found, &wanted);
    found.rules = wanted.rules.clone();
    assert_eq!(done.not_held(&difference(&found, &wanted)), None);
    let pin = found.rules.iter_mut().find(|rule| rule.port.is_some());
    pin.unwrap().port = None;
    let left = difference(&found, &wanted);
    let step = done.not_held(&left).unwrap();
    assert!(step.to_string().contains("dport 53"), "{step}");
    // What somebody else has changed meanwhile is no business of the kernel's.
    found.rules = wanted.rules.clone();
    found.routes.pop();
    assert_eq!(done.not_held(&difference(&found, &wanted)), None);
}

#[test]
fn the_way_down_is_the_way_up_backwards() {
    let mut bare = applied();
    bare.rules.retain(|rule| !rule.is_ours());
    bare.routes.clear();
    bare.firewall = None;
    bare.links = bare
        .links
        .into_keys()
        .map(|k| {
            (
                k,
                Link {
                    up: true,
                    ..Link::default()
                },
            )
        })
        .collect();
    let down = lines(&difference(&bare, &applied()).inverse());
    assert_eq!(down[0], "ip rule del prio 222 table 222 protocol 222");
    let nft = down
        .iter()
        .position(|line| line.starts_with("nft"))
        .unwrap();
    let last_rule = down
        .iter()
        .rposition(|line| line.starts_with("ip rule"))
        .unwrap();
    assert!(last_rule < nft, "{down:#?}");
}
