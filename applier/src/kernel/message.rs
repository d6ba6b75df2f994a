//! Between the elements of a [`State`](crate::state::State) and netlink's messages for them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::Mark;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{
    RuleAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange,
};

use crate::state::{Address, Attributes, FOR_EVER, Hop, Lifetime, Route, Rule, Target};

/// What the kernel says where a rule suppresses nothing.
const SUPPRESSES_NOTHING: u32 = u32::MAX;

/// Which address it is.
pub(super) fn named_address(address: &Address, index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = address.address.prefix_len();
    message.header.index = index;
    let local = address.address.addr();
    message.attributes = vec![
        AddressAttribute::Local(local.into()),
        AddressAttribute::Address(address.peer.unwrap_or(local).into()),
    ];
    message
}

/// The address with all that it has; none where its lifetime is over.
pub(super) fn address(address: &Address, index: u32, now: Duration) -> Option<AddressMessage> {
    let mut message = named_address(address, index);
    let Attributes {
        scope,
        label,
        metric,
        no_prefix_route,
        auto_join,
        protocol,
        lifetime,
    } = &address.attributes;
    message.header.scope = AddressScope::from(*scope);
    let attributes = &mut message.attributes;
    attributes.extend(address.broadcast.map(AddressAttribute::Broadcast));
    attributes.extend(label.clone().map(AddressAttribute::Label));
    if *metric != 0 {
        attributes.push(AddressAttribute::RoutePriority(*metric));
    }
    if *protocol != 0 {
        attributes.push(AddressAttribute::Protocol((*protocol).into()));
    }
    let mut flags = AddressFlags::empty();
    flags.set(AddressFlags::Noprefixroute, *no_prefix_route);
    flags.set(AddressFlags::Mcautojoin, *auto_join);
    if !flags.is_empty() {
        attributes.push(AddressAttribute::Flags(flags));
    }
    if let Some(lifetime) = lifetime {
        let left = lifetime.left(now)?;
        let mut info = CacheInfo::default();
        info.ifa_valid = left.valid;
        info.ifa_preferred = left.preferred;
        attributes.push(AddressAttribute::CacheInfo(info));
    }
    Some(message)
}

pub(super) fn read_address(
    message: &AddressMessage,
    names: &BTreeMap<u32, String>,
    now: Duration,
) -> Option<Address> {
    let interface = names.get(&message.header.index)?;
    let (mut local, mut far, mut broadcast) = (None, None, None);
    let mut attributes = Attributes {
        scope: message.header.scope.into(),
        ..Attributes::default()
    };
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V4(address)) => local = Some(*address),
            AddressAttribute::Address(IpAddr::V4(address)) => far = Some(*address),
            AddressAttribute::Broadcast(address) => broadcast = Some(*address),
            AddressAttribute::Label(label) if label != interface => {
                attributes.label = Some(label.clone());
            }
            AddressAttribute::RoutePriority(metric) => attributes.metric = *metric,
            AddressAttribute::Protocol(protocol) => attributes.protocol = (*protocol).into(),
            AddressAttribute::Flags(flags) => {
                attributes.no_prefix_route = flags.contains(AddressFlags::Noprefixroute);
                attributes.auto_join = flags.contains(AddressFlags::Mcautojoin);
            }
            AddressAttribute::CacheInfo(info)
                if (info.ifa_valid, info.ifa_preferred) != (FOR_EVER, FOR_EVER) =>
            {
                attributes.lifetime = Some(Lifetime {
                    valid: info.ifa_valid,
                    preferred: info.ifa_preferred,
                    read: now,
                });
            }
            _ => {}
        }
    }
    let local = local?;
    Some(Address {
        interface: interface.clone(),
        address: Ipv4Net::new(local, message.header.prefix_len).ok()?,
        peer: far.filter(|far| *far != local),
        broadcast,
        rank: 0,
        attributes,
    })
}

pub(super) fn rule(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.action = RuleAction::ToTable;
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority));
    attributes.push(RuleAttribute::Table(rule.table));
    attributes.push(RuleAttribute::Protocol(rule.protocol.into()));
    if let Some(from) = rule.from {
        message.header.src_len = from.prefix_len();
        attributes.push(RuleAttribute::Source(from.network().into()));
    }
    if let Some(to) = rule.to {
        message.header.dst_len = to.prefix_len();
        attributes.push(RuleAttribute::Destination(to.network().into()));
    }
    attributes.extend(rule.output.clone().map(RuleAttribute::Oifname));
    if let Some(mark) = rule.mark {
        attributes.push(RuleAttribute::FwMark(mark.value()));
        attributes.push(RuleAttribute::FwMask(mark.mask()));
    }
    attributes.extend(
        rule.transport
            .map(|number| RuleAttribute::IpProtocol(i32::from(number).into())),
    );
    attributes.extend(rule.port.map(|port| {
        RuleAttribute::DestinationPortRange(RulePortRange {
            start: port,
            end: port,
        })
    }));
    attributes.extend(
        rule.suppress_prefix_length
            .map(RuleAttribute::SuppressPrefixLen),
    );
    message
}

