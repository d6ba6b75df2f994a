//! The ARP table's settings for one device, over netlink: what `/proc/sys/net/ipv4/neigh/DEVICE/` has, and how full the
//! table is (`ip ntable`).
//!
//! All times are milliseconds here; some files of `/proc/sys` have seconds. The kernel rounds them up to its ticks: see
//! [`NeighbourSetting::agrees`].

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use futures::{Stream, StreamExt};
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    neighbour_table::{NeighbourTableAttribute, NeighbourTableMessage, NeighbourTableParameter},
};
use rtnetlink::Handle;

pub use crate::devconf::Error;

/// The table's name in the kernel.
const ARP: &str = "arp_cache";

/// A setting of the ARP table for one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeighbourSetting {
    /// Milliseconds between two requests to the same neighbour.
    RetransTime,
    /// Milliseconds for which an answer is good, give or take a half.
    BaseReachableTime,
    /// Milliseconds from the first use of a stale entry until it is probed.
    DelayFirstProbeTime,
    /// Requests to the known address before it is given up.
    UcastSolicit,
    /// Requests to all before the neighbour is given up.
    McastSolicit,
    /// Requests to a daemon in user space before those.
    AppSolicit,
    /// Requests to all after those to the known address (Linux 4.1).
    McastResolicit,
}

impl NeighbourSetting {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::RetransTime,
        Self::BaseReachableTime,
        Self::DelayFirstProbeTime,
        Self::UcastSolicit,
        Self::McastSolicit,
        Self::AppSolicit,
        Self::McastResolicit,
    ];

    /// The file's name in `/proc/sys/net/ipv4/neigh/DEVICE/`. It has the same unit, but for `delay_first_probe_time`,
    /// which has seconds.
    pub fn sysctl(self) -> &'static str {
        match self {
            Self::RetransTime => "retrans_time_ms",
            Self::BaseReachableTime => "base_reachable_time_ms",
            Self::DelayFirstProbeTime => "delay_first_probe_time",
            Self::UcastSolicit => "ucast_solicit",
            Self::McastSolicit => "mcast_solicit",
            Self::AppSolicit => "app_solicit",
            Self::McastResolicit => "mcast_resolicit",
        }
    }

    /// Whether the kernel holds what was set: it keeps times in ticks (`CONFIG_HZ`, 1 to 10 ms) and rounds up, so that
    /// 250 ms come back as 252 where a tick is 4 ms.
    pub fn agrees(self, set: u64, found: u64) -> bool {
        /// Milliseconds of the longest tick.
        const TICK: u64 = 10;
        match self {
            Self::RetransTime | Self::BaseReachableTime | Self::DelayFirstProbeTime => {
                (set..set.saturating_add(TICK)).contains(&found)
            }
            _ => set == found,
        }
    }

    fn parameter(self, value: u64) -> NeighbourTableParameter {
        use NeighbourTableParameter as Parameter;
        let count = u32::try_from(value).unwrap_or(u32::MAX);
        match self {
            Self::RetransTime => Parameter::RetransTime(value),
            Self::BaseReachableTime => Parameter::BaseReachableTime(value),
            Self::DelayFirstProbeTime => Parameter::DelayProbeTime(value),
            Self::UcastSolicit => Parameter::UcastProbes(count),
            Self::McastSolicit => Parameter::McastProbes(count),
            Self::AppSolicit => Parameter::AppProbes(count),
            Self::McastResolicit => Parameter::McastReprobes(count),
        }
    }

    fn of(parameter: &NeighbourTableParameter) -> Option<(Self, u64)> {
        use NeighbourTableParameter as Parameter;
        Some(match *parameter {
            Parameter::RetransTime(value) => (Self::RetransTime, value),
            Parameter::BaseReachableTime(value) => (Self::BaseReachableTime, value),
            Parameter::DelayProbeTime(value) => (Self::DelayFirstProbeTime, value),
            Parameter::UcastProbes(count) => (Self::UcastSolicit, count.into()),
            Parameter::McastProbes(count) => (Self::McastSolicit, count.into()),
            Parameter::AppProbes(count) => (Self::AppSolicit, count.into()),
            Parameter::McastReprobes(count) => (Self::McastResolicit, count.into()),
            _ => return None,
        })
    }
}

/// The settings of a device, in milliseconds and requests.
pub type NeighbourConf = BTreeMap<NeighbourSetting, u64>;

