//! Set-ups that are not multiwan's.

use std::fs;

use multiwan::config::{Config, Line, Spread};

use crate::router::{
    accepted, applied_by, fixture, imported, imports_and_applies, shell, with_cards,
};

const CARDS: [&str; 4] = ["eth0", "eth1", "eth2", "eth3"];

/// Whatever set it up, what is imported is what was described, but for the names.
#[track_caller]
fn is_found_again(applier: &str, config: &str) {
    with_cards(&CARDS, || {
        let described = fixture(config);
        applied_by(applier, &described);
        let (found, doubts) = imports_and_applies();
        assert_eq!(found.lans, described.lans);
        assert_eq!(unnamed(&found), unnamed(&described));
        assert_eq!(found.spread, described.spread);
        assert_eq!(doubts, Vec::<String>::new());
    });
}

fn unnamed(config: &Config) -> Vec<Line> {
    let unnamed = |line: &Line| Line {
        name: String::new(),
        ..line.clone()
    };
    config.lines.iter().map(unnamed).collect()
}

#[test]
fn the_how_to_s_commands() {
    is_found_again("verbatim/how-to-2001.sh", "four-to-one.toml");
}

/// What iptables put there is told by line, whole.
#[test]
fn where_values_were_found() {
    with_cards(&CARDS, || {
        applied_by("verbatim/how-to-2001.sh", &fixture("four-to-one.toml"));
        let found = imported();
        let expected = r#"
# snat to 198.51.100.2 for 192.0.2.0/24, table ip nat chain POSTROUTING
[[line]]
name      = "eth1"
interface = "eth1"             # rules from 198.51.100.0/24 to table 201
address   = "198.51.100.2/24"  # on eth1
gateway   = "198.51.100.1"     # default in table 201 and table 222
weight    = 4                  # nexthop weight 4 of the multipath default in table 222

# snat to 203.0.113.2 for 192.0.2.0/24, table ip nat chain POSTROUTING
[[line]]
"#;
        assert!(found.text.contains(expected), "{}", found.text);
    });
}

#[test]
fn the_how_to_s_commands_with_masquerade() {
    with_cards(&CARDS, || {
        let described = fixture("two-lines.toml");
        applied_by("verbatim/how-to-2001-masquerade.sh", &described);
        let (found, doubts) = imports_and_applies();
        assert_eq!(unnamed(&found), unnamed(&described));
        let dynamic = doubts.iter().filter(|doubt| doubt.contains("\"dynamic\""));
        assert_eq!(dynamic.count(), 2, "{doubts:?}");
    });
}

#[test]
fn a_shell_script() {
    is_found_again("correct/shell.sh", "three-lines.toml");
}

#[test]
fn a_shell_script_that_shares_by_connections() {
    is_found_again("correct/shell.sh", "connection.toml");
}

#[test]
fn nexthop_objects() {
    is_found_again("correct/nexthop-objects.sh", "three-lines.toml");
}

#[test]
fn iptables() {
    is_found_again("correct/iptables.sh", "four-to-one.toml");
}

/// The kernel can be told not to say where a nexthop object leads.
#[test]
fn nexthop_objects_that_are_not_spelt_out() {
    with_cards(&CARDS, || {
        applied_by("correct/nexthop-objects.sh", &fixture("two-lines.toml"));
        fs::write("/proc/sys/net/ipv4/nexthop_compat_mode", "0").unwrap();
        let found = imported();
        let said = found.doubts.join("\n");
        assert!(
            said.contains("table 222 has a default route by a nexthop object"),
            "{said}"
        );
    });
}