/// None where the rule does something that multiwan's never do.
pub(super) fn read_rule(message: &RuleMessage) -> Option<Rule> {
    let header = &message.header;
    if header.action != RuleAction::ToTable
        || header.tos != 0
        || header.flags.contains(RuleFlags::Invert)
    {
        return None;
    }
    let mut rule = Rule {
        protocol: 0,
        ..Rule::new(0, header.table.into())
    };
    let (mut mark, mut mask) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::Protocol(protocol) => rule.protocol = (*protocol).into(),
            RuleAttribute::Source(IpAddr::V4(source)) => {
                rule.from = Ipv4Net::new(*source, header.src_len).ok();
            }
            RuleAttribute::Destination(IpAddr::V4(destination)) => {
                rule.to = Ipv4Net::new(*destination, header.dst_len).ok();
            }
            RuleAttribute::Oifname(name) => rule.output = Some(name.clone()),
            RuleAttribute::FwMark(value) => mark = Some(*value),
            RuleAttribute::FwMask(value) => mask = Some(*value),
            RuleAttribute::IpProtocol(protocol) => {
                rule.transport = Some(u8::try_from(i32::from(*protocol)).ok()?);
            }
            RuleAttribute::DestinationPortRange(ports) if ports.start == ports.end => {
                rule.port = Some(ports.start);
            }
            RuleAttribute::SuppressPrefixLen(SUPPRESSES_NOTHING) => {}
            RuleAttribute::SuppressPrefixLen(length) => rule.suppress_prefix_length = Some(*length),
            RuleAttribute::SuppressIfGroup(SUPPRESSES_NOTHING) => {}
            RuleAttribute::Other(_) => {}
            _ => return None,
        }
    }
    rule.mark = match (mark, mask) {
        (None | Some(0), None | Some(0)) => None,
        (value, mask) => Some(Mark::new(value.unwrap_or(0), mask.unwrap_or(u32::MAX))),
    };
    Some(rule)
}

/// None where one of its interfaces is not there.
pub(super) fn route(route: &Route, indices: &BTreeMap<String, u32>) -> Option<RouteMessage> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.protocol = RouteProtocol::from(route.protocol);
    message.header.scope = RouteScope::Universe;
    message.header.kind = match route.target {
        Target::Hops { .. } => RouteType::Unicast,
        Target::Prohibit => RouteType::Prohibit,
        Target::Unreachable => RouteType::Unreachable,
        Target::Other(kind) => RouteType::from(kind),
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    if route.metric != 0 {
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    if let Target::Hops { hops, source } = &route.target {
        attributes.extend(source.map(|source| RouteAttribute::PrefSource(source.into())));
        if let [hop] = hops.as_slice() {
            if hop.onlink {
                message.header.flags = RouteFlags::Onlink;
            }
            if hop.gateway.is_none() {
                message.header.scope = RouteScope::Link;
            }
            attributes.extend(hop.gateway.map(|via| RouteAttribute::Gateway(via.into())));
            attributes.push(RouteAttribute::Oif(*indices.get(&hop.interface)?));
        } else {
            let hops = hops
                .iter()
                .map(|hop| next_hop(hop, indices))
                .collect::<Option<_>>()?;
            attributes.push(RouteAttribute::MultiPath(hops));
        }
    }
    Some(message)
}

fn next_hop(hop: &Hop, indices: &BTreeMap<String, u32>) -> Option<RouteNextHop> {
    let mut next = RouteNextHop::default();
    next.interface_index = *indices.get(&hop.interface)?;
    // The kernel's weight is this field and one more.
    next.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    if hop.onlink {
        next.flags = RouteNextHopFlags::Onlink;
    }
    next.attributes
        .extend(hop.gateway.map(|via| RouteAttribute::Gateway(via.into())));
    Some(next)
}

/// None where it is no default route.
pub(super) fn read_route(message: &RouteMessage, names: &BTreeMap<u32, String>) -> Option<Route> {
    let header = &message.header;
    if header.address_family != AddressFamily::Inet
        || header.destination_prefix_length != 0
        || header.tos != 0
    {
        return None;
    }
    let mut route = Route {
        table: header.table.into(),
        metric: 0,
        protocol: header.protocol.into(),
        target: Target::Other(header.kind.into()),
    };
    let mut only = Only::default();
    let mut several = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::PrefSource(RouteAddress::Inet(source)) => only.source = Some(*source),
            RouteAttribute::Gateway(RouteAddress::Inet(via)) => only.gateway = Some(*via),
            RouteAttribute::Oif(index) => only.interface = names.get(index).cloned(),
            RouteAttribute::MultiPath(hops) => {
                several = hops
                    .iter()
                    .map(|hop| read_next_hop(hop, names))
                    .collect::<Option<_>>()?;
            }
            _ => {}
        }
    }
    match header.kind {
        RouteType::Prohibit => route.target = Target::Prohibit,
        RouteType::Unreachable => route.target = Target::Unreachable,
        RouteType::Unicast => {
            if several.is_empty() {
                several.push(Hop {
                    gateway: only.gateway,
                    interface: only.interface?,
                    onlink: header.flags.contains(RouteFlags::Onlink),
                    weight: 1,
                });
            }
            route.target = Target::Hops {
                hops: several,
                source: only.source,
            };
        }
        _ => {}
    }
    Some(route)
}

#[derive(Default)]
struct Only {
    gateway: Option<Ipv4Addr>,
    interface: Option<String>,
    source: Option<Ipv4Addr>,
}

fn read_next_hop(hop: &RouteNextHop, names: &BTreeMap<u32, String>) -> Option<Hop> {
    let gateway = hop.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(via)) => Some(*via),
        _ => None,
    });
    Some(Hop {
        gateway,
        interface: names.get(&hop.interface_index)?.clone(),
        onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
        weight: u16::from(hop.hops) + 1,
    })
}
