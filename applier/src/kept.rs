//! What others have on the cards of lines: addresses that are described as theirs stay, the rest goes.

use std::collections::BTreeSet;
use std::fmt;

use crate::config::{Config, Line};
use crate::difference::{Changes, Step};
use crate::state::{Address, State};

impl Line {
    /// Whether the address is somebody else's, on this line's card and described so.
    pub(crate) fn keeps(&self, address: &Address) -> bool {
        let covers = |kept: &ipnet::Ipv4Net| kept.contains(&address.address.addr());
        address.interface == self.interface && self.keep.iter().any(covers)
    }
}

/// Those that are there and stay.
pub(crate) fn kept(config: &Config, found: &State) -> BTreeSet<Address> {
    let there = found.addresses.iter();
    there
        .filter(|address| config.lines.iter().any(|line| line.keeps(address)))
        .cloned()
        .collect()
}

/// An address on a line's card that nobody has described.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Undescribed(Address);

impl Undescribed {
    /// Those that these steps take away, but for what multiwan had `put` there.
    pub fn taken(changes: &Changes, config: &Config, put: &BTreeSet<Address>) -> Vec<Self> {
        let on_line = |address: &Address| {
            let mut lines = config.lines.iter();
            lines.any(|line| line.interface == address.interface)
        };
        let taken = changes.steps().iter().filter_map(|step| match step {
            Step::RemoveAddress(address) if on_line(address) && !put.contains(address) => {
                Some(Self(address.clone()))
            }
            _ => None,
        });
        let mut taken: Vec<Self> = taken.collect();
        taken.sort();
        taken
    }

    /// The address with its network, and the card: `198.51.100.77/24 on eth1`.
    pub fn place(&self) -> String {
        format!("{} on {}", self.0.shown(), self.0.interface)
    }
}

/// What to do about it.
impl fmt::Display for Undescribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the card of a line has its described address alone; if this one is somebody else's, write keep = \
             [\"{}/32\"] under the [[line]]",
            self.0.address.addr()
        )
    }
}
