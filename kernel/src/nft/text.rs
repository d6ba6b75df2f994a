//! The text that `nft -f` reads (nft 1.0.6 and newer) and `nft list` would print.

use std::fmt::{self, Display, Formatter, Write};

use ipnet::Ipv4Net;

use super::{
    foreign::Foreign,
    statement::{
        Direction, End, Mark, Protocol, Reject, SegmentSize, State, Statement, States, Test,
        Unknown, Unreachable, Verdict,
    },
    table::{Base, Chain, Family, Hook, Kind, Policy, Rule, Table},
};

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {} {} {{", self.family, self.name)?;
        if self.dormant {
            writeln!(f, "\tflags dormant")?;
        }
        for (index, chain) in self.chains.iter().enumerate() {
            if index > 0 || self.dormant {
                writeln!(f)?;
            }
            chain.write(f, "\t")?;
        }
        writeln!(f, "}}")
    }
}

impl Display for Chain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(f, "")
    }
}

impl Chain {
    fn write(&self, f: &mut Formatter<'_>, indent: &str) -> fmt::Result {
        writeln!(f, "{indent}chain {} {{", self.name)?;
        if let Some(base) = &self.base {
            writeln!(f, "{indent}\t{base}")?;
        }
        for rule in &self.rules {
            writeln!(f, "{indent}\t{rule}")?;
        }
        writeln!(f, "{indent}}}")
    }
}

impl Display for Base {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "type {} hook {}", self.kind, self.hook)?;
        if let Some(device) = &self.device {
            write!(f, " device \"{device}\"")?;
        }
        match priority_name(self.hook, self.priority) {
            Some(name) => write!(f, " priority {name}")?,
            None => write!(f, " priority {}", self.priority)?,
        }
        write!(f, "; policy {};", self.policy)
    }
}

/// The names that nft takes in that hook of families ip and netdev.
fn priority_name(hook: Hook, priority: i32) -> Option<&'static str> {
    match (hook, priority) {
        (_, 0) => Some("filter"),
        (Hook::Ingress | Hook::Egress, _) => None,
        (_, -300) => Some("raw"),
        (_, -150) => Some("mangle"),
        (Hook::Prerouting, -100) => Some("dstnat"),
        (_, 50) => Some("security"),
        (Hook::Postrouting, 100) => Some("srcnat"),
        _ => None,
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.statements.as_slice();
        while let Some((first, tail)) = rest.split_first() {
            // What others wrote makes sense together only.
            let run: Vec<&Unknown> = rest.iter().map_while(unknown).collect();
            if run.is_empty() {
                first.fmt(f)?;
                rest = tail;
            } else {
                Foreign(&run).fmt(f)?;
                rest = &rest[run.len()..];
            }
            if !rest.is_empty() {
                f.write_char(' ')?;
            }
        }
        Ok(())
    }
}

fn unknown(statement: &Statement) -> Option<&Unknown> {
    match statement {
        Statement::Unknown(unknown) => Some(unknown),
        _ => None,
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputInterface(test, name) => write!(f, "iifname {test}{}", Quoted(name)),
            Self::OutputInterface(test, name) => write!(f, "oifname {test}{}", Quoted(name)),
            Self::EtherType(test, 0x0800) => write!(f, "meta protocol {test}ip"),
            Self::EtherType(test, 0x0806) => write!(f, "meta protocol {test}arp"),
            Self::EtherType(test, 0x86dd) => write!(f, "meta protocol {test}ip6"),
            Self::EtherType(test, number) => write!(f, "meta protocol {test}{number:#06x}"),
            Self::Source(test, net) => write!(f, "ip saddr {test}{}", Prefix(*net)),
            Self::Destination(test, net) => write!(f, "ip daddr {test}{}", Prefix(*net)),
            Self::Protocol(test, protocol) => write!(f, "meta l4proto {test}{protocol}"),
            Self::DestinationPort(test, port) => write!(f, "th dport {test}{port}"),
            Self::OpensTcp => f.write_str("tcp flags syn / syn,rst"),
            Self::ConntrackMark(test, mark) => match_mark(f, "ct mark", *test, *mark),
            Self::PacketMark(test, mark) => match_mark(f, "meta mark", *test, *mark),
            Self::ConntrackState(states) => write!(f, "ct state {states}"),
            Self::ConntrackDirection(direction) => write!(f, "ct direction {direction}"),
            Self::ConntrackAddress {
                direction,
                end,
                test,
                address,
            } => {
                write!(f, "ct {direction} ip {end} {test}{address}")
            }
            Self::Nexthop(test, address) => write!(f, "rt ip nexthop {test}{address}"),
            Self::Local(end, test) => write!(f, "fib {end} type {test}local"),
            Self::SetConntrackMark(mark) => set_mark(f, "ct mark", *mark),
            Self::SetPacketMark(mark) => set_mark(f, "meta mark", *mark),
            Self::SetSegmentSize(size) => write!(f, "tcp option maxseg size set {size}"),
            Self::Counter(_) => f.write_str("counter"),
            Self::SourceNat(address) => write!(f, "snat to {address}"),
            Self::DestinationNat(address) => write!(f, "dnat to {address}"),
            Self::Masquerade => f.write_str("masquerade"),
            Self::Verdict(verdict) => verdict.fmt(f),
            Self::Reject(reject) => reject.fmt(f),
            Self::Unknown(unknown) => unknown.fmt(f),
        }
    }
}

