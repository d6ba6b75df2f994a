//! The router as it is before anybody has set up several lines.

use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::{
    self, Base, Chain, Family, Hook, Kind, Mark, Netfilter, Statement, Table, Test,
};
use multiwan_kernel::rtnl::Change;
use netlink_packet_route::route::{RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::RouteMessageBuilder;

use crate::error::Error;
use crate::host;
use crate::lab::Lab;

/// The table that translates addresses.
const TABLE: &str = "plain";
const FOREIGN: &str = "foreign";
const MANGLE: i32 = -150;
const SOURCE_NAT: i32 = 100;

impl Lab {
    /// Makes the router a plain one with a single line, as people have it who then get a second: the
    /// LAN, the line, a default route in main, forwarding, and `snat` in a table `ip plain`. A line
    /// with a lease has its address and the route by it already.
    ///
    /// # Errors
    ///
    /// Says what the router's kernel refused.
    pub fn set_single_line(&mut self, line: usize) -> Result<(), Error> {
        let lan = self.topology.lan.router;
        let described = &self.topology.lines[line];
        let (lan_card, card) = (self.lan_card.index, self.modems[line].router_card.index);
        let mut changes = vec![
            host::up(lan_card),
            host::address(lan_card, lan),
            host::up(card),
        ];
        if described.point_to_point || !self.modems[line].leased {
            changes.push(host::address(card, described.router));
            changes.push(host::route(Ipv4Net::default(), described.gateway));
        }
        self.router.change(changes)?;
        let mut chain = Chain::base(
            "postrouting",
            Base::new(Kind::Nat, Hook::Postrouting, SOURCE_NAT),
        );
        chain.rule([
            Statement::OutputInterface(Test::Is, described.interface.clone()),
            Statement::Source(Test::Is, lan.trunc()),
            Statement::SourceNat(described.router.addr()),
        ]);
        let mut table = Table::new(Family::Ip, TABLE);
        table.chains.push(chain);
        let mut netfilter = Netfilter::open().map_err(refused)?;
        netfilter.replace(&table).map_err(refused)?;
        self.router.set("ipv4/ip_forward", "1")?;
        self.wait_router_links()
    }

    /// Puts one more address on the router's card of a line.
    ///
    /// # Errors
    ///
    /// Says what the router's kernel refused.
    pub fn add_router_address(&mut self, line: usize, address: Ipv4Net) -> Result<(), Error> {
        let card = self.modems[line].router_card.index;
        self.router.change([host::address(card, address)])
    }

    /// Makes the router's kernel refuse routes by a line's gateway, which no check of a file can
    /// foresee: its table `local` calls that the broadcast address of the line's card,
    /// which has an address of an earlier set-up.
    ///
    /// # Errors
    ///
    /// Says what the router's kernel refused.
    pub fn have_gateway_refused(&mut self, line: usize) -> Result<(), Error> {
        const LOCAL: u32 = 255;
        let card = self.modems[line].router_card.index;
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(self.topology.lines[line].gateway, 32)
            .output_interface(card)
            .table_id(LOCAL)
            .scope(RouteScope::Link)
            .kind(RouteType::Broadcast)
            .build();
        // Without an address the kernel would forget the card's routes, this one too.
        let old = Ipv4Net::new_assert([10, 96, 0, 2].into(), 24);
        self.router.change([
            host::up(card),
            host::address(card, old),
            Change::create("a broadcast route", RouteNetlinkMessage::NewRoute(route)),
        ])
    }

    /// Puts things of somebody else's on the router: a rule of priority 40 for what comes from
    /// 10.99.0.0/16 with a route in table 99, 10.98.0.1 on the loopback, and a table `ip foreign` that
    /// marks packets in the lowest bits.
    ///
    /// # Errors
    ///
    /// Says what the router's kernel refused.
    pub fn add_foreign_state(&mut self) -> Result<(), Error> {
        const FOREIGN_TABLE: u32 = 99;
        let net = Ipv4Net::new_assert([10, 99, 0, 0].into(), 16);
        let mut rule = RuleMessage::default();
        rule.header.family = AddressFamily::Inet;
        rule.header.action = RuleAction::ToTable;
        rule.header.src_len = net.prefix_len();
        rule.attributes = vec![
            RuleAttribute::Priority(40),
            RuleAttribute::Table(FOREIGN_TABLE),
            RuleAttribute::Source(net.addr().into()),
        ];
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(net.addr(), net.prefix_len())
            .table_id(FOREIGN_TABLE)
            .kind(RouteType::BlackHole)
            .build();
        self.router.change([
            Change::create("a foreign rule", RouteNetlinkMessage::NewRule(rule)),
            Change::create("a foreign route", RouteNetlinkMessage::NewRoute(route)),
            host::address(
                host::LOOPBACK,
                Ipv4Net::new_assert([10, 98, 0, 1].into(), 32),
            ),
        ])?;
        let mut chain = Chain::base("marks", Base::new(Kind::Filter, Hook::Prerouting, MANGLE));
        chain.rule([Statement::SetPacketMark(Mark::new(0x42, 0xff))]);
        let mut table = Table::new(Family::Ip, FOREIGN);
        table.chains.push(chain);
        let mut netfilter = Netfilter::open().map_err(refused)?;
        netfilter.replace(&table).map_err(refused)
    }
}

fn refused(error: nft::Error) -> Error {
    let errno = error.errno().map_or(0, |errno| errno as i32);
    let source = io::Error::from_raw_os_error(errno);
    Error::system("router", error.to_string(), source)
}
