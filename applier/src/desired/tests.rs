//! What the fixtures' configurations come to, as text.

use proptest::prelude::*;

use super::{desired, desired_with};
use crate::config::Config;
use crate::difference::difference;
use crate::state::{Link, Rule, State};
use crate::verdicts::{Verdict, Verdicts};

const TWO_LINES: &str = include_str!("../../../fixtures/configs/two-lines.toml");
const FOUR_TO_ONE: &str = include_str!("../../../fixtures/configs/four-to-one.toml");

fn config(text: &str) -> Config {
    Config::parse(text, "test.toml").unwrap_or_else(|error| panic!("{error}"))
}

/// A kernel with the interfaces of the fixtures and settings that all differ.
fn fresh(wanted: &State) -> State {
    State {
        links: wanted
            .links
            .keys()
            .map(|k| (k.clone(), Link::default()))
            .collect(),
        settings: wanted
            .settings
            .keys()
            .map(|key| (key.clone(), 77))
            .collect(),
        ..State::default()
    }
}

fn plan(text: &str, verdicts: &Verdicts) -> String {
    let mtus = [("eth1", 1500), ("eth2", 1492)].map(|(card, mtu)| (card.to_owned(), mtu));
    let wanted = desired_with(&config(text), verdicts, &mtus.into());
    difference(&fresh(&wanted), &wanted).to_string()
}

/// All but the table of nftables.
fn routing(text: &str, verdicts: &Verdicts) -> Vec<String> {
    plan(text, verdicts)
        .lines()
        .filter(|line| line.starts_with("ip r"))
        .map(str::to_owned)
        .collect()
}

fn dead(lines: &[&str]) -> Verdicts {
    lines.iter().map(|line| (*line, Verdict::Dead)).collect()
}

#[track_caller]
fn assert_same_lines(text: &str, golden: &str) {
    for (at, (line, expected)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(line, expected, "in line {}", at + 1);
    }
    assert_eq!(text.lines().count(), golden.lines().count());
}

proptest! {
    /// The kernel appends a rule to those of its priority, and so asks in the order in which they came.
    #[test]
    fn marks_are_asked_for_before_pins_and_pins_before_the_balance_table(
        number in 1..=21_u8,
        first in 51..260_u32,
        room in 0..30_u32,
        pinned: bool,
    ) {
        let balance = first + room;
        let numbered = format!("number = {number}\ngateway   = \"198.51.100.1\"");
        let mut text = TWO_LINES.replacen("gateway   = \"198.51.100.1\"", &numbered, 1);
        if pinned {
            text += "\n[[pin]]\nto = \"192.0.2.53\"\nline = \"dsl2\"";
        }
        text += &format!("\n[kernel]\nfirst_table = {first}\nbalance_table = {balance}");
        let accepted = Config::parse(&text, "test.toml");
        // The other line has the lowest number that is free.
        let last = first + u32::from(number.max(2)) - 1;
        let has_room = last + u32::from(pinned) < balance;
        let reserved = (253..=255).any(|table| table == balance || (first..=last).contains(&table));
        prop_assert!(accepted.is_ok() == has_room || reserved && accepted.is_err());
        if let Ok(config) = accepted {
            let rules = desired(&config, &Verdicts::default()).rules;
            let priorities = |is_one: fn(&Rule) -> bool| {
                let of_them = rules.iter().filter(move |rule| is_one(rule));
                of_them.map(|rule| rule.priority)
            };
            let marked = priorities(|rule| rule.mark.is_some()).max().unwrap();
            let is_pin = |rule: &Rule| rule.to.is_some() && rule.priority > 50;
            prop_assert!(priorities(is_pin).all(|pin| marked < pin && pin < balance));
        }
    }
}

#[test]
fn two_lines() {
    let golden = include_str!("../../tests/golden/two-lines.plan");
    assert_same_lines(&plan(TWO_LINES, &Verdicts::default()), golden);
}

#[test]
fn four_to_one() {
    let golden = include_str!("../../tests/golden/four-to-one.plan");
    assert_same_lines(&plan(FOUR_TO_ONE, &Verdicts::default()), golden);
}

