//! The state machine as data: what is seen at which millisecond, and what comes of it.

use super::*;

use Input::{Answered, Needed, Usable};
use State::{Dead, Returning, Suspect, Up};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const MISSED: Input = Input::Missed(Silence::Gateway(GATEWAY));
const NO_CARRIER: Input = Input::Unusable(Fault::NoCarrier);

const POLICY: Policy = Policy {
    failures: 2,
    successes: 1,
    interval: Duration::from_millis(1000),
};

const fn ms(milliseconds: u64) -> Moment {
    Duration::from_millis(milliseconds)
}

fn fresh(policy: Policy) -> Line {
    Line::new(policy, ms(0), Up)
}

/// Each row: when, what is seen, the state after it.
fn play(policy: Policy, rows: &[(u64, Input, State)]) -> Line {
    let mut line = fresh(policy);
    for (row, (at, input, expected)) in rows.iter().enumerate() {
        let before = line.state();
        let change = line.step(ms(*at), *input);
        assert_eq!(
            line.state(),
            *expected,
            "row {row}: {input:?} at {at} ms, {before} before"
        );
        if let Some(change) = change {
            assert_eq!((change.from, change.to), (before, *expected), "row {row}");
            assert!(!change.reason.is_empty());
        } else {
            assert_eq!(before, *expected, "row {row}: changed without saying so");
        }
    }
    line
}

#[test]
fn every_state_meets_every_input() {
    let faults = [
        Fault::DeviceMissing,
        Fault::AdminDown,
        Fault::NoCarrier,
        Fault::Lacks(Lack::Address),
    ];
    // failures = successes = 3, so that one input never crosses a threshold but a fault.
    let policy = Policy {
        failures: 3,
        successes: 3,
        ..POLICY
    };
    let up = || fresh(policy);
    let suspect = || {
        let mut line = up();
        line.step(ms(1), MISSED);
        line
    };
    let dead = || Line::new(policy, ms(0), Dead);
    let returning = || {
        let mut line = dead();
        line.step(ms(1), Answered);
        line
    };
    let cases: [(Line, State, State, State); 4] = [
        // from, after Answered, after Missed, after Usable
        (up(), Up, Suspect, Up),
        (suspect(), Up, Suspect, Suspect),
        (dead(), Returning, Dead, Dead),
        (returning(), Returning, Dead, Returning),
    ];
    for (line, answered, missed, usable) in cases {
        for (input, expected) in [(Answered, answered), (MISSED, missed), (Usable, usable)] {
            let mut line = line.clone();
            let before = line.state();
            line.step(ms(2), input);
            assert_eq!(line.state(), expected, "{before} meets {input:?}");
        }
        for fault in faults {
            let mut line = line.clone();
            let before = line.state();
            let change = line
                .step(ms(2), Input::Unusable(fault))
                .expect("a fault is told");
            assert_eq!(line.state(), Dead);
            assert_eq!(change.reason, fault.to_string());
            assert_eq!(line.step(ms(3), Input::Unusable(fault)), None, "told once");
            assert_eq!(
                line.step(ms(4), Answered),
                None,
                "a late frame proves nothing"
            );
            assert_eq!(line.step(ms(4), MISSED), None);
            assert_eq!(line.state(), Dead);
            line.step(ms(5), Usable);
            let renewed = fault == Fault::Lacks(Lack::Address) && before.verdict() == Verdict::Up;
            if !renewed {
                line.step(ms(6), Answered);
            }
            let expected = if renewed { Up } else { Returning };
            assert_eq!(line.state(), expected, "{before}, after {fault:?} is over");
        }
    }
}

#[test]
fn dies_after_failures_in_a_row_only() {
    play(
        POLICY,
        &[
            (0, Answered, Up),
            (1000, MISSED, Suspect),
            (1100, Answered, Up),
            (2000, MISSED, Suspect),
            (2100, MISSED, Dead),
        ],
    );
    play(
        Policy {
            failures: 1,
            ..POLICY
        },
        &[(1000, MISSED, Dead)],
    );
    play(
        Policy {
            failures: 4,
            ..POLICY
        },
        &[
            (1, MISSED, Suspect),
            (2, MISSED, Suspect),
            (3, MISSED, Suspect),
            (4, MISSED, Dead),
        ],
    );
}

#[test]
fn a_first_return_is_quick() {
    play(
        POLICY,
        &[(1, MISSED, Suspect), (2, MISSED, Dead), (3, Answered, Up)],
    );
    play(
        Policy {
            successes: 3,
            ..POLICY
        },
        &[
            (1, NO_CARRIER, Dead),
            (2, Usable, Dead),
            (3, Answered, Returning),
            (4, Answered, Returning),
            (5, MISSED, Dead),
            (6, Answered, Returning),
            (7, Answered, Returning),
            (8, Answered, Up),
        ],
    );
}

