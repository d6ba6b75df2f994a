//! What main answers all the same, though multiwan's rule for it passes over its default routes.

use ipnet::Ipv4Net;

use super::{Action, Answer, Clash, ForeignRoute, ForeignRule, Surroundings};
use crate::config::Kernel;
use crate::state::TABLE_MAIN;

/// The longest prefix of a route that is meant to take a large part of the Internet: the largest
/// networks that somebody has for himself are `/8`s.
const WIDE: u8 = 7;
/// Multicast and what is reserved: nothing of it leaves by a line.
const NO_HOSTS: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(224, 0, 0, 0), 3);

/// Whether it takes a large part of the Internet without being a default.
pub(crate) fn is_wide(to: Ipv4Net) -> bool {
    (1..=WIDE).contains(&to.prefix_len()) && !NO_HOSTS.contains(&to)
}

/// What of main takes packets from the lines, or is thought to.
pub(super) fn clashes(kernel: &Kernel, around: &Surroundings) -> Vec<Clash> {
    let in_main = |route: &&ForeignRoute| {
        // With `throw` the next rule is asked.
        route.table == TABLE_MAIN && route.answer != Answer::Throw
    };
    let routes: Vec<&ForeignRoute> = around.routes.iter().filter(in_main).collect();
    let wide: Vec<Ipv4Net> = routes
        .iter()
        .map(|route| route.to)
        .filter(|to| is_wide(*to))
        .collect();
    let mut defaults: Vec<&ForeignRoute> = routes
        .iter()
        .copied()
        .filter(|route| route.to.prefix_len() == 0)
        .collect();
    defaults.sort_by_key(|route| route.metric);
    let refuses = defaults.iter().position(|route| route.answer.refuses());
    let refusing = refuses.map(|at| Clash::MainRefuses {
        answer: defaults[at].answer,
        last: at > 0,
    });
    let answers_all = !defaults.is_empty() || !wide.is_empty();
    let asked_before = around
        .rules
        .iter()
        .filter(|rule| answers_all && is_asked_in_full_before(kernel, rule))
        .map(|rule| Clash::MainAskedBefore(rule.clone()));
    let clashes: Vec<Clash> = refusing
        .into_iter()
        .chain((!wide.is_empty()).then_some(Clash::MainTakes(wide)))
        .chain(asked_before)
        .collect();
    if clashes.is_empty() && !defaults.is_empty() {
        vec![Clash::DefaultInMain]
    } else {
        clashes
    }
}

/// Whether the rule sends to main, default routes and all, what multiwan's would spread. One for some
/// destinations or for a mark is an exception that somebody has made on purpose.
fn is_asked_in_full_before(kernel: &Kernel, rule: &ForeignRule) -> bool {
    let in_full = Action::Lookup {
        table: TABLE_MAIN,
        suppress_prefix_length: None,
    };
    let excepts = !rule.inverted && (rule.to.is_some() || rule.mark.is_some());
    rule.priority < kernel.main_priority && rule.action == in_full && !excepts
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rule, says};
    use super::*;
    use multiwan_kernel::nft::Mark;

    fn in_main(to: &str, metric: u32, answer: Answer) -> ForeignRoute {
        ForeignRoute {
            metric,
            answer,
            ..ForeignRoute::new(TABLE_MAIN, to.parse().unwrap())
        }
    }

    fn routes<const N: usize>(routes: [ForeignRoute; N]) -> Surroundings {
        Surroundings {
            routes: routes.into(),
            ..Surroundings::default()
        }
    }

    #[test]
    fn a_default_that_refuses_is_not_passed_over() {
        for (answer, named) in [
            (Answer::Unreachable, "an `unreachable default`"),
            (Answer::Blackhole, "a `blackhole default`"),
            (Answer::Prohibit, "a `prohibit default`"),
        ] {
            let said = format!("main has {named}, and no line is used: multiwan's rule for main");
            says(&routes([in_main("0.0.0.0/0", 9999, answer)]), &[&said]);
        }
        says(&routes([in_main("0.0.0.0/0", 9999, Answer::Throw)]), &[]);
    }

    #[test]
    fn one_behind_another_default_waits_for_its_end() {
        let leads = in_main("0.0.0.0/0", 100, Answer::Leads);
        let refuses = |metric| in_main("0.0.0.0/0", metric, Answer::Unreachable);
        says(
            &routes([refuses(u32::MAX), leads.clone()]),
            &[
                "no line is used once main's other default route is gone or its device has no carrier",
            ],
        );
        says(
            &routes([refuses(0), leads]),
            &["`unreachable default`, and no line is used:"],
        );
    }

    #[test]
    fn halves_of_the_internet_are_no_default() {
        let half = |to| in_main(to, 0, Answer::Leads);
        says(
            &routes([half("0.0.0.0/1"), half("128.0.0.0/1")]),
            &["main has routes to 0.0.0.0/1 and 128.0.0.0/1, as VPNs put there"],
        );
        says(
            &routes([half("10.0.0.0/8"), half("224.0.0.0/4"), half("240.0.0.0/4")]),
            &[],
        );
    }

    #[test]
    fn main_in_full_is_asked_too_early_where_it_answers_for_everything() {
        let mut around = Surroundings {
            rules: vec![ForeignRule {
                from: Some("192.0.2.0/24".parse().unwrap()),
                ..rule(40, TABLE_MAIN)
            }],
            ..Surroundings::default()
        };
        says(&around, &[]);
        around.routes = vec![in_main("0.0.0.0/0", 100, Answer::Leads)];
        says(
            &around,
            &["the rule `40: from 192.0.2.0/24 lookup main` is asked before multiwan's"],
        );
    }

    #[test]
    fn an_exception_before_multiwan_s_rules_is_somebody_s_wish() {
        let default = in_main("0.0.0.0/0", 100, Answer::Leads);
        let mut around = Surroundings {
            rules: vec![
                ForeignRule {
                    to: Some("203.0.113.9/32".parse().unwrap()),
                    ..rule(40, TABLE_MAIN)
                },
                ForeignRule {
                    mark: Some(Mark::new(0x80000, 0xff0000)),
                    ..rule(41, TABLE_MAIN)
                },
                ForeignRule {
                    action: Action::Lookup {
                        table: TABLE_MAIN,
                        suppress_prefix_length: Some(0),
                    },
                    ..rule(42, TABLE_MAIN)
                },
            ],
            ..routes([default])
        };
        says(&around, &["it does no harm"]);
        around.rules[1].inverted = true;
        says(&around, &["`41: not from all fwmark 0x80000/0xff0000"]);
    }
}