/// What mwan3 leaves: tables 1 and 2, its rules for marks and for what comes in, netifd's default
/// routes in main, and marks by iptables.
const MWAN3: &str = "
    ip address add 192.168.1.1/24 brd + dev eth0
    ip address add 198.51.100.2/24 brd + dev eth1
    ip address add 100.64.3.2/24 brd + dev eth2 valid_lft 3600 preferred_lft 3600
    ip route add default via 198.51.100.1 dev eth1 proto static src 198.51.100.2 metric 10
    ip route add default via 100.64.3.1 dev eth2 proto static src 100.64.3.2 metric 20
    ip route add default via 198.51.100.1 dev eth1 metric 10 table 1
    ip route add default via 100.64.3.1 dev eth2 metric 20 table 2
    ip rule add pref 1001 iif eth1 table 1
    ip rule add pref 1002 iif eth2 table 2
    ip rule add pref 2001 fwmark 0x100/0x3f00 table 1
    ip rule add pref 2002 fwmark 0x200/0x3f00 table 2
    ip rule add pref 2061 fwmark 0x3d00/0x3f00 blackhole
    ip rule add pref 3001 fwmark 0x100/0x3f00 unreachable
    export PATH=$PATH:/usr/sbin:/sbin
    iptables -t mangle -N mwan3_policy_balanced
    iptables -t mangle -A mwan3_policy_balanced -m mark --mark 0/0x3f00 \
        -m statistic --mode random --probability 0.4 -j MARK --set-xmark 0x200/0x3f00
    iptables -t mangle -A mwan3_policy_balanced -m mark --mark 0/0x3f00 \
        -j MARK --set-xmark 0x100/0x3f00
    iptables -t mangle -A PREROUTING -j mwan3_policy_balanced
    iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE
    iptables -t nat -A POSTROUTING -o eth2 -j MASQUERADE
";

#[test]
fn mwan3() {
    with_cards(&CARDS, || {
        shell(MWAN3);
        let (found, doubts) = imports_and_applies();
        let [wan, wanb] = found.lines.as_slice() else {
            panic!("{found:#?}");
        };
        assert_eq!(wan.address, "198.51.100.2/24".parse().ok());
        assert!(!wan.dynamic && wanb.dynamic, "{found:#?}");
        assert_eq!([wan.backup, wanb.backup], [false; 2]);
        assert_eq!([wan.weight, wanb.weight], [1; 2]);
        assert_eq!(found.lans.len(), 1);
        let said = doubts.join("\n");
        assert!(said.contains("shared by packet marks"), "{said}");
    });
}

/// As VyOS has it: a table per line, and nftables that deals out marks.
#[test]
fn marks_of_nftables() {
    with_cards(&CARDS, || {
        shell(
            "ip address add 192.168.1.1/24 brd + dev eth0
             ip address add 198.51.100.2/24 brd + dev eth1
             ip address add 203.0.113.2/24 brd + dev eth2
             ip route add default via 198.51.100.1 dev eth1 table 201
             ip route add default via 203.0.113.1 dev eth2 table 202
             ip rule add prio 1001 fwmark 0xc9 table 201
             ip rule add prio 1002 fwmark 0xca table 202
             nft -f - <<'END'
             table ip vyos_wanloadbalance {
                 chain wlb_mangle_prerouting { type filter hook prerouting priority mangle
                     iifname eth0 meta mark set numgen random mod 10 map { 0-6: 0xc9, 7-9: 0xca }
                 }
                 chain wlb_nat_postrouting { type nat hook postrouting priority srcnat
                     oifname eth1 snat to 198.51.100.2
                     oifname eth2 snat to 203.0.113.2
                 }
             }
END",
        );
        let (found, doubts) = imports_and_applies();
        assert_eq!(found.lines.len(), 2);
        assert!(found.lines.iter().all(|line| line.weight == 1));
        assert_eq!(doubts.len(), 1, "{doubts:?}");
        assert!(doubts[0].contains("shared by packet marks"), "{doubts:?}");
    });
}

