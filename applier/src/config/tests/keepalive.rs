//! `[keepalive]`.

use std::time::Duration;

use super::{TWO_LINES, read, refused, with};

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
