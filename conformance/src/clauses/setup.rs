//! What the router's kernel holds after `apply` (how-to 2.3).

mod answers;
mod beside;
mod priority;
mod refused;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use multiwan::config::{Config, Line};
use multiwan_lab::netlink::RouteNetlinkMessage as Message;
use multiwan_lab::netlink::address::{AddressAttribute, AddressMessage};
use multiwan_lab::netlink::link::{LinkAttribute, LinkMessage};
use multiwan_lab::netlink::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use multiwan_lab::netlink::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use multiwan_lab::traffic::FlowId;
use multiwan_lab::{Error, Host};

use super::fits;
use crate::bundle;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, POINT_TO_POINT, TWO_LINES};
use crate::context::Context;
use crate::judge::expected as shares;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[
    &LAYOUT,
    &POINT_TO_POINT_CLAUSE,
    &answers::ROUTE_GET,
    &answers::REACHABLE,
    &beside::FORWARDING,
    &beside::STATEFUL,
    &beside::BESIDE_QOS,
    &priority::EQUAL_PRIORITY,
    &refused::REFUSED_CONFIG,
];

static LAYOUT: Clause = Clause {
    id: "setup.layout",
    kind: Kind::Layout,
    how_to: &["2.3.1", "2.3.2", "2.3.3"],
    promise: "Addresses, rules and tables are as the how-to prints them.",
    method: "After `apply` the router's kernel is asked by netlink for what `ip address`, `ip \
        rule` and `ip route list table …` show. Every line that the how-to prints must be there, \
        and main must have no route with a gateway; what else is there is not judged.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE],
    fits: |config| {
        fits::described_gateways(config)?;
        fits::own_networks(config)
    },
    tests: Tests::None,
    judge: layout,
};

fn layout(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::applied(cx)?;
    let held = Held::read(scene.lab.router())?;
    let mut missing: Vec<String> = expected(&scene.cx.config)
        .into_iter()
        .filter(|line| !held.0.contains_key(line))
        .collect();
    let gateways = held
        .0
        .iter()
        .filter(|(line, gateway)| **gateway && line.starts_with("main: "));
    missing.extend(gateways.map(|(line, _)| format!("no gateway in {line}")));
    let judgement = Judgement::holds_if(missing.is_empty(), || {
        format!(
            "missing: {}; there is: {}",
            missing.join(", "),
            held.describe()
        )
    });
    scene.verdict(judgement)
}

static POINT_TO_POINT_CLAUSE: Clause = Clause {
    id: "setup.point-to-point",
    kind: Kind::Behaviour,
    how_to: &["1.2", "2.2"],
    promise: "A line that has neither ARP nor a gateway, such as PPP, is used like any other.",
    method: "The first line is a link without ARP that gets its address from the other end, and main \
        has no route by it but that to the other end. Distinct client–server pairs open one \
        connection each; the lines' counts are tested by the exact binomial test, and 400 of them ask \
        twice more: each must be answered, and no packet may leave with a source that is not its \
        line's.",
    needs: &[Need::Settings, Need::Claimed(Feature::Dynamic)],
    configurations: &[POINT_TO_POINT],
    fits: fits::first_is_point_to_point,
    tests: Tests::Shares(1),
    judge: point_to_point,
};

fn point_to_point(cx: &mut Context) -> Result<Judgement, Trouble> {
    let (pairs, level) = (cx.pairs(), cx.level);
    let mut scene = Scene::set(cx)?;
    let flows = scene.open(usize::try_from(pairs).unwrap_or(usize::MAX))?;
    let mut judgement = scene.shares_of(&flows, level);
    let some = &flows[..flows.len().min(400)];
    for _ in 0..2 {
        scene.ask(some)?;
        let answered = |flow: &&FlowId| scene.traffic.flow(**flow).answered();
        let unanswered = some.len() - some.iter().filter(answered).count();
        if unanswered > 0 {
            judgement = Judgement::failed(format!(
                "{unanswered} of {} later exchanges were not answered",
                some.len()
            ));
        }
    }
    if let Some(foreign) = scene.foreign().told() {
        judgement = Judgement::failed(foreign);
    }
    scene.verdict(judgement)
}

const MAIN: u32 = 254;

