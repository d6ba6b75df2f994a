//! Routers as text, nearly as `ip` shows them: a line each for what is there.
//!
//! ```text
//! link eth1 | link ppp0 ppp | link wg0 tunnel
//! address eth1 198.51.100.2/24 [leased]
//! rule 201 from 198.51.100.0/24 [to NET] [fwmark 0x100/0x3f00] [ipproto N] [dport N] table 201
//! odd 1001 iif eth1 table 1 | odd 32765 not fwmark 0xca6c table 51820
//! route 201 [proto N] [metric N] [src A] via 198.51.100.1 dev eth1 [onlink] [weight N] [nexthop …]
//! snat eth1 [from NET] to 198.51.100.2 | masquerade [eth1] [from NET]
//! behind eth0 10.8.0.0/16
//! hash-policy 1 | by-object 222 | hidden
//! ```

use ipnet::Ipv4Net;
use multiwan_kernel::nft::{self, Base, Chain, Family, Hook, Kind, Mark, Statement, Test};

use super::Router;
use crate::clashes::{Action, ForeignRule};
use crate::state::{Address, Behind, GlobalSetting, Hop, Link, Route, Rule, Setting, Target};

/// `RTPROT_BOOT`, what `ip` gives where nothing is said.
const PROTOCOL_BOOT: u8 = 3;

/// The router that the text tells of.
pub(super) fn router(text: &str) -> Router {
    let mut router = Router::default();
    let mut nat = Chain::base("POSTROUTING", Base::new(Kind::Nat, Hook::Postrouting, 100));
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((kind, words)) = words.split_first() else {
            continue;
        };
        match *kind {
            "link" => link(&mut router, words),
            "address" => address(&mut router, words),
            "behind" => router.behind.push(Behind {
                network: words[1].parse().unwrap(),
                interface: words[0].to_owned(),
            }),
            "rule" => router.state.rules.push(rule(words)),
            "odd" => router.odd_rules.push(odd(words)),
            "route" => router.state.routes.push(route(words)),
            "snat" | "masquerade" => nat.rules.push(nft::Rule::new(translation(words))),
            "hash-policy" => {
                let policy = Setting::Global(GlobalSetting::HashPolicy);
                router.state.settings.insert(policy, number(words[0]));
            }
            "by-object" => {
                router.by_object.insert(number(words[0]));
            }
            "hidden" => router.hidden = Some("it takes CAP_NET_ADMIN".into()),
            other => panic!("{other}: {line}"),
        }
    }
    let mut table = nft::Table::new(Family::Ip, "nat");
    table.chains.push(nat);
    router.tables.push(table);
    router
}

fn link(router: &mut Router, words: &[&str]) {
    let kind = words.get(1).copied();
    let link = Link {
        up: true,
        cleared: false,
        arp: kind.is_none(),
        mtu: None,
    };
    router.state.links.insert(words[0].to_owned(), link);
    if kind == Some("ppp") {
        router.ppp.insert(words[0].to_owned());
    }
}

fn address(router: &mut Router, words: &[&str]) {
    let net: Ipv4Net = words[1].parse().unwrap();
    let rank = router.state.addresses.len();
    let address = Address {
        rank,
        ..Address::new(words[0], net)
    };
    router.state.addresses.insert(address);
    if words.get(2) == Some(&"leased") {
        router.leased.insert((words[0].to_owned(), net));
    }
}

fn rule(words: &[&str]) -> Rule {
    let mut rule = Rule {
        protocol: PROTOCOL_BOOT,
        ..Rule::new(number(words[0]), 0)
    };
    for pair in words[1..].chunks(2) {
        match pair[0] {
            "from" => rule.from = pair[1].parse().ok(),
            "to" => rule.to = pair[1].parse().ok(),
            "fwmark" => rule.mark = Some(mark(pair[1])),
            "ipproto" => rule.transport = pair[1].parse().ok(),
            "dport" => rule.port = pair[1].parse().ok(),
            "suppress" => rule.suppress_prefix_length = pair[1].parse().ok(),
            "table" => rule.table = number(pair[1]),
            other => panic!("{other}"),
        }
    }
    rule
}

fn odd(words: &[&str]) -> ForeignRule {
    let mut rule = ForeignRule {
        priority: number(words[0]),
        inverted: words[1] == "not",
        ..ForeignRule::default()
    };
    for pair in words[1 + usize::from(rule.inverted)..].chunks(2) {
        match pair[0] {
            "iif" => rule.input = Some(pair[1].to_owned()),
            "fwmark" => rule.mark = Some(mark(pair[1])),
            "table" => {
                rule.action = Action::Lookup {
                    table: number(pair[1]),
                    suppress_prefix_length: None,
                }
            }
            other => panic!("{other}"),
        }
    }
    rule
}

fn route(words: &[&str]) -> Route {
    let mut route = Route {
        protocol: PROTOCOL_BOOT,
        ..Route::new(number(words[0]), 0, Target::Prohibit)
    };
    let hop = || Hop {
        gateway: None,
        interface: String::new(),
        onlink: false,
        weight: 1,
    };
    let (mut hops, mut source) = (vec![hop()], None);
    let mut words = words[1..].iter().copied();
    while let Some(word) = words.next() {
        let mut next = || words.next().unwrap();
        let last = hops.last_mut().unwrap();
        match word {
            "prohibit" => return Route { metric: 1, ..route },
            "proto" => route.protocol = next().parse().unwrap(),
            "metric" => route.metric = next().parse().unwrap(),
            "src" => source = next().parse().ok(),
            "via" => last.gateway = next().parse().ok(),
            "dev" => last.interface = next().to_owned(),
            "weight" => last.weight = next().parse().unwrap(),
            "onlink" => last.onlink = true,
            "nexthop" if last.interface.is_empty() => {}
            "nexthop" => hops.push(hop()),
            other => panic!("{other}"),
        }
    }
    route.target = Target::Hops { hops, source };
    route
}

fn translation(words: &[&str]) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut words = words.iter().copied();
    let mut gives = Statement::Masquerade;
    while let Some(word) = words.next() {
        match word {
            "from" => {
                let net = words.next().unwrap().parse().unwrap();
                statements.push(Statement::Source(Test::Is, net));
            }
            "to" => gives = Statement::SourceNat(words.next().unwrap().parse().unwrap()),
            card => statements.push(Statement::OutputInterface(Test::Is, card.to_owned())),
        }
    }
    statements.push(gives);
    statements
}

fn mark(text: &str) -> Mark {
    let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
    Mark::new(number(value), number(mask))
}

fn number(text: &str) -> u32 {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).unwrap(),
        None if text == "main" => crate::state::TABLE_MAIN,
        None => text.parse().unwrap(),
    }
}
