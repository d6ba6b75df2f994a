//! From the kernel's instructions back to statements.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{
    encode::{
        CONNTRACK_DIRECTION, CONNTRACK_MARK, CONNTRACK_STATE, DESTINATION_PORT, ETHER_TYPE,
        IIFNAME, LOCAL, NEXTHOP, OIFNAME, PACKET_MARK, PROTOCOL, ROUTE_SEGMENT_SIZE,
        SET_CONNTRACK_MARK, SET_PACKET_MARK, SYN, SYN_RST, TCP_FLAGS, address, address_type,
        conntrack_address,
    },
    expression::{Expression, Load, Store},
    statement::{Direction, End, Mark, Protocol, SegmentSize, Statement, States, Test},
    table::Rule,
    wire,
};

const ENDS: [End; 2] = [End::Source, End::Destination];

impl Rule {
    /// Recognises statements; what is left over becomes [`Statement::Unknown`], one for each instruction.
    pub(super) fn decode(expressions: &[Expression]) -> Self {
        let mut statements = Vec::new();
        let mut rest = expressions;
        while let Some((first, tail)) = rest.split_first() {
            let taken = three(rest)
                .map(|one| (one, 3))
                .or_else(|| two(rest).map(|one| (one, 2)));
            if let Some((statement, count)) = taken {
                statements.push(statement);
                rest = &rest[count..];
            } else if let Some((pair, count)) = both_addresses(rest) {
                statements.extend(pair);
                rest = &rest[count..];
            } else {
                statements.push(one(first));
                rest = tail;
            }
        }
        Self { statements }
    }
}

fn three(list: &[Expression]) -> Option<Statement> {
    match list.first_chunk()? {
        [
            Expression::Load(load),
            Expression::Bitwise { mask, xor },
            Expression::Compare(test, value),
        ] => {
            zero(xor).then_some(())?;
            match *load {
                CONNTRACK_MARK => {
                    Some(Statement::ConntrackMark(*test, compared_mark(mask, value)?))
                }
                PACKET_MARK => Some(Statement::PacketMark(*test, compared_mark(mask, value)?)),
                CONNTRACK_STATE if *test == Test::IsNot && zero(value) => {
                    States::from_bits(number(mask)?).map(Statement::ConntrackState)
                }
                TCP_FLAGS if *test == Test::Is => {
                    (mask[..] == [SYN_RST] && value[..] == [SYN]).then_some(Statement::OpensTcp)
                }
                _ => masked_prefix(*load, *test, mask, value),
            }
        }
        [
            Expression::Load(load),
            Expression::Bitwise { mask, xor },
            Expression::Store(store),
        ] => {
            let (keep, value) = (number(mask)?, number(xor)?);
            // A bit that is kept and then turned over is no setting to a constant.
            (keep & value == 0).then_some(())?;
            set_mark(*load, *store, Mark::new(value, !keep))
        }
        [
            Expression::Load(ROUTE_SEGMENT_SIZE),
            Expression::Swap16,
            Expression::Store(Store::SegmentSize),
        ] => Some(Statement::SetSegmentSize(SegmentSize::RouteMtu)),
        _ => None,
    }
}

fn two(list: &[Expression]) -> Option<Statement> {
    match list.first_chunk()? {
        [Expression::Load(load), Expression::Compare(test, value)] => compared(*load, *test, value),
        [
            Expression::Immediate(value),
            Expression::Store(Store::SegmentSize),
        ] => Some(Statement::SetSegmentSize(SegmentSize::Bytes(
            u16::from_be_bytes(array(value)?),
        ))),
        [Expression::Immediate(value), Expression::Store(store)] => {
            let mark = Mark::new(number(value)?, u32::MAX);
            match *store {
                SET_CONNTRACK_MARK => Some(Statement::SetConntrackMark(mark)),
                SET_PACKET_MARK => Some(Statement::SetPacketMark(mark)),
                _ => None,
            }
        }
        [Expression::Immediate(value), Expression::SourceNat] => {
            Some(Statement::SourceNat(ipv4(value)?))
        }
        [Expression::Immediate(value), Expression::DestinationNat] => {
            Some(Statement::DestinationNat(ipv4(value)?))
        }
        _ => None,
    }
}

fn one(expression: &Expression) -> Statement {
    match expression {
        Expression::Counter(counter) => Statement::Counter(*counter),
        Expression::Masquerade => Statement::Masquerade,
        Expression::Verdict(verdict) => Statement::Verdict(verdict.clone()),
        Expression::Reject(reject) => Statement::Reject(*reject),
        Expression::Other(unknown) => Statement::Unknown(unknown.clone()),
        other => Statement::Unknown(other.clone().into_unknown()),
    }
}

