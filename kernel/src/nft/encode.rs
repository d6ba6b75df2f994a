//! From statements to the kernel's instructions.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{
    expression::{Expression, Load, Store},
    statement::{Direction, End, Mark, SegmentSize, Statement, Test},
};

/// `IFNAMSIZ`: names are compared with the zeroes after them, else they would be prefixes.
pub(super) const NAME_LENGTH: usize = 16;

pub(super) const IIFNAME: Load = Load::Meta(libc::NFT_META_IIFNAME as u32);
pub(super) const OIFNAME: Load = Load::Meta(libc::NFT_META_OIFNAME as u32);
pub(super) const ETHER_TYPE: Load = Load::Meta(libc::NFT_META_PROTOCOL as u32);
pub(super) const PROTOCOL: Load = Load::Meta(libc::NFT_META_L4PROTO as u32);
pub(super) const PACKET_MARK: Load = Load::Meta(libc::NFT_META_MARK as u32);
pub(super) const SET_PACKET_MARK: Store = Store::Meta(libc::NFT_META_MARK as u32);
pub(super) const CONNTRACK_MARK: Load = conntrack(libc::NFT_CT_MARK, None);
pub(super) const SET_CONNTRACK_MARK: Store = Store::Conntrack(libc::NFT_CT_MARK as u32);
pub(super) const CONNTRACK_STATE: Load = conntrack(libc::NFT_CT_STATE, None);
pub(super) const CONNTRACK_DIRECTION: Load = conntrack(libc::NFT_CT_DIRECTION, None);
/// `NFT_RT_NEXTHOP4`.
pub(super) const NEXTHOP: Load = Load::Route(1);
/// `NFT_RT_TCPMSS`, in the host's byte order.
pub(super) const ROUTE_SEGMENT_SIZE: Load = Load::Route(3);
/// The third and fourth byte of the transport header.
pub(super) const DESTINATION_PORT: Load = Load::Payload {
    base: libc::NFT_PAYLOAD_TRANSPORT_HEADER as u32,
    offset: 2,
    length: 2,
};
/// The flags of the TCP header.
pub(super) const TCP_FLAGS: Load = Load::Payload {
    base: libc::NFT_PAYLOAD_TRANSPORT_HEADER as u32,
    offset: 13,
    length: 1,
};
pub(super) const SYN: u8 = 0x02;
pub(super) const SYN_RST: u8 = 0x06;
/// `RTN_LOCAL`.
pub(super) const LOCAL: u32 = libc::RTN_LOCAL as u32;

const fn conntrack(key: i32, direction: Option<u8>) -> Load {
    Load::Conntrack {
        key: key as u32,
        direction,
    }
}

/// An address of the connection's tuple in one direction (kernel 4.17 and newer).
pub(super) fn conntrack_address(direction: Direction, end: End) -> Load {
    let key = match end {
        End::Source => libc::NFT_CT_SRC_IP,
        End::Destination => libc::NFT_CT_DST_IP,
    };
    conntrack(key, Some(direction.number()))
}

/// The first bytes of an address in the IPv4 header.
pub(super) fn address(end: End, length: u32) -> Load {
    let offset = match end {
        End::Source => 12,
        End::Destination => 16,
    };
    Load::Payload {
        base: libc::NFT_PAYLOAD_NETWORK_HEADER as u32,
        offset,
        length,
    }
}

/// `fib saddr type`, `fib daddr type`.
pub(super) fn address_type(end: End) -> Load {
    /// `NFT_FIB_RESULT_ADDRTYPE`, `NFTA_FIB_F_SADDR` and `NFTA_FIB_F_DADDR`.
    const ADDRTYPE: u32 = 3;
    let flags = match end {
        End::Source => 1,
        End::Destination => 2,
    };
    Load::Fib {
        result: ADDRTYPE,
        flags,
    }
}

