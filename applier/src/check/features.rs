//! What is needed of nftables, each as a table that uses nothing but that: the kernel is asked to
//! take it, not hooked in, and to remove it, in one batch.

use std::net::Ipv4Addr;

use multiwan_kernel::nft::{
    Base, Chain, Counter, Direction, End, Family, Hook, Kind, Mark, Reject, SegmentSize, State,
    Statement, States, Table, Test, Unreachable,
};

/// The table's name while it is tried; it is never there for others to see.
const TRIAL: &str = "multiwan-trial";
const ANY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const LINE: Mark = Mark::new(0x100, 0x3f00);

/// A feature of nftables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Tables and chains.
    Tables,
    /// Connection tracking's state, addresses and mark.
    Conntrack,
    /// Chains in which a changed mark makes a packet be routed anew.
    Reroute,
    /// Source NAT.
    SourceNat,
    /// Source NAT to an address that is not known before.
    Masquerade,
    /// Counters.
    Counters,
    /// The gateway of a packet's route.
    Nexthop,
    /// Refusing with an answer.
    Reject,
    /// Lowering the segment size that a connection offers.
    SegmentSize,
}

impl Feature {
    /// All of them, what the others build on first.
    pub const ALL: [Self; 9] = [
        Self::Tables,
        Self::Conntrack,
        Self::Reroute,
        Self::SourceNat,
        Self::Masquerade,
        Self::Counters,
        Self::Nexthop,
        Self::Reject,
        Self::SegmentSize,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tables => "nftables",
            Self::Conntrack => "nftables: connection tracking",
            Self::Reroute => "nftables: chains of type route",
            Self::SourceNat => "nftables: source NAT",
            Self::Masquerade => "nftables: masquerade",
            Self::Counters => "nftables: counters",
            Self::Nexthop => "nftables: rt nexthop",
            Self::Reject => "nftables: reject",
            Self::SegmentSize => "nftables: tcp option maxseg",
        }
    }

    /// What it needs of the kernel's configuration.
    pub(super) fn config(self) -> &'static str {
        match self {
            Self::Tables | Self::Reroute | Self::Counters => {
                "CONFIG_NF_TABLES, CONFIG_NF_TABLES_IPV4"
            }
            Self::Conntrack => "CONFIG_NFT_CT, CONFIG_NF_CONNTRACK_MARK",
            Self::SourceNat => "CONFIG_NFT_NAT",
            Self::Masquerade => "CONFIG_NFT_MASQ",
            Self::Nexthop => "CONFIG_NF_TABLES_IPV4",
            Self::Reject => "CONFIG_NFT_REJECT, CONFIG_NF_REJECT_IPV4",
            Self::SegmentSize => "CONFIG_NF_TABLES (exthdr)",
        }
    }

    /// What is not there without it, where that is not everything.
    pub(super) fn only_for(self) -> Option<&'static str> {
        match self {
            Self::Masquerade => Some("lines whose address is not known"),
            Self::Nexthop => Some("several lines on one card"),
            Self::Reject => Some("established = \"reset\""),
            _ => None,
        }
    }

    /// A table that uses it.
    pub(crate) fn table(self) -> Table {
        let mut table = Table::new(Family::Ip, TRIAL);
        table.dormant = true;
        let (kind, hook) = match self {
            Self::Reroute => (Kind::Route, Hook::Output),
            Self::SourceNat | Self::Masquerade => (Kind::Nat, Hook::Postrouting),
            Self::Reject => (Kind::Filter, Hook::Forward),
            _ => (Kind::Filter, Hook::Postrouting),
        };
        let mut chain = Chain::base("trial", Base::new(kind, hook, 0));
        let statements = match self {
            Self::Tables => vec![Statement::OutputInterface(Test::Is, "lo".into())],
            Self::Conntrack => vec![
                Statement::ConntrackState(States::from([State::New])),
                Statement::ConntrackMark(Test::Is, Mark::new(0, LINE.mask())),
                Statement::ConntrackAddress {
                    direction: Direction::Reply,
                    end: End::Destination,
                    test: Test::Is,
                    address: ANY,
                },
                Statement::SetConntrackMark(LINE),
            ],
            Self::Reroute => vec![Statement::SetPacketMark(LINE)],
            Self::SourceNat => vec![Statement::SourceNat(ANY)],
            Self::Masquerade => vec![Statement::Masquerade],
            Self::Counters => vec![Statement::Counter(Counter::default())],
            Self::Nexthop => vec![Statement::Nexthop(Test::Is, ANY)],
            Self::Reject => vec![Statement::Reject(Reject::Icmp(
                Unreachable::AdminProhibited,
            ))],
            Self::SegmentSize => vec![
                Statement::Protocol(Test::Is, multiwan_kernel::nft::Protocol::TCP),
                Statement::SetSegmentSize(SegmentSize::RouteMtu),
            ],
        };
        chain.rule(statements);
        table.chains.push(chain);
        table
    }
}
