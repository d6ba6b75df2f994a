//! Tables, chains and rules as values.

use super::statement::{Counter, Statement};

/// The family of a table: which packets it sees (`NFPROTO_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// ARP.
    Arp,
    /// All frames of one device.
    Netdev,
    /// Frames that cross a bridge.
    Bridge,
    /// IPv6.
    Ip6,
}

/// A table: a name space of chains, replaced and removed as one.
///
/// Named sets, flow tables and stateful objects, which another program may have put into it, are not part of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Which packets its chains see.
    pub family: Family,
    /// Its name, unique in the family and network namespace. A keyword of nft (`fwd`, `snat`) cannot be read back by it.
    pub name: String,
    /// `flags dormant`: there, but its chains are not hooked in.
    pub dormant: bool,
    /// In the order in which they were added.
    pub chains: Vec<Chain>,
}

/// A chain: rules, and for a base chain where the kernel comes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name, unique in the table. A keyword of nft (`fwd`, `snat`) cannot be read back by it.
    pub name: String,
    /// Where the kernel enters the chain; none for a chain that is only jumped to.
    pub base: Option<Base>,
    /// In the order in which they are evaluated.
    pub rules: Vec<Rule>,
}

/// Where the kernel enters a base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// What the chain may do.
    pub kind: Kind,
    /// At which point of a packet's way.
    pub hook: Hook,
    /// Order among chains of the same hook, lowest first: raw −300, mangle −150, dstnat −100, filter 0, srcnat 100.
    pub priority: i32,
    /// The device whose frames it sees; only in family `netdev`, where it must be named.
    pub device: Option<String>,
    /// What happens to a packet that reaches the chain's end.
    pub policy: Policy,
}

/// What a base chain may do (its `type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Accept, drop and mark.
    Filter,
    /// Translate addresses; sees only the first packet of a connection.
    Nat,
    /// As filter, in the output hook, and a changed mark makes the packet be routed anew.
    Route,
}

/// A point of a packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Received, before the routing decision.
    Prerouting,
    /// Received, for this host.
    Input,
    /// Received, for another host.
    Forward,
    /// Sent by this host, after its first routing decision.
    Output,
    /// About to leave.
    Postrouting,
    /// Received by a device, before anything else (netdev).
    Ingress,
    /// About to leave by a device, after everything else (netdev; kernel 5.16 and newer).
    Egress,
}

/// What happens to a packet that reaches a base chain's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It goes on.
    Accept,
    /// It is dropped.
    Drop,
}

/// A rule: statements that are evaluated from left to right until one does not match or decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Matches and actions.
    pub statements: Vec<Statement>,
}

impl Table {
    /// An empty table.
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self {
            family,
            name: name.into(),
            dormant: false,
            chains: Vec::new(),
        }
    }

    /// The chain of that name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }
}

impl Chain {
    /// A chain that is only jumped to.
    pub fn regular(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            base: None,
            rules: Vec::new(),
        }
    }

    /// A chain that the kernel enters at a hook.
    pub fn base(name: impl Into<String>, base: Base) -> Self {
        Self {
            name: name.into(),
            base: Some(base),
            rules: Vec::new(),
        }
    }

    /// Appends a rule.
    pub fn rule(&mut self, statements: impl IntoIterator<Item = Statement>) -> &mut Self {
        self.rules.push(Rule::new(statements));
        self
    }
}

impl Base {
    /// At `hook` with `priority` and policy accept.
    pub fn new(kind: Kind, hook: Hook, priority: i32) -> Self {
        Self {
            kind,
            hook,
            priority,
            device: None,
            policy: Policy::Accept,
        }
    }

    /// For the frames of one device (family `netdev`).
    pub fn device(mut self, name: impl Into<String>) -> Self {
        self.device = Some(name.into());
        self
    }

    /// What happens to a packet that reaches the chain's end.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }
}

impl Rule {
    /// A rule of these statements.
    pub fn new(statements: impl IntoIterator<Item = Statement>) -> Self {
        Self {
            statements: statements.into_iter().collect(),
        }
    }

    /// The counts of the rule's first counter, as they were when it was read.
    pub fn counter(&self) -> Option<Counter> {
        self.statements
            .iter()
            .find_map(|statement| match statement {
                Statement::Counter(counter) => Some(*counter),
                _ => None,
            })
    }
}

impl Family {
    const ALL: [Self; 6] = [
        Self::Inet,
        Self::Ip,
        Self::Arp,
        Self::Netdev,
        Self::Bridge,
        Self::Ip6,
    ];

    /// The kernel's number (`NFPROTO_*`).
    pub(super) fn number(self) -> u8 {
        let number = match self {
            Self::Inet => libc::NFPROTO_INET,
            Self::Ip => libc::NFPROTO_IPV4,
            Self::Arp => libc::NFPROTO_ARP,
            Self::Netdev => libc::NFPROTO_NETDEV,
            Self::Bridge => libc::NFPROTO_BRIDGE,
            Self::Ip6 => libc::NFPROTO_IPV6,
        };
        number as u8
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|family| family.number() == number)
    }
}

impl Kind {
    /// The word for it, the same on the wire and in text.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Filter, Self::Nat, Self::Route]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl Hook {
    const IP: [Self; 5] = [
        Self::Prerouting,
        Self::Input,
        Self::Forward,
        Self::Output,
        Self::Postrouting,
    ];

    /// The kernel's number (`NF_INET_*`, `NF_NETDEV_*`; the two ranges overlap).
    pub(super) fn number(self) -> u32 {
        let number = match self {
            Self::Prerouting => libc::NF_INET_PRE_ROUTING,
            Self::Input => libc::NF_INET_LOCAL_IN,
            Self::Forward => libc::NF_INET_FORWARD,
            Self::Output => libc::NF_INET_LOCAL_OUT,
            Self::Postrouting => libc::NF_INET_POST_ROUTING,
            Self::Ingress => libc::NF_NETDEV_INGRESS,
            Self::Egress => libc::NF_NETDEV_EGRESS,
        };
        number as u32
    }

    pub(super) fn from_number(family: Family, number: u32) -> Option<Self> {
        let hooks: &[Self] = match family {
            Family::Netdev => &[Self::Ingress, Self::Egress],
            _ => &Self::IP,
        };
        hooks.iter().copied().find(|hook| hook.number() == number)
    }
}

impl Policy {
    /// The verdict's number (`NF_ACCEPT`, `NF_DROP`).
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
        }
    }
}
