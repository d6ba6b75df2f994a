//! What multiwan's own rules and table of nftables tell: all that the kernel was given.

use std::net::Ipv4Addr;
use std::time::Duration;

use multiwan_kernel::nft::{self, Mark, Statement, Test, Verdict};

use super::findings::{Findings, Found, Given, Keepalive, Lan, Line, Pin};
use super::line::broadcast;
use super::router::Router;
use super::way::table;
use crate::config::{Established, Kernel, Spread, default_timeout};
use crate::desired::{HASH_PAIRS, REFUSES, RESTORES, TELL_TCP};
use crate::resolve::default_route;
use crate::state::{
    Address, GlobalSetting, Hop, NeighbourSetting, Route, Rule, Setting, TABLE_MAIN, Target,
};

/// What its rules and this table tell; none where there are no such rules.
pub(super) fn findings(router: &Router, firewall: &nft::Table) -> Option<Findings> {
    let kernel = numbers(router)?;
    let own = Own {
        router,
        firewall,
        kernel,
    };
    let mut findings = Findings {
        spread: own.spread(),
        established: own.established(),
        lans: own.lans(),
        keepalive: own.keepalive(),
        pins: own.pins(),
        ..Findings::default()
    };
    let mut numbers = Vec::new();
    for number in own.lines() {
        match own.line(number) {
            Some(line) => {
                findings.lines.push(line);
                numbers.push(number);
            }
            None => findings.doubts.push(own.dead(number)),
        }
    }
    if !findings.doubts.is_empty() {
        let doubt = "while a line is dead, it cannot be told for sure what the others' weights are, nor \
                     whether they are backups";
        findings.doubts.push(doubt.to_owned());
    }
    // All of them or none: what is not written gets the lowest that is free.
    if !numbers.iter().copied().eq((1..).take(numbers.len())) {
        for (line, number) in findings.lines.iter_mut().zip(numbers) {
            line.number = Some(Found::new(number, own.place(number)));
        }
    }
    let names: Vec<&String> = findings.lines.iter().map(|line| &line.name).collect();
    let pins = findings.pins.len();
    findings.pins.retain(|pin| names.contains(&&pin.line.value));
    if findings.pins.len() < pins {
        let doubt = "what is pinned to a line that is left out is left out too";
        findings.doubts.push(doubt.to_owned());
    }
    findings.doubts.extend(own.untold());
    findings.kernel = Some(own.kernel);
    Some(findings)
}

/// The keepalive's defaults.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_FAILURES: u32 = 2;

/// multiwan's state.
struct Own<'a> {
    router: &'a Router,
    firewall: &'a nft::Table,
    kernel: Kernel,
}

/// By its rules: main's first, a mark of each line, and one for all that is left.
fn numbers(router: &Router) -> Option<Kernel> {
    let rules = || router.state.rules.iter().filter(|rule| rule.is_ours());
    let main = rules().find(|rule| rule.table == TABLE_MAIN)?;
    let (line, mark) = rules().find_map(|rule| Some((rule, rule.mark?)))?;
    let balance = rules().rfind(|rule| is_for_all(rule) && rule.table != TABLE_MAIN)?;
    let number = mark.value() >> mark.mask().trailing_zeros();
    Some(Kernel {
        main_priority: main.priority,
        first_table: line.table.checked_sub(number.checked_sub(1)?)?,
        balance_table: balance.table,
        mark_mask: mark.mask(),
    })
}

fn is_for_all(rule: &Rule) -> bool {
    super::way::is_general(rule)
}

