//! IPv4 settings of one device, over netlink: what `/proc/sys/net/ipv4/conf/DEVICE/` has.
//!
//! Works where `/proc/sys` is read-only, as in many containers, and costs one message for many settings. The values are
//! the device's own; for some, what counts is the device's and `conf/all`'s together (the greater `rp_filter`, either
//! `src_valid_mark`), and `all` and `default` are no devices: they have to be read and written in `/proc/sys`.
//!
//! Unlike a write to `/proc/sys`, this neither flushes cached routes nor tells anybody; any change of a route does the
//! former. `forwarding` of one device does not touch `ip_forward`, but a write of that sets it for all devices.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use futures::TryStreamExt;
use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, InetDevConf, LinkAttribute, LinkMessage,
};
use nix::errno::Errno;
use rtnetlink::Handle;

/// `IFLA_INET_CONF`.
const IFLA_INET_CONF: u16 = 1;

/// A setting by its number in `linux/ip.h` (`IPV4_DEVCONF_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum DeviceSetting {
    /// Packets that come by this device are forwarded.
    Forwarding = 1,
    /// ARP is answered for hosts behind other devices.
    ProxyArp = 3,
    /// ICMP redirects are heeded.
    AcceptRedirects = 4,
    /// ICMP redirects are sent.
    SendRedirects = 6,
    /// Source validation: 0 none, 1 strict (RFC 3704), 2 loose.
    RpFilter = 8,
    /// Packets with impossible addresses are logged.
    LogMartians = 11,
    /// ARP is answered only by the device that would be used towards who asks.
    ArpFilter = 13,
    /// Which source address ARP requests have: 0 any, 1 of the target's subnet if possible, 2 the best.
    ArpAnnounce = 18,
    /// To which ARP requests there is an answer: 0 for any local address, 1 for one on this device, and so on.
    ArpIgnore = 19,
    /// A secondary address takes the place of a primary one that is removed.
    PromoteSecondaries = 20,
    /// Gratuitous ARP makes entries.
    ArpAccept = 21,
    /// Gratuitous ARP is sent when the device comes up.
    ArpNotify = 22,
    /// Packets from local addresses are accepted.
    AcceptLocal = 23,
    /// Source validation regards the packet's mark.
    SrcValidMark = 24,
    /// 127.0.0.0/8 is routed.
    RouteLocalnet = 26,
    /// A route whose device has no carrier is not used.
    IgnoreRoutesWithLinkdown = 29,
    /// Gratuitous ARP is not heeded.
    DropGratuitousArp = 31,
    /// Neighbours are forgotten when the carrier is lost (Linux 5.16).
    ArpEvictNocarrier = 33,
}

impl DeviceSetting {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Forwarding,
        Self::ProxyArp,
        Self::AcceptRedirects,
        Self::SendRedirects,
        Self::RpFilter,
        Self::LogMartians,
        Self::ArpFilter,
        Self::ArpAnnounce,
        Self::ArpIgnore,
        Self::PromoteSecondaries,
        Self::ArpAccept,
        Self::ArpNotify,
        Self::AcceptLocal,
        Self::SrcValidMark,
        Self::RouteLocalnet,
        Self::IgnoreRoutesWithLinkdown,
        Self::DropGratuitousArp,
        Self::ArpEvictNocarrier,
    ];

    /// The kernel's number (`IPV4_DEVCONF_*`).
    pub fn id(self) -> u16 {
        self as u16
    }

    /// The file's name in `/proc/sys/net/ipv4/conf/DEVICE/`.
    pub fn sysctl(self) -> &'static str {
        match self {
            Self::Forwarding => "forwarding",
            Self::ProxyArp => "proxy_arp",
            Self::AcceptRedirects => "accept_redirects",
            Self::SendRedirects => "send_redirects",
            Self::RpFilter => "rp_filter",
            Self::LogMartians => "log_martians",
            Self::ArpFilter => "arp_filter",
            Self::ArpAnnounce => "arp_announce",
            Self::ArpIgnore => "arp_ignore",
            Self::PromoteSecondaries => "promote_secondaries",
            Self::ArpAccept => "arp_accept",
            Self::ArpNotify => "arp_notify",
            Self::AcceptLocal => "accept_local",
            Self::SrcValidMark => "src_valid_mark",
            Self::RouteLocalnet => "route_localnet",
            Self::IgnoreRoutesWithLinkdown => "ignore_routes_with_linkdown",
            Self::DropGratuitousArp => "drop_gratuitous_arp",
            Self::ArpEvictNocarrier => "arp_evict_nocarrier",
        }
    }
}