#[test]
fn a_dead_line_leaves_the_balance_table_and_keeps_prohibit() {
    assert_eq!(
        routing(TWO_LINES, &dead(&["dsl1"])),
        [
            "ip route add prohibit default proto static metric 1 table 201",
            "ip route add prohibit default proto static metric 1 table 202",
            "ip route add unreachable default proto static metric 4294967295 table 222",
            "ip route add default via 203.0.113.1 dev eth2 src 203.0.113.2 proto static table 202",
            "ip rule add prio 48 to 198.51.100.0/24 table main suppress_prefixlength 24 protocol 222",
            "ip rule add prio 48 to 203.0.113.0/24 table main suppress_prefixlength 24 protocol 222",
            "ip rule add prio 49 to 203.0.113.0/24 fwmark 0x100/0x3f00 table 201 protocol 222",
            "ip rule add prio 49 to 198.51.100.0/24 fwmark 0x200/0x3f00 table 202 protocol 222",
            "ip rule add prio 50 table main suppress_prefixlength 0 protocol 222",
            "ip rule add prio 201 fwmark 0x100/0x3f00 table 201 protocol 222",
            "ip rule add prio 201 from 198.51.100.0/24 table 201 protocol 222",
            "ip rule add prio 201 oif eth1 table 201 protocol 222",
            "ip rule add prio 202 fwmark 0x200/0x3f00 table 202 protocol 222",
            "ip rule add prio 202 from 203.0.113.0/24 table 202 protocol 222",
            "ip rule add prio 202 oif eth2 table 202 protocol 222",
            "ip route add default via 203.0.113.1 dev eth2 proto static table 222",
            "ip rule add prio 222 table 222 protocol 222",
        ]
    );
}

#[test]
fn with_all_lines_dead_nothing_falls_through() {
    let routes = routing(TWO_LINES, &dead(&["dsl1", "dsl2"]));
    let balance: Vec<_> = routes
        .iter()
        .filter(|route| route.ends_with("table 222"))
        .collect();
    assert_eq!(
        balance,
        ["ip route add unreachable default proto static metric 4294967295 table 222"]
    );
}

#[test]
fn a_dead_line_s_interface_is_left_as_it_is() {
    let state = desired(&config(TWO_LINES), &dead(&["dsl1"]));
    assert!(!state.links.contains_key("eth1"));
    assert!(state.links.contains_key("eth2"));
}

#[test]
fn a_backup_gets_connections_while_no_other_line_is_up() {
    let text = TWO_LINES.replace("name      = \"dsl2\"", "name = \"dsl2\"\nbackup = true");
    let balance = |verdicts: &Verdicts| {
        let is_balance = |route: &String| route.contains("table 222") && route.contains("via");
        routing(&text, verdicts).into_iter().find(is_balance)
    };
    let only = |via| {
        Some(format!(
            "ip route add default via {via} proto static table 222"
        ))
    };
    assert_eq!(balance(&Verdicts::default()), only("198.51.100.1 dev eth1"));
    assert_eq!(balance(&dead(&["dsl1"])), only("203.0.113.1 dev eth2"));
}

#[test]
fn a_dead_line_s_tcp_is_told_where_that_is_asked_for_and_another_line_is_there() {
    let jump = "iifname != \"eth1\" ct mark & 0x3f00 == 0x100 ip daddr != 198.51.100.0/24 \
                jump tell_tcp";
    let answer = "meta l4proto tcp fib daddr type != local counter reject with tcp reset";
    for (established, told) in [("prohibit", false), ("reset", true), ("release", true)] {
        let text = format!("established = \"{established}\"\n{TWO_LINES}");
        let has = |what: &str, verdicts: &Verdicts| plan(&text, verdicts).contains(what);
        assert_eq!(has(answer, &Verdicts::default()), told, "{established}");
        assert!(!has("jump tell_tcp", &Verdicts::default()), "{established}");
        assert_eq!(has(jump, &dead(&["dsl1"])), told, "{established}");
        assert!(
            !has("jump tell_tcp", &dead(&["dsl1", "dsl2"])),
            "{established}"
        );
    }
}

/// What is counted of the lines' connections goes on.
#[test]
fn a_verdict_changes_one_chain_of_nftables() {
    let config = config(&format!("established = \"reset\"\n{TWO_LINES}"));
    let alive = desired(&config, &Verdicts::default());
    let one_dead = desired(&config, &dead(&["dsl1"]));
    let changes = difference(&alive, &one_dead).to_string();
    let nft = changes.split("EOF").nth(1).unwrap();
    let told = "
flush chain ip multiwan dead_lines
table ip multiwan {
\tchain dead_lines {
\t\tiifname != \"eth1\" ct mark & 0x3f00 == 0x100 ip daddr != 198.51.100.0/24 jump tell_tcp
\t}
}
";
    assert_eq!(nft.trim_start_matches('\''), told);
}

#[test]
fn a_pin_is_a_rule_between_the_lines_and_the_balance_table() {
    let text = format!(
        "{TWO_LINES}\n[[pin]]\nto = \"198.51.100.53\"\nprotocol = \"udp\"\nport = 53\nline = \"dsl2\""
    );
    let rules = routing(&text, &Verdicts::default());
    assert_eq!(
        rules[rules.len() - 3],
        "ip rule add prio 221 to 198.51.100.53/32 ipproto 17 dport 53 table 202 protocol 222"
    );
}

