//! One change of the kernel, and how to take it back.

use std::fmt;

use std::net::Ipv4Addr;

use multiwan_kernel::nft::{self, Mark};

use crate::state::{Address, Route, Rule, Setting, word};

/// One change of the kernel: one netlink message, one batch of nftables or one sysctl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sets a sysctl.
    Set {
        /// Which.
        setting: Setting,
        /// What it says before.
        from: u32,
        /// What it says after.
        to: u32,
    },
    /// Takes an interface up or down.
    Link {
        /// Its name.
        interface: String,
        /// Whether it is up after.
        up: bool,
    },
    /// Puts an address on an interface.
    AddAddress(Address),
    /// Takes an address from an interface.
    RemoveAddress(Address),
    /// Puts a route, in the place of the one that is there, if one is.
    PutRoute {
        /// The route.
        route: Route,
        /// What it replaces.
        instead_of: Option<Route>,
    },
    /// Takes a route away.
    RemoveRoute(Route),
    /// Puts a rule.
    AddRule(Rule),
    /// Takes a rule away.
    RemoveRule(Rule),
    /// Puts, replaces or removes the table of nftables, in one batch; where only rules differ, those
    /// of their chains, so that the counters of the others go on.
    Firewall {
        /// The table before.
        from: Option<nft::Table>,
        /// The table after.
        to: Option<nft::Table>,
    },
    /// Makes connection tracking forget a line's connections with an address that the line has no
    /// more: their packets would go on leaving with it. Cannot be taken back; it comes last, to lose
    /// nothing by a change that is refused.
    Forget {
        /// The line's mark.
        mark: Mark,
        /// The address.
        address: Ipv4Addr,
    },
}

impl Step {
    /// Whether both come to the same, whatever was there before.
    pub(super) fn same_goal(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Set { setting, to, .. },
                Self::Set {
                    setting: its_setting,
                    to: its_to,
                    ..
                },
            ) => setting == its_setting && to == its_to,
            (Self::PutRoute { route, .. }, Self::PutRoute { route: its, .. }) => route == its,
            (Self::Firewall { to, .. }, Self::Firewall { to: its, .. }) => to == its,
            _ => self == other,
        }
    }

    /// The step that takes this one back.
    pub fn inverse(&self) -> Self {
        match self.clone() {
            Self::Set { setting, from, to } => Self::Set {
                setting,
                from: to,
                to: from,
            },
            Self::Link { interface, up } => Self::Link { interface, up: !up },
            Self::AddAddress(address) => Self::RemoveAddress(address),
            Self::RemoveAddress(address) => Self::AddAddress(address),
            Self::PutRoute {
                route,
                instead_of: Some(old),
            } => Self::PutRoute {
                route: old,
                instead_of: Some(route),
            },
            Self::PutRoute {
                route,
                instead_of: None,
            } => Self::RemoveRoute(route),
            Self::RemoveRoute(route) => Self::PutRoute {
                route,
                instead_of: None,
            },
            Self::AddRule(rule) => Self::RemoveRule(rule),
            Self::RemoveRule(rule) => Self::AddRule(rule),
            Self::Firewall { from, to } => Self::Firewall { from: to, to: from },
            forget @ Self::Forget { .. } => forget,
        }
    }
}

/// The line for `sh` that does the same.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { setting, to, .. } => write!(f, "sysctl -w {setting}={to}"),
            Self::Link { interface, up } => {
                let way = if *up { "up" } else { "down" };
                write!(f, "ip link set dev {} {way}", word(interface))
            }
            Self::AddAddress(address) => write!(f, "{address}"),
            Self::RemoveAddress(address) => {
                let interface = word(&address.interface);
                write!(f, "ip address del {} dev {interface}", address.shown())
            }
            Self::PutRoute {
                route,
                instead_of: None,
            } => write!(f, "ip route add {route}"),
            Self::PutRoute { route, .. } => write!(f, "ip route replace {route}"),
            Self::RemoveRoute(route) => write!(f, "ip route del {route}"),
            Self::AddRule(rule) => write!(f, "ip rule add {rule}"),
            Self::RemoveRule(rule) => write!(f, "ip rule del {rule}"),
            Self::Firewall { from, to } => firewall(f, from.as_ref(), to.as_ref()),
            // Ends with 1 where there is none.
            Self::Forget { mark, address } => {
                let (value, mask) = (mark.value(), mark.mask());
                let delete = format!("conntrack -D -f ipv4 -m {value:#x}/{mask:#x}");
                write!(
                    f,
                    "{delete} -q {address} || true\n{delete} -d {address} || true"
                )
            }
        }
    }
}

fn firewall(
    f: &mut fmt::Formatter<'_>,
    from: Option<&nft::Table>,
    to: Option<&nft::Table>,
) -> fmt::Result {
    writeln!(f, "nft -f - <<'EOF'")?;
    let changed = from.zip(to).and_then(|(from, to)| to.changed_chains(from));
    if let (Some(chains), Some(table)) = (changed, to) {
        let mut filled = nft::Table::new(table.family, table.name.as_str());
        for chain in chains {
            writeln!(
                f,
                "flush chain {} {} {}",
                table.family, table.name, chain.name
            )?;
            filled.chains.push(chain.clone());
        }
        writeln!(f, "{}", filled.to_string().trim_end())?;
        return f.write_str("EOF");
    }
    if from.is_some() {
        writeln!(f, "delete table ip {}", crate::desired::TABLE)?;
    }
    if let Some(table) = to {
        writeln!(f, "{}", table.to_string().trim_end())?;
    }
    f.write_str("EOF")
}
