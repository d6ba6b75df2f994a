//! A host of the lab: a network namespace, and a route netlink socket in it.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use multiwan_kernel::rtnl::{Change, Monitor, Rtnl};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkMessage, State,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteMessage, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage, RulePortRange};
use rtnetlink::{
    AddressMessageBuilder, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};

use crate::error::Error;
use crate::netns::Netns;

/// Ports from here to [`FRAME_PORTS_END`] belong, on clients and on the Internet, to traffic that
/// the lab makes frame by frame: the host's own kernel drops what comes in for them without a
/// word, where it would answer with resets and errors. Sockets use those below and above.
pub const FRAME_PORTS_START: u16 = 1024;
/// The last of the ports that belong to frames. Linux's own sockets start behind it
/// (`net.ipv4.ip_local_port_range`).
pub const FRAME_PORTS_END: u16 = 32767;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// A host of the lab.
pub struct Host {
    name: String,
    netns: Netns,
    rtnl: Rtnl,
}

/// One end of a link, by what the lab gave it when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its Ethernet address.
    pub mac: Mac,
}

/// A setting below `/proc/sys/net`, and its value.
pub(crate) type Sysctl<'a> = (&'a str, &'a str);

impl Host {
    /// Makes a host with nothing but an unconfigured loopback, without IPv6, and with these
    /// settings (where they can be set at all).
    pub(crate) fn create(name: impl Into<String>, settings: &[Sysctl<'_>]) -> Result<Self, Error> {
        let name = name.into();
        let (netns, rtnl) = Netns::create(|| {
            // IPv6 goes before the first link comes, so that no device is ever set up for it.
            for (key, value) in [
                ("ipv6/conf/all/disable_ipv6", "1"),
                ("ipv6/conf/default/disable_ipv6", "1"),
                // A new namespace starts with its parent's values.
                ("ipv4/conf/all/rp_filter", "0"),
                ("ipv4/conf/default/rp_filter", "0"),
            ]
            .iter()
            .chain(settings)
            {
                let _ = fs::write(format!("/proc/sys/net/{key}"), value);
            }
            Rtnl::open()
        })
        .map_err(|error| Error::system(&name, "making its network namespace", error))?;
        Ok(Self { name, netns, rtnl })
    }

    /// The host whose namespace the calling thread is in.
    pub(crate) fn here(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let failed = |error| Error::system(&name, "opening its network namespace", error);
        let netns = Netns::current().map_err(failed)?;
        let rtnl = Rtnl::open().map_err(failed)?;
        Ok(Self { name, netns, rtnl })
    }

    /// Its name: `router`, `switch`, `modem1`…, `internet`, `client1`….
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its network namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Runs `inside` with the calling thread in the host's namespace.
    pub fn enter<T>(&self, inside: impl FnOnce() -> io::Result<T>) -> Result<T, Error> {
        let result = self.netns.enter(inside).and_then(|inner| inner);
        result.map_err(|error| Error::system(&self.name, "working in its namespace", error))
    }

    /// Makes changes by route netlink, in one system call.
    pub fn change(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<(), Error> {
        let host = &self.name;
        self.rtnl.change(changes).map_err(|source| Error::Request {
            host: host.clone(),
            source,
        })
    }

    /// The state of a device as the kernel has it now.
    pub fn link(&mut self, device: &str) -> Result<LinkMessage, Error> {
        let query = RouteNetlinkMessage::GetLink(LinkUnspec::new_with_name(device).build());
        let what = format!("looking up {device}");
        match self.rtnl.ask(&what, query) {
            Ok(RouteNetlinkMessage::NewLink(link)) => Ok(link),
            Ok(_) => Err(Error::system(
                &self.name,
                what,
                io::Error::from(io::ErrorKind::InvalidData),
            )),
            Err(source) => Err(Error::Request {
                host: self.name.clone(),
                source,
            }),
        }
    }

    /// All that the kernel holds of one kind, by a route netlink dump.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to say.
    pub fn dump(
        &mut self,
        what: &str,
        question: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let host = &self.name;
        self.rtnl
            .dump(what, question)
            .map_err(|source| Error::Request {
                host: host.clone(),
                source,
            })
    }

    /// Waits until a device passes frames: both ends up, and the kernel done with the news.
    ///
    /// # Errors
    ///
    /// [`Error::Deadline`] when it does not within `patience`.
    pub fn wait_running(&mut self, device: &str, patience: Duration) -> Result<(), Error> {
        let began = Instant::now();
        let failed = |error| Error::system(device, "listening to link events", error);
        let mut events = None;
        loop {
            let link = self.link(device)?;
            let running = |attribute: &LinkAttribute| {
                matches!(attribute, LinkAttribute::OperState(State::Up))
            };
            if link.attributes.iter().any(running) {
                return Ok(());
            }
            let waited = began.elapsed();
            let Some(left) = patience.checked_sub(waited) else {
                return Err(Error::Deadline {
                    host: self.name.clone(),
                    event: format!("{device} to pass frames"),
                    seen: format!("{:?}", link.header.flags),
                    waited,
                });
            };
            // Listen first, then look again: no event is lost between the two.
            match &mut events {
                None => {
                    events = Some(
                        self.netns
                            .enter(Monitor::links)
                            .and_then(|m| m)
                            .map_err(failed)?,
                    )
                }
                Some(events) => events.wait(left).map_err(failed)?,
            }
        }
    }

    /// Writes a setting below `/proc/sys/net`.
    pub fn set(&self, key: &str, value: &str) -> Result<(), Error> {
        let path = format!("/proc/sys/net/{key}");
        let written = self
            .netns
            .enter(|| fs::write(&path, value))
            .and_then(|inner| inner);
        written
            .map_err(|error| Error::system(&self.name, format!("setting {key} = {value}"), error))
    }
}

/// Makes a veth pair: the near end here, and up where `up` says so; the far end in `far`, down.
pub(crate) fn veth(
    near: &Device,
    up: bool,
    master: Option<u32>,
    far: &Device,
    into: &Host,
) -> Change {
    let queues = [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];
    let mut peer = LinkMessageBuilder::<LinkUnspec>::new()
        .name(far.name.clone())
        .index(far.index)
        .address(far.mac.to_vec())
        .setns_by_fd(into.netns().file().as_raw_fd());
    let mut link = LinkMessageBuilder::<LinkVeth>::new(&near.name, "")
        .index(near.index)
        .address(near.mac.to_vec());
    for attribute in queues {
        peer = peer.append_extra_attribute(attribute.clone());
        link = link.append_extra_attribute(attribute);
    }
    link = link.set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())));
    if let Some(master) = master {
        link = link.controller(master);
    }
    if up {
        link = link.up();
    }
    let what = format!("linking {} to {} of {}", near.name, far.name, into.name());
    Change::create(what, RouteNetlinkMessage::NewLink(link.build()))
}

