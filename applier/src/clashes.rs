//! What others have in the kernel that gets in the way of what multiwan puts there, or never comes
//! to its turn beside it. Nothing of it is touched: it is named.

mod main_table;
mod text;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::Mark;

use crate::config::{Config, Kernel};

pub(crate) use main_table::is_wide;

/// What others have in the kernel, as far as several lines could meet it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// Routing policy rules of others, without the kernel's own three.
    pub rules: Vec<ForeignRule>,
    /// Routes: those in main that take everything or a large part of it, and all that are in other
    /// tables.
    pub routes: Vec<ForeignRoute>,
    /// Whether rules of multiwan's are there: the default routes in its tables are its own then.
    pub applied: bool,
    /// Chains of nftables that change marks.
    pub mark_writers: Vec<MarkWriter>,
    /// Tables of nftables whose rules are not understood, such as those of xtables' matches.
    pub unread: Vec<String>,
}

/// A rule of somebody else's; prints as `ip rule` shows it, as far as it is understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignRule {
    /// When it is asked.
    pub priority: u32,
    /// Whether it is for all packets but those it tells (`not`).
    pub inverted: bool,
    /// Sources it is for.
    pub from: Option<Ipv4Net>,
    /// Destinations it is for.
    pub to: Option<Ipv4Net>,
    /// The interface that packets come in by.
    pub input: Option<String>,
    /// The packet mark it is for.
    pub mark: Option<Mark>,
    /// What it does with them.
    pub action: Action,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// Looks up a table, but for routes with prefixes of that length or less.
    Lookup {
        /// The table.
        table: u32,
        /// The length.
        suppress_prefix_length: Option<u32>,
    },
    /// Something else: it refuses, or jumps.
    #[default]
    Other,
}

/// A route of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRoute {
    /// The table it is in.
    pub table: u32,
    /// What it is for.
    pub to: Ipv4Net,
    /// Of those to the same the one with the smallest is used.
    pub metric: u32,
    /// What becomes of what it is for.
    pub answer: Answer,
}

impl ForeignRoute {
    /// One that leads there, of metric 0.
    pub fn new(table: u32, to: Ipv4Net) -> Self {
        Self {
            table,
            to,
            metric: 0,
            answer: Answer::Leads,
        }
    }
}

/// What a route does with a packet, by its type (`RTN_UNICAST` and so on, `linux/rtnetlink.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It leads somewhere.
    Leads,
    /// It is refused, and that is said by ICMP.
    Unreachable,
    /// It is dropped.
    Blackhole,
    /// It is refused as forbidden.
    Prohibit,
    /// The table is left, and the next rule asked.
    Throw,
}

impl Answer {
    /// Whether a lookup ends with an error: that no rule suppresses, however short the prefix
    /// (`fib_rules_lookup` in `net/core/fib_rules.c`).
    pub fn refuses(self) -> bool {
        matches!(self, Self::Unreachable | Self::Blackhole | Self::Prohibit)
    }
}

/// A chain of nftables, of a table that is not multiwan's, that changes marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkWriter {
    /// The table's family and name.
    pub table: String,
    /// The chain's name.
    pub chain: String,
    /// The bits that it may change.
    pub bits: u32,
}

/// Something that does not go well together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clash {
    /// A rule at a priority that multiwan uses, or between two of those.
    RuleInBetween(ForeignRule),
    /// A rule behind the balance table's, which answers for everything.
    RuleNeverReached(ForeignRule, u32),
    /// A rule, wherever it is, that tests bits of multiwan's marks.
    RuleOnOurMarks(ForeignRule, u32),
    /// A chain that changes bits of multiwan's marks.
    MarksChanged(MarkWriter, u32),
    /// A route in a table of multiwan's, before or beside its own.
    RouteInOurTable(ForeignRoute),
    /// A default route in a table that will be multiwan's.
    DefaultInOurTable(u32),
    /// A default route in main that refuses; whether another one there comes before it.
    MainRefuses {
        /// How.
        answer: Answer,
        /// Whether it is what is left when the others are gone.
        last: bool,
    },
    /// Routes in main that are no defaults and take a large part of the Internet.
    MainTakes(Vec<Ipv4Net>),
    /// A rule before multiwan's that looks up main with its default routes.
    MainAskedBefore(ForeignRule),
    /// A default route in main, which does nothing.
    DefaultInMain,
    /// A table of nftables of which is not known whether it changes marks.
    NotUnderstood(String, u32),
}

