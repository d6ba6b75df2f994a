//! `[lan]`.

use super::{TWO_LINES, read, refused, with};

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
fn one_lan_written_twice_is_told_how_to_write_several() {
    let text = with(
        "[[line]]",
        "[lan]\ninterface = \"eth9\"\naddress = \"10.0.0.1/8\"\n[[line]]",
    );
    refused(
        &text,
        "lines.toml:7:2: duplicate key; write [[lan]] for several",
    );
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