/// The settings of a device as the kernel holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceConf {
    /// In the kernel's order, from `IPV4_DEVCONF_FORWARDING` on.
    values: Vec<i32>,
}

impl DeviceConf {
    /// From what a dump says of a device; none for a device without IPv4.
    pub fn from_link(link: &LinkMessage) -> Option<Self> {
        let families = link
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::AfSpecUnspec(families) => Some(families),
                _ => None,
            })?;
        let inet = families.iter().find_map(|family| match family {
            AfSpecUnspec::Inet(inet) => Some(inet),
            _ => None,
        })?;
        inet.iter().find_map(|attribute| match attribute {
            AfSpecInet::DevConf(conf) => Some(Self::from_values(conf)),
            _ => None,
        })
    }

    /// The value of a setting; 0 where the kernel is too old to have it.
    pub fn get(&self, setting: DeviceSetting) -> i32 {
        self.values
            .get(usize::from(setting.id()) - 1)
            .copied()
            .unwrap_or(0)
    }

    fn from_values(conf: &InetDevConf) -> Self {
        let mut bytes = vec![0; conf.buffer_len()];
        conf.emit(&mut bytes);
        let values = bytes
            .as_chunks()
            .0
            .iter()
            .copied()
            .map(i32::from_ne_bytes)
            .collect();
        Self { values }
    }
}

/// The message that sets them, for `RTM_SETLINK`.
///
/// [`AfSpecInet::DevConfRequest`] leaves out what is to become 0, so the nest is written here.
pub fn set_message(index: u32, settings: &[(DeviceSetting, u32)]) -> LinkMessage {
    let values: Vec<_> = settings
        .iter()
        .map(|(setting, value)| DefaultNla::new(setting.id(), value.to_ne_bytes().to_vec()))
        .collect();
    let mut nest = vec![0; values.as_slice().buffer_len()];
    values.as_slice().emit(&mut nest);
    let conf = AfSpecInet::Other(DefaultNla::new(IFLA_INET_CONF | NLA_F_NESTED, nest));

    let mut message = LinkMessage::default();
    message.header.index = index;
    message
        .attributes
        .push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![
            conf,
        ])]));
    message
}

/// The settings of the device with that index; none for one without IPv4.
pub async fn read(handle: &Handle, index: u32) -> Result<Option<DeviceConf>, Error> {
    let attempt = || format!("reading the IPv4 settings of device {index}");
    let mut links = handle.link().get().match_index(index).execute();
    let link = links.try_next().await.map_err(|source| Error {
        attempt: attempt(),
        source,
    })?;
    Ok(link.as_ref().and_then(DeviceConf::from_link))
}

/// The settings of all devices with IPv4, by index.
pub async fn read_all(handle: &Handle) -> Result<BTreeMap<u32, DeviceConf>, Error> {
    let attempt = || "reading the IPv4 settings of all devices".to_owned();
    let links: Vec<_> = handle
        .link()
        .get()
        .execute()
        .try_collect()
        .await
        .map_err(|source| Error {
            attempt: attempt(),
            source,
        })?;
    Ok(links
        .iter()
        .filter_map(|link| Some((link.header.index, DeviceConf::from_link(link)?)))
        .collect())
}

/// Sets some of a device's settings, all or none. Needs CAP_NET_ADMIN.
///
/// `ENODEV` where there is no such device, `EAFNOSUPPORT` where it has no IPv4 (an MTU below 68), `EINVAL` where the
/// kernel is too old to have one of the settings.
pub async fn set(
    handle: &Handle,
    index: u32,
    settings: &[(DeviceSetting, u32)],
) -> Result<(), Error> {
    let request = handle.link().set(set_message(index, settings));
    request.execute().await.map_err(|source| {
        let list: Vec<_> = settings
            .iter()
            .map(|(setting, value)| format!("{}={value}", setting.sysctl()))
            .collect();
        Error {
            attempt: format!("setting {} on device {index}", list.join(" ")),
            source,
        }
    })
}

/// A request about a device that was refused or could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{attempt}: {}", reason(.source))]
pub struct Error {
    /// What was attempted, on which device.
    pub attempt: String,
    /// What the kernel or the connection to it said.
    pub source: rtnetlink::Error,
}

impl Error {
    /// The kernel's number, where it is the kernel that refused.
    pub fn errno(&self) -> Option<Errno> {
        match &self.source {
            rtnetlink::Error::NetlinkError(message) => {
                Some(Errno::from_raw(message.raw_code().abs()))
            }
            _ => None,
        }
    }
}

/// The kernel's own words, without the library's around them.
fn reason(error: &rtnetlink::Error) -> String {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_string(),
        other => other.to_string(),
    }
}
