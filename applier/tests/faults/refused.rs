//! A refused step is taken back with all before it.

use multiwan::error::Error;
use multiwan::record::Record;
use multiwan_lab::sandbox;
use nix::errno::Errno;

use crate::held::Held;
use crate::router::{Case, Change, count, for_each_change, lab, make, prepare};
use crate::witness::{Fault, Faults};

const FAULTS: [Fault; 4] = [
    Fault::Refused(Errno::EPERM),
    Fault::Refused(Errno::ENOBUFS),
    Fault::Refused(Errno::EEXIST),
    Fault::Unanswered,
];

for_each_change!(each_step);

/// Every step meets every fault: all is as before. And where the undoing meets one too, that is
/// said, and the next `apply` or `down` finishes.
fn each_step(case: &Case) {
    sandbox::test(|sandbox| {
        let mut lab = lab(sandbox);
        prepare(&mut lab, case);
        let before = Held::now();
        let steps = count(case.new);
        let after = Held::now();
        count(case.old);
        Held::now().assert_same(&before, &format!("{}: there and back", case.name));
        let record = Record::open().unwrap().content().clone();
        for number in 0..steps {
            for fault in FAULTS {
                let when = format!("{}: {fault:?} at step {number} of {steps}", case.name);
                let refused = make(case.new, Faults::at([(number, fault)]));
                assert!(
                    matches!(refused, Err(Error::Refused { .. })),
                    "{when}: {refused:?}"
                );
                Held::now().assert_same(&before, &when);
                assert_eq!(*Record::open().unwrap().content(), record, "{when}");
            }
        }
        let mut half_done = 0;
        for number in 1..steps {
            let eperm = Fault::Refused(Errno::EPERM);
            // The first or the last step of the undoing, and either end.
            let undoing = if number % 2 == 0 {
                number + 1
            } else {
                2 * number
            };
            let (end, expected) = if number % 4 < 2 {
                (case.new, &after)
            } else {
                (case.old, &before)
            };
            let when = format!("{}: steps {number} and {undoing} of {steps}", case.name);
            let refused = make(case.new, Faults::at([(number, eperm), (undoing, eperm)]));
            assert!(
                matches!(refused, Err(Error::HalfDone { .. })),
                "{when}: {refused:?}"
            );
            finish(end);
            Held::now().assert_same(expected, &when);
            count(case.old);
            half_done += 1;
        }
        println!(
            "{}: {steps} steps × {} faults, and {half_done} that could not be taken back",
            case.name,
            FAULTS.len()
        );
    });
}

fn finish(end: Change) {
    make(end, Faults::default()).unwrap_or_else(|why| panic!("{why}"));
}
