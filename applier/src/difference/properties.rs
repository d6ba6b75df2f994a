//! What holds for all pairs of states, on a model of a kernel that does as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::{self, Mark, Statement, Test};
use proptest::prelude::*;

use super::{Remembered, Step, difference, difference_within};
use crate::config::{Config, Established, Keepalive, Kernel, Lan, Line, Spread};
use crate::desired::{desired, known_by};
use crate::state::{
    DeviceSetting, GlobalSetting, Hop, Link, Route, Rule, Setting, State, TABLE_MAIN, Target,
};
use crate::verdicts::{Verdict, Verdicts};

/// Up to six lines on up to three cards, each up or dead, with or without a LAN.
fn situation() -> impl Strategy<Value = State> {
    // One of three places is the gateway's, another the router's.
    let line = (0..3_u8, 1..9_u16, any::<bool>(), any::<bool>(), 0..6_u8);
    (
        prop::collection::btree_map(1..8_u8, line, 1..6),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(lines, lan, spread)| {
            let verdicts = lines.iter().map(|(number, (.., dead, _))| {
                (
                    name(*number),
                    if *dead { Verdict::Dead } else { Verdict::Up },
                )
            });
            let verdicts: Verdicts = verdicts.collect();
            let lines = lines
                .iter()
                .map(|(number, (card, weight, backup, _, host))| Line {
                    name: name(*number),
                    number: *number,
                    interface: format!("eth{card}"),
                    dynamic: false,
                    address: Some(net(10, *number, 1 + host / 2)),
                    broadcast: None,
                    gateway: Some(Ipv4Addr::new(
                        10,
                        0,
                        *number,
                        1 + (1 + host % 2 + host / 2) % 3,
                    )),
                    onlink: false,
                    keep: Vec::new(),
                    weight: *weight,
                    backup: *backup,
                });
            let lans = lan.then(|| Lan {
                interface: "lan0".into(),
                address: net(172, 9, 1),
                networks: Vec::new(),
            });
            let config = Config {
                spread: if spread {
                    Spread::Connection
                } else {
                    Spread::Pair
                },
                established: Established::default(),
                release_after: Duration::ZERO,
                lans: lans.into_iter().collect(),
                lines: lines.collect(),
                keepalive: Keepalive {
                    interval: Duration::from_secs(1),
                    timeout: Duration::from_secs(1),
                    failures: 2,
                    successes: 1,
                    targets: Vec::new(),
                },
                pins: Vec::new(),
                kernel: Kernel::default(),
            };
            desired(&config, &verdicts)
        })
}

fn name(number: u8) -> String {
    format!("line{number}")
}

fn net(first: u8, third: u8, last: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(first, 0, third, last), 24)
}

/// A kernel with all interfaces, all of them down, and things of others.
fn fresh() -> State {
    let interfaces = ["lo", "lan0", "eth0", "eth1", "eth2"];
    let down = Link::default();
    let mut state = State {
        links: interfaces
            .into_iter()
            .map(|name| (name.to_owned(), down))
            .collect(),
        rules: vec![Rule {
            protocol: 2,
            ..Rule::new(32766, TABLE_MAIN)
        }],
        ..State::default()
    };
    for global in GlobalSetting::ALL {
        state.settings.insert(Setting::Global(global), 0);
    }
    for interface in interfaces {
        for setting in DeviceSetting::ALL {
            state
                .settings
                .insert(Setting::Device(interface.to_owned(), setting), 0);
        }
        // As somebody has it who forwards by one device only.
        let forwarding = Setting::Device("eth1".to_owned(), DeviceSetting::Forwarding);
        state.settings.insert(forwarding, 1);
        for setting in crate::state::NeighbourSetting::ALL {
            state
                .settings
                .insert(Setting::Neighbour(interface.to_owned(), setting), 100);
        }
    }
    state
}