impl Clash {
    /// Whether it does no harm and is named only because people ask.
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::DefaultInMain | Self::NotUnderstood(..))
    }
}

/// What of `around` does not go well with `config`, the most important first.
pub fn clashes(config: &Config, around: &Surroundings) -> Vec<Clash> {
    let kernel = &config.kernel;
    let ours: Vec<u32> = config.tables().collect();
    let rules = around
        .rules
        .iter()
        .flat_map(|rule| rule_clashes(kernel, rule));
    let marks = around
        .mark_writers
        .iter()
        .filter(|writer| writer.bits & kernel.mark_mask != 0)
        .map(|writer| Clash::MarksChanged(writer.clone(), kernel.mark_mask));
    let routes = around
        .routes
        .iter()
        .filter(|route| ours.contains(&route.table) && route.to.prefix_len() > 0)
        .map(|route| Clash::RouteInOurTable(route.clone()));
    let mut taken: Vec<u32> = around
        .routes
        .iter()
        .filter(|route| !around.applied && route.to.prefix_len() == 0)
        .map(|route| route.table)
        .filter(|table| ours.contains(table))
        .collect();
    taken.sort_unstable();
    taken.dedup();
    let unread = around
        .unread
        .iter()
        .map(|table| Clash::NotUnderstood(table.clone(), kernel.mark_mask));
    let main = main_table::clashes(kernel, around).into_iter();
    let (harmless, main): (Vec<_>, Vec<_>) = main.partition(Clash::is_harmless);
    main.into_iter()
        .chain(rules)
        .chain(marks)
        .chain(routes)
        .chain(taken.into_iter().map(Clash::DefaultInOurTable))
        .chain(harmless)
        .chain(unread)
        .collect()
}

