//! Routing policy rules.

use std::fmt;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::Mark;

/// Who put a rule there (`FRA_PROTOCOL`): multiwan.
///
/// The number is the how-to's 222, which `linux/rtnetlink.h` gives to nobody. `static` would not
/// do: systemd-networkd and others put rules of their own under it, and what a line that is no
/// longer described has left behind must be told from theirs. The kernel takes one beside an equal
/// rule of another's.
pub const PROTOCOL: u8 = 222;

/// A routing policy rule that looks up a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// When it is asked: the smaller, the earlier.
    pub priority: u32,
    /// Sources it is for; all if none.
    pub from: Option<Ipv4Net>,
    /// Destinations it is for; all if none.
    pub to: Option<Ipv4Net>,
    /// The interface that a socket is bound to; any or none if none.
    pub output: Option<String>,
    /// The packet mark it is for; any if none.
    pub mark: Option<Mark>,
    /// The transport protocol it is for; any if none.
    pub transport: Option<u8>,
    /// The destination port it is for; any if none.
    pub port: Option<u16>,
    /// The table it looks up.
    pub table: u32,
    /// Routes with a prefix of that length or less do not count.
    pub suppress_prefix_length: Option<u32>,
    /// Who put it there (`RTPROT_*`).
    pub protocol: u8,
}

impl Rule {
    /// A rule of multiwan's, for all packets.
    pub fn new(priority: u32, table: u32) -> Self {
        Self {
            priority,
            from: None,
            to: None,
            output: None,
            mark: None,
            transport: None,
            port: None,
            table,
            suppress_prefix_length: None,
            protocol: PROTOCOL,
        }
    }

    /// Whether multiwan put it there.
    pub fn is_ours(&self) -> bool {
        self.protocol == PROTOCOL
    }
}

/// `prio 201 from 198.51.100.0/24 table 201 protocol 222`: what follows `ip rule add` or `del`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prio {}", self.priority)?;
        if let Some(from) = self.from {
            write!(f, " from {from}")?;
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if let Some(output) = &self.output {
            write!(f, " oif {output}")?;
        }
        if let Some(mark) = self.mark {
            write!(f, " fwmark {:#x}/{:#x}", mark.value(), mark.mask())?;
        }
        if let Some(transport) = self.transport {
            write!(f, " ipproto {transport}")?;
        }
        if let Some(port) = self.port {
            write!(f, " dport {port}")?;
        }
        match self.table {
            super::TABLE_MAIN => f.write_str(" table main")?,
            table => write!(f, " table {table}")?,
        }
        if let Some(length) = self.suppress_prefix_length {
            write!(f, " suppress_prefixlength {length}")?;
        }
        write!(f, " protocol {}", self.protocol)
    }
}
