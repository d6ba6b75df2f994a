//! What the router's kernel holds, as text: asked by netlink, and printed much as `ip` and `conntrack`
//! would. Nothing is left out: what has no form here is shown as it was read.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display, Write as _};
use std::net::IpAddr;

use multiwan_kernel::nft::Netfilter;
use multiwan_lab::Host;
use multiwan_lab::netlink::address::AddressMessage;
use multiwan_lab::netlink::link::LinkMessage;
use multiwan_lab::netlink::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use multiwan_lab::netlink::route::{RouteAddress, RouteAttribute, RouteFlags, RouteMessage};
use multiwan_lab::netlink::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use multiwan_lab::netlink::{AddressFamily, RouteNetlinkMessage as Message};

use super::devices::{address_line, link_line, link_name};
use super::nftables;

/// Names of interfaces by index.
pub(super) type Names = BTreeMap<u32, String>;

/// Files by name, with their text.
pub(super) fn describe(router: &mut Host) -> Vec<(&'static str, String)> {
    let links = router.dump("listing links", Message::GetLink(LinkMessage::default()));
    let names: Names = links.iter().flatten().filter_map(link_name).collect();
    let address = Message::GetAddress(AddressMessage::default());
    let mut rule = RuleMessage::default();
    rule.header.family = AddressFamily::Inet;
    let mut route = RouteMessage::default();
    route.header.address_family = AddressFamily::Inet;
    let neighbour = Message::GetNeighbour(NeighbourMessage::default());
    let mut asked = |what: &str, question, line: &dyn Fn(&Message) -> Option<String>| match router
        .dump(what, question)
    {
        Ok(messages) => lines(messages.iter().filter_map(line)),
        Err(error) => format!("({error})\n"),
    };
    vec![
        (
            "links.txt",
            match &links {
                Ok(links) => lines(links.iter().filter_map(link_line)),
                Err(error) => format!("({error})\n"),
            },
        ),
        (
            "addresses.txt",
            asked("listing addresses", address, &|message| {
                address_line(message, &names)
            }),
        ),
        (
            "rules.txt",
            asked("listing rules", Message::GetRule(rule), &rule_line),
        ),
        (
            "routes.txt",
            asked("listing routes", Message::GetRoute(route), &|message| {
                route_line(message, &names)
            }),
        ),
        (
            "neighbours.txt",
            asked("listing neighbours", neighbour, &|message| {
                neighbour_line(message, &names)
            }),
        ),
        ("nftables.txt", nftables::describe()),
        ("conntrack.txt", conntrack()),
    ]
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |text, line| text + line.trim() + "\n")
}

fn conntrack() -> String {
    let connections = Netfilter::open().and_then(|mut netfilter| netfilter.connections());
    match connections {
        Ok(connections) => lines(connections.iter().map(|connection| {
            let status = connection.status;
            let flags = [
                (status.seen_reply(), " replied"),
                (status.assured(), " assured"),
                (status.source_nat(), " snat"),
                (status.destination_nat(), " dnat"),
            ];
            let flags: String = flags
                .iter()
                .filter_map(|(is, word)| is.then_some(*word))
                .collect();
            format!(
                "{}, reply {}, mark {:#x}, {} s,{flags}",
                connection.original, connection.reply, connection.mark, connection.timeout
            )
        })),
        Err(error) => format!("({error})\n"),
    }
}

/// `50: from all lookup 254 suppress_prefixlength 0`, with all that the kernel tells of it.
pub(crate) fn rule_line(message: &Message) -> Option<String> {
    let Message::NewRule(rule) = message else {
        return None;
    };
    let header = &rule.header;
    let mut table = u32::from(header.table);
    let mut priority = 0;
    let mut from = "all".to_owned();
    let mut line = String::new();
    if header.tos > 0 {
        part(&mut line, "tos", format!("{:#04x}", header.tos));
    }
    for attribute in &rule.attributes {
        match attribute {
            RuleAttribute::Priority(number) => priority = *number,
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Source(source) => from = format!("{source}/{}", header.src_len),
            RuleAttribute::Destination(to) => {
                part(&mut line, "to", format!("{to}/{}", header.dst_len));
            }
            RuleAttribute::Iifname(name) => part(&mut line, "iif", name),
            RuleAttribute::Oifname(name) => part(&mut line, "oif", name),
            RuleAttribute::FwMark(mark) => part(&mut line, "fwmark", format!("{mark:#x}")),
            RuleAttribute::FwMask(mask) => part(&mut line, "mask", format!("{mask:#x}")),
            RuleAttribute::SuppressPrefixLen(u32::MAX)
            | RuleAttribute::SuppressIfGroup(u32::MAX) => {}
            RuleAttribute::SuppressPrefixLen(length) => {
                part(&mut line, "suppress_prefixlength", length);
            }
            RuleAttribute::Protocol(protocol) => part(&mut line, "proto", protocol),
            other => raw(&mut line, "", other),
        }
    }
    let action = if header.action == RuleAction::ToTable {
        format!("lookup {table}")
    } else {
        word(header.action)
    };
    let not = if header.flags.contains(RuleFlags::Invert) {
        "not "
    } else {
        ""
    };
    Some(format!("{priority}: {not}from {from} {action}{line}"))
}

