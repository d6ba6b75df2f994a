//! Tables, chains and rules as the attributes of a netlink message.

use netlink_packet_core::NLA_HEADER_SIZE;

use super::{
    expression::Expression,
    table::{Base, Chain, Family, Hook, Kind, Policy, Rule, Table},
    wire::{Attributes, Nest},
};

const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
const NFT_TABLE_F_DORMANT: u32 = 1;

const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_HOOK_DEV: u16 = 3;

const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;

/// The table's name alone.
pub(super) fn table_name(name: &str) -> Vec<u8> {
    let mut attributes = Attributes::new();
    attributes.string(NFTA_TABLE_NAME, name);
    attributes.into_bytes()
}

/// The table itself, without its chains.
pub(super) fn write_table(table: &Table) -> Vec<u8> {
    let mut attributes = Attributes::new();
    attributes.string(NFTA_TABLE_NAME, &table.name);
    attributes.u32(
        NFTA_TABLE_FLAGS,
        if table.dormant {
            NFT_TABLE_F_DORMANT
        } else {
            0
        },
    );
    attributes.into_bytes()
}

/// The table that a message is about, without its chains.
pub(super) fn read_table(family: Family, attributes: Nest<'_>) -> Option<Table> {
    let flags = attributes.u32(NFTA_TABLE_FLAGS).unwrap_or(0);
    Some(Table {
        family,
        name: attributes.string(NFTA_TABLE_NAME)?.to_owned(),
        dormant: flags & NFT_TABLE_F_DORMANT != 0,
        chains: Vec::new(),
    })
}

/// The chain itself, without its rules.
pub(super) fn write_chain(table: &Table, chain: &Chain) -> Vec<u8> {
    let mut attributes = Attributes::new();
    attributes.string(NFTA_CHAIN_TABLE, &table.name);
    attributes.string(NFTA_CHAIN_NAME, &chain.name);
    if let Some(base) = &chain.base {
        attributes.nest(NFTA_CHAIN_HOOK, |hook| {
            hook.u32(NFTA_HOOK_HOOKNUM, base.hook.number());
            hook.u32(NFTA_HOOK_PRIORITY, base.priority as u32);
            if let Some(device) = &base.device {
                hook.string(NFTA_HOOK_DEV, device);
            }
        });
        attributes.u32(NFTA_CHAIN_POLICY, base.policy.number());
        attributes.string(NFTA_CHAIN_TYPE, base.kind.name());
    }
    attributes.into_bytes()
}

/// The table of the chain that a message is about.
pub(super) fn chain_table<'a>(attributes: Nest<'a>) -> Option<&'a str> {
    attributes.string(NFTA_CHAIN_TABLE)
}

/// The chain that a message is about, without its rules.
pub(super) fn read_chain(family: Family, attributes: Nest<'_>) -> Option<Chain> {
    let base = match attributes.nest(NFTA_CHAIN_HOOK) {
        Some(hook) => Some(Base {
            kind: Kind::from_name(attributes.string(NFTA_CHAIN_TYPE)?)?,
            hook: Hook::from_number(family, hook.u32(NFTA_HOOK_HOOKNUM)?)?,
            priority: hook.u32(NFTA_HOOK_PRIORITY)? as i32,
            device: hook.string(NFTA_HOOK_DEV).map(str::to_owned),
            policy: match attributes.u32(NFTA_CHAIN_POLICY) {
                Some(policy) if policy == Policy::Drop.number() => Policy::Drop,
                _ => Policy::Accept,
            },
        }),
        None => None,
    };
    Some(Chain {
        name: attributes.string(NFTA_CHAIN_NAME)?.to_owned(),
        base,
        rules: Vec::new(),
    })
}

/// The table whose rules are asked for.
pub(super) fn rules_of(table: &str) -> Vec<u8> {
    let mut attributes = Attributes::new();
    attributes.string(NFTA_RULE_TABLE, table);
    attributes.into_bytes()
}

/// A rule at the end of a chain.
pub(super) fn write_rule(table: &Table, chain: &Chain, rule: &Rule) -> Vec<u8> {
    let mut instructions = Vec::new();
    for statement in &rule.statements {
        statement.encode(&mut instructions);
    }
    let mut attributes = Attributes::new();
    attributes.string(NFTA_RULE_TABLE, &table.name);
    attributes.string(NFTA_RULE_CHAIN, &chain.name);
    attributes.nest(NFTA_RULE_EXPRESSIONS, |list| {
        for instruction in &instructions {
            instruction.write(list);
        }
    });
    attributes.into_bytes()
}

/// All rules of a chain.
pub(super) fn rules_in(table: &Table, chain: &Chain) -> Vec<u8> {
    let mut attributes = Attributes::new();
    attributes.string(NFTA_RULE_TABLE, &table.name);
    attributes.string(NFTA_RULE_CHAIN, &chain.name);
    attributes.into_bytes()
}

/// The rule that a message is about, and the names of its table and chain.
pub(super) fn read_rule<'a>(attributes: Nest<'a>) -> Option<(&'a str, &'a str, Rule)> {
    let list = attributes
        .nest(NFTA_RULE_EXPRESSIONS)
        .unwrap_or(Nest::new(&[]));
    let instructions: Vec<_> = list
        .iter()
        .map(|(_, element)| Expression::read(Nest::new(element)))
        .collect();
    Some((
        attributes.string(NFTA_RULE_TABLE)?,
        attributes.string(NFTA_RULE_CHAIN)?,
        Rule::decode(&instructions),
    ))
}

/// The name of the instruction that has this byte of a rule's attributes.
pub(super) fn instruction_at(attributes: &[u8], offset: usize) -> Option<String> {
    let (NFTA_RULE_EXPRESSIONS, list, offset) = Nest::new(attributes).at(offset)? else {
        return None;
    };
    let (_, element, _) = Nest::new(list).at(offset.checked_sub(NLA_HEADER_SIZE)?)?;
    Some(Expression::read(Nest::new(element)).name().to_owned())
}