/// What the how-to prints, in one form with what [`Held`] reads.
fn expected(config: &Config) -> Vec<String> {
    let kernel = &config.kernel;
    let mut lines = vec![
        rule(kernel.main_priority, None, MAIN),
        rule(kernel.balance_table, None, kernel.balance_table),
    ];
    for lan in &config.lans {
        lines.push(address(
            &lan.interface,
            lan.address,
            lan.address.broadcast(),
        ));
        lines.push(connected(&lan.interface, lan.address));
    }
    let mut nexthops = Vec::new();
    for (line, share) in config.lines.iter().zip(shares(&config.lines)) {
        let (Some(own), Some(gateway)) = (line.address, line.gateway) else {
            continue;
        };
        let table = kernel.first_table + u32::from(line.number) - 1;
        let broadcast = line.broadcast.unwrap_or(own.broadcast());
        lines.push(address(&line.interface, own, broadcast));
        lines.push(connected(&line.interface, own));
        lines.push(rule(table, Some(own.trunc()), table));
        lines.push(format!(
            "{table}: default via {gateway} dev {} src {}",
            line.interface,
            own.addr()
        ));
        lines.push(format!("{table}: prohibit default metric 1"));
        if share > 0.0 {
            nexthops.push((gateway, line));
        }
    }
    lines.push(balance(kernel.balance_table, &nexthops));
    lines
}

/// The route that new connections are spread by. What has one alternative is no multipath route: the
/// kernel keeps and shows it as any other.
fn balance(table: u32, nexthops: &[(Ipv4Addr, &Line)]) -> String {
    if let [(gateway, line)] = nexthops {
        return format!("{table}: default via {gateway} dev {}", line.interface);
    }
    let nexthop = |(gateway, line): &(Ipv4Addr, &Line)| {
        format!(" nexthop {gateway} {} {}", line.interface, line.weight)
    };
    let mut nexthops: Vec<String> = nexthops.iter().map(nexthop).collect();
    nexthops.sort();
    format!("{table}: default{}", nexthops.concat())
}

fn rule(priority: u32, from: Option<Ipv4Net>, table: u32) -> String {
    let from = from.map_or("all".to_owned(), |from| from.to_string());
    format!("rule {priority}: from {from} lookup {table}")
}

fn address(device: &str, address: Ipv4Net, broadcast: Ipv4Addr) -> String {
    format!("address {address} brd {broadcast} dev {device}")
}

fn connected(device: &str, address: Ipv4Net) -> String {
    format!(
        "main: {} dev {device} src {}",
        address.trunc(),
        address.addr()
    )
}

/// What the kernel holds, a line for each thing, and whether it is a route with a gateway. What is
/// there twice has two lines.
#[derive(PartialEq, Eq)]
pub(super) struct Held(BTreeMap<String, bool>);

impl Held {
    pub(super) fn read(router: &mut Host) -> Result<Self, Error> {
        let mut held = Self(BTreeMap::new());
        let links = router.dump("listing links", Message::GetLink(LinkMessage::default()))?;
        let names: BTreeMap<u32, String> = links.iter().filter_map(link_name).collect();
        let name = |index: u32| names.get(&index).map_or("?", String::as_str);
        let dump = router.dump(
            "listing addresses",
            Message::GetAddress(AddressMessage::default()),
        )?;
        for line in dump
            .iter()
            .filter_map(|message| address_line(message, name))
        {
            held.add(line, false);
        }
        let mut question = RuleMessage::default();
        question.header.family = multiwan_lab::netlink::AddressFamily::Inet;
        let dump = router.dump("listing rules", Message::GetRule(question))?;
        for rule in &dump {
            if let Some(line) = rule_line(rule).or_else(|| other_rule_line(rule)) {
                held.add(line, false);
            }
        }
        let mut question = RouteMessage::default();
        question.header.address_family = multiwan_lab::netlink::AddressFamily::Inet;
        let dump = router.dump("listing routes", Message::GetRoute(question))?;
        for (line, gateway) in dump.iter().filter_map(|message| route_line(message, name)) {
            held.add(line, gateway);
        }
        Ok(held)
    }

    fn add(&mut self, line: String, gateway: bool) {
        let mut once_more = line.clone();
        let mut times = 1;
        while self.0.contains_key(&once_more) {
            times += 1;
            once_more = format!("{line} (the {times}. time)");
        }
        self.0.insert(once_more, gateway);
    }

    /// What is there, a line for each thing.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn describe(&self) -> String {
        let lines = self
            .0
            .keys()
            .filter(|line| !line.starts_with("255:") && !line.starts_with(OTHER_RULE))
            .cloned();
        lines.collect::<Vec<_>>().join(", ")
    }
}

/// How the line of a rule begins that is not of the how-to's kind.
const OTHER_RULE: &str = "another rule";

/// A rule for fewer packets than the how-to's, or with another action, as the kernel tells it.
fn other_rule_line(message: &Message) -> Option<String> {
    Some(format!("{OTHER_RULE}: {}", bundle::rule_line(message)?))
}

