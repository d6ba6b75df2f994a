//! A small, typed part of nftables, spoken over netlink without the `nft` program.
//!
//! A [`Table`] is a plain value: it prints as text that `nft -f` reads, goes to the kernel in one atomic batch and comes
//! back as an equal value, so that drift is `desired != current` and [`Table::difference`] names it by rule.
//!
//! ```no_run
//! use multiwan_kernel::nft::{Base, Chain, Family, Hook, Kind, Mark, Netfilter, Statement, Table, Test};
//!
//! let mut table = Table::new(Family::Ip, "multiwan");
//! let mut prerouting = Chain::base("prerouting", Base::new(Kind::Filter, Hook::Prerouting, -150));
//! prerouting.rule([
//!     Statement::InputInterface(Test::Is, "eth1".into()),
//!     Statement::SetConntrackMark(Mark::new(0x100, 0x3f00)),
//! ]);
//! table.chains.push(prerouting);
//!
//! let mut netfilter = Netfilter::open()?;
//! netfilter.replace(&table)?;
//! assert_eq!(netfilter.read(Family::Ip, "multiwan")?, Some(table));
//! # Ok::<(), multiwan_kernel::nft::Error>(())
//! ```
//!
//! The way of a table: [`table`](Table) and [`statement`](Statement) are the value, `text` prints it (with `foreign` and `extension` what
//! others wrote), `encode` turns
//! statements into the kernel's instructions (`expression`), `transaction` frames them as one batch, `netfilter` sends
//! it, and `decode` recognises the statements in what a dump returns.
//!
//! The attributes are written and read here (`wire`) on top of netlink-packet-core rather than with
//! netlink-packet-netfilter: that has no message for half of the expressions needed (ct, nat, masq, counter, rt, fib,
//! reject, exthdr), gives the others as lists of optional attributes that would have to be matched all over again, takes
//! a netdev chain's hook for an IPv4 one, and refuses a whole message for one attribute it cannot read, where a rule of
//! somebody else's must be shown as [`Statement::Unknown`].

#![forbid(unsafe_code)]

pub mod conntrack;
mod decode;
mod difference;
mod encode;
mod error;
mod expression;
mod extension;
mod foreign;
mod marks;
mod message;
mod netfilter;
mod numbers;
#[cfg(test)]
mod samples;
mod socket;
mod statement;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod transaction;
mod translation;
mod wire;

pub use self::{
    difference::Difference,
    error::Error,
    netfilter::Netfilter,
    statement::{
        Counter, Direction, End, Mark, Protocol, Reject, SegmentSize, State, Statement, States,
        Test, Unknown, Unreachable, Verdict,
    },
    table::{Base, Chain, Family, Hook, Kind, Policy, Rule, Table},
    transaction::Transaction,
    translation::SourceTranslation,
};
