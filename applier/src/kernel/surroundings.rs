//! What others have in the kernel.

use ipnet::Ipv4Net;
use multiwan_kernel::nft::{Chain, Family, Mark, Statement};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use std::net::{IpAddr, Ipv4Addr};

use super::Kernel;
use crate::clashes::{
    Action, Answer, ForeignRoute, ForeignRule, MarkWriter, Surroundings, is_wide,
};
use crate::desired::TABLE;
use crate::error::Error;
use crate::state::{PROTOCOL, TABLE_MAIN};

/// What the kernel says where a rule suppresses nothing.
const SUPPRESSES_NOTHING: u32 = u32::MAX;

impl Kernel {
    /// What others have in the kernel, as far as several lines could meet it.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer; tables of nftables that are not understood are left out.
    pub async fn surroundings(&mut self) -> Result<Surroundings, Error> {
        let mut question = RuleMessage::default();
        question.header.family = AddressFamily::Inet;
        let answers = self
            .list("rules", RouteNetlinkMessage::GetRule(question))
            .await?;
        let rules = answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewRule(message) => rule(message),
            _ => None,
        });
        let rules = rules.collect();
        let applied = answers.iter().any(|answer| match answer {
            RouteNetlinkMessage::NewRule(message) => is_ours(message),
            _ => false,
        });
        let routes = self.route_messages().await?;
        let (mark_writers, unread) = self.mark_writers()?;
        Ok(Surroundings {
            rules,
            routes: routes.iter().filter_map(route).collect(),
            applied,
            mark_writers,
            unread,
        })
    }

    /// The chains that change marks, and the tables that are not understood.
    fn mark_writers(&mut self) -> Result<(Vec<MarkWriter>, Vec<String>), Error> {
        let tables = self.netfilter.tables().map_err(Error::Netfilter)?;
        let foreign = tables.into_iter().filter(|(family, name)| {
            matches!(family, Family::Ip | Family::Inet)
                && (*family, name.as_str()) != (Family::Ip, TABLE)
        });
        let (mut writers, mut unread) = (Vec::new(), Vec::new());
        for (family, name) in foreign {
            let table = match self.netfilter.read(family, &name) {
                Ok(Some(table)) => table,
                // Gone in between.
                Ok(None) => continue,
                Err(_) => {
                    unread.push(format!("{family} {name}"));
                    continue;
                }
            };
            if table.chains.iter().any(has_unknown) {
                unread.push(format!("{family} {name}"));
            }
            writers.extend(table.chains.iter().filter_map(|chain| {
                let bits = changed_mark_bits(chain);
                (bits != 0).then(|| MarkWriter {
                    table: format!("{family} {name}"),
                    chain: chain.name.clone(),
                    bits,
                })
            }));
        }
        Ok((writers, unread))
    }
}

/// Whether one of its rules does what is not understood, such as an extension of xtables.
fn has_unknown(chain: &Chain) -> bool {
    let unknown = |statement: &Statement| matches!(statement, Statement::Unknown { .. });
    let rules = &mut chain.rules.iter();
    rules.any(|rule| rule.statements.iter().any(unknown))
}

fn changed_mark_bits(chain: &Chain) -> u32 {
    chain
        .rules
        .iter()
        .flat_map(|rule| &rule.statements)
        .map(Statement::changed_mark_bits)
        .fold(0, |bits, more| bits | more)
}

fn is_ours(message: &RuleMessage) -> bool {
    let ours = |attribute: &RuleAttribute| match attribute {
        RuleAttribute::Protocol(owner) => u8::from(*owner) == PROTOCOL,
        _ => false,
    };
    message.attributes.iter().any(ours)
}

/// None where it is multiwan's, or one of those that the kernel starts with.
pub(super) fn rule(message: &RuleMessage) -> Option<ForeignRule> {
    let header = &message.header;
    let mut rule = ForeignRule {
        inverted: header.flags.contains(RuleFlags::Invert),
        ..ForeignRule::default()
    };
    let mut table = u32::from(header.table);
    let (mut value, mut mask, mut suppress) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Protocol(owner)
                if [PROTOCOL, u8::from(RouteProtocol::Kernel)].contains(&u8::from(*owner)) =>
            {
                return None;
            }
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Source(IpAddr::V4(source)) => {
                rule.from = Ipv4Net::new(*source, header.src_len).ok();
            }
            RuleAttribute::Destination(IpAddr::V4(destination)) => {
                rule.to = Ipv4Net::new(*destination, header.dst_len).ok();
            }
            RuleAttribute::Iifname(name) => rule.input = Some(name.clone()),
            RuleAttribute::FwMark(mark) => value = Some(*mark),
            RuleAttribute::FwMask(bits) => mask = Some(*bits),
            RuleAttribute::SuppressPrefixLen(length) if *length != SUPPRESSES_NOTHING => {
                suppress = Some(*length);
            }
            _ => {}
        }
    }
    if (value, mask) != (None, None) {
        rule.mark = Some(Mark::new(value.unwrap_or(0), mask.unwrap_or(u32::MAX)));
    }
    if header.action == RuleAction::ToTable {
        rule.action = Action::Lookup {
            table,
            suppress_prefix_length: suppress,
        };
    }
    Some(rule)
}

/// None where it is a route of no interest: main's but for those that take much, and the local table's.
fn route(message: &RouteMessage) -> Option<ForeignRoute> {
    let header = &message.header;
    if matches!(
        header.kind,
        RouteType::Local | RouteType::Broadcast | RouteType::Multicast
    ) {
        return None;
    }
    let mut table = u32::from(header.table);
    let (mut to, mut metric) = (Ipv4Addr::UNSPECIFIED, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(RouteAddress::Inet(address)) => to = *address,
            RouteAttribute::Priority(priority) => metric = *priority,
            _ => {}
        }
    }
    let to = Ipv4Net::new(to, header.destination_prefix_length).ok()?;
    let takes_much = to.prefix_len() == 0 || is_wide(to);
    (takes_much || table != TABLE_MAIN).then_some(ForeignRoute {
        table,
        to,
        metric,
        answer: answer(header.kind),
    })
}

fn answer(kind: RouteType) -> Answer {
    match kind {
        RouteType::Unreachable => Answer::Unreachable,
        RouteType::BlackHole => Answer::Blackhole,
        RouteType::Prohibit => Answer::Prohibit,
        RouteType::Throw => Answer::Throw,
        _ => Answer::Leads,
    }
}
