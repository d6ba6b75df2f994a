//! The kernel's nftables: what is there, and how to change it.

use netlink_packet_core::NLM_F_DUMP;
use nix::errno::Errno;

use super::{
    error::Error,
    message::{chain_table, read_chain, read_rule, read_table, rules_of, table_name},
    socket::{Refusal, Reply, Socket},
    table::{Chain, Family, Table},
    transaction::Transaction,
    wire::{Nest, frame, nftables},
};

/// How often a table that others change meanwhile is read anew.
const ATTEMPTS: u32 = 16;

/// The netfilter of the network namespace in which it was opened.
///
/// A blocking netlink socket; the kernel answers a request before the call that sends it returns, so that nothing waits.
#[derive(Debug)]
pub struct Netfilter {
    pub(super) socket: Socket,
}

impl Netfilter {
    /// In the network namespace of this thread.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open()?,
        })
    }

    /// Makes the kernel hold exactly this table, whether it was there or not, atomically. Needs CAP_NET_ADMIN.
    pub fn replace(&mut self, table: &Table) -> Result<(), Error> {
        self.commit(&Transaction::new().replace(table))
    }

    /// Removes a table with all that is in it; that it is not there is no error. Needs CAP_NET_ADMIN.
    pub fn delete(&mut self, family: Family, name: &str) -> Result<(), Error> {
        self.commit(&Transaction::new().delete(family, name))
    }

    /// Makes all changes at once, or none and says which one was refused. Needs CAP_NET_ADMIN.
    pub fn commit(&mut self, transaction: &Transaction<'_>) -> Result<(), Error> {
        if transaction.is_empty() {
            return Ok(());
        }
        let count = transaction.messages();
        let first = self.socket.sequences(count);
        self.socket.send(&transaction.batch(first))?;

        let mut refused = None;
        self.socket.receive(first, count, |reply| {
            if let Reply::Refused { sequence, refusal } = reply {
                refused = Some((sequence.wrapping_sub(first), refusal));
            }
            true
        })?;
        match refused {
            None => Ok(()),
            Some((place, refusal)) => {
                let instruction = refusal
                    .offset
                    .and_then(|offset| transaction.instruction(place, offset));
                Err(refusal.into_error(transaction.attempt(place), instruction))
            }
        }
    }

    /// The table as the kernel holds it, with the counts of its counters; none where it is not there.
    ///
    /// What others have put into its chains is there too, if need be as
    /// [`Statement::Unknown`](super::Statement::Unknown).
    pub fn read(&mut self, family: Family, name: &str) -> Result<Option<Table>, Error> {
        for _ in 0..ATTEMPTS {
            let mut generation = Generation::default();
            let Some(mut table) = self.table(family, name, &mut generation)? else {
                return Ok(None);
            };
            table.chains = self.chains(family, name, &mut generation)?;
            self.rules(&mut table, &mut generation)?;
            if generation.stayed {
                return Ok(Some(table));
            }
        }
        Err(Error::Busy {
            object: format!("table {family} {name}"),
            attempts: ATTEMPTS,
        })
    }

    /// The families and names of all tables, those of others too.
    pub fn tables(&mut self) -> Result<Vec<(Family, String)>, Error> {
        let mut tables = Vec::new();
        let request = Request {
            message: libc::NFT_MSG_GETTABLE,
            family: None,
            attributes: Vec::new(),
            dump: true,
        };
        self.get(
            request,
            &mut Generation::default(),
            "listing tables",
            |family, attributes| {
                tables
                    .extend(read_table(family, attributes).map(|table| (table.family, table.name)));
            },
        )?;
        Ok(tables)
    }

    fn table(
        &mut self,
        family: Family,
        name: &str,
        generation: &mut Generation,
    ) -> Result<Option<Table>, Error> {
        let mut table = None;
        let request = Request {
            message: libc::NFT_MSG_GETTABLE,
            family: Some(family),
            attributes: table_name(name),
            dump: false,
        };
        let attempt = format!("reading table {family} {name}");
        let answer = self.get(request, generation, &attempt, |family, attributes| {
            table = read_table(family, attributes);
        });
        match answer {
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
            answer => answer.map(|()| table),
        }
    }

    fn chains(
        &mut self,
        family: Family,
        table: &str,
        generation: &mut Generation,
    ) -> Result<Vec<Chain>, Error> {
        let mut chains = Vec::new();
        let mut understood = true;
        let request = Request {
            message: libc::NFT_MSG_GETCHAIN,
            family: Some(family),
            attributes: Vec::new(),
            dump: true,
        };
        let attempt = format!("reading the chains of table {family} {table}");
        // The kernel dumps the chains of all tables of the family.
        self.get(request, generation, &attempt, |family, attributes| {
            if chain_table(attributes) == Some(table) {
                let chain = read_chain(family, attributes);
                understood &= chain.is_some();
                chains.extend(chain);
            }
        })?;
        if understood {
            Ok(chains)
        } else {
            Err(Error::NotUnderstood {
                object: format!("table {family} {table}"),
            })
        }
    }

    fn rules(&mut self, table: &mut Table, generation: &mut Generation) -> Result<(), Error> {
        let Table {
            family,
            name,
            chains,
            ..
        } = table;
        let request = Request {
            message: libc::NFT_MSG_GETRULE,
            family: Some(*family),
            attributes: rules_of(name),
            dump: true,
        };
        let attempt = format!("reading the rules of table {family} {name}");
        self.get(request, generation, &attempt, |_, attributes| {
            let Some((of, chain, rule)) = read_rule(attributes) else {
                return;
            };
            if let Some(chain) = chains
                .iter_mut()
                .find(|one| of == name && one.name == chain)
            {
                chain.rules.push(rule);
            }
        })
    }

    fn get(
        &mut self,
        request: Request,
        generation: &mut Generation,
        attempt: &str,
        mut take: impl FnMut(Family, Nest<'_>),
    ) -> Result<(), Error> {
        let first = self.socket.sequences(1);
        let flags = if request.dump { NLM_F_DUMP } else { 0 };
        let family = request
            .family
            .map_or(libc::NFPROTO_UNSPEC as u8, Family::number);
        let mut bytes = Vec::new();
        frame(
            &mut bytes,
            nftables(request.message),
            flags,
            first,
            (family, 0),
            &request.attributes,
        );
        self.socket.send(&bytes)?;

        let mut refused = None;
        self.socket.receive(first, 1, |reply| match reply {
            Reply::Message {
                family,
                generation: now,
                interrupted,
                attributes,
            } => {
                generation.see(now, interrupted);
                if let Some(family) = Family::from_number(family) {
                    take(family, attributes);
                }
                !request.dump
            }
            Reply::Done => true,
            Reply::Refused { refusal, .. } => {
                refused = Some(refusal);
                true
            }
        })?;
        refused.map_or(Ok(()), |refusal| {
            Err(refusal.into_error(attempt.to_owned(), None))
        })
    }
}

/// A question to the kernel.
struct Request {
    message: i32,
    family: Option<Family>,
    attributes: Vec<u8>,
    dump: bool,
}

/// Whether several answers are of the same generation of the rule set.
struct Generation {
    first: Option<u16>,
    stayed: bool,
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            first: None,
            stayed: true,
        }
    }
}

impl Generation {
    fn see(&mut self, generation: u16, interrupted: bool) {
        let first = *self.first.get_or_insert(generation);
        self.stayed &= first == generation && !interrupted;
    }
}

impl Refusal {
    pub(super) fn into_error(self, attempt: String, instruction: Option<String>) -> Error {
        Error::Refused {
            attempt,
            instruction,
            message: self.message,
            errno: self.errno,
        }
    }
}
