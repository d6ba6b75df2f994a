//! What a rule tests and does.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// One match or action of a rule.
///
/// The kernel evaluates exactly what is written: it does not add what `nft` would (in text, a
/// [`Reject::TcpReset`] without a preceding match of TCP gets one, and an IPv4 match in family `netdev` gets
/// `meta protocol ip`). Where both must agree, write the match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// `iifname "eth1"`: the device by which the packet came, by its exact name (15 bytes or less).
    InputInterface(Test, String),
    /// `oifname "eth1"`: the device by which it will leave.
    OutputInterface(Test, String),
    /// `meta protocol ip`: the frame's EtherType; for family `netdev`.
    EtherType(Test, u16),
    /// `ip saddr 192.0.2.0/24`; no bits beyond the prefix ([`Ipv4Net::trunc`]).
    Source(Test, Ipv4Net),
    /// `ip daddr 192.0.2.0/24`; no bits beyond the prefix ([`Ipv4Net::trunc`]).
    Destination(Test, Ipv4Net),
    /// `meta l4proto tcp`.
    Protocol(Test, Protocol),
    /// `th dport 53`: the port of the destination; put a [`Protocol`](Self::Protocol) that has ports before it.
    DestinationPort(Test, u16),
    /// `tcp flags syn / syn,rst`: one of the two segments that open a TCP connection; put a
    /// [`Protocol`](Self::Protocol) of TCP before it.
    OpensTcp,
    /// `ct mark & 0x3f00 == 0x100`.
    ConntrackMark(Test, Mark),
    /// `meta mark & 0x3f00 == 0x100`.
    PacketMark(Test, Mark),
    /// `ct state established,related`: one of them.
    ConntrackState(States),
    /// `ct direction reply`.
    ConntrackDirection(Direction),
    /// `ct reply ip daddr 192.0.2.1`: an address of the connection as it is expected in a direction, before or after
    /// translation; the reply's destination is the address that source NAT has put in.
    ConntrackAddress {
        /// Of which of the connection's two tuples.
        direction: Direction,
        /// Source or destination of that tuple.
        end: End,
        /// Whether it must be this address.
        test: Test,
        /// The address.
        address: Ipv4Addr,
    },
    /// `rt ip nexthop 192.0.2.1`: the gateway of the packet's route (the destination itself where there is none); no
    /// match before routing.
    Nexthop(Test, Ipv4Addr),
    /// `fib daddr type local`: whether the address is one of this host's.
    Local(End, Test),
    /// `ct mark set ct mark & 0xffffc0ff | 0x100`: the connection's mark, the bits of the mask only.
    SetConntrackMark(Mark),
    /// `meta mark set meta mark & 0xffffc0ff | 0x100`: the packet's mark, the bits of the mask only.
    SetPacketMark(Mark),
    /// `tcp option maxseg size set rt mtu`: lowers the segment size that a SYN offers.
    SetSegmentSize(SegmentSize),
    /// `counter`.
    Counter(Counter),
    /// `snat to 192.0.2.1`; in chains of type nat.
    SourceNat(Ipv4Addr),
    /// `dnat to 192.0.2.1`; in prerouting and output chains of type nat.
    DestinationNat(Ipv4Addr),
    /// `masquerade`: source NAT to the first address of the outgoing device; the connection is forgotten when the device
    /// goes down. In postrouting chains of type nat.
    Masquerade,
    /// `accept`, `drop`, `jump dispatch` and the like.
    Verdict(Verdict),
    /// `reject with tcp reset`, `reject with icmp admin-prohibited`: drops, and tells the sender.
    Reject(Reject),
    /// What somebody else put there and this module has no word for.
    Unknown(Unknown),
}

/// Whether a match asks for a value or against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// `==`
    Is,
    /// `!=`
    IsNot,
}

/// Bits of a mark under a mask, as `ip rule` writes them: `0x100/0x3f00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    value: u32,
    mask: u32,
}

/// A transport protocol by its IANA number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

/// What connection tracking says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Of no connection, and cannot begin one.
    Invalid,
    /// Of a connection that has seen both directions.
    Established,
    /// The first of a connection that another one announced, or an ICMP error about one.
    Related,
    /// The first packet of a connection, or one more before the first answer.
    New,
}

/// A set of [`State`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct States {
    bits: u32,
}

/// The two directions of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// As its first packet went.
    Original,
    /// Against it.
    Reply,
}

