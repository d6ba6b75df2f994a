//! The gateways that dynamic lines had last. Once somebody has taken a line's default route out of main,
//! its own table alone tells its gateway, and not even that while the line is dead.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::config::{Config, Line};
use crate::record::Record;

/// Those of the lines, by their interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gateways(BTreeMap<String, Gateway>);

/// What a dynamic line had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gateway {
    /// The address that it belongs to.
    address: Ipv4Addr,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) onlink: bool,
}

impl Gateways {
    /// Those that are remembered of this network namespace; none where nothing is.
    pub fn remembered() -> Self {
        Record::open()
            .map(|record| record.content().gateways.clone())
            .unwrap_or_default()
    }

    /// That of a line, where it has the same address as then, or none.
    pub(crate) fn of(&self, line: &Line) -> Option<Gateway> {
        let same = |held: &&Gateway| line.address.is_none_or(|net| net.addr() == held.address);
        self.0.get(&line.interface).filter(same).copied()
    }

    /// Those of now, when the lines have what `config` says.
    #[must_use]
    pub(crate) fn renewed(&self, config: &Config) -> Self {
        let lines = config.lines.iter().filter(|line| line.dynamic);
        let held = lines.filter_map(|line| {
            let now = line
                .address
                .zip(line.gateway)
                .map(|(net, gateway)| Gateway {
                    address: net.addr(),
                    gateway,
                    onlink: line.onlink,
                });
            Some((line.interface.clone(), now.or_else(|| self.of(line))?))
        });
        Self(held.collect())
    }
}