fn link_name(message: &Message) -> Option<(u32, String)> {
    let Message::NewLink(link) = message else {
        return None;
    };
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some((link.header.index, name.clone())),
            _ => None,
        })
}

fn address_line<'a>(message: &Message, name: impl Fn(u32) -> &'a str) -> Option<String> {
    let Message::NewAddress(message) = message else {
        return None;
    };
    let mut own = None;
    let mut broadcast = Ipv4Addr::UNSPECIFIED;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V4(local)) => own = Some(*local),
            AddressAttribute::Broadcast(to) => broadcast = *to,
            _ => {}
        }
    }
    let net = Ipv4Net::new(own?, message.header.prefix_len).ok()?;
    Some(address(name(message.header.index), net, broadcast))
}

fn rule_line(message: &Message) -> Option<String> {
    let Message::NewRule(message) = message else {
        return None;
    };
    if message.header.action != RuleAction::ToTable {
        return None;
    }
    let mut table = u32::from(message.header.table);
    let mut priority = 0;
    let mut from = None;
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(number) => priority = *number,
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Source(IpAddr::V4(source)) => {
                from = Ipv4Net::new(*source, message.header.src_len).ok();
            }
            // Whose it is, and what of the table counts: still the how-to's rule.
            RuleAttribute::Protocol(_)
            | RuleAttribute::SuppressPrefixLen(_)
            | RuleAttribute::SuppressIfGroup(_) => {}
            // A rule for fewer packets is another than the how-to's.
            _ => return None,
        }
    }
    if message.header.flags.contains(RuleFlags::Invert) {
        return None;
    }
    Some(rule(priority, from, table))
}

fn route_line<'a>(message: &Message, name: impl Fn(u32) -> &'a str) -> Option<(String, bool)> {
    let Message::NewRoute(message) = message else {
        return None;
    };
    let mut table = u32::from(message.header.table);
    let mut to = None;
    let (mut via, mut device, mut source, mut metric) = (None, None, None, None);
    let mut nexthops = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(RouteAddress::Inet(address)) => to = Some(*address),
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => via = Some(*address),
            RouteAttribute::Oif(index) => device = Some(name(*index)),
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => source = Some(*address),
            RouteAttribute::Priority(number) => metric = Some(*number),
            RouteAttribute::MultiPath(hops) => {
                for hop in hops {
                    let gateway = hop.attributes.iter().find_map(|attribute| match attribute {
                        RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(*address),
                        _ => None,
                    });
                    let device = name(hop.interface_index);
                    let weight = u32::from(hop.hops) + 1;
                    nexthops.push(format!(" nexthop {} {device} {weight}", gateway?));
                }
            }
            _ => {}
        }
    }
    let to = match to {
        Some(to) => Ipv4Net::new(to, message.header.destination_prefix_length)
            .ok()?
            .to_string(),
        None => "default".to_owned(),
    };
    nexthops.sort();
    let table_name = if table == MAIN {
        "main".to_owned()
    } else {
        table.to_string()
    };
    let kind = if message.header.kind == RouteType::Prohibit {
        "prohibit "
    } else {
        ""
    };
    let part = |word: &str, value: Option<String>| {
        value.map_or(String::new(), |value| format!(" {word} {value}"))
    };
    let line = [
        format!("{table_name}: {kind}{to}"),
        part("via", via.map(|via| via.to_string())),
        part("dev", device.filter(|_| kind.is_empty()).map(str::to_owned)),
        part("src", source.map(|source| source.to_string())),
        part("metric", metric.map(|metric| metric.to_string())),
        nexthops.concat(),
    ];
    Some((line.concat(), via.is_some() || !nexthops.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{BACKUP, Builtin, Configuration};

    fn balance_of(config: &Config) -> Vec<String> {
        let lines = expected(config).into_iter();
        lines
            .filter(|line| line.starts_with("222: default"))
            .collect()
    }

    fn config(builtin: &Builtin) -> Config {
        Configuration::builtin(builtin).config
    }

    #[test]
    fn one_alternative_is_a_plain_route_and_several_are_nexthops() {
        let mut config = config(&FOUR_TO_ONE);
        assert_eq!(
            balance_of(&config),
            ["222: default nexthop 198.51.100.1 eth1 4 nexthop 203.0.113.1 eth2 1"]
        );
        config.lines.truncate(1);
        assert_eq!(
            balance_of(&config),
            ["222: default via 198.51.100.1 dev eth1"]
        );
    }

    #[test]
    fn a_backup_line_is_none_of_them() {
        let [balance] = &balance_of(&config(&BACKUP))[..] else {
            panic!("one route");
        };
        assert_eq!(balance.matches("nexthop").count(), 2, "{balance}");
    }
}
