//! The table `ip multiwan` of nftables: what keeps a connection on its line, and its source.
//!
//! A connection belongs to a line by its mark, set when its first packet leaves by the line or
//! comes in by it. Before each routing decision the packet is given its connection's mark, which
//! the line's rule asks for. In the patched kernel routing looked at the connection itself.
//!
//! Of a mark, only the bits of the mask are read or written.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::{
    Base, Chain, Counter, Direction, End, Family, Hook, Kind, Mark, Protocol, Reject, Rule,
    SegmentSize, State, Statement, States, Table, Test, Verdict,
};

use super::{Mtus, led_elsewhere, mark, near, own_sources, shares_card};
use crate::config::{Config, Established, Lan, Line};
use crate::verdicts::Verdicts;

/// The table's name in family `ip`.
pub(crate) const TABLE: &str = "multiwan";

const MANGLE: i32 = -150;
const SOURCE_NAT: i32 = 100;

const ADOPT: &str = "adopt";
/// The chain whose rules count a line's connections that come in.
pub(crate) const COUNTS_INCOMING: &str = ADOPT;
/// The chain whose rules count a line's connections that leave.
pub(crate) const COUNTS_NEW: &str = "postrouting";
/// The chain that refuses what claims from outside to be from inside.
pub(crate) const REFUSES: &str = "prerouting";
/// The chain that gives what leaves a line's address.
pub(crate) const TRANSLATES: &str = "source_nat";
/// A chain that gives packets their connections' marks, and does nothing else.
pub(crate) const RESTORES: &str = "output";
/// The chain that refuses what would leave with a source that is not its line's.
const OWN_SOURCE_ONLY: &str = "own_source_only";
/// The chain that resets TCP.
pub(crate) const TELL_TCP: &str = "tell_tcp";
/// The chain that an interface's MTU changes, and no other: what the others count goes on.
const SEGMENT_SIZES: &str = "segment_sizes";
/// Of IPv4 and TCP, in bytes.
const HEADERS: u16 = 20 + 20;
/// The chain that a line's death changes, and no other: what the others count goes on.
const DEAD_LINES: &str = "dead_lines";

pub(super) fn firewall(config: &Config, verdicts: &Verdicts, mtus: &Mtus) -> Table {
    let mut table = Table::new(Family::Ip, TABLE);
    table.chains = vec![adopt(config), segment_sizes(config, mtus)];
    if resets(config) {
        table
            .chains
            .extend([tell_tcp(), dead_lines(config, verdicts)]);
    }
    table.chains.extend([
        prerouting(config),
        output(config),
        postrouting(config),
        source_nat(config),
        own_source_only(config),
    ]);
    table
}

/// Before routing: packets from outside that claim an inside source are refused, and the others
/// are given their connection's mark. Dead lines' TCP goes no further where it is to be reset.
fn prerouting(config: &Config) -> Chain {
    let mut chain = base(REFUSES, Kind::Filter, Hook::Prerouting, MANGLE);
    for card in cards(config) {
        for source in inside_sources(config) {
            chain.rule([
                Statement::InputInterface(Test::Is, card.to_owned()),
                Statement::Source(Test::Is, source),
                counter(),
                Verdict::Drop.into(),
            ]);
        }
    }
    chain.rule([Verdict::Jump(SEGMENT_SIZES.into()).into()]);
    chain.rule([unmarked(config), Verdict::Jump(ADOPT.into()).into()]);
    // The mark would have strict `rp_filter` believe that they belong on this line.
    for line in &config.lines {
        for network in led_elsewhere(config, line) {
            chain.rule([
                Statement::InputInterface(Test::Is, line.interface.clone()),
                Statement::Source(Test::Is, network),
                Verdict::Return.into(),
            ]);
        }
    }
    restore(config, &mut chain);
    if resets(config) {
        chain.rule([Verdict::Jump(DEAD_LINES.into()).into()]);
    }
    chain
}

/// Whoever is inside is asked for no longer segments than the line takes that they will leave by: a SYN
/// comes in by it, or the answer to one. Not by the route, since here the packet has none yet, and its
/// way back would be looked up without its connection's mark.
fn segment_sizes(config: &Config, mtus: &Mtus) -> Chain {
    let mut chain = Chain::regular(SEGMENT_SIZES);
    for card in cards(config) {
        let Some(size) = mtus.get(card).and_then(|mtu| segment_size(*mtu)) else {
            continue;
        };
        chain.rule([
            Statement::InputInterface(Test::Is, card.to_owned()),
            Statement::Protocol(Test::Is, Protocol::TCP),
            Statement::OpensTcp,
            Statement::SetSegmentSize(SegmentSize::Bytes(size)),
        ]);
    }
    chain
}