/// What a kernel does with a step. It panics where a kernel would refuse.
fn execute(state: &mut State, step: &Step) {
    match step {
        Step::Set { setting, to, .. } => {
            if *setting == Setting::Global(GlobalSetting::Forwarding) {
                for (setting, value) in &mut state.settings {
                    *value = setting.set_by_forwarding(*to).unwrap_or(*value);
                }
            }
            *state.settings.get_mut(setting).expect("a known setting") = *to;
        }
        Step::Link { interface, up } => {
            state.links.get_mut(interface).expect("a known link").up = *up;
        }
        Step::AddAddress(address) => assert!(state.addresses.insert(address.clone()), "{step}"),
        Step::RemoveAddress(address) => {
            assert!(state.addresses.remove(address), "{step}");
            // The kernel would, without a word, and would not bring it back.
            let source = address.address.addr();
            let mut there = state.addresses.iter();
            let elsewhere = there.any(|other| other.address.addr() == source);
            let led_by = |route: &Route| match route.target {
                Target::Hops { source: its, .. } => its == Some(source),
                _ => false,
            };
            assert!(
                elsewhere || !state.routes.iter().any(led_by),
                "{step} takes a route along"
            );
        }
        Step::PutRoute { route, .. } => {
            for hop in route.hops() {
                let mut networks = state
                    .addresses
                    .iter()
                    .filter(|a| a.interface == hop.interface);
                let gateway = hop.gateway.expect("a gateway");
                assert!(
                    networks.clone().all(|a| a.address.addr() != gateway),
                    "{gateway} is local: {step}"
                );
                assert!(
                    networks.any(|a| a.address.contains(&gateway)),
                    "no way to {gateway}"
                );
            }
            if let Target::Hops {
                source: Some(source),
                ..
            } = route.target
            {
                let mut own = state.addresses.iter().map(|a| a.address.addr());
                assert!(
                    own.any(|address| address == source),
                    "{source} is not local: {step}"
                );
            }
            match state
                .routes
                .iter_mut()
                .find(|there| there.same_place(route))
            {
                Some(there) => *there = route.clone(),
                None => state.routes.push(route.clone()),
            }
        }
        Step::RemoveRoute(route) => {
            let at = state.routes.iter().position(|there| there == route);
            state.routes.remove(at.expect("a route to remove"));
        }
        Step::AddRule(rule) => {
            assert!(!state.rules.contains(rule), "{step}");
            state.rules.push(rule.clone());
        }
        Step::RemoveRule(rule) => {
            let at = state.rules.iter().position(|there| there == rule);
            state.rules.remove(at.expect("a rule to remove"));
        }
        Step::Firewall { from, to } => {
            assert_eq!(&state.firewall, from);
            state.firewall.clone_from(to);
        }
        Step::Forget { .. } => {}
    }
}

fn run<'a>(state: &State, steps: impl IntoIterator<Item = &'a Step>) -> State {
    let mut state = state.clone();
    steps.into_iter().for_each(|step| execute(&mut state, step));
    state
}

/// What is remembered of a change between these.
fn remembered(first: &State, second: &State) -> Remembered {
    let routes = first.routes.iter().chain(&second.routes);
    Remembered {
        tables: routes.map(|route| route.table).collect(),
        ..Remembered::default()
    }
}

/// The same whatever the order in which things were put.
fn sorted(mut state: State) -> State {
    state
        .routes
        .sort_by_key(|route| (route.table, route.metric));
    state.rules.sort_by_key(ToString::to_string);
    state
}

/// What decides where packets go.
fn routing(state: State) -> State {
    State {
        addresses: BTreeSet::new(),
        settings: BTreeMap::new(),
        ..sorted(state)
    }
}

/// A line's connection as it runs: its mark, and the address that it leaves with.
type Connection = (Mark, Ipv4Addr);

/// The cards that lines have, with their addresses.
fn sources(state: &State) -> BTreeSet<(String, Ipv4Addr)> {
    let lines = state.routes.iter().filter(|route| route.table != 222);
    let source = |route: &Route| match &route.target {
        Target::Hops {
            hops,
            source: Some(source),
        } => Some((hops[0].interface.clone(), *source)),
        _ => None,
    };
    lines.filter_map(source).collect()
}