/// Makes a bridge that learns and forwards, and does nothing else, up.
pub(crate) fn bridge(device: &Device) -> Change {
    let link = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Bridge)
        .name(device.name.clone())
        .index(device.index)
        .set_info_data(InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)]))
        .up();
    Change::create(
        format!("making the bridge {}", device.name),
        RouteNetlinkMessage::NewLink(link.build()),
    )
}

/// Moves a device to another host under another name: where it was, it is no more. It arrives
/// down, and with nothing that it had.
pub(crate) fn hand_over(device: &Device, to: &Host, name: &str) -> Change {
    moved(device, to, name, [])
}

/// As [`hand_over`], with this index where the kernel can choose one (Linux 5.13).
pub(crate) fn hand_over_as(device: &Device, to: &Host, name: &str, index: u32) -> Change {
    moved(device, to, name, [LinkAttribute::NewIfIndex(index as i32)])
}

fn moved(
    device: &Device,
    to: &Host,
    name: &str,
    more: impl IntoIterator<Item = LinkAttribute>,
) -> Change {
    let mut link = LinkUnspec::new_with_index(device.index)
        .name(name.to_owned())
        .setns_by_fd(to.netns().file().as_raw_fd());
    for attribute in more {
        link = link.append_extra_attribute(attribute);
    }
    Change::existing(
        format!("moving {} to {} as {name}", device.name, to.name()),
        RouteNetlinkMessage::SetLink(link.build()),
    )
}

/// Brings a device up.
pub(crate) fn up(index: u32) -> Change {
    let link = LinkUnspec::new_with_index(index).up().build();
    Change::existing(
        format!("bringing up device {index}"),
        RouteNetlinkMessage::SetLink(link),
    )
}

/// Takes a device down.
pub(crate) fn down(index: u32) -> Change {
    let link = LinkUnspec::new_with_index(index).down().build();
    Change::existing(
        format!("taking down device {index}"),
        RouteNetlinkMessage::SetLink(link),
    )
}

/// Adds an address.
pub(crate) fn address(index: u32, address: Ipv4Net) -> Change {
    let message: AddressMessage = AddressMessageBuilder::<Ipv4Addr>::new()
        .index(index)
        .address(address.addr(), address.prefix_len())
        .build();
    Change::create(
        format!("adding the address {address}"),
        RouteNetlinkMessage::NewAddress(message),
    )
}

/// Adds an address whose only neighbour is at the other end, as `ip address add … peer …`.
pub(crate) fn peer_address(index: u32, address: Ipv4Addr, peer: Ipv4Addr) -> Change {
    let mut message: AddressMessage = AddressMessageBuilder::<Ipv4Addr>::new()
        .index(index)
        .address(address, 32)
        .build();
    message.attributes = vec![
        AddressAttribute::Local(address.into()),
        AddressAttribute::Address(peer.into()),
    ];
    Change::create(
        format!("adding the address {address} peer {peer}"),
        RouteNetlinkMessage::NewAddress(message),
    )
}