/// What a packet has room for beside headers without options (RFC 6691).
fn segment_size(mtu: u32) -> Option<u16> {
    let packet = u16::try_from(mtu).unwrap_or(u16::MAX);
    packet.checked_sub(HEADERS).filter(|size| *size > 0)
}

/// What of the dead lines' connections is answered.
fn dead_lines(config: &Config, verdicts: &Verdicts) -> Chain {
    let mut chain = Chain::regular(DEAD_LINES);
    for line in to_be_told(config, verdicts) {
        chain.rule(
            [
                Statement::InputInterface(Test::IsNot, line.interface.clone()),
                Statement::ConntrackMark(Test::Is, mark(config, line)),
            ]
            .into_iter()
            // The modem itself may well be alive, and is reached by main.
            .chain(near(line).map(|net| Statement::Destination(Test::IsNot, net)))
            .chain([Verdict::Jump(TELL_TCP.into()).into()]),
        );
    }
    chain
}

/// The dead lines whose TCP is reset. While no other line is there to open it anew on, it is left
/// to `prohibit`, which it may outlive.
fn to_be_told<'a>(
    config: &'a Config,
    verdicts: &Verdicts,
) -> impl Iterator<Item = &'a Line> + use<'a> {
    let is_up = |line: &&Line| verdicts.is_up(&line.name);
    let told = config.lines.iter().any(|line| is_up(&line));
    let dead: Vec<&Line> = config.lines.iter().filter(|line| !is_up(line)).collect();
    dead.into_iter().filter(move |_| told)
}

/// With `"release"` too: a TCP connection cannot go on from another line's address, and not every
/// server tells that to a client whose segments suddenly come from there.
fn resets(config: &Config) -> bool {
    matches!(
        config.established,
        Established::Reset | Established::Release
    )
}

/// Answers a TCP segment with a reset. It is there before a line dies, so that a kernel which
/// cannot do that says so to `apply`.
///
/// Before routing, not in the forward chain as usual: `prohibit` in the dead line's table lets
/// nothing come as far as that.
fn tell_tcp() -> Chain {
    let mut chain = Chain::regular(TELL_TCP);
    chain.rule([
        Statement::Protocol(Test::Is, Protocol::TCP),
        Statement::Local(End::Destination, Test::IsNot),
        counter(),
        Statement::Reject(Reject::TcpReset),
    ]);
    chain
}

/// The lines' interfaces, each once.
fn cards(config: &Config) -> Vec<&str> {
    let mut cards: Vec<&str> = Vec::new();
    for line in &config.lines {
        if !cards.contains(&line.interface.as_str()) {
            cards.push(&line.interface);
        }
    }
    cards
}

/// The networks of the LANs, and those behind them.
fn inside(config: &Config) -> impl Iterator<Item = Ipv4Net> {
    config.lans.iter().flat_map(Lan::inside)
}

/// What is inside, and the lines' own addresses: nobody outside has them.
fn inside_sources(config: &Config) -> impl Iterator<Item = Ipv4Net> {
    let lans = inside(config);
    let own = config.lines.iter().filter_map(|line| line.address);
    lans.chain(own.map(|address| address.addr().into()))
}