#[test]
fn default_routes_with_metrics() {
    with_cards(&CARDS, || {
        shell(
            "ip address add 192.168.1.1/24 brd + dev eth0
             ip address add 100.64.1.2/22 dev eth1 valid_lft 3600 preferred_lft 3600
             ip address add 100.65.1.2/22 dev eth2
             ip address add 203.0.113.2/24 dev eth3
             ip route add default via 100.64.0.1 dev eth1 proto dhcp src 100.64.1.2 metric 100
             ip route add default via 100.65.0.1 dev eth2 proto dhcp src 100.65.1.2 metric 200
             ip route add default via 203.0.113.1 dev eth3 proto static metric 300
             nft -f - <<'END'
             table inet router {
                 chain srcnat { type nat hook postrouting priority srcnat
                     ip saddr 192.168.1.0/24 oifname { eth1, eth2, eth3 } masquerade
                 }
             }
END",
        );
        let (found, doubts) = imports_and_applies();
        let lines = found.lines.iter();
        let told: Vec<_> = lines
            .map(|line| (line.interface.as_str(), line.dynamic, line.backup))
            .collect();
        assert_eq!(
            told,
            [
                ("eth1", true, false),
                ("eth2", true, true),
                ("eth3", false, true)
            ]
        );
        let said = doubts.join("\n");
        assert!(said.contains("several lines are backups"), "{said}");
    });
}

#[test]
fn one_line_by_dhcp() {
    with_cards(&CARDS, || {
        shell(
            "ip address add 192.168.1.1/24 brd + dev eth0
             ip address add 100.64.1.2/22 dev eth1 valid_lft 3600 preferred_lft 3600
             ip route add default via 100.64.0.1 dev eth1 proto dhcp src 100.64.1.2 metric 1024
             nft add table ip nat
             nft add chain ip nat post '{ type nat hook postrouting priority srcnat; }'
             nft add rule ip nat post oifname eth1 masquerade",
        );
        let (found, doubts) = imports_and_applies();
        let [line] = found.lines.as_slice() else {
            panic!("{found:#?}");
        };
        assert!(line.dynamic && line.gateway.is_none());
        assert_eq!(doubts, Vec::<String>::new());
    });
}

/// PPP and the like: nobody is asked by ARP.
#[test]
fn point_to_point() {
    with_cards(&CARDS, || {
        shell(
            "ip link set eth2 arp off
             ip address add 192.168.1.1/24 brd + dev eth0
             ip address add 198.51.100.2/24 brd + dev eth1
             ip address add 100.64.9.9 peer 100.64.0.1 dev eth2
             ip route add default nexthop via 198.51.100.1 dev eth1 weight 3 nexthop dev eth2 weight 1
             nft add table ip nat
             nft add chain ip nat post '{ type nat hook postrouting priority srcnat; }'
             nft add rule ip nat post ip saddr 192.168.1.0/24 masquerade",
        );
        let (found, _) = imports_and_applies();
        assert_eq!(found.lines[0].weight, 3);
        assert_eq!(found.lines[1].gateway, None);
        assert_eq!(found.lines[1].address, "100.64.9.9/32".parse().ok());
    });
}

#[test]
fn pins_and_policy() {
    with_cards(&CARDS, || {
        applied_by("verbatim/how-to-2001.sh", &fixture("two-lines.toml"));
        shell(
            "ip rule add prio 100 to 198.51.100.53 table 201
             ip rule add prio 101 ipproto tcp dport 25 table 202
             ip rule add prio 102 iif eth0 tos 0x10 table 202",
        );
        let found = imported();
        let config = accepted(&found);
        let pins: Vec<_> = config.pins.iter().map(|pin| (pin.to, pin.port)).collect();
        let dns = "198.51.100.53/32".parse().ok();
        assert_eq!(pins, [(dns, None), (None, Some(25))]);
        assert_eq!(config.pins[0].line, "eth1");
        let said = found.doubts.join("\n");
        assert!(said.contains("the rule `102: from all iif eth0"), "{said}");
    });
}

/// Reading leaves no trace.
#[test]
fn nothing_is_changed() {
    with_cards(&CARDS, || {
        applied_by("verbatim/how-to-2001.sh", &fixture("two-lines.toml"));
        let before = crate::held::Held::now();
        imported();
        crate::held::Held::now().assert_same(&before, "import");
    });
}

#[test]
fn spread_is_by_the_kernel_s_setting() {
    with_cards(&CARDS, || {
        applied_by("verbatim/how-to-2001.sh", &fixture("two-lines.toml"));
        assert_eq!(accepted(&imported()).spread, Spread::Pair);
        fs::write("/proc/sys/net/ipv4/fib_multipath_hash_policy", "1").unwrap();
        assert_eq!(accepted(&imported()).spread, Spread::Connection);
    });
}