#[test]
fn a_relapse_is_held_back_twice_as_long_each_time() {
    let mut line = play(
        POLICY,
        &[
            (0, NO_CARRIER, Dead),
            (10, Usable, Dead),
            (20, Answered, Up),
        ],
    );
    let mut now = 20;
    for expected in [2, 4, 8, 16, 32, 60, 60] {
        now += 1000;
        line.step(ms(now), NO_CARRIER);
        line.step(ms(now), Usable);
        assert_eq!(line.hold(), Duration::from_secs(expected));
        line.step(ms(now), Answered);
        let back = now + expected * 1000;
        line.step(ms(back - 1), Answered);
        assert_eq!(
            line.state(),
            Returning,
            "one millisecond before {expected} s"
        );
        line.step(ms(back), Answered);
        assert_eq!(line.state(), Up, "after {expected} s");
        now = back;
    }
}

/// Two intervals are to be waited from the second death on, but not while nothing else is up.
#[test]
fn a_needed_line_is_not_held_back() {
    let held_back = [
        (0, NO_CARRIER, Dead),
        (0, Usable, Dead),
        (0, Answered, Up),
        (500, NO_CARRIER, Dead),
        (600, Usable, Dead),
        (600, Answered, Returning),
    ];
    let rows = |more: &[(u64, Input, State)]| [&held_back, more].concat();
    // It already answers when the last other line dies, and stays up when that is back.
    play(
        POLICY,
        &rows(&[
            (700, Needed(false), Returning),
            (800, Needed(true), Up),
            (900, Needed(false), Up),
            (1600, Answered, Up),
        ]),
    );
    // The last other line dies first. One miss is no answer.
    let mut line = play(
        POLICY,
        &rows(&[
            (700, MISSED, Dead),
            (800, Needed(true), Dead),
            (900, Answered, Up),
            (1000, Needed(false), Up),
            (1100, NO_CARRIER, Dead),
            (1200, Needed(true), Dead),
            (1300, Needed(false), Dead),
            (1400, Usable, Dead),
            (1500, Answered, Returning),
        ]),
    );
    assert_eq!(line.hold(), Duration::from_secs(4), "it has relapsed again");
    let change = line.step(ms(1600), Needed(true)).unwrap();
    assert_eq!(change.reason, "answers again; no other line is up");
    // Answers in a row are not waited for either.
    play(
        Policy {
            successes: 3,
            ..POLICY
        },
        &[
            (0, NO_CARRIER, Dead),
            (1, Usable, Dead),
            (2, Answered, Returning),
            (3, Needed(true), Up),
        ],
    );
}

#[test]
fn need_makes_no_line_up_that_does_not_answer() {
    play(
        POLICY,
        &[
            (0, MISSED, Suspect),
            (1, MISSED, Dead),
            (2, Needed(true), Dead),
            (3, NO_CARRIER, Dead),
            (4, Answered, Dead),
            (5, Needed(true), Dead),
            (6, Usable, Dead),
            (7, Answered, Up),
        ],
    );
}

#[test]
fn a_miss_starts_the_hold_anew() {
    play(
        POLICY,
        &[
            (0, NO_CARRIER, Dead),
            (0, Usable, Dead),
            (0, Answered, Up),
            (500, NO_CARRIER, Dead),
            (600, Usable, Dead),
            (600, Answered, Returning),
            (1600, Answered, Returning),
            (2000, MISSED, Dead),
            (2700, Answered, Returning),
            (3700, Answered, Returning),
            (4700, Answered, Up),
        ],
    );
}

#[test]
fn a_minute_of_good_conduct_is_forgiven() {
    let line = play(
        POLICY,
        &[
            (0, NO_CARRIER, Dead),
            (0, Usable, Dead),
            (0, Answered, Up),
            (60_000, NO_CARRIER, Dead),
            (60_000, Usable, Dead),
            (60_000, Answered, Returning),
            (62_000, Answered, Up),
            (122_001, NO_CARRIER, Dead),
            (122_001, Usable, Dead),
            (122_001, Answered, Up),
        ],
    );
    assert_eq!(line.hold(), Duration::ZERO);
}

#[test]
fn a_line_that_never_returned_has_not_relapsed() {
    play(
        POLICY,
        &[
            (10, Answered, Up),
            (500, NO_CARRIER, Dead),
            (600, Usable, Dead),
            (601, Answered, Up),
        ],
    );
}

#[test]
fn a_long_interval_is_not_cut_by_the_cap() {
    let policy = Policy {
        interval: Duration::from_secs(300),
        ..POLICY
    };
    let line = play(
        policy,
        &[
            (0, NO_CARRIER, Dead),
            (0, Usable, Dead),
            (0, Answered, Up),
            (1, NO_CARRIER, Dead),
        ],
    );
    assert_eq!(line.hold(), Duration::from_secs(300));
}

