//! multiwan's own state: what is imported is what was described, in all that the kernel can tell.

use multiwan::config::{Config, Established};
use multiwan::difference::Changes;
use multiwan::record::Record;

use crate::router::{accepted, apply, fixture, imported, parse, plan, shell, with_cards};

const CARDS: [&str; 10] = [
    "eth0", "eth1", "eth2", "eth3", "eth4", "eth5", "eth6", "eth7", "eth8", "ppp0",
];

/// After `apply` of it, what is imported changes nothing, and says of lines, LANs and pins the same.
#[track_caller]
fn is_found_again(name: &str) {
    with_cards(&CARDS, || {
        // What a DHCP client and PPP have put there.
        if name == "dynamic.toml" || name == "point-to-point.toml" {
            shell(
                "ip link set ppp0 arp off
                 ip address add 100.64.9.9 peer 100.64.0.1 dev ppp0 valid_lft 3600 preferred_lft 3600",
            );
        }
        if name == "dynamic.toml" {
            shell(
                "ip address add 100.64.1.2/22 dev eth1 valid_lft 3600 preferred_lft 3600
                 ip address add 100.68.1.2/22 dev eth2
                 ip route add default via 100.64.0.1 dev eth1 proto dhcp src 100.64.1.2 metric 100
                 ip route add default via 100.68.0.1 dev eth2 proto dhcp src 100.68.1.2 metric 200",
            );
        }
        let described = fixture(name);
        apply(&described);
        let imported = imported();
        let found = accepted(&imported);
        let changes = plan(&found);
        assert_eq!(
            changes,
            Changes::default(),
            "{changes}\nfor\n{}",
            imported.text
        );
        assert_eq!(found.lines, described.lines, "{}", imported.text);
        assert_eq!(found.lans, described.lans, "{}", imported.text);
        assert_eq!(found.pins, described.pins, "{}", imported.text);
        assert_eq!(found.kernel, described.kernel, "{}", imported.text);
        assert_eq!(found.spread, described.spread, "{}", imported.text);
        let keepalive = (described.keepalive.timeout, described.keepalive.failures);
        assert_eq!(
            (found.keepalive.timeout, found.keepalive.failures),
            keepalive
        );
    });
}

macro_rules! found_again {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $name() {
                is_found_again($file);
            }
        )*
    };
}

found_again! {
    two_lines: "two-lines.toml",
    four_to_one: "four-to-one.toml",
    eight_lines: "eight-lines.toml",
    a_backup: "backup.toml",
    connections: "connection.toml",
    dynamic_lines: "dynamic.toml",
    point_to_point: "point-to-point.toml",
    pins: "pins.toml",
    a_shared_card: "shared-card.toml",
}

/// The kernel holds the same for both.
#[track_caller]
fn is_reset_or_release(name: &str) {
    with_cards(&CARDS, || {
        apply(&fixture(name));
        let imported = imported();
        assert_eq!(accepted(&imported).established, Established::Reset);
        let said = imported.doubts.join("\n");
        assert!(said.contains("\"release\" as well as \"reset\""), "{said}");
    });
}

#[test]
fn reset() {
    is_reset_or_release("two-lines-reset.toml");
}

#[test]
fn release() {
    is_reset_or_release("three-lines-release.toml");
}

#[test]
fn other_numbers_and_several_lans() {
    const OTHER: &str = r#"
        lan = [
            { interface = "eth0", address = "192.0.2.1/24", networks = ["10.5.0.0/16"] },
            { interface = "eth3", address = "10.3.0.1/16", networks = ["10.8.0.0/16", "172.16.0.9/32"] },
        ]
        line = [
            { name = "b", interface = "eth2", address = "203.0.113.2/24", gateway = "203.0.113.1", number = 4 },
            { name = "a", interface = "eth1", address = "198.51.100.2/24", gateway = "198.51.100.1", number = 2, weight = 7 },
        ]
        keepalive = { interval = "50ms", timeout = "70ms", failures = 1 }
        kernel = { main_priority = 7, first_table = 1000, balance_table = 1030, mark_mask = "0xff0000" }
    "#;
    with_cards(&CARDS, || {
        let described = parse(OTHER);
        apply(&described);
        shell(
            "ip route add 10.8.0.0/16 via 10.3.0.9 dev eth3
             ip route add 172.16.0.0/12 via 10.3.0.9 dev eth3",
        );
        let imported = imported();
        let found = accepted(&imported);
        assert_eq!(plan(&found), Changes::default(), "{}", imported.text);
        assert_eq!(found.lines, described.lines, "{}", imported.text);
        assert_eq!(found.lans, described.lans, "{}", imported.text);
        assert_eq!(found.kernel, described.kernel, "{}", imported.text);
        let said = imported.doubts.join("\n");
        let unrouted = "10.5.0.0/16 is translated, and main leads there by no LAN's card";
        assert!(
            said.contains(unrouted) && !said.contains("10.8.0.0/16"),
            "{said}"
        );

        // With the names their numbers are forgotten, unless they are written.
        Record::open().unwrap().forget().unwrap();
        let numbers =
            |config: &Config| -> Vec<u8> { config.lines.iter().map(|line| line.number).collect() };
        assert_eq!(
            numbers(&accepted(&crate::router::imported())),
            numbers(&described)
        );
    });
}

/// Names, and which addresses multiwan put there, are remembered outside of the kernel.
#[test]
fn what_is_not_remembered_any_more() {
    with_cards(&CARDS, || {
        let described = fixture("three-lines.toml");
        apply(&described);
        Record::open().unwrap().forget().unwrap();
        let imported = imported();
        let found = accepted(&imported);
        let unnamed = |config: &Config| -> Vec<_> {
            let lines = config.lines.iter();
            lines
                .map(|line| (line.number, line.address, line.gateway, line.weight))
                .collect()
        };
        assert_eq!(unnamed(&found), unnamed(&described));
        assert_eq!(plan(&found), Changes::default(), "{}", imported.text);
        let said = imported.doubts.join("\n");
        assert!(
            said.contains("the lines' names are not in the kernel"),
            "{said}"
        );
    });
}

/// What multiwan did not put there is no line, and is told.
#[test]
fn a_default_route_of_somebody_else_s_is_told() {
    with_cards(&CARDS, || {
        apply(&fixture("two-lines.toml"));
        shell(
            "ip address add 100.64.3.2/24 dev eth3
             ip route add default via 100.64.3.1 dev eth3",
        );
        let imported = imported();
        assert_eq!(accepted(&imported).lines.len(), 2);
        let said = imported.doubts.join("\n");
        let expected = "default in table main by eth3 is no line of multiwan's";
        assert!(said.contains(expected), "{said}");
    });
}

/// A line that a keepalive has taken out has no route that tells where it leads.
#[test]
fn a_dead_line_is_left_out_and_told() {
    with_cards(&CARDS, || {
        apply(&fixture("three-lines.toml"));
        shell(
            "ip route del default table 201
             ip route replace default proto static table 222 \
                 nexthop via 203.0.113.1 dev eth2 weight 2 nexthop via 100.64.3.1 dev eth3 weight 1",
        );
        let imported = imported();
        let found = accepted(&imported);
        let names: Vec<_> = found.lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["dsl2", "cable"]);
        assert_eq!(found.lines[0].number, 2);
        let said = imported.doubts.join("\n");
        assert!(said.contains("line dsl1 (table 201) is left out"), "{said}");
    });
}