fn rule_clashes(kernel: &Kernel, rule: &ForeignRule) -> impl Iterator<Item = Clash> + use<> {
    let between = (kernel.within_priority()..=kernel.balance_table).contains(&rule.priority);
    let behind = rule.priority > kernel.balance_table;
    let tested = rule.mark.is_some_and(|m| m.mask() & kernel.mark_mask != 0);
    let place = if between {
        Some(Clash::RuleInBetween(rule.clone()))
    } else if behind {
        Some(Clash::RuleNeverReached(rule.clone(), kernel.balance_table))
    } else {
        None
    };
    place
        .into_iter()
        .chain(tested.then(|| Clash::RuleOnOurMarks(rule.clone(), kernel.mark_mask)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::TABLE_MAIN;

    const TWO_LINES: &str = include_str!("../../fixtures/configs/two-lines.toml");

    fn found(around: &Surroundings) -> Vec<String> {
        let config = Config::parse(TWO_LINES, "test.toml").unwrap();
        let clashes = clashes(&config, around);
        clashes.iter().map(ToString::to_string).collect()
    }

    pub(super) fn rule(priority: u32, table: u32) -> ForeignRule {
        ForeignRule {
            priority,
            action: Action::Lookup {
                table,
                suppress_prefix_length: None,
            },
            ..ForeignRule::default()
        }
    }

    #[track_caller]
    pub(super) fn says(around: &Surroundings, expected: &[&str]) {
        let found = found(around);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found} should say {expected}");
        }
    }

    #[test]
    fn rules_before_multiwan_s_are_where_they_belong() {
        let around = Surroundings {
            rules: vec![rule(47, 52)],
            ..Surroundings::default()
        };
        says(&around, &[]);
    }

    #[test]
    fn a_default_route_where_multiwan_will_have_its_own_is_named_until_it_has() {
        let route = |table| ForeignRoute::new(table, Ipv4Net::default());
        let mut around = Surroundings {
            routes: vec![route(100), route(201), route(222)],
            ..Surroundings::default()
        };
        says(
            &around,
            &["table 201 has a default", "table 222 has a default"],
        );
        around.applied = true;
        says(&around, &[]);
    }

    #[test]
    fn a_table_that_is_not_understood_is_said_to_be_so() {
        let around = Surroundings {
            unread: vec!["ip mangle".into()],
            ..Surroundings::default()
        };
        says(&around, &["table ip mangle has rules that are not"]);
    }

    #[test]
    fn a_rule_among_multiwan_s_takes_its_packets() {
        let around = Surroundings {
            rules: vec![
                rule(49, TABLE_MAIN),
                rule(50, TABLE_MAIN),
                rule(100, 77),
                rule(222, 7),
            ],
            ..Surroundings::default()
        };
        says(
            &around,
            &[
                "`49: from all lookup main` is asked among multiwan's",
                "`50: from all lookup main` is asked among multiwan's",
                "`100: from all lookup 77`",
                "`222: from all lookup 7`",
            ],
        );
    }

    #[test]
    fn wg_quick_is_never_reached_and_its_mark_has_bits_of_the_mask() {
        let mut to_tunnel = rule(32765, 51820);
        to_tunnel.inverted = true;
        to_tunnel.mark = Some(Mark::new(51820, u32::MAX));
        let main = ForeignRule {
            priority: 32764,
            action: Action::Lookup {
                table: TABLE_MAIN,
                suppress_prefix_length: Some(0),
            },
            ..ForeignRule::default()
        };
        let around = Surroundings {
            rules: vec![main, to_tunnel],
            ..Surroundings::default()
        };
        says(
            &around,
            &[
                "lookup main suppress_prefixlength 0` (by its looks wg-quick's) is never reached",
                "`32765: not from all fwmark 0xca6c lookup 51820` (by its looks wg-quick's) is \
                 never reached: 222",
                "tests bits of mark_mask 0x3f00",
            ],
        );
    }

    #[test]
    fn tailscale_is_never_reached() {
        let mut main = rule(5210, TABLE_MAIN);
        main.mark = Some(Mark::new(0x80000, 0xff0000));
        let around = Surroundings {
            rules: vec![main, rule(5270, 52)],
            ..Surroundings::default()
        };
        says(
            &around,
            &["`5210: from all fwmark 0x80000/0xff0000", "Tailscale's"],
        );
    }

    #[test]
    fn marks_of_others_are_theirs() {
        let writer = |bits| MarkWriter {
            table: "inet mangle".into(),
            chain: "marks".into(),
            bits,
        };
        let around = Surroundings {
            mark_writers: vec![writer(0xff), writer(0xff00)],
            ..Surroundings::default()
        };
        says(
            &around,
            &["chain marks of table inet mangle may change 0x3f00 of mark_mask 0x3f00"],
        );
    }

    #[test]
    fn routes_in_multiwan_s_tables_and_a_default_in_main() {
        let route = |table, to: &str| ForeignRoute::new(table, to.parse().unwrap());
        let around = Surroundings {
            routes: vec![
                route(201, "10.0.0.0/8"),
                route(254, "0.0.0.0/0"),
                route(77, "10.0.0.0/8"),
            ],
            ..Surroundings::default()
        };
        says(
            &around,
            &[
                "table 201, which is multiwan's, has a route to 10.0.0.0/8",
                "does no harm",
            ],
        );
        let config = Config::parse(TWO_LINES, "test.toml").unwrap();
        let harmless = clashes(&config, &around)
            .iter()
            .map(Clash::is_harmless)
            .collect::<Vec<_>>();
        assert_eq!(harmless, [false, true]);
    }
}