fn route_line(message: &Message, names: &Names) -> Option<String> {
    let Message::NewRoute(route) = message else {
        return None;
    };
    let header = &route.header;
    let mut table = u32::from(header.table);
    let mut to = "default".to_owned();
    let mut line = String::new();
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(address) => {
                to = format!("{}/{}", ip(address), header.destination_prefix_length);
            }
            RouteAttribute::Gateway(address) => part(&mut line, "via", ip(address)),
            RouteAttribute::Oif(index) => part(&mut line, "dev", device(names, *index)),
            RouteAttribute::PrefSource(address) => part(&mut line, "src", ip(address)),
            RouteAttribute::Priority(metric) => part(&mut line, "metric", metric),
            RouteAttribute::NhId(id) => part(&mut line, "nhid", id),
            RouteAttribute::MultiPath(hops) => {
                for hop in hops {
                    line.push_str("\n    nexthop");
                    for attribute in &hop.attributes {
                        match attribute {
                            RouteAttribute::Gateway(address) => {
                                part(&mut line, "via", ip(address));
                            }
                            other => raw(&mut line, "", other),
                        }
                    }
                    part(&mut line, "dev", device(names, hop.interface_index));
                    part(&mut line, "weight", u32::from(hop.hops) + 1);
                    if !hop.flags.is_empty() {
                        part(&mut line, "flags", hop.flags.to_string().to_lowercase());
                    }
                }
            }
            RouteAttribute::CacheInfo(_) => {}
            other => raw(&mut line, "", other),
        }
    }
    let told = if header.flags.is_empty() {
        String::new()
    } else {
        format!(" flags {}", flags(header.flags))
    };
    Some(format!(
        "table {table}: {} {to} proto {} scope {}{told}{line}",
        word(header.kind),
        header.protocol,
        header.scope
    ))
}

fn neighbour_line(message: &Message, names: &Names) -> Option<String> {
    let Message::NewNeighbour(neighbour) = message else {
        return None;
    };
    let mut line = device(names, neighbour.header.ifindex);
    for attribute in &neighbour.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
                part(&mut line, "", IpAddr::from(*address));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
                part(&mut line, "", IpAddr::from(*address));
            }
            NeighbourAttribute::LinkLayerAddress(address) => {
                part(&mut line, "lladdr", mac(address));
            }
            NeighbourAttribute::Probes(probes) => part(&mut line, "probes", probes),
            NeighbourAttribute::CacheInfo(_) => {}
            other => raw(&mut line, "", other),
        }
    }
    part(&mut line, "", neighbour.header.state);
    Some(line)
}

pub(super) fn part(line: &mut String, word: &str, value: impl Display) {
    let space = if word.is_empty() { "" } else { " " };
    let _ = write!(line, "{space}{word} {value}");
}

/// A name of the kernel's as `ip` writes it: `Prohibit` is `prohibit`.
fn word(name: impl Debug) -> String {
    format!("{name:?}").to_lowercase()
}

/// `dead,linkdown`.
fn flags(flags: RouteFlags) -> String {
    let names: Vec<String> = flags
        .iter_names()
        .map(|(name, _)| name.to_lowercase())
        .collect();
    names.join(",")
}

fn raw(line: &mut String, word: &str, value: impl Debug) {
    part(line, word, format!("{value:?}"));
}

pub(super) fn device(names: &Names, index: u32) -> String {
    names
        .get(&index)
        .cloned()
        .unwrap_or_else(|| format!("device {index}"))
}

fn ip(address: &RouteAddress) -> String {
    match address {
        RouteAddress::Inet(address) => address.to_string(),
        RouteAddress::Inet6(address) => address.to_string(),
        other => format!("{other:?}"),
    }
}

pub(super) fn mac(address: &[u8]) -> String {
    let bytes: Vec<String> = address.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}