impl Statement {
    /// Appends the kernel's instructions for it.
    pub(super) fn encode(&self, list: &mut Vec<Expression>) {
        match self {
            Self::InputInterface(test, name) => compare(list, IIFNAME, *test, &padded(name)),
            Self::OutputInterface(test, name) => compare(list, OIFNAME, *test, &padded(name)),
            Self::EtherType(test, number) => {
                compare(list, ETHER_TYPE, *test, &number.to_be_bytes())
            }
            Self::Source(test, net) => compare_prefix(list, End::Source, *test, *net),
            Self::Destination(test, net) => compare_prefix(list, End::Destination, *test, *net),
            Self::Protocol(test, protocol) => compare(list, PROTOCOL, *test, &[protocol.0]),
            Self::DestinationPort(test, port) => {
                compare(list, DESTINATION_PORT, *test, &port.to_be_bytes())
            }
            Self::OpensTcp => list.extend([
                Expression::Load(TCP_FLAGS),
                Expression::Bitwise {
                    mask: vec![SYN_RST],
                    xor: vec![0],
                },
                Expression::Compare(Test::Is, vec![SYN]),
            ]),
            Self::ConntrackMark(test, mark) => compare_mark(list, CONNTRACK_MARK, *test, *mark),
            Self::PacketMark(test, mark) => compare_mark(list, PACKET_MARK, *test, *mark),
            Self::ConntrackState(states) => {
                list.push(Expression::Load(CONNTRACK_STATE));
                list.push(masked(states.bits(), 0));
                list.push(Expression::Compare(Test::IsNot, vec![0; 4]));
            }
            Self::ConntrackDirection(direction) => {
                compare(list, CONNTRACK_DIRECTION, Test::Is, &[direction.number()])
            }
            Self::ConntrackAddress {
                direction,
                end,
                test,
                address,
            } => {
                compare(
                    list,
                    conntrack_address(*direction, *end),
                    *test,
                    &address.octets(),
                );
            }
            Self::Nexthop(test, address) => compare(list, NEXTHOP, *test, &address.octets()),
            Self::Local(end, test) => {
                compare(list, address_type(*end), *test, &LOCAL.to_ne_bytes())
            }
            Self::SetConntrackMark(mark) => {
                set_mark(list, CONNTRACK_MARK, SET_CONNTRACK_MARK, *mark)
            }
            Self::SetPacketMark(mark) => set_mark(list, PACKET_MARK, SET_PACKET_MARK, *mark),
            Self::SetSegmentSize(SegmentSize::RouteMtu) => list.extend([
                Expression::Load(ROUTE_SEGMENT_SIZE),
                Expression::Swap16,
                Expression::Store(Store::SegmentSize),
            ]),
            Self::SetSegmentSize(SegmentSize::Bytes(bytes)) => list.extend([
                Expression::Immediate(bytes.to_be_bytes().to_vec()),
                Expression::Store(Store::SegmentSize),
            ]),
            Self::Counter(counter) => list.push(Expression::Counter(*counter)),
            Self::SourceNat(address) => {
                list.extend([
                    Expression::Immediate(address.octets().to_vec()),
                    Expression::SourceNat,
                ]);
            }
            Self::DestinationNat(address) => {
                list.extend([
                    Expression::Immediate(address.octets().to_vec()),
                    Expression::DestinationNat,
                ]);
            }
            Self::Masquerade => list.push(Expression::Masquerade),
            Self::Verdict(verdict) => list.push(Expression::Verdict(verdict.clone())),
            Self::Reject(reject) => list.push(Expression::Reject(*reject)),
            Self::Unknown(unknown) => list.push(Expression::Other(unknown.clone())),
        }
    }
}

fn compare(list: &mut Vec<Expression>, load: Load, test: Test, value: &[u8]) {
    list.extend([
        Expression::Load(load),
        Expression::Compare(test, value.to_vec()),
    ]);
}

fn padded(name: &str) -> [u8; NAME_LENGTH] {
    let mut bytes = [0; NAME_LENGTH];
    let length = name.len().min(NAME_LENGTH);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
}

/// A prefix of whole bytes is loaded alone, as nft does; any other is masked.
fn compare_prefix(list: &mut Vec<Expression>, end: End, test: Test, net: Ipv4Net) {
    let network = net.network().octets();
    match net.prefix_len() {
        bits @ (8 | 16 | 24 | 32) => {
            let length = bits / 8;
            compare(
                list,
                address(end, length.into()),
                test,
                &network[..length.into()],
            );
        }
        _ => list.extend([
            Expression::Load(address(end, 4)),
            Expression::Bitwise {
                mask: net.netmask().octets().to_vec(),
                xor: Ipv4Addr::UNSPECIFIED.octets().to_vec(),
            },
            Expression::Compare(test, network.to_vec()),
        ]),
    }
}

fn compare_mark(list: &mut Vec<Expression>, load: Load, test: Test, mark: Mark) {
    list.push(Expression::Load(load));
    if mark.mask() != u32::MAX {
        list.push(masked(mark.mask(), 0));
    }
    list.push(Expression::Compare(
        test,
        mark.value().to_ne_bytes().to_vec(),
    ));
}

fn set_mark(list: &mut Vec<Expression>, load: Load, store: Store, mark: Mark) {
    match mark.mask() {
        u32::MAX => list.push(Expression::Immediate(mark.value().to_ne_bytes().to_vec())),
        mask => list.extend([Expression::Load(load), masked(!mask, mark.value())]),
    }
    list.push(Expression::Store(store));
}

/// `(register & mask) ^ xor`, in the host's byte order.
fn masked(mask: u32, xor: u32) -> Expression {
    Expression::Bitwise {
        mask: mask.to_ne_bytes().to_vec(),
        xor: xor.to_ne_bytes().to_vec(),
    }
}