fn compared(load: Load, test: Test, value: &[u8]) -> Option<Statement> {
    Some(match load {
        IIFNAME => Statement::InputInterface(test, interface(value)?),
        OIFNAME => Statement::OutputInterface(test, interface(value)?),
        ETHER_TYPE => Statement::EtherType(test, u16::from_be_bytes(array(value)?)),
        PROTOCOL => Statement::Protocol(test, Protocol(u8::from_be_bytes(array(value)?))),
        DESTINATION_PORT => Statement::DestinationPort(test, u16::from_be_bytes(array(value)?)),
        CONNTRACK_MARK => Statement::ConntrackMark(test, Mark::new(number(value)?, u32::MAX)),
        PACKET_MARK => Statement::PacketMark(test, Mark::new(number(value)?, u32::MAX)),
        CONNTRACK_DIRECTION if test == Test::Is => {
            Statement::ConntrackDirection(Direction::from_number(u8::from_be_bytes(array(value)?))?)
        }
        NEXTHOP => Statement::Nexthop(test, ipv4(value)?),
        Load::Conntrack { .. } => {
            let pairs = [Direction::Original, Direction::Reply]
                .into_iter()
                .flat_map(|one| ENDS.map(|end| (one, end)));
            let (direction, end) = pairs
                .into_iter()
                .find(|(one, end)| conntrack_address(*one, *end) == load)?;
            Statement::ConntrackAddress {
                direction,
                end,
                test,
                address: ipv4(value)?,
            }
        }
        Load::Fib { .. } if number(value)? == LOCAL => {
            let end = ENDS.into_iter().find(|end| address_type(*end) == load)?;
            Statement::Local(end, test)
        }
        Load::Payload { length, .. } => {
            let end = ENDS.into_iter().find(|end| address(*end, length) == load)?;
            (value.len() == length as usize && value.len() <= 4).then_some(())?;
            let mut octets = [0; 4];
            octets[..value.len()].copy_from_slice(value);
            prefix(
                end,
                test,
                Ipv4Net::new(octets.into(), 8 * length as u8).ok()?,
            )
        }
        _ => return None,
    })
}

/// nft makes one comparison of two neighbouring addresses.
fn both_addresses(list: &[Expression]) -> Option<([Statement; 2], usize)> {
    let [Expression::Load(load), Expression::Compare(Test::Is, value)] = list.first_chunk()? else {
        return None;
    };
    (*load == address(End::Source, 8)).then_some(())?;
    let (source, destination) = value.split_at_checked(4)?;
    let statement = |end, octets| Some(prefix(end, Test::Is, ipv4(octets)?.into()));
    Some((
        [
            statement(End::Source, source)?,
            statement(End::Destination, destination)?,
        ],
        2,
    ))
}

fn masked_prefix(load: Load, test: Test, mask: &[u8], value: &[u8]) -> Option<Statement> {
    let end = ENDS.into_iter().find(|end| address(*end, 4) == load)?;
    let net = Ipv4Net::with_netmask(ipv4(value)?, ipv4(mask)?).ok()?;
    Some(prefix(end, test, net))
}

fn prefix(end: End, test: Test, net: Ipv4Net) -> Statement {
    match end {
        End::Source => Statement::Source(test, net),
        End::Destination => Statement::Destination(test, net),
    }
}

/// None where the value has a bit outside of the mask: such a comparison never holds, and is not what we write.
fn compared_mark(mask: &[u8], value: &[u8]) -> Option<Mark> {
    let (mask, value) = (number(mask)?, number(value)?);
    (value & !mask == 0).then_some(Mark::new(value, mask))
}

fn set_mark(load: Load, store: Store, mark: Mark) -> Option<Statement> {
    match (load, store) {
        (CONNTRACK_MARK, SET_CONNTRACK_MARK) => Some(Statement::SetConntrackMark(mark)),
        (PACKET_MARK, SET_PACKET_MARK) => Some(Statement::SetPacketMark(mark)),
        _ => None,
    }
}

/// A whole name, which a zero ends (`iptables-nft` compares no further); a comparison without one is
/// of the names' beginnings.
fn interface(value: &[u8]) -> Option<String> {
    (value.last() == Some(&0)).then(|| wire::text(value).map(str::to_owned))?
}

fn array<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    value.try_into().ok()
}

/// In the host's byte order.
fn number(value: &[u8]) -> Option<u32> {
    array(value).map(u32::from_ne_bytes)
}

fn ipv4(value: &[u8]) -> Option<Ipv4Addr> {
    array::<4>(value).map(Ipv4Addr::from)
}

fn zero(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == 0)
}
