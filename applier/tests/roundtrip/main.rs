//! What holds for any configuration on a real kernel: a valid one is what the kernel holds
//! afterwards, and goes without a trace; an invalid one is refused before the kernel is touched.
//!
//! `PROPTEST_CASES=2000 cargo test --test roundtrip` tries more of them.

mod described;
#[path = "../held/mod.rs"]
mod held;
mod invalid;
mod router;

use multiwan::config::Config;
use multiwan::difference::Changes;
use multiwan_lab::sandbox;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::described::{Described, described};
use crate::held::Held;
use crate::router::{
    Before, apply, before, down, for_a_while, imported, lease, parse, plan, raise, with, within,
};

/// As many as take a few seconds, where `PROPTEST_CASES` does not say.
const CASES: u32 = 12;

fn for_any<S: Strategy>(values: S, check: impl Fn(S::Value)) {
    sandbox::test(|_| {
        let mut config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        if std::env::var_os("PROPTEST_CASES").is_none() {
            config.cases = CASES;
        }
        let result = TestRunner::new(config).run(&values, |value| {
            check(value);
            Ok(())
        });
        result.unwrap_or_else(|why| panic!("{why}"));
    });
}

/// A valid one comes, is there, and stays as it is.
#[track_caller]
fn comes_and_stays(text: &str) {
    apply(text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    for look in [plan, apply] {
        let changes = look(text).unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert_eq!(changes, Changes::default(), "{changes}\nafter\n{text}");
    }
}

#[test]
fn a_valid_one_is_held_and_goes_without_a_trace() {
    for_any((before(), described()), |(before, described)| {
        within(&before, || {
            before.settings().unwrap();
            raise(&described.lines);
            lease(&[], &described.lines);
            let held = Held::now();
            comes_and_stays(&described.to_string());
            down().unwrap_or_else(|why| panic!("down: {why}\n{described}"));
            Held::now().assert_same(&held, &format!("down after\n{described}"));
        });
    });
}

/// One after the other, with nothing between: each is what the kernel holds, and what was there
/// before the first is there after `down`.
#[test]
fn valid_ones_follow_each_other() {
    let several = prop::collection::vec(described(), 2..5);
    for_any((before(), several), |(before, several)| {
        within(&before, || in_turn(&before, &several));
    });
}

fn in_turn(before: &Before, several: &[Described]) {
    before.settings().unwrap();
    raise(several.iter().flat_map(|described| &described.lines));
    let held = Held::now();
    let mut leased: &[described::Line] = &[];
    for described in several {
        lease(leased, &described.lines);
        leased = &described.lines;
        comes_and_stays(&described.to_string());
    }
    lease(leased, &[]);
    down().unwrap_or_else(|why| panic!("down: {why}\n{several:#?}"));
    Held::now().assert_same(&held, &format!("down after\n{several:#?}"));
}

/// Their table of nftables is larger than a netlink socket's usual buffer.
#[test]
fn as_many_lines_as_can_be_described_are_held() {
    const MOST: u8 = 21;
    let mut cards = vec!["link add lan type veth peer name far".to_owned()];
    let mut text = "[lan]\ninterface = \"lan\"\naddress = \"192.0.2.1/24\"\n".to_owned();
    for line in 1..=MOST {
        cards.push(format!("link add l{line} type veth peer name far{line}"));
        text += &format!(
            "[[line]]\nname = \"l{line}\"\ninterface = \"l{line}\"\n\
             address = \"10.1.{line}.2/24\"\ngateway = \"10.1.{line}.1\"\n"
        );
    }
    sandbox::test(|_| {
        with(&cards, || {
            comes_and_stays(&text);
            down().unwrap_or_else(|why| panic!("down: {why}"));
        });
    });
}

/// What `import` makes of it is the same, in all that the kernel can tell: nothing would change.
#[test]
fn a_valid_one_is_imported_again() {
    for_any((before(), described()), |(before, described)| {
        within(&before, || {
            before.settings().unwrap();
            raise(&described.lines);
            lease(&[], &described.lines);
            for_a_while(&described.lines);
            let text = described.to_string();
            comes_and_stays(&text);
            let imported = imported().unwrap_or_else(|why| panic!("{why}\n{text}"));
            let changes = plan(&imported.text)
                .unwrap_or_else(|why| panic!("{why}\n{text}and then\n{}", imported.text));
            let both = format!("{text}and then\n{}", imported.text);
            assert_eq!(changes, Changes::default(), "{changes}\nafter\n{both}");
            let (described, found) = (parse(&text).unwrap(), parse(&imported.text).unwrap());
            assert_eq!(found.lans, described.lans, "{both}");
            assert_eq!(found.pins, described.pins, "{both}");
            assert_eq!(found.kernel, described.kernel, "{both}");
            let names = |config: &Config| -> Vec<_> {
                let lines = config.lines.iter();
                lines
                    .map(|line| (line.name.clone(), line.number, line.dynamic))
                    .collect()
            };
            assert_eq!(names(&found), names(&described), "{both}");
        });
    });
}

#[test]
fn an_invalid_one_is_refused_before_anything_is_touched() {
    let mistakes = (before(), described(), described(), invalid::mistake());
    for_any(mistakes, |(before, first, described, mistake)| {
        within(&before, || {
            before.settings().unwrap();
            // Beside one that is there already, or on a bare router.
            if before.is_plain() {
                comes_and_stays(&first.to_string());
            }
            let held = Held::now();
            let text = mistake.made_in(described);
            for refuse in [plan, apply] {
                let refused = refuse(&text).expect_err(&text);
                assert_eq!(refused.exit_status(), 2, "{refused}\n{text}");
            }
            Held::now().assert_same(&held, &text);
        });
    });
}
