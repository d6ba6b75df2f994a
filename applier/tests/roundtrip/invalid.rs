//! Mistakes that make a valid configuration invalid.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::described::{Described, Line, net};

/// A mistake, made in one of the lines.
#[derive(Debug, Clone)]
pub(crate) struct Mistake {
    at: Index,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    NoLine,
    UnknownKey,
    Weight,
    Number,
    GatewayOutside,
    GatewayItsOwn,
    GatewayOfAnotherLine,
    NetworkAddress,
    BroadcastOutside,
    SameName,
    SameAddress,
    SameGatewayOnOneCard,
    OverlapOnOneCard,
    DynamicBesideAnother,
    NoGatewayBesideAnother,
    NoGatewayWithArp,
    OnTheLan,
    LanTwice,
    OverlapWithLan,
    PinToNothing,
    PinOfEverything,
    PinTwice,
    PortWithoutProtocol,
    TablesInDisorder,
    TableOfTheKernel,
    MaskWithAGap,
    MaskTooSmall,
    Interval,
    NoToml,
}

const ALL: [What; 29] = [
    What::NoLine,
    What::UnknownKey,
    What::Weight,
    What::Number,
    What::GatewayOutside,
    What::GatewayItsOwn,
    What::GatewayOfAnotherLine,
    What::NetworkAddress,
    What::BroadcastOutside,
    What::SameName,
    What::SameAddress,
    What::SameGatewayOnOneCard,
    What::OverlapOnOneCard,
    What::DynamicBesideAnother,
    What::NoGatewayBesideAnother,
    What::NoGatewayWithArp,
    What::OnTheLan,
    What::LanTwice,
    What::OverlapWithLan,
    What::PinToNothing,
    What::PinOfEverything,
    What::PinTwice,
    What::PortWithoutProtocol,
    What::TablesInDisorder,
    What::TableOfTheKernel,
    What::MaskWithAGap,
    What::MaskTooSmall,
    What::Interval,
    What::NoToml,
];

/// Any mistake.
pub(crate) fn mistake() -> impl Strategy<Value = Mistake> {
    (any::<Index>(), select(&ALL[..])).prop_map(|(at, what)| Mistake { at, what })
}

impl Mistake {
    /// The text of the configuration with this mistake.
    pub(crate) fn made_in(&self, mut right: Described) -> String {
        let at = self.at.index(right.lines.len());
        let line = &mut right.lines[at];
        let card = line.card;
        let key = |line: &mut Line, key: &str| {
            let name = key.split(' ').next().unwrap_or_default();
            line.more.retain(|other| !other.starts_with(name));
            line.more.push(key.to_owned());
        };
        // A line for itself, without those that would be in the way of the mistake.
        let plain = |name: &'static str, third: u8, host: u8, gateway: u8| Line {
            name,
            card,
            network: net([172, 16, third, host], 24),
            dynamic: false,
            gateway: Some(Ipv4Addr::new(172, 16, third, gateway)),
            found: false,
            onlink: false,
            more: Vec::new(),
        };
        let two = |first: Line, second: Line| vec![first, second];
        match self.what {
            What::NoLine => {
                right.lines.clear();
                right.pins.clear();
            }
            What::UnknownKey => key(line, "gatway = \"10.0.0.1\""),
            What::Weight => key(line, "weight = 0"),
            What::Number => key(line, "number = 22"),
            What::GatewayOutside => {
                *line = plain(line.name, 0, 2, 1);
                line.gateway = Some(Ipv4Addr::new(172, 17, 0, 1));
            }
            What::GatewayItsOwn => *line = plain(line.name, 0, 1, 1),
            What::GatewayOfAnotherLine => {
                let mut other = plain("y", 0, 1, 9);
                other.card = if card == "eth1" { "eth2" } else { "eth1" };
                let first = plain("x", 0, 2, 1);
                right.lines = if at.is_multiple_of(2) {
                    two(first, other)
                } else {
                    two(other, first)
                };
            }
            What::NetworkAddress => *line = plain(line.name, 0, 0, 1),
            What::BroadcastOutside => {
                *line = plain(line.name, 0, 2, 1);
                key(line, "broadcast = \"172.17.0.255\"");
            }
            What::SameName => {
                let same = Line {
                    card: "eth9",
                    ..plain(line.name, 0, 2, 1)
                };
                right.lines.push(same);
            }
            What::SameAddress => {
                right.lines = two(plain("x", 0, 2, 1), plain("y", 0, 2, 3));
                right.lines[1].card = if card == "eth1" { "eth2" } else { "eth1" };
            }
            What::SameGatewayOnOneCard => {
                right.lines = two(plain("x", 0, 2, 1), plain("y", 0, 3, 1));
            }
            What::OverlapOnOneCard => {
                right.lines = two(plain("x", 0, 2, 1), plain("y", 0, 4, 3));
            }
            What::DynamicBesideAnother => {
                right.lines = two(plain("x", 0, 2, 1), plain("y", 1, 2, 1));
                right.lines[at % 2].dynamic = true;
            }
            What::NoGatewayBesideAnother => {
                right.lines = two(plain("x", 0, 2, 1), plain("y", 1, 2, 1));
                right.lines[at % 2].gateway = None;
            }
            What::NoGatewayWithArp => {
                right.lines = vec![plain("x", 0, 2, 1)];
                right.lines[0].card = "eth3";
                right.lines[0].gateway = None;
            }
            What::OnTheLan => right.lans = vec![(card, net([172, 18, 0, 1], 24))],
            What::LanTwice => {
                let lan = |card| (card, net([172, 18, 0, 1], 24));
                right.lans = vec![lan("eth0"), lan("lan1")];
            }
            What::OverlapWithLan => {
                *line = plain(line.name, 0, 2, 1);
                right.lans = vec![("eth0", net([172, 16, 0, 200], 25))];
            }
            What::PinToNothing => {
                return format!("{right}\n[[pin]]\nline = \"nobody\"\nto = \"198.18.0.1\"\n");
            }
            What::PinOfEverything => {
                let name = line.name;
                return format!("{right}\n[[pin]]\nline = \"{name}\"\n");
            }
            What::PinTwice => {
                right.pins.clear();
                let pin = format!(
                    "[[pin]]\nline = \"{}\"\nport = 25\nprotocol = 6\n",
                    line.name
                );
                return format!("{right}\n{pin}{pin}");
            }
            What::PortWithoutProtocol => {
                let name = line.name;
                return format!("{right}\n[[pin]]\nline = \"{name}\"\nport = 25\n");
            }
            What::TablesInDisorder => right.kernel = vec!["first_table = 222"],
            What::TableOfTheKernel => right.kernel = vec!["balance_table = 254"],
            What::MaskWithAGap => right.kernel = vec!["mark_mask = \"0x3f01\""],
            What::MaskTooSmall => {
                key(line, "number = 4");
                right.kernel = vec!["mark_mask = \"0x300\""];
            }
            What::Interval => right.keepalive = vec!["interval = \"0s\"".to_owned()],
            What::NoToml => return format!("{right}\n]"),
        }
        right.to_string()
    }
}