/// As a DHCP client does it that takes the address away and puts it there again, the route later.
#[test]
fn a_renewed_address_is_not_held_against_a_line() {
    let lost = Input::Unusable(Fault::Lacks(Lack::Address));
    let no_gateway = Input::Unusable(Fault::Lacks(Lack::Gateway));
    let line = play(
        POLICY,
        &[
            (0, lost, Dead),
            (200, no_gateway, Dead),
            (800, Usable, Up),
            (9000, lost, Dead),
            (9900, Usable, Up),
            (9950, MISSED, Suspect),
            (10_000, MISSED, Dead),
        ],
    );
    assert_eq!(line.hold(), Duration::ZERO);
    // What was held against it still is, and one that stays away is dead like any other.
    let line = play(
        POLICY,
        &[
            (0, NO_CARRIER, Dead),
            (100, Usable, Dead),
            (200, Answered, Up),
            (500, lost, Dead),
            (900, Usable, Up),
            (1000, lost, Dead),
            (2100, Usable, Dead),
        ],
    );
    assert_eq!(line.hold(), Duration::from_secs(2));
    // Nor does it hide a death for another reason.
    play(
        POLICY,
        &[
            (0, lost, Dead),
            (100, NO_CARRIER, Dead),
            (200, Usable, Dead),
        ],
    );
}

#[test]
fn changes_say_why_and_how_long() {
    let mut line = fresh(POLICY);
    line.step(ms(3000), MISSED);
    assert_eq!(
        line.step(ms(3500), MISSED),
        Some(Change {
            from: Suspect,
            to: Dead,
            reason: "gateway 198.51.100.1 does not answer: 2 probes in a row unanswered".into(),
            lasted: ms(500),
        })
    );
    assert_eq!(
        line.step(ms(9000), NO_CARRIER),
        Some(Change {
            from: Dead,
            to: Dead,
            reason: "the device has no carrier".into(),
            lasted: ms(5500),
        })
    );
    line.step(ms(9500), Usable);
    let back = line.step(ms(9600), Answered).unwrap();
    assert_eq!(
        back.lasted,
        ms(6100),
        "dead since 3500, whatever the reason"
    );
    assert_eq!(back.reason, "answers again");
}

#[test]
fn no_count_ever_overflows() {
    let policy = Policy {
        failures: u32::MAX,
        successes: u32::MAX,
        ..POLICY
    };
    let mut line = fresh(policy);
    line.standing = Standing {
        returned: Some(ms(0)),
        relapses: u32::MAX,
    };
    line.step(ms(1), MISSED);
    line.in_a_row = u32::MAX;
    assert_eq!(line.step(ms(2), MISSED).unwrap().to, Dead);
    assert_eq!(line.hold(), LONGEST_HOLD);
}

#[test]
fn a_dead_line_s_reason_is_the_latest_and_told_once() {
    for fault in [Fault::NoCarrier, Fault::AdminDown, Fault::Lacks(Lack::Room)] {
        let mut line = fresh(POLICY);
        let died = line.step(ms(0), Input::Unusable(fault)).unwrap();
        assert_eq!(died.reason, fault.to_string());
        assert_eq!(line.step(ms(5000), Usable), None, "nothing is known yet");
        let silent = Change {
            from: Dead,
            to: Dead,
            reason: "gateway 198.51.100.1 does not answer: 1 probe in a row unanswered".into(),
            lasted: ms(6000),
        };
        assert_eq!(line.step(ms(6000), MISSED), Some(silent));
        for at in 7..20 {
            assert_eq!(line.step(ms(at * 1000), MISSED), None);
        }
        // And again when the fault is.
        assert!(line.step(ms(20_000), Input::Unusable(fault)).is_some());
        assert_eq!(line.step(ms(21_000), Usable), None);
        assert!(line.step(ms(22_000), MISSED).is_some());
        assert_eq!(line.step(ms(23_000), MISSED), None);
    }
}

#[test]
fn another_silence_is_told_once_it_lasts() {
    const BEYOND: Input = Input::Missed(Silence::Targets(GATEWAY));
    let mut line = play(POLICY, &[(0, MISSED, Suspect), (1000, MISSED, Dead)]);
    for at in 1..10 {
        assert_eq!(line.step(ms(2000 * at), BEYOND), None, "now and then");
        assert_eq!(line.step(ms(2000 * at + 1000), MISSED), None);
    }
    assert_eq!(line.step(ms(20_000), BEYOND), None);
    let change = line.step(ms(21_000), BEYOND).unwrap();
    assert_eq!((change.from, change.to), (Dead, Dead));
    let reason = "gateway 198.51.100.1 answers, but no target beyond it does: 2 probes in a row \
                  unanswered";
    assert_eq!(change.reason, reason);
    assert_eq!(line.step(ms(22_000), BEYOND), None);
    // Those are no answers.
    assert_eq!(line.step(ms(23_000), Answered).unwrap().to, Up);
}
