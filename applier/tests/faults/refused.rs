//! A refused step is taken back with all before it.

use multiwan::difference::Step;
use multiwan::error::Error;
use multiwan::kernel::Witness;
use multiwan::record::Record;
use multiwan_lab::sandbox;
use nix::errno::Errno;

use crate::held::Held;
use crate::router::{
    Case, Change, FIRST_ON_PLAIN, count, for_each_change, lab, make, make_witnessed, prepare, shell,
};
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

/// As a kernel that does not know a part of a message: it says that an address with a peer is gone.
#[derive(Debug)]
struct KeepsPeers;

impl Witness for KeepsPeers {
    fn before(&mut self, _: &Step) -> Result<(), Errno> {
        Ok(())
    }

    fn after(&mut self, step: &Step) -> Result<(), Errno> {
        if matches!(step, Step::RemoveAddress(address) if address.peer.is_some()) {
            shell(&step.inverse().to_string());
        }
        Ok(())
    }
}

/// What else may be left over on the second line's card.
const LEFT_OVER: &str = "
ip address add 192.168.9.1/24 dev eth2 metric 700 label eth2:v
ip address add 192.168.8.1/32 dev eth2 scope link noprefixroute
ip address add 10.77.0.1 peer 172.31.1.1/32 dev eth2
ip route add 10.98.0.0/16 via 192.168.9.9 dev eth2 src 192.168.9.1
";

#[test]
fn what_is_left_over_comes_back_as_it_was() {
    sandbox::test(|sandbox| {
        let mut lab = lab(sandbox);
        prepare(&mut lab, &FIRST_ON_PLAIN);
        shell(LEFT_OVER);
        let before = Held::now();
        let refused = make_witnessed(FIRST_ON_PLAIN.new, KeepsPeers);
        let Err(Error::NotHeld(step)) = refused else {
            panic!("{refused:?}");
        };
        let removal = "ip address del 10.77.0.1 peer 172.31.1.1/32 dev eth2";
        assert_eq!(step.to_string(), removal);
        Held::now().assert_same(&before, "acknowledged and not held");
        assert!(Record::open().unwrap().is_empty());

        let steps = count(FIRST_ON_PLAIN.new);
        count(Change::Down);
        Held::now().assert_same(&before, "there and back");
        for number in 0..steps {
            let eperm = Fault::Refused(Errno::EPERM);
            let refused = make(FIRST_ON_PLAIN.new, Faults::at([(number, eperm)]));
            assert!(
                matches!(refused, Err(Error::Refused { .. })),
                "{number}: {refused:?}"
            );
            Held::now().assert_same(&before, &format!("step {number} of {steps}"));
        }
    });
}

fn finish(end: Change) {
    make(end, Faults::default()).unwrap_or_else(|why| panic!("{why}"));
}