/// The two ends of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Who sent it.
    Source,
    /// Whom it is for.
    Destination,
}

/// The segment size to put into a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentSize {
    /// What the route's MTU leaves for it; not before routing.
    RouteMtu,
    /// Bytes.
    Bytes(u16),
}

/// What a rule has counted when it was read.
///
/// All counters are equal: two rules that differ only in what they have counted are the same rule.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes, network header included.
    pub bytes: u64,
}

/// Where the evaluation goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The packet goes on to the next hook or base chain.
    Accept,
    /// The packet is dropped at once, in silence.
    Drop,
    /// Back to the chain that jumped here; in a base chain, its policy.
    Return,
    /// To another chain, and back here at its end.
    Jump(String),
    /// To another chain, and not back here.
    Goto(String),
}

/// How the sender learns that its packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// A TCP reset; put a match of TCP before it.
    TcpReset,
    /// ICMP type 3, destination unreachable.
    Icmp(Unreachable),
}

/// The code of an ICMP destination unreachable (RFC 792, RFC 1122, RFC 1812).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// 0
    Net,
    /// 1
    Host,
    /// 2
    Protocol,
    /// 3
    Port,
    /// 9
    NetProhibited,
    /// 10
    HostProhibited,
    /// 13, what `ip route add prohibit` answers too.
    AdminProhibited,
}

/// An instruction of the kernel that has no [`Statement`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The kernel's name for it, for example `limit` or `lookup`.
    pub name: String,
    /// Its netlink attributes as the kernel gave them.
    pub attributes: Vec<u8>,
}

impl Mark {
    /// The bits of `value` that are in `mask`; the others belong to somebody else.
    pub const fn new(value: u32, mask: u32) -> Self {
        Self {
            value: value & mask,
            mask,
        }
    }

    /// The bits.
    pub const fn value(self) -> u32 {
        self.value
    }

    /// Which bits they are.
    pub const fn mask(self) -> u32 {
        self.mask
    }
}

impl Protocol {
    /// 1
    pub const ICMP: Self = Self(1);
    /// 6
    pub const TCP: Self = Self(6);
    /// 17
    pub const UDP: Self = Self(17);
}

impl States {
    /// As the kernel numbers them in a ct expression (`NF_CT_STATE_BIT`).
    const BITS: [(State, u32); 4] = [
        (State::Invalid, 1),
        (State::Established, 2),
        (State::Related, 4),
        (State::New, 8),
    ];

    /// Whether `state` is one of them.
    pub fn contains(self, state: State) -> bool {
        self.iter().any(|one| one == state)
    }

    /// The states, in the order of the kernel's numbers.
    pub fn iter(self) -> impl Iterator<Item = State> {
        Self::BITS
            .into_iter()
            .filter(move |(_, bit)| self.bits & bit != 0)
            .map(|(state, _)| state)
    }

    pub(super) fn bits(self) -> u32 {
        self.bits
    }

    /// None where a bit has no name here (`untracked`) or there is none.
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        let known = Self::BITS.iter().fold(0, |bits, (_, bit)| bits | bit);
        (bits != 0 && bits & !known == 0).then_some(Self { bits })
    }
}

impl FromIterator<State> for States {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        let bit = |state| {
            Self::BITS
                .iter()
                .find(|(one, _)| *one == state)
                .map_or(0, |(_, bit)| *bit)
        };
        Self {
            bits: states.into_iter().fold(0, |bits, state| bits | bit(state)),
        }
    }
}

impl<const N: usize> From<[State; N]> for States {
    fn from(states: [State; N]) -> Self {
        states.into_iter().collect()
    }
}

impl From<Verdict> for Statement {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}

impl PartialEq for Counter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Counter {}

impl Direction {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Original => 0,
            Self::Reply => 1,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        [Self::Original, Self::Reply]
            .into_iter()
            .find(|direction| direction.number() == number)
    }
}

impl Unreachable {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Net,
        Self::Host,
        Self::Protocol,
        Self::Port,
        Self::NetProhibited,
        Self::HostProhibited,
        Self::AdminProhibited,
    ];

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Net => 0,
            Self::Host => 1,
            Self::Protocol => 2,
            Self::Port => 3,
            Self::NetProhibited => 9,
            Self::HostProhibited => 10,
            Self::AdminProhibited => 13,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}
