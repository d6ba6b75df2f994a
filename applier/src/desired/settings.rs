//! The kernel's settings that the how-to's behaviour needs without its patches.

use std::collections::BTreeMap;

use crate::config::{Config, Spread};
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
