//! One step of a change, done.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use multiwan_kernel::nft::conntrack::Connection;
use multiwan_kernel::nft::{self, Family, Mark, Table, Transaction};
use multiwan_kernel::{devconf, neighbour_table};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use nix::errno::Errno;

use super::refusal::Refusal;
use super::{Kernel, message, setting, since_start};
use crate::desired::TABLE;
use crate::difference::Step;
use crate::error::Error;
use crate::state::Setting;

impl Kernel {
    pub(super) async fn perform(&mut self, step: &Step) -> Result<(), Error> {
        let done = match step {
            Step::Firewall { from, to } => {
                return self
                    .firewall(from.as_ref(), to.as_ref())
                    .map_err(Error::Netfilter);
            }
            Step::Forget { mark, address } => {
                return self.forget(*mark, *address).map_err(Error::Netfilter);
            }
            Step::Set { setting, to, .. } => self.set(setting, *to).await,
            Step::Link { interface, up } => self.set_link(interface, *up).await,
            Step::AddAddress(address) => {
                let index = self.index(&address.interface)?;
                match message::address(address, index, since_start()) {
                    Some(message) => {
                        let new = NLM_F_CREATE | NLM_F_EXCL;
                        self.change(RouteNetlinkMessage::NewAddress(message), new)
                            .await
                    }
                    // The kernel would have taken it away by now.
                    None => Ok(()),
                }
            }
            Step::RemoveAddress(address) => {
                let message = message::named_address(address, self.index(&address.interface)?);
                gone(
                    self.change(RouteNetlinkMessage::DelAddress(message), 0)
                        .await,
                )
            }
            Step::PutRoute { route, .. } => match message::route(route, &self.indices) {
                Some(message) => {
                    let replace = NLM_F_CREATE | NLM_F_REPLACE;
                    self.change(RouteNetlinkMessage::NewRoute(message), replace)
                        .await
                }
                None => Err(Refusal {
                    errno: Errno::ENODEV,
                    words: None,
                }),
            },
            Step::RemoveRoute(route) => match message::route(route, &self.indices) {
                Some(message) => gone(self.change(RouteNetlinkMessage::DelRoute(message), 0).await),
                None => Ok(()),
            },
            Step::AddRule(rule) => {
                let message = RouteNetlinkMessage::NewRule(message::rule(rule));
                let added = self
                    .change(message.clone(), NLM_F_CREATE | NLM_F_EXCL)
                    .await;
                match added {
                    // The kernel does not look at what a new rule leaves open: it takes any rule of
                    // that priority and table for the same (`rule_exists` in net/core/fib_rules.c).
                    Err(Refusal {
                        errno: Errno::EEXIST,
                        ..
                    }) if !self.rules().await?.contains(rule) => {
                        self.change(message, NLM_F_CREATE).await
                    }
                    added => added,
                }
            }
            Step::RemoveRule(rule) => {
                let message = RouteNetlinkMessage::DelRule(message::rule(rule));
                gone(self.change(message, 0).await)
            }
        };
        done.map_err(|refusal| Error::Refused {
            step: Box::new(step.clone()),
            refusal,
        })
    }

    /// Whether a setting could be written, without writing it.
    ///
    /// # Errors
    ///
    /// When it could not.
    pub fn can_set(&self, setting: &Setting) -> Result<(), Error> {
        let Setting::Global(global) = setting else {
            return Ok(());
        };
        setting::can_write_global(*global).map_err(|source| Error::Sysctl {
            setting: setting.clone(),
            source,
        })
    }

    /// Forgets the connections with any of these bits in their mark that are translated, and not to
    /// or from one of the addresses that are kept: their next packets begin new ones.
    ///
    /// # Errors
    ///
    /// When connection tracking does not answer or refuses.
    pub fn forget_connections(
        &mut self,
        mark_bits: u32,
        kept: &BTreeSet<Ipv4Addr>,
    ) -> Result<(), Error> {
        let connections = self.netfilter.connections().map_err(Error::Netfilter)?;
        let astray = connections.iter().filter(|connection| {
            let status = connection.status;
            let by_source = status.source_nat() && !kept.contains(&connection.reply.destination);
            let by_destination =
                status.destination_nat() && !kept.contains(&connection.original.destination);
            connection.mark & mark_bits != 0 && (by_source || by_destination)
        });
        for connection in astray {
            self.netfilter
                .forget(connection)
                .map_err(Error::Netfilter)?;
        }
        Ok(())
    }

    async fn set(&mut self, setting: &Setting, value: u32) -> Result<(), Refusal> {
        match setting {
            Setting::Global(global) => {
                setting::write_global(*global, value).map_err(|error| Refusal::of_file(&error))
            }
            Setting::Device(interface, device) => {
                let message = devconf::set_message(self.known(interface)?, &[(*device, value)]);
                self.change(RouteNetlinkMessage::SetLink(message), 0).await
            }
            Setting::Neighbour(interface, neighbour) => {
                let message = neighbour_table::set_message(
                    self.known(interface)?,
                    &[(*neighbour, value.into())],
                );
                self.change(RouteNetlinkMessage::SetNeighbourTable(message), 0)
                    .await
            }
        }
    }

    fn firewall(&mut self, from: Option<&Table>, to: Option<&Table>) -> Result<(), nft::Error> {
        let changed = from.zip(to).and_then(|(from, to)| to.changed_chains(from));
        let change = match (from, to) {
            (None, Some(table)) => Transaction::new().create(table),
            (_, Some(table)) => match changed {
                // What was counted in the others is not lost.
                Some(chains) => Transaction::new().refill(table, chains),
                None => Transaction::new().replace(table),
            },
            (_, None) => Transaction::new().delete(Family::Ip, TABLE),
        };
        self.netfilter.commit(&change)
    }

    fn forget(&mut self, mark: Mark, address: Ipv4Addr) -> Result<(), nft::Error> {
        let has = |connection: &&Connection| {
            connection.mark & mark.mask() == mark.value()
                && [connection.original, connection.reply]
                    .iter()
                    .any(|tuple| tuple.destination == address)
        };
        let connections = self.netfilter.connections()?;
        for connection in connections.iter().filter(has) {
            self.netfilter.forget(connection)?;
        }
        Ok(())
    }

    async fn set_link(&mut self, interface: &str, up: bool) -> Result<(), Refusal> {
        let mut message = LinkMessage::default();
        message.header.index = self.known(interface)?;
        message.header.change_mask = LinkFlags::Up;
        if up {
            message.header.flags = LinkFlags::Up;
        }
        self.change(RouteNetlinkMessage::SetLink(message), 0).await
    }

    fn index(&self, interface: &str) -> Result<u32, Error> {
        self.indices
            .get(interface)
            .copied()
            .ok_or_else(|| Error::NoInterface(interface.to_owned()))
    }

    fn known(&self, interface: &str) -> Result<u32, Refusal> {
        self.index(interface).map_err(|_| Refusal {
            errno: Errno::ENODEV,
            words: None,
        })
    }
}

fn gone(done: Result<(), Refusal>) -> Result<(), Refusal> {
    match done {
        Err(Refusal {
            errno: Errno::ESRCH | Errno::ENOENT | Errno::EADDRNOTAVAIL,
            ..
        }) => Ok(()),
        done => done,
    }
}
