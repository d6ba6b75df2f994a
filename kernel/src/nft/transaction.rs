//! Changes that the kernel makes all at once or not at all.

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};

use super::{
    message::{instruction_at, rules_in, table_name, write_chain, write_rule, write_table},
    table::{Chain, Family, Rule, Table},
    wire::{NETFILTER_HEADER, NETLINK_HEADER, frame, nftables},
};

/// Changes that the kernel makes all at once or not at all; see [`Netfilter::commit`](super::Netfilter::commit).
#[derive(Debug, Default)]
pub struct Transaction<'a> {
    changes: Vec<Change<'a>>,
}

/// One message of the batch.
#[derive(Debug)]
struct Change<'a> {
    message: i32,
    flags: u16,
    family: Family,
    attributes: Vec<u8>,
    object: Object<'a>,
}

/// What a message is about, for the error that names it.
#[derive(Debug)]
enum Object<'a> {
    Table(&'a str),
    Chain(&'a Table, &'a Chain),
    Rule(&'a Table, &'a Chain, &'a Rule),
}

impl<'a> Transaction<'a> {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// The table shall be as given, whether it is there or not: `table T; delete table T; table T { … }`.
    ///
    /// Counters begin anew.
    pub fn replace(self, table: &'a Table) -> Self {
        self.delete(table.family, &table.name).create(table)
    }

    /// The table shall be as given; it is known not to be there, and refused where it is.
    ///
    /// Where that is so, this is what [`replace`](Self::replace) does without the wait: after a batch that removed
    /// anything, the closing of the socket waits for the kernel to have freed it (8 ms and more).
    pub fn create(mut self, table: &'a Table) -> Self {
        // Else its rules would be there twice.
        self.push_flagged(
            libc::NFT_MSG_NEWTABLE,
            NLM_F_CREATE | NLM_F_EXCL,
            table.family,
            write_table(table),
            Object::Table(&table.name),
        );
        for chain in &table.chains {
            self.push(
                libc::NFT_MSG_NEWCHAIN,
                table.family,
                write_chain(table, chain),
                Object::Chain(table, chain),
            );
        }
        for chain in &table.chains {
            self.fill(table, chain);
        }
        self
    }

    /// These chains of the table, which are there and hooked in as they should be, shall have the
    /// given rules and no others: `flush chain T C; add rule T C …`.
    ///
    /// The counters of all other chains go on.
    pub fn refill(mut self, table: &'a Table, chains: impl IntoIterator<Item = &'a Chain>) -> Self {
        for chain in chains {
            self.push(
                libc::NFT_MSG_DELRULE,
                table.family,
                rules_in(table, chain),
                Object::Chain(table, chain),
            );
            self.fill(table, chain);
        }
        self
    }

    fn fill(&mut self, table: &'a Table, chain: &'a Chain) {
        for rule in &chain.rules {
            let attributes = write_rule(table, chain, rule);
            self.push(
                libc::NFT_MSG_NEWRULE,
                table.family,
                attributes,
                Object::Rule(table, chain, rule),
            );
        }
    }

    /// The table shall not be there, whether it is now or not: `table T; delete table T`.
    pub fn delete(mut self, family: Family, name: &'a str) -> Self {
        for message in [libc::NFT_MSG_NEWTABLE, libc::NFT_MSG_DELTABLE] {
            self.push(message, family, table_name(name), Object::Table(name));
        }
        self
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn push(&mut self, message: i32, family: Family, attributes: Vec<u8>, object: Object<'a>) {
        let flags = match message {
            libc::NFT_MSG_NEWRULE => NLM_F_CREATE | NLM_F_APPEND,
            libc::NFT_MSG_DELTABLE | libc::NFT_MSG_DELRULE => 0,
            _ => NLM_F_CREATE,
        };
        self.push_flagged(message, flags, family, attributes, object);
    }

    fn push_flagged(
        &mut self,
        message: i32,
        flags: u16,
        family: Family,
        attributes: Vec<u8>,
        object: Object<'a>,
    ) {
        self.changes.push(Change {
            message,
            flags,
            family,
            attributes,
            object,
        });
    }

    /// How many sequence numbers the batch takes.
    pub(super) fn messages(&self) -> u32 {
        self.changes.len() as u32 + 2
    }

    /// The batch, the first message with sequence number `first`. The last change asks to be acknowledged: kernels
    /// before 6.10 do not acknowledge the batch's end.
    pub(super) fn batch(&self, first: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(
            self.changes
                .iter()
                .map(|change| change.attributes.len() + 20)
                .sum::<usize>()
                + 40,
        );
        let bracket = (0, libc::NFNL_SUBSYS_NFTABLES as u16);
        frame(
            &mut bytes,
            libc::NFNL_MSG_BATCH_BEGIN as u16,
            0,
            first,
            bracket,
            &[],
        );
        let mut sequence = first;
        for (index, change) in self.changes.iter().enumerate() {
            sequence = sequence.wrapping_add(1);
            let acknowledge = if index + 1 == self.changes.len() {
                NLM_F_ACK
            } else {
                0
            };
            let kind = nftables(change.message);
            frame(
                &mut bytes,
                kind,
                change.flags | acknowledge,
                sequence,
                (change.family.number(), 0),
                &change.attributes,
            );
        }
        frame(
            &mut bytes,
            libc::NFNL_MSG_BATCH_END as u16,
            0,
            sequence.wrapping_add(1),
            bracket,
            &[],
        );
        bytes
    }

    /// What the message of that place in the batch attempts.
    pub(super) fn attempt(&self, place: u32) -> String {
        let Some(change) = self.change(place) else {
            return self.summary();
        };
        let verb = match change.message {
            libc::NFT_MSG_DELTABLE => "removing",
            libc::NFT_MSG_DELRULE => "emptying",
            _ => "adding",
        };
        let family = change.family;
        match &change.object {
            Object::Table(name) => format!("{verb} table {family} {name}"),
            Object::Chain(table, chain) => {
                format!("{verb} chain {family} {} {}", table.name, chain.name)
            }
            Object::Rule(table, chain, rule) => {
                format!(
                    "{verb} rule `{rule}` to chain {family} {} {}",
                    table.name, chain.name
                )
            }
        }
    }

    /// Which instruction of a rule is at that byte of the message.
    pub(super) fn instruction(&self, place: u32, offset: usize) -> Option<String> {
        instruction_at(
            &self.change(place)?.attributes,
            offset.checked_sub(NETLINK_HEADER + NETFILTER_HEADER)?,
        )
    }

    /// The batch begins with a message that is no change.
    fn change(&self, place: u32) -> Option<&Change<'a>> {
        self.changes.get(place.checked_sub(1)? as usize)
    }

    /// What the batch as a whole attempts.
    fn summary(&self) -> String {
        let mut tables: Vec<_> = self
            .changes
            .iter()
            .filter_map(|change| match change.object {
                Object::Table(name) => Some(format!("{} {name}", change.family)),
                Object::Chain(table, _) => Some(format!("{} {}", change.family, table.name)),
                Object::Rule(..) => None,
            })
            .collect();
        tables.dedup();
        format!("changing table {}", tables.join(", "))
    }
}