#[test]
fn lines_in_one_network_are_known_by_their_address_only() {
    let text = TWO_LINES.replace("203.0.113.2/24", "198.51.100.3/24");
    let text = text.replace("203.0.113.1", "198.51.100.1");
    let rules = routing(&text, &Verdicts::default());
    assert!(
        rules
            .iter()
            .any(|rule| rule.contains("from 198.51.100.2/32 table 201")),
        "{rules:#?}"
    );
    assert!(
        rules
            .iter()
            .any(|rule| rule.contains("from 198.51.100.3/32 table 202")),
        "{rules:#?}"
    );
}

#[test]
fn lines_on_one_card_are_told_apart_by_gateway_and_mark() {
    let text = TWO_LINES.replace("\"eth2\"", "\"eth1\"");
    let plan = plan(&text, &Verdicts::default());
    for rule in [
        "iifname \"eth1\" ip daddr 203.0.113.2 ct state new counter ct mark set",
        "oifname \"eth1\" rt ip nexthop 203.0.113.1 counter ct mark set",
        "oifname \"eth1\" ct mark & 0x3f00 == 0x200 ip saddr 192.0.2.0/24 snat to 203.0.113.2",
        "oifname \"eth1\" rt ip nexthop 198.51.100.1 ip saddr 203.0.113.0/24 counter drop",
    ] {
        assert!(plan.contains(rule), "{rule} is not in\n{plan}");
    }
}

#[test]
fn without_a_lan_nothing_is_forwarded_or_translated() {
    let text = &TWO_LINES[TWO_LINES.find("[[line]]").unwrap()..];
    let plan = plan(text, &Verdicts::default());
    assert!(
        !plan.contains("ip_forward") && !plan.contains("snat"),
        "{plan}"
    );
}

/// `networks` under the fixture's [lan].
fn with_networks(networks: &str) -> String {
    TWO_LINES.replacen("[lan]", &format!("[lan]\nnetworks = {networks}"), 1)
}

#[test]
fn networks_behind_a_lan_are_treated_as_its_own() {
    let firewall = |text: &str| {
        let wanted = desired(&config(text), &Verdicts::default());
        wanted.firewall.unwrap().to_string()
    };
    let lines = |text: &str, network: &str| {
        let rules = text
            .lines()
            .filter(|line| line.contains(network) && !line.contains("ct original"));
        let rules = rules.map(|line| line.replace(network, "NETWORK"));
        rules.collect::<Vec<_>>()
    };
    let text = firewall(&with_networks("[\"10.8.0.0/16\", \"10.77.0.0/24\"]"));
    let own = lines(&text, "192.0.2.0/24");
    // Refused from outside, translated, and refused untranslated: once for each line.
    assert_eq!(own.len(), 6, "{own:#?}");
    assert_eq!(lines(&text, "10.8.0.0/16"), own);
    assert_eq!(lines(&text, "10.77.0.0/24"), own);
    assert_eq!(lines(&firewall(TWO_LINES), "192.0.2.0/24"), own);
    let asked_from_inside =
        "ip daddr != 192.0.2.0/24 ip daddr != 10.8.0.0/16 ip daddr != 10.77.0.0/24";
    assert_eq!(text.matches(asked_from_inside).count(), 2);
}

#[test]
fn kept_addresses_are_their_line_s() {
    const SHARED_CARD: &str = include_str!("../../../fixtures/configs/shared-card.toml");
    let kept = |text: &str| {
        let text = text.replacen("\ngateway", "\nkeep = [\"198.18.7.0/28\"]\ngateway", 1);
        let wanted = desired(&config(&text), &dead(&["dsl1"]));
        let firewall = wanted.firewall.unwrap().to_string();
        let with = |line: &&str| line.contains("198.18.7.0/28");
        let rules = firewall.lines().filter(with).map(str::trim);
        rules.map(str::to_owned).collect::<Vec<_>>()
    };
    let leaves_by_another = "oifname \"eth2\" ip saddr 198.18.7.0/28 counter drop";
    let asked_by_another = [
        "iifname \"eth2\" ip saddr 198.18.7.0/28 return",
        "ct mark & 0x3f00 == 0x0 ip saddr 203.0.113.2 ip daddr 198.18.7.0/28 meta mark set meta mark & \
         0xffffc0ff | 0x200",
    ];
    assert_eq!(
        kept(TWO_LINES),
        [&asked_by_another[..], &[leaves_by_another]].concat()
    );
    let reset = kept(&format!("established = \"reset\"\n{TWO_LINES}"));
    let reached = |rule: &String| rule.contains("ip daddr != 198.18.7.0/28");
    assert!(reset.iter().any(reached), "{reset:?}");
    let shared = kept(SHARED_CARD);
    assert!(
        shared[0].contains("ip daddr 198.18.7.0/28 ct state new"),
        "{shared:?}"
    );
}
