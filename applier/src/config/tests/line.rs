//! `[[line]]`.

use super::{read, refused, with};

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
fn what_is_kept() {
    let keep = |keep: &str| with("\"eth1\"", &format!("\"eth1\"\nkeep = [{keep}]"));
    let kept = |text: &str| -> Vec<String> {
        let kept = read(&keep(text)).lines[0].keep.clone();
        kept.iter().map(ToString::to_string).collect()
    };
    // As `ip addr` prints it, one address; a network, all in it.
    assert_eq!(
        kept("\"198.51.100.200/24\", \"192.168.100.0/24\", \"10.0.0.9\""),
        ["198.51.100.200/32", "192.168.100.0/24", "10.0.0.9/32"]
    );
    assert_eq!(kept("\"198.51.100.0/24\""), ["198.51.100.0/24"]);
    for (text, message) in [
        (
            "\"here\"",
            "\"here\" is not an IPv4 address; write it as \"203.0.113.200/32\", or as \
             \"192.168.100.0/24\" for all in there",
        ),
        (
            "\"0.0.0.0/0\"",
            "0.0.0.0/0 is no interface's address; write it as \"203.0.113.200/32\", or as \
             \"192.168.100.0/24\" for all in there",
        ),
        (
            "\"192.0.2.77\"",
            "192.0.2.77/32 overlaps a network of the LAN on eth0; keep what is on the line's own card",
        ),
        (
            "\"203.0.113.2\"",
            "203.0.113.2/32 overlaps line dsl2's 203.0.113.2/24; keep what is on the card of line dsl1",
        ),
        (
            "\"203.0.113.9\"",
            "203.0.113.9/32 overlaps line dsl2's 203.0.113.2/24; keep what is on the card of line dsl1",
        ),
    ] {
        refused(&keep(text), &format!("lines.toml:10:9: {message}"));
    }
    refused(
        &keep("\"10.0.0.0/8\", \"10.1.0.1\""),
        "lines.toml:10:23: 10.1.0.1/32 overlaps 10.0.0.0/8, which is kept already; leave one of them out",
    );
    refused(
        &keep("\"10.0.0.0/8\"").replacen("\"eth2\"", "\"eth2\"\nkeep = [\"10.1.0.1\"]", 1),
        "lines.toml:10:9: line dsl2 keeps addresses of 10.0.0.0/8 too; write each under one line",
    );
    // In one provider's network each line has its own address alone.
    let together = keep("\"198.51.100.200\"")
        .replacen("203.0.113.2/24", "198.51.100.3/24", 1)
        .replacen("203.0.113.1", "198.51.100.1", 1);
    read(&together);
    refused(
        &together.replacen("198.51.100.200", "198.51.100.3", 1),
        "lines.toml:10:9: 198.51.100.3/32 overlaps line dsl2's 198.51.100.3/24; keep what is on the card \
         of line dsl1",
    );
}

#[test]
fn one_line_written_twice_is_told_how_to_write_several() {
    let one = with("[[line]]", "[line]");
    let twice = one.replacen("[[line]]", "[line]", 1);
    refused(
        &twice,
        "lines.toml:13:2: duplicate key; write [[line]] for several",
    );
    refused(
        &one,
        "lines.toml:13:3: duplicate key; write [[line]] for several",
    );
    let (alone, _) = twice.rsplit_once("[line]").unwrap();
    refused(
        alone,
        "lines.toml:7:1: invalid type: map, expected a sequence; write [[line]]",
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