fn match_mark(f: &mut Formatter<'_>, key: &str, test: Test, mark: Mark) -> fmt::Result {
    let (value, mask) = (mark.value(), mark.mask());
    let operator = match test {
        Test::Is => "==",
        Test::IsNot => "!=",
    };
    match mask {
        u32::MAX => write!(f, "{key} {test}{value:#x}"),
        _ => write!(f, "{key} & {mask:#x} {operator} {value:#x}"),
    }
}

fn set_mark(f: &mut Formatter<'_>, key: &str, mark: Mark) -> fmt::Result {
    let (value, keep) = (mark.value(), !mark.mask());
    match (keep, value) {
        (0, _) => write!(f, "{key} set {value:#x}"),
        (_, 0) => write!(f, "{key} set {key} & {keep:#x}"),
        _ => write!(f, "{key} set {key} & {keep:#x} | {value:#x}"),
    }
}

/// As it stands before a value: nothing, or `!= `.
impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Is => "",
            Self::IsNot => "!= ",
        })
    }
}

/// A device's name; a `*` at its end would be a wildcard.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.strip_suffix('*') {
            Some(stem) => write!(f, "\"{stem}\\*\""),
            None => write!(f, "\"{}\"", self.0),
        }
    }
}

struct Prefix(Ipv4Net);

impl Display for Prefix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.prefix_len() {
            32 => self.0.addr().fmt(f),
            _ => self.0.trunc().fmt(f),
        }
    }
}

/// `0x100/0x3f00`, as `ip rule` writes it.
impl Display for Mark {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}/{:#x}", self.value(), self.mask())
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.write_str("icmp"),
            Self::TCP => f.write_str("tcp"),
            Self::UDP => f.write_str("udp"),
            Self(number) => number.fmt(f),
        }
    }
}

impl Display for States {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, state) in self.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            state.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid",
            Self::Established => "established",
            Self::Related => "related",
            Self::New => "new",
        })
    }
}

impl Display for Direction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Original => "original",
            Self::Reply => "reply",
        })
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "saddr",
            Self::Destination => "daddr",
        })
    }
}

impl Display for SegmentSize {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::RouteMtu => f.write_str("rt mtu"),
            Self::Bytes(bytes) => bytes.fmt(f),
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

impl Display for Reject {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::TcpReset => f.write_str("reject with tcp reset"),
            Self::Icmp(reason) => write!(f, "reject with icmp {reason}"),
        }
    }
}

impl Display for Unreachable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Net => "net-unreachable",
            Self::Host => "host-unreachable",
            Self::Protocol => "prot-unreachable",
            Self::Port => "port-unreachable",
            Self::NetProhibited => "net-prohibited",
            Self::HostProhibited => "host-prohibited",
            Self::AdminProhibited => "admin-prohibited",
        })
    }
}

impl Display for Unknown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Foreign(&[self]).fmt(f)
    }
}

impl Display for Family {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Arp => "arp",
            Self::Netdev => "netdev",
            Self::Bridge => "bridge",
            Self::Ip6 => "ip6",
        })
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for Hook {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

impl Display for Policy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
        })
    }
}