/// The ARP table as the kernel describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArpTable {
    /// Entries, in all network namespaces of the machine together.
    pub entries: u32,
    /// Below so many entries, nothing is collected (`gc_thresh1`).
    pub threshold: u32,
    /// How often since boot there was no room for one more (`gc_thresh3`), in whatever network namespace: what was to be
    /// sent then was lost.
    pub overflows: u64,
    /// The settings of each device of this network namespace, by its index.
    pub devices: BTreeMap<u32, NeighbourConf>,
}

impl ArpTable {
    /// From the messages of a dump.
    pub fn from_messages<'a>(
        messages: impl IntoIterator<Item = &'a NeighbourTableMessage>,
    ) -> Self {
        let mut table = Self::default();
        for message in messages {
            let named = NeighbourTableAttribute::Name(ARP.into());
            if message.attributes.contains(&named) {
                message
                    .attributes
                    .iter()
                    .for_each(|attribute| table.add(attribute));
            }
        }
        table
    }

    fn add(&mut self, attribute: &NeighbourTableAttribute) {
        match attribute {
            NeighbourTableAttribute::Config(config) => self.entries = config.entries,
            NeighbourTableAttribute::Threshold1(threshold) => self.threshold = *threshold,
            NeighbourTableAttribute::Stats(stats) => self.overflows = stats.table_fulls,
            NeighbourTableAttribute::Parms(parameters) => {
                // Those without a device are what a new one begins with.
                let index = parameters.iter().find_map(|parameter| match parameter {
                    NeighbourTableParameter::Ifindex(index) => Some(*index),
                    _ => None,
                });
                if let Some(index) = index {
                    let settings = parameters.iter().filter_map(NeighbourSetting::of).collect();
                    self.devices.insert(index, settings);
                }
            }
            _ => {}
        }
    }
}

/// The message that asks for the table, for a dump.
pub fn get_message() -> NeighbourTableMessage {
    let mut message = NeighbourTableMessage::default();
    message.header.family = AddressFamily::Inet;
    message
}

/// The message that sets some of a device's settings, for `RTM_SETNEIGHTBL`.
pub fn set_message(index: u32, settings: &[(NeighbourSetting, u64)]) -> NeighbourTableMessage {
    let mut parameters = vec![NeighbourTableParameter::Ifindex(index)];
    parameters.extend(
        settings
            .iter()
            .map(|(setting, value)| setting.parameter(*value)),
    );
    let mut message = get_message();
    message.attributes = vec![
        NeighbourTableAttribute::Name(ARP.into()),
        NeighbourTableAttribute::Parms(parameters),
    ];
    message
}

/// The ARP table, with the settings of all devices of this network namespace.
pub async fn read(handle: &Handle) -> Result<ArpTable, Error> {
    let failed = |source| Error {
        attempt: "reading the ARP table's settings".into(),
        source,
    };
    let question = RouteNetlinkMessage::GetNeighbourTable(get_message());
    let mut answers = request(handle, question, NLM_F_DUMP).map_err(failed)?;
    let mut messages = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbourTable(message)) => {
                messages.push(message);
            }
            NetlinkPayload::Error(error) => {
                return Err(failed(rtnetlink::Error::NetlinkError(error)));
            }
            _ => {}
        }
    }
    Ok(ArpTable::from_messages(&messages))
}

/// Sets some of a device's settings. Needs CAP_NET_ADMIN.
///
/// `ENOENT` where the device is not there or has no ARP parameters.
pub async fn set(
    handle: &Handle,
    index: u32,
    settings: &[(NeighbourSetting, u64)],
) -> Result<(), Error> {
    let failed = |source| {
        let list: Vec<_> = settings
            .iter()
            .map(|(setting, value)| format!("{setting:?}={value}"))
            .collect();
        Error {
            attempt: format!(
                "setting {} for neighbours on device {index}",
                list.join(" ")
            ),
            source,
        }
    };
    let change = RouteNetlinkMessage::SetNeighbourTable(set_message(index, settings));
    let mut answers = request(handle, change, NLM_F_ACK).map_err(failed)?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload
            && error.code.is_some()
        {
            return Err(failed(rtnetlink::Error::NetlinkError(error)));
        }
    }
    Ok(())
}

fn request(
    handle: &Handle,
    message: RouteNetlinkMessage,
    flags: u16,
) -> Result<impl Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + use<>, rtnetlink::Error> {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | flags;
    handle.clone().request(message)
}