/// Connections that have no line yet: those that come in by one, which are counted, and those that
/// ran before this table was there, which are known by the line's address in them: as what they come
/// back to, or as what they asked for, from outside.
fn adopt(config: &Config) -> Chain {
    let mut chain = Chain::regular(ADOPT);
    for line in &config.lines {
        let Some(address) = line.address else {
            continue;
        };
        // Who else is on the card is told from it by the addresses.
        let comes_to: Vec<Option<Statement>> = if shares_card(config, line) {
            let addresses = std::iter::once(address.addr().into()).chain(line.keep.iter().copied());
            let to = addresses.map(|net| Statement::Destination(Test::Is, net));
            to.map(Some).collect()
        } else {
            vec![None]
        };
        let comes = Statement::InputInterface(Test::Is, line.interface.clone());
        for to in comes_to {
            chain.rule(std::iter::once(comes.clone()).chain(to).chain([
                Statement::ConntrackState(States::from([State::New])),
                counter(),
                Statement::SetConntrackMark(mark(config, line)),
            ]));
        }
        let running = |direction| {
            [
                Statement::ConntrackState(States::from([State::Established, State::Related])),
                Statement::ConntrackAddress {
                    direction,
                    end: End::Destination,
                    test: Test::Is,
                    address: address.addr(),
                },
            ]
        };
        let set = Statement::SetConntrackMark(mark(config, line));
        chain.rule(running(Direction::Reply).into_iter().chain([set.clone()]));
        // Who asks for a line's address from inside is on no line.
        let asked = running(Direction::Original);
        chain.rule(
            [comes]
                .into_iter()
                .chain(asked.clone())
                .chain([set.clone()]),
        );
        let leaves = inside_sources(config).map(|net| Statement::Destination(Test::IsNot, net));
        chain.rule(asked.into_iter().chain(leaves).chain([set]));
    }
    chain
}

/// The lines' marks, each with the address that its connections are known by in this table.
pub(crate) fn known_by(table: &Table) -> Vec<(Mark, Ipv4Addr)> {
    let adopting = table.chains.iter().filter(|chain| chain.name == ADOPT);
    let known = |rule: &Rule| match rule.statements.as_slice() {
        [
            Statement::ConntrackState(_),
            Statement::ConntrackAddress {
                direction: Direction::Reply,
                address,
                ..
            },
            Statement::SetConntrackMark(mark),
        ] => Some((*mark, *address)),
        _ => None,
    };
    adopting
        .flat_map(|chain| chain.rules.iter().filter_map(known))
        .collect()
}

/// This router's own packets: those of a connection with a line are routed anew by its mark, and so are
/// those that begin one with a line's address in another line's network.
fn output(config: &Config) -> Chain {
    let mut chain = base(RESTORES, Kind::Route, Hook::Output, MANGLE);
    restore(config, &mut chain);
    for line in &config.lines {
        let Some(address) = line.address else {
            continue;
        };
        for network in led_elsewhere(config, line) {
            chain.rule([
                unmarked(config),
                Statement::Source(Test::Is, address.addr().into()),
                Statement::Destination(Test::Is, network),
                Statement::SetPacketMark(mark(config, line)),
            ]);
        }
    }
    chain
}

/// One rule per line with a constant: nftables before 1.1 and Linux before 6.13 cannot put a
/// connection's bits into a packet's mark beside those of others.
fn restore(config: &Config, chain: &mut Chain) {
    for line in &config.lines {
        let mark = mark(config, line);
        chain.rule([
            Statement::ConntrackMark(Test::Is, mark),
            Statement::SetPacketMark(mark),
        ]);
    }
}

/// After routing: a connection without a line gets the one that its packet leaves by, and is
/// counted. TCP asks for no longer segments than that has room for, in a SYN and in the answer to one: a
/// provider's own word about it gets lost in many a firewall (RFC 2923).
fn postrouting(config: &Config) -> Chain {
    let mut chain = base(COUNTS_NEW, Kind::Filter, Hook::Postrouting, MANGLE);
    for card in cards(config) {
        chain.rule([
            Statement::OutputInterface(Test::Is, card.to_owned()),
            Statement::Protocol(Test::Is, Protocol::TCP),
            Statement::OpensTcp,
            Statement::SetSegmentSize(SegmentSize::RouteMtu),
        ]);
    }
    for line in &config.lines {
        for leaving in leaving_by(config, line) {
            let set = Statement::SetConntrackMark(mark(config, line));
            chain.rule(
                std::iter::once(unmarked(config))
                    .chain(leaving)
                    .chain([counter(), set]),
            );
        }
    }
    chain
}

/// What tells that a packet leaves by the line: its card; where others are on that, the gateway
/// too, or a destination in the line's network.
fn leaving_by(config: &Config, line: &Line) -> Vec<Vec<Statement>> {
    let card = Statement::OutputInterface(Test::Is, line.interface.clone());
    if !shares_card(config, line) {
        return vec![vec![card]];
    }
    let gateway = line
        .gateway
        .map(|gateway| Statement::Nexthop(Test::Is, gateway));
    let network = line
        .address
        .map(|net| Statement::Destination(Test::Is, net.trunc()));
    gateway
        .into_iter()
        .chain(network)
        .map(|more| vec![card.clone(), more])
        .collect()
}