impl Own<'_> {
    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.router.state.rules.iter().filter(|rule| rule.is_ours())
    }

    fn rules_in(&self, chain: &str) -> &[nft::Rule] {
        self.firewall
            .chain(chain)
            .map_or(&[], |chain| chain.rules.as_slice())
    }

    fn number(&self, mark: Mark) -> Option<u8> {
        let number = mark.value() >> mark.mask().trailing_zeros();
        u8::try_from(number).ok()
    }

    /// The lines' numbers in the order of the configuration, which their marks are restored in.
    fn lines(&self) -> Vec<u8> {
        let restored = self.rules_in(RESTORES).iter().filter_map(|rule| {
            let [Statement::ConntrackMark(Test::Is, mark), _] = rule.statements.as_slice() else {
                return None;
            };
            self.number(*mark)
        });
        let mut lines: Vec<u8> = restored.collect();
        let by_rules = self.rules().filter_map(|rule| self.number(rule.mark?));
        for number in by_rules {
            if !lines.contains(&number) {
                lines.push(number);
            }
        }
        lines
    }

    fn place(&self, number: u8) -> String {
        format!("mark and {}", table(self.kernel.table(number)))
    }

    fn name(&self, number: u8) -> String {
        let names = &self.router.remembered.names;
        names
            .get(&number)
            .cloned()
            .unwrap_or_else(|| format!("line{number}"))
    }

    /// None where the line has no route, since it is dead.
    fn line(&self, number: u8) -> Option<Line> {
        let of = self.kernel.table(number);
        let routes = self.router.routes(of);
        let route = routes.into_iter().find(|route| !route.hops().is_empty())?;
        let (hop, source) = way(route)?;
        let held = self.router.addresses(&hop.interface);
        let address = held
            .into_iter()
            .find(|address| Some(address.address.addr()) == source)?;
        let mut doubts = Vec::new();
        let given = self.given(of, address, &mut doubts);
        let gateway = hop
            .gateway
            .filter(|gateway| given.value != Given::Dynamic || !self.finds(hop, *gateway));
        let (weight, backup) = self.share(hop);
        if backup.is_some() {
            doubts.push(
                "among backups, weights are in the kernel only while they are in use: 1 is written"
                    .to_owned(),
            );
        }
        Some(Line {
            name: self.name(number),
            number: None,
            interface: Found::new(hop.interface.clone(), table(of)),
            broadcast: (given.value != Given::Dynamic)
                .then(|| broadcast(address))
                .flatten(),
            address: given,
            onlink: gateway.is_some() && hop.onlink,
            gateway: gateway.map(|gateway| Found::new(gateway, table(of))),
            weight,
            backup,
            remarks: Vec::new(),
            doubts,
        })
    }

    /// A described address is asked for with its network, a dynamic one by itself; so is a described
    /// one that shares its network with another line.
    fn given(&self, of: u32, address: &Address, doubts: &mut Vec<String>) -> Found<Given> {
        let net = address.address;
        let by_host = self
            .rules()
            .filter(|rule| rule.table == of && rule.priority == of)
            .filter_map(|rule| rule.from)
            .all(|from| from.prefix_len() == 32);
        let always = |place: &str| Found::new(Given::Always(net), place);
        let dynamic = |place: &str| Found::new(Given::Dynamic, format!("{place}; now {net}"));
        if self.router.remembered.addresses.contains(address) {
            return always("put there by multiwan");
        }
        if !by_host {
            return always("its rule is for its network");
        }
        if self.router.is_leased(address) {
            return dynamic("there for a while only, as by DHCP");
        }
        if self.router.ppp.contains(&address.interface) {
            return dynamic("PPP's");
        }
        if net.prefix_len() < 32 && !self.shares_network(address) {
            return dynamic("its rule is for it alone");
        }
        if self.keeps_others(&address.interface) {
            return dynamic("other addresses are left beside it");
        }
        doubts.push(
            "whether its address is described or dynamic cannot be told: it is written as it is now"
                .to_owned(),
        );
        always("not put there by multiwan")
    }

    /// The addresses of the lines that are alive.
    fn in_use(&self) -> impl Iterator<Item = &Address> {
        let tables = self.lines().into_iter().map(|line| self.kernel.table(line));
        tables.filter_map(|table| {
            let routes = self.router.routes(table);
            let (hop, source) = routes.into_iter().find_map(way)?;
            let mut held = self.router.addresses(&hop.interface).into_iter();
            held.find(|address| Some(address.address.addr()) == source)
        })
    }

    fn shares_network(&self, address: &Address) -> bool {
        let net = address.address;
        let mut others = self.in_use().filter(|other| *other != address);
        others.any(|other| {
            net.contains(&other.address.network()) || other.address.contains(&net.network())
        })
    }

    /// Whether the interface has an address that no line has: where lines are described, `apply`
    /// takes such away.
    fn keeps_others(&self, interface: &str) -> bool {
        let held = self.router.addresses(interface);
        held.into_iter()
            .any(|address| !self.in_use().any(|used| used == address))
    }

    /// Whether multiwan finds this gateway of a dynamic line by itself.
    fn finds(&self, hop: &Hop, gateway: Ipv4Addr) -> bool {
        let main = default_route(&hop.interface, TABLE_MAIN, &self.router.state);
        self.router.asks_by_arp(&hop.interface)
            && main.is_some_and(|(main, _)| main.gateway == Some(gateway))
    }

    fn share(&self, hop: &Hop) -> (Found<u16>, Option<String>) {
        let of = self.kernel.balance_table;
        let shared = self.router.routes(of);
        let hops = shared.iter().flat_map(|route| route.hops());
        let mut alike = hops.filter(|other| other.same_way(hop));
        match alike.next() {
            Some(hop) => {
                let place = format!("nexthop weight {} in {}", hop.weight, table(of));
                (Found::new(hop.weight, place), None)
            }
            None => (Found::new(1, ""), Some(format!("not in {}", table(of)))),
        }
    }

    fn dead(&self, number: u8) -> String {
        format!(
            "line {} ({}) is left out: it has no route or no address now, so that it cannot be told \
             where it leads; import again when it is up",
            self.name(number),
            table(self.kernel.table(number))
        )
    }

    /// The networks that nobody outside may claim, where they are no line's own address.
    fn lans(&self) -> Vec<Lan> {
        let mut lans: Vec<Lan> = Vec::new();
        for rule in self.rules_in(REFUSES) {
            let [
                Statement::InputInterface(Test::Is, _),
                Statement::Source(Test::Is, network),
                Statement::Counter(_),
                Statement::Verdict(Verdict::Drop),
            ] = rule.statements.as_slice()
            else {
                continue;
            };
            let put = |address: &&Address| !self.router.remembered.addresses.contains(*address);
            let mut there: Vec<&Address> = self
                .router
                .state
                .addresses
                .iter()
                .filter(|address| address.address.trunc() == *network)
                .filter(|address| !self.is_a_line_s(&address.interface))
                .collect();
            there.sort_by_key(|address| (put(address), address.rank));
            let known = lans.iter().any(|lan| lan.address.value.trunc() == *network);
            if let (Some(address), false) = (there.first(), known) {
                let place = format!("table ip {}", self.firewall.name);
                lans.push(Lan {
                    interface: address.interface.clone(),
                    address: Found::new(address.address, place),
                });
            }
        }
        lans
    }

    fn is_a_line_s(&self, interface: &str) -> bool {
        self.rules_in(REFUSES).iter().any(|rule| {
            matches!(rule.statements.first(),
                Some(Statement::InputInterface(Test::Is, card)) if card == interface)
        })
    }

    fn spread(&self) -> Option<Found<Spread>> {
        let policy = Setting::Global(GlobalSetting::HashPolicy);
        let value = *self.router.state.settings.get(&policy)?;
        let spread = if value == HASH_PAIRS {
            Spread::Pair
        } else {
            Spread::Connection
        };
        let place = format!("fib_multipath_hash_policy is {value}");
        Some(Found::new(spread, place))
    }

    fn established(&self) -> Option<Found<Established>> {
        self.firewall.chain(TELL_TCP).map(|chain| {
            let place = format!("chain {}; \"release\" has it too", chain.name);
            Found::new(Established::Reset, place)
        })
    }

    /// A line's neighbours are asked as often, and for as long, as its gateway.
    fn keepalive(&self) -> Keepalive {
        let setting = |wanted| {
            let mut lines = self.lines().into_iter();
            lines.find_map(|number| {
                let routes = self.router.routes(self.kernel.table(number));
                let (hop, _) = routes.into_iter().find_map(way)?;
                let key = Setting::Neighbour(hop.interface.clone(), wanted);
                let value = *self.router.state.settings.get(&key)?;
                Some(Found::new(value, format!("{key} is {value}")))
            })
        };
        let timeout = setting(NeighbourSetting::RetransTime).map(|timeout| {
            let span = Duration::from_millis(timeout.value.into());
            Found::new(span, timeout.place)
        });
        let failures = setting(NeighbourSetting::UcastSolicit);
        let tries = failures
            .as_ref()
            .map_or(DEFAULT_FAILURES, |failures| failures.value);
        let follows = |span: &Found<Duration>| default_timeout(span.value, tries) == span.value;
        Keepalive {
            interval: timeout
                .clone()
                .filter(|span| span.value != DEFAULT_INTERVAL),
            timeout: timeout.filter(|span| !follows(span)),
            failures: failures.filter(|failures| failures.value != DEFAULT_FAILURES),
        }
    }

    fn pins(&self) -> Vec<Pin> {
        let priority = self.kernel.balance_table - 1;
        let pins = self.rules().filter(|rule| {
            let own = rule.table == rule.priority && rule.transport.is_none() && rule.to.is_none();
            rule.priority == priority && rule.mark.is_none() && !own
        });
        let numbered = pins.filter_map(|rule| {
            let number = (rule.table + 1).checked_sub(self.kernel.first_table)?;
            Some((rule, u8::try_from(number).ok()?))
        });
        numbered
            .map(|(rule, number)| Pin {
                from: rule.from,
                to: rule.to,
                protocol: rule.transport,
                port: rule.port,
                line: Found::new(
                    self.name(number),
                    format!("rule {} to {}", rule.priority, table(rule.table)),
                ),
            })
            .collect()
    }

    /// What is described and leaves no trace in a kernel.
    fn untold(&self) -> Vec<String> {
        let mut untold = vec![
            "release_after, and the keepalive's interval, successes and targets, are not in the \
             kernel: the interval is taken to be the timeout"
                .to_owned(),
        ];
        if self.firewall.chain(TELL_TCP).is_some() {
            untold.push(
                "established may be \"release\" as well as \"reset\": the kernel holds the same for \
                 both"
                    .to_owned(),
            );
        }
        if self.router.remembered.names.is_empty() {
            untold.push("the lines' names are not in the kernel: they are numbered".to_owned());
        }
        untold
    }
}

/// Where a route leads, if it does, and the source that it suggests.
fn way(route: &Route) -> Option<(&Hop, Option<Ipv4Addr>)> {
    match &route.target {
        Target::Hops { hops, source } => Some((hops.first()?, *source)),
        _ => None,
    }
}
