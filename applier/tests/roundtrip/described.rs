//! Any configuration that is valid, as it is written, and what a DHCP client or PPP has put on the
//! cards of its dynamic lines.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use proptest::prelude::*;
use proptest::sample::select;

/// Cards of lines that ask by ARP.
pub(crate) const CARDS: [&str; 3] = ["eth1", "eth2", "eth3"];
/// Cards at whose other end there is one who gets all.
pub(crate) const POINT_TO_POINT: [&str; 2] = ["ppp0", "ppp1"];
/// Cards of LANs.
pub(crate) const LAN_CARDS: [&str; 3] = ["eth0", "lan1", "lan2"];

const NAMES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "dsl-1.x_y"];

/// A described configuration.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) head: Vec<String>,
    pub(crate) lans: Vec<(&'static str, Ipv4Net)>,
    /// Whether there are networks behind the first LAN.
    pub(crate) behind: bool,
    pub(crate) lines: Vec<Line>,
    pub(crate) keepalive: Vec<String>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) kernel: Vec<&'static str>,
}

/// One line, as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) card: &'static str,
    pub(crate) network: Ipv4Net,
    pub(crate) dynamic: bool,
    /// Described; of a dynamic one also what its client says.
    pub(crate) gateway: Option<Ipv4Addr>,
    /// Whether the gateway of a dynamic line is found, and not written.
    pub(crate) found: bool,
    pub(crate) onlink: bool,
    pub(crate) more: Vec<String>,
}

/// What must use one line: that of this place in the list.
#[derive(Debug, Clone)]
pub(crate) struct Pin {
    pub(crate) line: prop::sample::Index,
    pub(crate) keys: Vec<&'static str>,
}

/// Any valid configuration.
pub(crate) fn described() -> impl Strategy<Value = Described> {
    let lines = prop::collection::vec(line(), 1..9).prop_map(that_go_together);
    let pins = prop::sample::subsequence(&PINS[..], 0..=PINS.len());
    let pins = (pins, any::<prop::sample::Index>()).prop_map(|(pins, line)| {
        let pins = pins.into_iter();
        pins.map(|keys| Pin {
            line,
            keys: keys.to_vec(),
        })
        .collect::<Vec<_>>()
    });
    (
        head(),
        (0..4_usize, any::<bool>()),
        lines,
        keepalive(),
        pins,
        select(&KERNELS[..]),
    )
        .prop_map(
            |(head, (lans, behind), lines, keepalive, pins, kernel)| Described {
                head,
                behind,
                lans: LAN_CARDS[..lans]
                    .iter()
                    .zip([(192, 24), (193, 28), (194, 31)])
                    .map(|(card, (second, length))| (*card, net([10, second, 0, 1], length)))
                    .collect(),
                lines,
                keepalive,
                pins,
                kernel: kernel.to_vec(),
            },
        )
}

const PINS: [&[&str]; 5] = [
    &["to = \"198.18.0.1\""],
    &["from = \"10.192.0.64/26\"", "to = \"198.18.7.0/24\""],
    &["protocol = \"tcp\"", "port = 25"],
    &[
        "protocol = \"udp\"",
        "port = 5060",
        "to = \"198.18.0.0/15\"",
    ],
    &["protocol = 47"],
];

const KERNELS: [&[&str]; 4] = [
    &[],
    &["mark_mask = \"0xff0000\""],
    &[
        "main_priority = 7",
        "first_table = 1000",
        "balance_table = 1030",
    ],
    &[
        "first_table = 300",
        "balance_table = 400",
        "mark_mask = 0x1f",
    ],
];

fn head() -> impl Strategy<Value = Vec<String>> {
    let spread = select(vec!["pair", "connection"]);
    let established = select(vec!["prohibit", "reset", "release"]);
    (spread, established, prop::option::of(0..9_u8)).prop_map(|(spread, established, after)| {
        let mut head = vec![
            format!("spread = \"{spread}\""),
            format!("established = \"{established}\""),
        ];
        head.extend(after.map(|seconds| format!("release_after = \"{seconds}s\"")));
        head
    })
}

fn keepalive() -> impl Strategy<Value = Vec<String>> {
    let span = || prop::option::of(1..3000_u16);
    let count = || prop::option::of(1..9_u8);
    (span(), span(), count(), count(), any::<bool>()).prop_map(
        |(interval, timeout, failures, successes, targets)| {
            let spans = [("interval", interval), ("timeout", timeout)];
            let spans = spans
                .into_iter()
                .filter_map(|(key, value)| value.map(|ms| format!("{key} = \"{ms}ms\"")));
            let counts = [("failures", failures), ("successes", successes)];
            let counts = counts
                .into_iter()
                .filter_map(|(key, value)| value.map(|n| format!("{key} = {n}")));
            let targets = targets.then(|| "targets = [\"192.0.2.53\", \"dns:192.0.2.54\"]".into());
            spans.chain(counts).chain(targets).collect()
        },
    )
}

