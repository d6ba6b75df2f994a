//! The kernel's settings that the how-to's behaviour needs without its patches.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use crate::config::{Config, Line, Spread};
use crate::state::{DeviceSetting, GlobalSetting, NeighbourSetting, Setting};

/// Hash over the layer 3 addresses: a client and a server stay together.
pub(crate) const HASH_PAIRS: u32 = 0;
/// Hash over the fields in `fib_multipath_hash_fields`.
pub(crate) const HASH_FIELDS: u32 = 3;
/// Hash over the five-tuple, by a hash that the sending socket may have chosen.
pub(crate) const HASH_CONNECTIONS: u32 = 1;
/// Source and destination address, protocol, source and destination port.
const FIVE_TUPLE: u32 = 0x37;
/// What the kernel has by default, so that an unknown neighbour is not given up sooner than usual.
const MCAST_SOLICIT_DEFAULT: u32 = 3;

/// ARP is answered, and asked, for and with the card's own addresses alone. By default each card in a
/// network answers for all of the host, and what is for one line comes in by another.
const ARP_OF_OWN_ADDRESS: [(DeviceSetting, u32); 2] = [
    (DeviceSetting::ArpIgnore, 1),
    (DeviceSetting::ArpAnnounce, 2),
];

pub(super) fn settings(config: &Config) -> BTreeMap<Setting, u32> {
    let mut settings = BTreeMap::new();
    let mut global = |setting, value| settings.insert(Setting::Global(setting), value);
    global(GlobalSetting::UseNeighbours, 1);
    match config.spread {
        Spread::Pair => {
            global(GlobalSetting::HashPolicy, HASH_PAIRS);
        }
        Spread::Connection => {
            global(GlobalSetting::HashPolicy, HASH_FIELDS);
            global(GlobalSetting::HashFields, FIVE_TUPLE);
        }
    }
    if !config.lans.is_empty() {
        global(GlobalSetting::Forwarding, 1);
        // Where that is so already, somebody may have taken a card out.
        let cards = config.lans.iter().map(|lan| &lan.interface);
        for card in cards.chain(config.lines.iter().map(|line| &line.interface)) {
            settings.insert(Setting::Device(card.clone(), DeviceSetting::Forwarding), 1);
        }
    }
    for line in &config.lines {
        let interface = || line.interface.clone();
        for setting in [
            DeviceSetting::IgnoreRoutesWithLinkdown,
            DeviceSetting::SrcValidMark,
        ] {
            settings.insert(Setting::Device(interface(), setting), 1);
        }
        if !line.keep.is_empty() {
            // Others take their addresses away as they like, and those of the same network would go along.
            let stay = DeviceSetting::PromoteSecondaries;
            settings.insert(Setting::Device(interface(), stay), 1);
        }
        if network_shared_with(config, line).is_some() {
            for (setting, value) in ARP_OF_OWN_ADDRESS {
                settings.insert(Setting::Device(interface(), setting), value);
            }
        }
        let keepalive = &config.keepalive;
        let timeout = u32::try_from(keepalive.timeout.as_millis()).unwrap_or(u32::MAX);
        let neighbour = [
            (NeighbourSetting::RetransTime, timeout.max(1)),
            (NeighbourSetting::UcastSolicit, keepalive.failures),
            (
                NeighbourSetting::McastSolicit,
                keepalive.failures.max(MCAST_SOLICIT_DEFAULT),
            ),
        ];
        for (setting, value) in neighbour {
            settings.insert(Setting::Neighbour(interface(), setting), value);
        }
    }
    settings
}

/// The first line with an address in this one's network on another card.
pub(crate) fn network_shared_with<'a>(config: &'a Config, line: &Line) -> Option<&'a Line> {
    let network = line.address?;
    let there = |other: &&Line| {
        let shares = |its: Ipv4Net| its.contains(&network.addr()) || network.contains(&its.addr());
        other.interface != line.interface && other.address.is_some_and(shares)
    };
    config.lines.iter().find(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
[[line]]
name = "a"
interface = "eth1"
address = "198.51.100.2/24"
gateway = "198.51.100.1"
[[line]]
name = "b"
interface = "eth2"
address = "OTHER"
gateway = "GATEWAY"
"#;

    fn arp(other: &str, gateway: &str) -> Vec<String> {
        let text = TWO.replace("OTHER", other).replace("GATEWAY", gateway);
        let config = Config::parse(&text, "test.toml").unwrap();
        let settings = settings(&config).into_iter();
        settings
            .map(|(setting, value)| format!("{setting}={value}"))
            .filter(|setting| setting.contains("arp_"))
            .collect()
    }

    #[test]
    fn cards_in_one_network_answer_for_their_own_addresses() {
        let each = |card| {
            ["arp_announce=2", "arp_ignore=1"].map(|arp| format!("net.ipv4.conf.{card}.{arp}"))
        };
        let both = [each("eth1"), each("eth2")].concat();
        assert_eq!(arp("198.51.100.3/24", "198.51.100.1"), both);
        assert_eq!(arp("203.0.113.2/24", "203.0.113.1"), [""; 0]);
    }
}