/// Takes an address away.
pub(crate) fn no_address(index: u32, address: Ipv4Net) -> Change {
    let mut message = AddressMessage::default();
    message.header.family = netlink_packet_route::AddressFamily::Inet;
    message.header.index = index;
    message.header.prefix_len = address.prefix_len();
    message.attributes = vec![AddressAttribute::Local(address.addr().into())];
    Change::existing(
        format!("taking the address {address} away"),
        RouteNetlinkMessage::DelAddress(message),
    )
}

/// Switches ARP off: whoever is at the other end gets all.
pub(crate) fn no_arp(index: u32) -> Change {
    let mut message = LinkUnspec::new_with_index(index).build();
    message.header.change_mask |= LinkFlags::Noarp;
    message.header.flags |= LinkFlags::Noarp;
    Change::existing(
        format!("switching ARP off on device {index}"),
        RouteNetlinkMessage::SetLink(message),
    )
}

/// Takes a route by a gateway away.
pub(crate) fn no_route(to: Ipv4Net, via: Ipv4Addr) -> Change {
    let message = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(to.addr(), to.prefix_len())
        .gateway(via)
        .build();
    Change::existing(
        format!("routing {to} no more"),
        RouteNetlinkMessage::DelRoute(message),
    )
}

/// Adds a route by a gateway, or replaces it.
pub(crate) fn route(to: Ipv4Net, via: Ipv4Addr) -> Change {
    let message = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(to.addr(), to.prefix_len())
        .gateway(via)
        .build();
    Change::replace(
        format!("routing {to} via {via}"),
        RouteNetlinkMessage::NewRoute(message),
    )
}

/// Makes all addresses of a network the host's own.
pub(crate) fn own(net: Ipv4Net) -> Change {
    let message: RouteMessage = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(net.addr(), net.prefix_len())
        .output_interface(LOOPBACK)
        .kind(RouteType::Local)
        .scope(netlink_packet_route::route::RouteScope::Host)
        .table_id(255)
        .build();
    Change::create(
        format!("owning {net}"),
        RouteNetlinkMessage::NewRoute(message),
    )
}

/// Makes known for good which Ethernet address a neighbour has.
pub(crate) fn neighbour(index: u32, address: Ipv4Addr, mac: Mac) -> Change {
    known_neighbour(index, address, mac, NeighbourState::Permanent, [])
}

/// Makes known which Ethernet address a neighbour has, in doubt until it answers; the entry is kept,
/// answered or not, as by `ip neigh replace … nud stale extern_learn`.
pub(crate) fn kept_neighbour(index: u32, address: Ipv4Addr, mac: Mac) -> Change {
    let kept = [NeighbourFlags::ExtLearned];
    known_neighbour(index, address, mac, NeighbourState::Stale, kept)
}

fn known_neighbour(
    index: u32,
    address: Ipv4Addr,
    mac: Mac,
    state: NeighbourState,
    flags: impl IntoIterator<Item = NeighbourFlags>,
) -> Change {
    let mut message = NeighbourMessage::default();
    message.header.family = netlink_packet_route::AddressFamily::Inet;
    message.header.ifindex = index;
    message.header.state = state;
    message.header.flags = flags.into_iter().collect();
    message
        .attributes
        .push(NeighbourAttribute::Destination(NeighbourAddress::Inet(
            address,
        )));
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    let what = format!("making {address} a neighbour");
    Change::replace(what, RouteNetlinkMessage::NewNeighbour(message))
}

/// Leaves what comes in on a device for the ports of frames to the lab, see [`FRAME_PORTS_START`];
/// where `to` is given, only what is for that network.
///
/// The rule must come before the one that looks up the table `local`, which moves to make room.
pub(crate) fn frame_ports(devices: &[&Device], to: Option<Ipv4Net>) -> Vec<Change> {
    let rule = |priority: u32, action: RuleAction| {
        let mut rule = RuleMessage::default();
        rule.header.family = netlink_packet_route::AddressFamily::Inet;
        rule.header.action = action;
        rule.attributes.push(RuleAttribute::Priority(priority));
        rule
    };
    let local = |priority: u32| {
        let mut rule = rule(priority, RuleAction::ToTable);
        rule.header.table = 255;
        rule
    };
    let mut changes = vec![Change::create(
        "moving the local rule",
        RouteNetlinkMessage::NewRule(local(1)),
    )];
    for device in devices {
        let mut rule = rule(0, RuleAction::Blackhole);
        let ports = RulePortRange {
            start: FRAME_PORTS_START,
            end: FRAME_PORTS_END,
        };
        rule.attributes
            .push(RuleAttribute::Iifname(device.name.clone()));
        rule.attributes
            .push(RuleAttribute::DestinationPortRange(ports));
        if let Some(to) = to {
            rule.header.dst_len = to.prefix_len();
            rule.attributes
                .push(RuleAttribute::Destination(to.network().into()));
        }
        let what = format!("leaving the frames' ports on {} to the lab", device.name);
        changes.push(Change::create(what, RouteNetlinkMessage::NewRule(rule)));
    }
    changes.push(Change::existing(
        "moving the local rule",
        RouteNetlinkMessage::DelRule(local(0)),
    ));
    changes
}

/// The loopback's index in every namespace.
pub(crate) const LOOPBACK: u32 = 1;