/// Few networks, hosts and gateways, so that lines meet; five of them overlap.
fn line() -> impl Strategy<Value = Line> {
    let place = (
        0..5_usize,
        0..4_u8,
        select(vec![24, 24, 29, 31]),
        1..7_u8,
        1..7_u8,
    );
    let kind = (any::<bool>(), any::<bool>(), any::<bool>());
    let weight = prop::option::of(1..257_u16);
    (select(&NAMES[..]), place, kind, weight, 0..8_u8).prop_map(
        |(name, (card, third, length, host, gateway), (dynamic, found, brief), weight, rest)| {
            let card = CARDS
                .iter()
                .chain(&POINT_TO_POINT)
                .copied()
                .nth(card)
                .unwrap_or("eth1");
            let ptp = POINT_TO_POINT.contains(&card);
            let address = Ipv4Addr::new(10, 0, third, host);
            let onlink = !ptp && !dynamic && rest == 0;
            let gateway = if onlink {
                Ipv4Addr::new(10, 9, 9, gateway)
            } else if length == 31 {
                Ipv4Addr::from(u32::from(address) ^ 1)
            } else {
                Ipv4Addr::new(10, 0, third, gateway)
            };
            let mut more = Vec::new();
            more.extend(weight.map(|weight| format!("weight = {weight}")));
            if rest == 1 {
                more.push("backup = true".to_owned());
            }
            if rest == 2 && !dynamic && length == 24 {
                more.push(format!("broadcast = \"10.0.{third}.127\""));
            }
            if rest == 3 {
                let at = NAMES.iter().position(|one| *one == name).unwrap_or(0);
                more.push(format!(
                    "keep = [\"172.31.{at}.9/24\", \"172.31.{at}.128/25\"]"
                ));
            }
            Line {
                name,
                card,
                network: net(address.octets(), length),
                dynamic,
                gateway: (!(ptp && brief)).then_some(gateway),
                found: dynamic && found,
                onlink,
                more,
            }
        },
    )
}

/// Those of them that the rules of the configuration let stand beside those before.
fn that_go_together(lines: Vec<Line>) -> Vec<Line> {
    let mut kept: Vec<Line> = Vec::new();
    for line in lines {
        let own = |address| line.network.addr() == address;
        let beside = |other: &Line| {
            let known = |gateway: Option<Ipv4Addr>, own| gateway != Some(own);
            let one_card = line.card == other.card;
            let plain = |line: &Line| !line.dynamic && line.gateway.is_some();
            line.name != other.name
                && !own(other.network.addr())
                && known(line.gateway, other.network.addr())
                && known(other.gateway, line.network.addr())
                && (!one_card
                    || plain(&line)
                        && plain(other)
                        && line.gateway != other.gateway
                        && line.network.trunc() != other.network.trunc()
                        && !line.network.contains(&other.network.network())
                        && !other.network.contains(&line.network.network()))
        };
        let alone = line.gateway.is_none_or(|gateway| !own(gateway));
        if alone && kept.iter().all(beside) {
            kept.push(line);
        }
    }
    if kept.is_empty() {
        kept.push(Line {
            name: "only",
            card: "eth1",
            network: net([10, 0, 0, 2], 24),
            dynamic: false,
            gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
            found: false,
            onlink: false,
            more: Vec::new(),
        });
    }
    kept
}

/// An address and the length of its network's prefix.
pub(crate) fn net(address: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(address.into(), length)
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.iter().try_for_each(|key| writeln!(f, "{key}"))?;
        for (at, (card, address)) in self.lans.iter().enumerate() {
            writeln!(
                f,
                "[[lan]]\ninterface = \"{card}\"\naddress = \"{address}\""
            )?;
            if self.behind && at == 0 {
                // The LANs' own are within one of them.
                writeln!(f, "networks = [\"10.128.0.0/9\", \"192.168.7.0/24\"]")?;
            }
        }
        self.lines.iter().try_for_each(|line| line.fmt(f))?;
        writeln!(f, "[keepalive]")?;
        self.keepalive
            .iter()
            .try_for_each(|key| writeln!(f, "{key}"))?;
        for pin in &self.pins {
            let line = pin.line.get(&self.lines).name;
            writeln!(f, "[[pin]]\nline = \"{line}\"\n{}", pin.keys.join("\n"))?;
        }
        writeln!(f, "[kernel]\n{}", self.kernel.join("\n"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "[[line]]\nname = \"{}\"\ninterface = \"{}\"",
            self.name, self.card
        )?;
        if self.dynamic {
            writeln!(f, "address = \"dynamic\"")?;
        } else {
            writeln!(f, "address = \"{}\"", self.network)?;
        }
        if let (Some(gateway), false) = (self.gateway, self.found) {
            writeln!(f, "gateway = \"{gateway}\"")?;
        }
        if self.onlink {
            writeln!(f, "onlink = true")?;
        }
        self.more.iter().try_for_each(|key| writeln!(f, "{key}"))
    }
}