/// The way that the connection's packets go, where the firewall lets them out there.
fn leaves(state: &State, (mark, source): Connection) -> Option<&Hop> {
    let firewall = state.firewall.as_ref()?;
    known_by(firewall).iter().find(|known| known.0 == mark)?;
    let marked = |rule: &&Rule| rule.mark == Some(mark) && rule.to.is_none();
    let table = state.rules.iter().find(marked)?.table;
    let mut routes: Vec<&Route> = state.routes.iter().filter(|r| r.table == table).collect();
    routes.sort_by_key(|route| route.metric);
    let [hop] = routes.first()?.hops() else {
        return None;
    };
    let matches = |statement: &Statement| match statement {
        Statement::OutputInterface(test, card) => (*test == Test::Is) == (*card == hop.interface),
        Statement::Nexthop(test, gateway) => (*test == Test::Is) == (Some(*gateway) == hop.gateway),
        Statement::ConntrackMark(test, its) => {
            (*test == Test::Is) == (mark.value() & its.mask() == its.value())
        }
        Statement::Source(test, net) => (*test == Test::Is) == net.contains(&source),
        // It goes to the Internet.
        Statement::Destination(test, _) => *test == Test::IsNot,
        _ => true,
    };
    let last = firewall.chains.last().expect("a chain");
    let drops = |rule: &nft::Rule| rule.statements.iter().all(matches);
    (!last.rules.iter().any(drops)).then_some(hop)
}

proptest! {
    #[test]
    fn a_connection_leaves_by_its_own_address_s_card_or_not_at_all(
        first in situation(),
        second in situation(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut state = run(&fresh(), difference(&fresh(), &first).steps());
        let mut running: BTreeSet<_> = known_by(first.firewall.as_ref().unwrap())
            .into_iter()
            .map(|(mark, source)| (mark.value(), mark.mask(), source))
            .collect();
        let lines: BTreeSet<_> = [&first, &second].into_iter().flat_map(sources).collect();
        let remembered = remembered(&first, &second);
        let steps = |state: &State| difference_within(&remembered, state, &second);
        let killed = at.index(steps(&state).steps().len() + 1);
        // And done again.
        for count in [killed, usize::MAX] {
            for step in steps(&state).steps().iter().take(count) {
                execute(&mut state, step);
                if let Step::Forget { mark, address } = step {
                    running.remove(&(mark.value(), mark.mask(), *address));
                }
                for &(value, mask, source) in &running {
                    if let Some(hop) = leaves(&state, (Mark::new(value, mask), source)) {
                        prop_assert!(
                            lines.contains(&(hop.interface.clone(), source)),
                            "{source} leaves by {} after {step}", hop.interface,
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn from_anything_to_anything_in_one_go(first in situation(), second in situation()) {
        let applied = run(&fresh(), difference(&fresh(), &first).steps());
        let changes = difference(&applied, &second);
        let after = run(&applied, changes.steps());
        prop_assert_eq!(difference(&after, &second).to_string(), "");
        prop_assert_eq!(sorted(run(&after, changes.inverse().steps())), sorted(applied));
    }

    #[test]
    fn an_interrupted_change_is_finished_by_the_next(
        first in situation(),
        second in situation(),
        at in any::<prop::sample::Index>(),
    ) {
        let applied = run(&fresh(), difference(&fresh(), &first).steps());
        let changes = difference(&applied, &second);
        let done = at.index(changes.steps().len() + 1);
        let killed = run(&applied, &changes.steps()[..done]);
        let undisturbed = run(&applied, changes.steps());
        let remembered = remembered(&first, &second);
        let then = |wanted: &State| {
            run(&killed, difference_within(&remembered, &killed, wanted).steps())
        };
        prop_assert_eq!(routing(then(&second)), routing(undisturbed));
        prop_assert_eq!(difference(&then(&second), &second).to_string(), "");
        prop_assert_eq!(difference(&then(&first), &first).to_string(), "");
    }

    #[test]
    fn nothing_is_sent_to_a_line_that_the_firewall_does_not_know(
        first in situation(),
        second in situation(),
    ) {
        let mut state = run(&fresh(), difference(&fresh(), &first).steps());
        for step in difference(&state, &second).steps() {
            execute(&mut state, step);
            let firewall = state.firewall.as_ref().map(ToString::to_string).unwrap_or_default();
            let balance = state.routes.iter().filter(|route| route.table == 222);
            for hop in balance.flat_map(|route| route.hops()) {
                let marked = format!("oifname \"{}\"", hop.interface);
                prop_assert!(firewall.contains(&marked), "{marked} after {step}");
            }
        }
    }
}
