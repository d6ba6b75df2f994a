//! What is read, and every refusal with its words.

use std::time::Duration;

use super::{Config, Spread};

const TWO_LINES: &str = include_str!("../../../fixtures/configs/two-lines.toml");

/// Two lines and a LAN, with one piece of the text put in another's place.
fn with(old: &str, new: &str) -> String {
    assert!(TWO_LINES.contains(old), "{old} is not in the fixture");
    TWO_LINES.replacen(old, new, 1)
}

fn read(text: &str) -> Config {
    Config::parse(text, "lines.toml").unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn refused(text: &str, because: &str) {
    let refusal = Config::parse(text, "lines.toml")
        .expect_err("it is refused")
        .to_string();
    assert_eq!(refusal, because);
}

#[test]
fn defaults_are_the_contract_s() {
    let config = read(&with("interval  = \"200ms\"", ""));
    assert_eq!(config.spread, Spread::Pair);
    assert_eq!(config.release_after, Duration::from_secs(5));
    assert_eq!(config.keepalive.interval, Duration::from_secs(1));
    assert_eq!(config.keepalive.timeout, Duration::from_secs(1));
    assert_eq!(
        (config.keepalive.failures, config.keepalive.successes),
        (2, 1)
    );
    assert_eq!(config.kernel.mark_mask, 0x3f00);
    let numbers: Vec<u8> = config.lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert!(
        config
            .lines
            .iter()
            .all(|line| line.weight == 1 && !line.backup)
    );
}

#[test]
fn the_timeout_follows_the_interval() {
    assert_eq!(
        read(TWO_LINES).keepalive.timeout,
        Duration::from_millis(200)
    );
}

#[test]
fn with_short_intervals_the_timeout_leaves_a_slow_gateway_its_time() {
    let timeout = |keepalive: &str| {
        read(&with("interval  = \"200ms\"", keepalive))
            .keepalive
            .timeout
    };
    let ms = Duration::from_millis;
    // The last of two probes is given up 250 ms after the first was sent, of one 250 ms after it.
    assert_eq!(timeout("interval = \"100ms\""), ms(150));
    assert_eq!(timeout("interval = \"10ms\""), ms(240));
    assert_eq!(timeout("interval = \"200ms\"\nfailures = 1"), ms(250));
    assert_eq!(timeout("interval = \"100ms\"\nfailures = 4"), ms(100));
    assert_eq!(timeout("interval = \"100ms\"\ntimeout = \"20ms\""), ms(20));
}

#[test]
fn weights_are_brought_to_smallest_terms() {
    let weights = |a: u32, b: u32| {
        let text = with("\"eth1\"", &format!("\"eth1\"\nweight = {a}"));
        let text = text.replacen("\"eth2\"", &format!("\"eth2\"\nweight = {b}"), 1);
        read(&text)
            .lines
            .iter()
            .map(|line| line.weight)
            .collect::<Vec<_>>()
    };
    assert_eq!(weights(400, 100), [4, 1]);
    assert_eq!(weights(6, 4), [3, 2]);
    assert_eq!(weights(256, 1), [256, 1]);
}

#[test]
fn several_lans_or_none() {
    let text = with(
        "[lan]",
        "[[lan]]\ninterface=\"eth9\"\naddress=\"10.0.0.1/8\"\n[[lan]]",
    );
    assert_eq!(read(&text).lans.len(), 2);
    let text = &TWO_LINES[TWO_LINES.find("[[line]]").unwrap()..];
    assert_eq!(read(text).lans, []);
}

#[test]
fn one_gateway_address_behind_two_cards_is_allowed() {
    let text = with("203.0.113.2/24", "198.51.100.3/24");
    read(&text.replacen("203.0.113.1", "198.51.100.1", 1));
}

#[test]
fn a_gateway_elsewhere_is_allowed_on_link() {
    let text = with(
        "gateway   = \"198.51.100.1\"",
        "gateway = \"10.9.9.9\"\nonlink = true",
    );
    assert!(read(&text).lines[0].onlink);
}

#[test]
fn unknown_keys() {
    refused(
        &with("gateway ", "gatway "),
        "lines.toml:11:1: unknown field `gatway`, expected one of `name`, `interface`, `address`, \
         `broadcast`, `gateway`, `onlink`, `weight`, `number`, `backup`; did you mean `gateway`?",
    );
    refused(
        &format!("spred = \"pair\"\n{TWO_LINES}"),
        "lines.toml:1:1: unknown field `spred`, expected one of `spread`, `established`, \
         `release_after`, `lan`, `line`, `keepalive`, `pin`, `kernel`; did you mean `spread`?",
    );
    refused(
        &format!("spread = \"pairs\"\n{TWO_LINES}"),
        "lines.toml:1:10: unknown variant `pairs`, expected `pair` or `connection`; did you mean \
         `pair`?",
    );
}

#[test]
fn missing_keys_and_lines() {
    refused(
        &with("name      = \"dsl1\"", ""),
        "lines.toml:7:1: missing field `name`",
    );
    refused(
        "",
        "lines.toml:1:1: there is no line; write one [[line]] for each",
    );
}

#[test]
fn gateways() {
    refused(
        &with("\"198.51.100.1\"", "\"10.0.0.1\""),
        "lines.toml:11:13: gateway 10.0.0.1 is not in the line's network 198.51.100.0/24; write an \
         address of that network, or onlink = true if the provider wants it so",
    );
    refused(
        &with("\"198.51.100.1\"", "\"198.51.100.2\""),
        "lines.toml:11:13: gateway 198.51.100.2 is this router's own address; write the modem's",
    );
    refused(
        &with("\"198.51.100.1\"", "\"198.51.100.255\""),
        "lines.toml:11:13: gateway 198.51.100.255 is the broadcast address of 198.51.100.0/24; \
         write the modem's",
    );
    refused(
        &with("\"198.51.100.1\"", "\"198.51.100.0\""),
        "lines.toml:11:13: gateway 198.51.100.0 is the network address of 198.51.100.0/24; write \
         the modem's",
    );
    refused(
        &with("\"198.51.100.1\"", "\"224.0.0.1\""),
        "lines.toml:11:13: 224.0.0.1 cannot be a gateway; write the modem's address",
    );
    refused(
        &with("gateway   = \"198.51.100.1\"", "onlink = true"),
        "lines.toml:8:13: line dsl1 has onlink = true and no gateway; write gateway = \"…\" beside \
         it, or leave it out",
    );
}

#[test]
fn addresses() {
    refused(
        &with("\"198.51.100.2/24\"", "\"198.51.100.2\""),
        "lines.toml:10:13: 198.51.100.2 has no prefix length; write it as \"192.0.2.1/24\"",
    );
    refused(
        &with("\"198.51.100.2/24\"", "\"198.51.100.256/24\""),
        "lines.toml:10:13: \"198.51.100.256/24\" is not an IPv4 address; write it as \
         \"192.0.2.1/24\"",
    );
    refused(
        &with("\"198.51.100.2/24\"", "\"198.51.100.0/24\""),
        "lines.toml:10:13: 198.51.100.0 is the network address of 198.51.100.0/24; write it as \
         \"192.0.2.1/24\"",
    );
    refused(
        &with("\"198.51.100.2/24\"", "\"127.0.0.1/8\""),
        "lines.toml:10:13: 127.0.0.1 cannot be an interface's address; write it as \"192.0.2.1/24\"",
    );
    refused(
        &with(
            "\"198.51.100.2/24\"",
            "\"dynamic\"\nbroadcast = \"198.51.100.255\"",
        ),
        "lines.toml:11:13: a dynamic address brings its broadcast address; leave this out",
    );
    refused(
        &with("\"203.0.113.2/24\"", "\"198.51.100.2/24\""),
        "lines.toml:17:13: gateway 203.0.113.1 is not in the line's network 198.51.100.0/24; write \
         an address of that network, or onlink = true if the provider wants it so",
    );
    refused(
        &with("\"203.0.113.2/24\"", "\"198.51.100.2/24\"").replacen(
            "\"203.0.113.1\"",
            "\"198.51.100.9\"",
            1,
        ),
        "lines.toml:16:13: 198.51.100.2 is line dsl1's address; every line needs its own",
    );
    refused(
        &with(
            "gateway   = \"203",
            "broadcast = \"10.0.0.255\"\ngateway = \"203",
        ),
        "lines.toml:17:13: 10.0.0.255 cannot be the broadcast address of 203.0.113.0/24; write \
         203.0.113.255 or leave it out",
    );
}

#[test]
fn weights() {
    let weight = |weight: &str| with("\"eth1\"", &format!("\"eth1\"\nweight = {weight}"));
    refused(
        &weight("0"),
        "lines.toml:10:10: a line of weight 0 would get no connections; write 1 or more, backup = \
         true, or leave the line out",
    );
    refused(
        &weight("-3"),
        "lines.toml:10:10: weight -3 is not between 1 and 65535",
    );
    refused(
        &weight("257"),
        "lines.toml:10:10: weight 257 in smallest terms is more than 256, the most that ip(8) and \
         kernels before 6.12 take; write smaller numbers of nearly that ratio",
    );
}

#[test]
fn names_and_numbers() {
    refused(
        &with("\"dsl2\"", "\"dsl1\""),
        "lines.toml:14:13: there is a line dsl1 already; write another name",
    );
    refused(
        &with("\"dsl2\"", "\"my line\""),
        "lines.toml:14:13: \"my line\" cannot be a line's name; write letters, digits, '-', '_' and \
         '.', at most 32 bytes",
    );
    let text = with("\"eth1\"", "\"eth1\"\nnumber = 3");
    refused(
        &text.replacen("\"eth2\"", "\"eth2\"\nnumber = 3", 1),
        "lines.toml:17:10: number 3 is line dsl1's; write another or leave it out",
    );
    refused(
        &with("\"eth1\"", "\"eth1\"\nnumber = 22"),
        "lines.toml:10:10: line number 22 is not between 1 and 21",
    );
}

#[test]
fn interfaces() {
    refused(
        &with("\"eth1\"", "\"ethernet-to-modem\""),
        "lines.toml:9:13: \"ethernet-to-modem\" is longer than 15 bytes; write one that `ip link` \
         shows",
    );
    refused(
        &with("\"eth1\"", "\"et h1\""),
        "lines.toml:9:13: \"et h1\" has ' ' in it; write one that `ip link` shows",
    );
    refused(
        &with("\"eth1\"", "\"\""),
        "lines.toml:9:13: \"\" cannot be an interface's name; write one that `ip link` shows",
    );
    refused(
        &with("\"eth1\"", "\"eth0\""),
        "lines.toml:9:13: eth0 is the LAN's interface; write the one of the modem",
    );
    refused(
        &with("\"eth1\"", "\"lo\""),
        "lines.toml:9:13: lo cannot be a line; write the interface of the modem",
    );
}

#[test]
fn one_card() {
    let shared = with("\"eth2\"", "\"eth1\"");
    read(&shared);
    refused(
        &shared
            .replace("203.0.113.2/24", "198.51.100.3/24")
            .replace("203.0.113.1", "198.51.100.1"),
        "lines.toml:17:13: line dsl1 has the same gateway on eth1; lines on one card need different \
         ones",
    );
    refused(
        &shared
            .replace("203.0.113.2/24", "198.51.100.3/25")
            .replace("203.0.113.1", "198.51.100.4"),
        "lines.toml:16:13: 198.51.100.0/25 overlaps line dsl1's 198.51.100.0/24 on eth1; lines on \
         one card need networks of their own",
    );
    refused(
        &shared.replace("\"203.0.113.2/24\"", "\"dynamic\""),
        "lines.toml:16:13: line dsl1 is on eth1 too, where nobody could tell which line has a \
         dynamic address; write both addresses, or give each line a card of its own",
    );
    refused(
        &shared.replace("gateway   = \"198.51.100.1\"", ""),
        "lines.toml:15:13: line dsl1 is on eth1 too, where lines are told apart by their gateways; \
         write line dsl1's",
    );
}

#[test]
fn a_dynamic_line_needs_nothing_but_its_interface() {
    let text = with("\"198.51.100.2/24\"", "\"dynamic\"");
    let given = &read(&text).lines[0];
    assert!(given.dynamic && given.address.is_none());
    assert_eq!(given.gateway, Some([198, 51, 100, 1].into()));
    let found = &read(&text.replace("gateway   = \"198.51.100.1\"", "")).lines[0];
    assert!(found.dynamic && found.gateway.is_none());
}

#[test]
fn a_fixed_line_without_a_gateway_is_a_point_to_point_link() {
    let line = &read(&with("gateway   = \"198.51.100.1\"", "")).lines[0];
    assert!(!line.dynamic && line.gateway.is_none());
}

#[test]
fn lans() {
    refused(
        &with("\"192.0.2.1/24\"", "\"198.51.100.129/25\""),
        "lines.toml:10:13: 198.51.100.0/24 overlaps the LAN 198.51.100.128/25 on eth0; one of the \
         two networks must change",
    );
    refused(
        &with(
            "[lan]",
            "[[lan]]\ninterface=\"eth9\"\naddress=\"192.0.2.9/28\"\n[[lan]]",
        ),
        "lines.toml:8:13: the LAN 192.0.2.0/24 overlaps the LAN 192.0.2.0/28 on eth9; give each its \
         own network",
    );
    refused(
        &with("interface = \"eth0\"", "interfase = \"eth0\""),
        "lines.toml:4:1: unknown field `interfase`, expected one of `interface`, `address`, `networks`; did you mean \
         `interface`?",
    );
}

#[test]
fn durations_and_counts() {
    refused(
        &with("\"200ms\"", "\"200\""),
        "lines.toml:20:13: \"200\" is not a duration; write it as \"200ms\" or \"1s\"",
    );
    refused(
        &with("\"200ms\"", "\"0s\""),
        "lines.toml:20:13: \"0s\" is not between 1ms and 1h; write it as \"200ms\" or \"1s\"",
    );
    refused(
        &with("\"200ms\"", "\"1s\"\nfailures = 0"),
        "lines.toml:21:12: failures 0 is not between 1 and 1000",
    );
    refused(
        &with("\"200ms\"", "\"1s\"\ntargets = [\"dns\"]"),
        "lines.toml:21:12: \"dns\" is not an IPv4 address; write it as \"192.0.2.53\", \
         \"tcp:192.0.2.80:443\" or \"dns:192.0.2.53\"",
    );
    refused(
        &with("\"200ms\"", "\"1s\"\ntargets = [\"tcp:192.0.2.80\"]"),
        "lines.toml:21:12: \"tcp:192.0.2.80\" is not an IPv4 address and port; write it as \
         \"tcp:192.0.2.80:443\"",
    );
    refused(
        &with("\"200ms\"", "\"1s\"\ntargets = [\"dns:resolver\"]"),
        "lines.toml:21:12: \"dns:resolver\" is not the IPv4 address of a name server; write it as \
         \"dns:192.0.2.53\"",
    );
}

#[test]
fn a_target_is_beyond_the_lines() {
    let targets = |target: &str| {
        let text = format!("\"1s\"\ntargets = [\"192.0.2.53\", \"{target}\"]");
        // Beside the fixture's own LAN, one that holds no documented host.
        with("\"200ms\"", &text).replacen("192.0.2.1/24", "192.168.7.1/24", 1)
    };
    read(&targets("tcp:203.0.113.1:443"));
    for (target, because) in [
        (
            "127.0.0.1",
            "127.0.0.1 cannot be a target: it is this router's own (127.0.0.0/8)",
        ),
        (
            "tcp:0.0.0.0:80",
            "0.0.0.0 cannot be a target: it is of this network (0.0.0.0/8)",
        ),
        (
            "dns:224.0.0.251",
            "224.0.0.251 cannot be a target: it is a multicast address",
        ),
        (
            "240.0.0.1",
            "240.0.0.1 cannot be a target: it is reserved (240.0.0.0/4)",
        ),
        (
            "255.255.255.255",
            "255.255.255.255 cannot be a target: it is the broadcast address",
        ),
        (
            "198.51.100.2",
            "198.51.100.2 is this router's own address on line dsl1",
        ),
        (
            "192.168.7.1",
            "192.168.7.1 is this router's own address on eth0",
        ),
        (
            "dns:192.168.7.53",
            "192.168.7.53 is in the LAN 192.168.7.0/24 on eth0",
        ),
    ] {
        refused(
            &targets(target),
            &format!("lines.toml:21:26: {because}; write a host beyond the gateways"),
        );
    }
}

#[test]
fn pins() {
    let pin = |pin: &str| format!("{TWO_LINES}\n[[pin]]\n{pin}");
    read(&pin(
        "to = \"192.0.2.128/25\"\nprotocol = 47\nline = \"dsl1\"",
    ));
    refused(
        &pin("to = \"192.0.2.53\"\nline = \"dsl3\""),
        "lines.toml:24:8: there is no line dsl3; write one of dsl1, dsl2",
    );
    refused(
        &pin("to = \"192.0.2.53\"\nport = 53\nline = \"dsl1\""),
        "lines.toml:24:8: a port needs protocol = \"tcp\" or \"udp\" beside it",
    );
    refused(
        &pin("to = \"0.0.0.0/0\"\nline = \"dsl1\""),
        "lines.toml:23:6: 0.0.0.0/0 is every address there is; write a smaller network, or leave it \
         out",
    );
    refused(
        &pin("from = \"192.0.2.1/0\"\nprotocol = \"tcp\"\nline = \"dsl1\""),
        "lines.toml:23:8: 0.0.0.0/0 is every address there is; write a smaller network, or leave it \
         out",
    );
    refused(
        &pin("line = \"dsl1\""),
        "lines.toml:22:1: this pin matches everything; write what goes by the line: to, from, \
         protocol, port",
    );
    refused(
        &pin("protocol = \"tpc\"\nline = \"dsl1\""),
        "lines.toml:23:12: this is no protocol; write \"tcp\", \"udp\", \"icmp\" or a number from 1 \
         to 255",
    );
}

#[test]
fn shared_numbers() {
    let kernel = |kernel: &str| format!("{TWO_LINES}\n[kernel]\n{kernel}");
    read(&kernel("mark_mask = \"0x30000\""));
    refused(
        &kernel("mark_mask = \"0x3f10\""),
        "lines.toml:23:13: the mark mask must be one run of set bits, as in \"0x3f00\"",
    );
    refused(
        &kernel("mark_mask = \"0x100\""),
        "lines.toml:23:13: mark_mask 0x100 has room for 1 lines, and number 2 is in use; write more \
         bits, as in \"0x3f00\"",
    );
    refused(
        &kernel("first_table = 252\nbalance_table = 300"),
        "lines.toml:23:15: line dsl2's table 253 is the kernel's own (253 to 255); write another \
         first_table",
    );
    refused(
        &kernel("balance_table = 254"),
        "lines.toml:23:17: tables 253 to 255 are the kernel's own; write another balance_table",
    );
    refused(
        &kernel("balance_table = 202"),
        "lines.toml:23:17: the lines' tables and priorities reach 202, so that balance_table 202 \
         would not come after them; write 203 or more",
    );
    refused(
        &kernel("main_priority = 201"),
        "lines.toml:23:17: table main at priority 201 would come after the lines' rules, from 201 \
         on; write a smaller main_priority",
    );
    refused(
        &kernel("first_table = 0"),
        "lines.toml:23:15: first_table 0 is not between 1 and 32765",
    );
}

#[test]
fn pins_need_room_behind_the_lines() {
    let pinned = |number: u8, kernel: &str| {
        let line = format!("number = {number}\ngateway   = \"198.51.100.1\"");
        let lines = with("gateway   = \"198.51.100.1\"", &line);
        format!("{lines}\n[[pin]]\nto = \"192.0.2.53\"\nline = \"dsl2\"\n[kernel]\n{kernel}")
    };
    read(&pinned(20, ""));
    refused(
        &pinned(21, ""),
        "lines.toml:23:1: pins need a priority between those of the lines and balance_table 222, \
         and line dsl1 has number 21 and so 221; write a smaller number, or balance_table = 223 \
         under [kernel]",
    );
    read(&pinned(21, "balance_table = 223"));
    refused(
        &pinned(2, "first_table = 250\nbalance_table = 252"),
        "lines.toml:28:17: pins need a priority between those of the lines and balance_table 252, \
         and line dsl1 has number 2 and so 251; write a smaller number, or balance_table = 256 \
         under [kernel]",
    );
    // Without pins there is room for all.
    read(&with(
        "gateway   = \"198.51.100.1\"",
        "number = 21\ngateway   = \"198.51.100.1\"",
    ));
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("multiwan.toml");
    let refusal = Config::load(&path).unwrap_err().to_string();
    assert!(
        refusal.ends_with(
            "multiwan.toml: No such file or directory (os error 2); name the configuration with -c \
             FILE or MULTIWAN_CONFIG"
        ),
        "{refusal}"
    );
    std::fs::write(&path, b"[lan]\n\xff").unwrap();
    let refusal = Config::load(&path).unwrap_err().to_string();
    assert!(
        refusal.ends_with("byte 6 is not UTF-8; save the file as UTF-8"),
        "{refusal}"
    );
}

/// The fixture with these networks behind its LAN.
fn behind(networks: &str) -> String {
    with("[lan]", &format!("[lan]\nnetworks = {networks}"))
}

#[track_caller]
fn refused_behind(network: &str, because: &str) {
    let text = behind(&format!("[{network:?}]"));
    refused(&text, &place(&text, network, because));
}

#[test]
fn networks_behind_a_lan() {
    let config = read(&behind(
        "[\"10.8.0.0/16\", \"192.0.0.0/16\", \"172.16.0.1\"]",
    ));
    let inside: Vec<String> = config.lans[0].inside().map(|net| net.to_string()).collect();
    let expected = [
        "192.0.2.0/24",
        "10.8.0.0/16",
        "192.0.0.0/16",
        "172.16.0.1/32",
    ];
    assert_eq!(inside, expected, "one may have the LAN's own within it");
    assert_eq!(read(TWO_LINES).lans[0].networks, []);
}

#[test]
fn a_network_behind_a_lan_is_one_of_hosts() {
    refused_behind(
        "10.8/16",
        "\"10.8/16\" is not an IPv4 address; write it as \"10.8.0.0/16\"",
    );
    refused_behind(
        "10.8.0.1/16",
        "10.8.0.1/16 is an address in 10.8.0.0/16; write \"10.8.0.0/16\"",
    );
    refused_behind(
        "0.0.0.0/0",
        "0.0.0.0/0 is every address there is; write the networks that are there",
    );
    for net in ["127.0.0.0/8", "224.0.0.0/4", "0.0.0.0/8"] {
        let because = "has no hosts behind a LAN; write the networks that are there";
        refused_behind(net, &format!("{net} {because}"));
    }
}

#[test]
fn a_network_behind_a_lan_is_apart_from_all_else() {
    for net in ["192.0.2.0/24", "192.0.2.128/25"] {
        let because = "is in the LAN 192.0.2.0/24 on eth0 already; leave it out";
        refused_behind(net, &format!("{net} {because}"));
    }
    let twice = behind("[\"10.0.0.0/8\", \"10.8.0.0/16\"]");
    refused(
        &twice,
        &place(
            &twice,
            "10.8.0.0/16",
            "10.8.0.0/16 overlaps 10.0.0.0/8, which is behind eth0 already; leave one of them out",
        ),
    );
    let line = behind("[\"198.51.0.0/16\"]");
    refused(
        &line,
        &place(
            &line,
            "198.51.100.2/24",
            "198.51.100.0/24 overlaps 198.51.0.0/16 behind the LAN on eth0; one of the two networks \
             must change",
        ),
    );
    let target = behind("[\"10.8.0.0/16\"]").replacen(
        "[keepalive]",
        "[keepalive]\ntargets = [\"10.8.9.9\"]",
        1,
    );
    refused(
        &target,
        &place(
            &target,
            "10.8.9.9",
            "10.8.9.9 is in 10.8.0.0/16 behind the LAN on eth0; write a host beyond the gateways",
        ),
    );
}

/// A refusal at the value in the text.
fn place(text: &str, value: &str, because: &str) -> String {
    let quoted = format!("\"{value}\"");
    let before = &text[..text.find(&quoted).unwrap()];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    format!("lines.toml:{line}:{column}: {because}")
}
