//! Settings: global ones by `/proc/sys`, a device's by netlink, which needs no writable `/proc/sys`.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, InetDevConf, LinkAttribute, LinkMessage,
};
use netlink_packet_route::neighbour_table::{
    NeighbourTableAttribute, NeighbourTableMessage, NeighbourTableParameter,
};

use crate::state::{DeviceSetting, GlobalSetting, NeighbourSetting, Setting};

/// ARP's neighbour table, by the kernel's name.
const ARP: &str = "arp_cache";
/// `IFLA_INET_CONF`
const INET_CONF: u16 = 1;

/// What a global setting says; none where this kernel has no such one.
pub(super) fn read_global(setting: GlobalSetting) -> io::Result<Option<u32>> {
    match std::fs::read_to_string(file(setting)) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn write_global(setting: GlobalSetting, value: u32) -> io::Result<()> {
    std::fs::write(file(setting), value.to_string())
}

/// Whether it could be written, without writing it.
pub(super) fn can_write_global(setting: GlobalSetting) -> io::Result<()> {
    OpenOptions::new().write(true).open(file(setting)).map(drop)
}

fn file(setting: GlobalSetting) -> PathBuf {
    Path::new("/proc/sys").join(Setting::Global(setting).path())
}

pub(super) fn read_device(setting: DeviceSetting, conf: &InetDevConf) -> u32 {
    let value = match setting {
        DeviceSetting::IgnoreRoutesWithLinkdown => conf.ignore_routes_with_linkdown,
        DeviceSetting::SrcValidMark => conf.src_vmark,
        DeviceSetting::PromoteSecondaries => conf.promote_secondaries,
    };
    u32::try_from(value).unwrap_or(0)
}

/// One value: netlink-packet-route's own request cannot say 0.
pub(super) fn device(setting: DeviceSetting, value: u32, index: u32) -> LinkMessage {
    let number: u16 = match setting {
        DeviceSetting::PromoteSecondaries => 20,
        DeviceSetting::SrcValidMark => 24,
        DeviceSetting::IgnoreRoutesWithLinkdown => 29,
    };
    let mut attribute = Vec::new();
    attribute.extend(8_u16.to_ne_bytes());
    attribute.extend(number.to_ne_bytes());
    attribute.extend(value.to_ne_bytes());
    let conf = AfSpecInet::Other(DefaultNla::new(INET_CONF | NLA_F_NESTED, attribute));
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
        .attributes
        .push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![
            conf,
        ])]));
    message
}

/// The settings of one device's ARP and its index; none where the message is about something else.
pub(super) fn read_neighbour(
    message: &NeighbourTableMessage,
) -> Option<(u32, Vec<(NeighbourSetting, u32)>)> {
    let mut index = None;
    let mut settings = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            NeighbourTableAttribute::Name(name) if name != ARP => return None,
            NeighbourTableAttribute::Parms(parameters) => {
                for parameter in parameters {
                    use NeighbourTableParameter as P;
                    match parameter {
                        P::Ifindex(number) => index = Some(*number),
                        P::RetransTime(ms) => {
                            let ms = u32::try_from(*ms).unwrap_or(u32::MAX);
                            settings.push((NeighbourSetting::RetransTimeMs, ms));
                        }
                        P::UcastProbes(n) => settings.push((NeighbourSetting::UcastSolicit, *n)),
                        P::McastProbes(n) => settings.push((NeighbourSetting::McastSolicit, *n)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some((index?, settings))
}

pub(super) fn neighbour(
    setting: NeighbourSetting,
    value: u32,
    index: u32,
) -> NeighbourTableMessage {
    let parameter = match setting {
        NeighbourSetting::RetransTimeMs => NeighbourTableParameter::RetransTime(value.into()),
        NeighbourSetting::UcastSolicit => NeighbourTableParameter::UcastProbes(value),
        NeighbourSetting::McastSolicit => NeighbourTableParameter::McastProbes(value),
    };
    let mut message = NeighbourTableMessage::default();
    message.header.family = AddressFamily::Inet;
    message.attributes = vec![
        NeighbourTableAttribute::Name(ARP.to_owned()),
        NeighbourTableAttribute::Parms(vec![NeighbourTableParameter::Ifindex(index), parameter]),
    ];
    message
}