/// The how-to's `-o IFEi -s NWI/NMI -j SNAT --to IPEi` (2.2): sources of the LAN and behind it only.
fn source_nat(config: &Config) -> Chain {
    let mut chain = base(TRANSLATES, Kind::Nat, Hook::Postrouting, SOURCE_NAT);
    for line in &config.lines {
        let Some(address) = line.address else {
            continue;
        };
        for network in config.lans.iter().flat_map(Lan::inside) {
            let mut rule = vec![Statement::OutputInterface(Test::Is, line.interface.clone())];
            if shares_card(config, line) {
                rule.push(Statement::ConntrackMark(Test::Is, mark(config, line)));
            }
            rule.push(Statement::Source(Test::Is, network));
            rule.push(Statement::SourceNat(address.addr()));
            chain.rule(rule);
        }
    }
    chain
}

/// The last resort, after source NAT: what would leave by a line with another's source, with one
/// of a LAN or behind it (packets that connection tracking calls invalid are not translated), or on a
/// connection of another line, does not leave.
fn own_source_only(config: &Config) -> Chain {
    let mut chain = base(
        OWN_SOURCE_ONLY,
        Kind::Filter,
        Hook::Postrouting,
        SOURCE_NAT + 10,
    );
    for line in &config.lines {
        let lans = inside(config);
        let others = config.lines.iter().filter(|other| other.name != line.name);
        // Two modems may have given out the same address.
        let own = own_sources(config, line);
        let theirs = others.flat_map(|other| {
            let own = own_sources(config, other);
            own.into_iter().chain(other.keep.iter().copied())
        });
        let foreign: Vec<Ipv4Net> = lans
            .chain(theirs)
            .filter(|source| Some(*source) != own)
            .collect();
        for leaving in leaving_by(config, line) {
            let mut refuse = |tests: Vec<Statement>| {
                chain.rule(
                    leaving
                        .iter()
                        .cloned()
                        .chain(tests)
                        .chain([counter(), Verdict::Drop.into()]),
                );
            };
            refuse(vec![
                Statement::ConntrackMark(Test::IsNot, Mark::new(0, config.kernel.mark_mask)),
                Statement::ConntrackMark(Test::IsNot, mark(config, line)),
            ]);
            for source in &foreign {
                refuse(vec![Statement::Source(Test::Is, *source)]);
            }
        }
    }
    chain
}

/// The table that also refuses what would leave on these marks' connections from these addresses: a line
/// that is another now has the number that an earlier one had, and so its connections, until they
/// are forgotten.
pub(crate) fn refusing(table: &Table, lapsed: &[(Mark, Ipv4Addr)]) -> Table {
    let mut table = table.clone();
    let mut chains = table.chains.iter_mut();
    if let Some(chain) = chains.find(|chain| chain.name == OWN_SOURCE_ONLY) {
        for &(mark, address) in lapsed {
            chain.rule([
                Statement::ConntrackMark(Test::Is, mark),
                Statement::Source(Test::Is, address.into()),
                counter(),
                Verdict::Drop.into(),
            ]);
        }
    }
    table
}

/// What a table [refuses](refusing) beyond what is described.
pub(crate) fn refused_by(table: &Table) -> Vec<(Mark, Ipv4Addr)> {
    let mut chains = table.chains.iter();
    let chain = chains.find(|chain| chain.name == OWN_SOURCE_ONLY);
    let refused = |rule: &Rule| match rule.statements.as_slice() {
        [
            Statement::ConntrackMark(Test::Is, mark),
            Statement::Source(Test::Is, source),
            ..,
        ] => Some((*mark, source.addr())),
        _ => None,
    };
    let rules = chain.into_iter().flat_map(|chain| &chain.rules);
    rules.filter_map(refused).collect()
}

fn base(name: &str, kind: Kind, hook: Hook, priority: i32) -> Chain {
    Chain::base(name, Base::new(kind, hook, priority))
}

fn unmarked(config: &Config) -> Statement {
    Statement::ConntrackMark(Test::Is, Mark::new(0, config.kernel.mark_mask))
}

fn counter() -> Statement {
    Statement::Counter(Counter::default())
}
