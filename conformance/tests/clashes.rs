//! What others have in main that takes packets from the lines: the kernel's own answers beside what
//! `apply` and `check` say.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::process::{Command, Output};

use multiwan_lab::sandbox;
use stage::{Stage, run};

/// Arguments of `ip`, how `apply` names what they make, and what `ip route get` says of a server then.
const IN_THE_WAY: [(&[&str], &str, &str); 5] = [
    (
        &["route add unreachable default metric 4294967295"],
        "main has an `unreachable default`, and no line",
        "No route to host",
    ),
    (
        &["route add blackhole default metric 9999"],
        "main has a `blackhole default`, and no line",
        "Invalid argument",
    ),
    (
        &["route add prohibit default"],
        "main has a `prohibit default`, and no line",
        "Permission denied",
    ),
    (
        &[
            "route add 0.0.0.0/1 via 192.0.2.10",
            "route add 128.0.0.0/1 via 192.0.2.10",
        ],
        "main has routes to 0.0.0.0/1 and 128.0.0.0/1",
        "dev eth0",
    ),
    (
        &[
            "route add default via 192.0.2.10 metric 100",
            "rule add priority 40 lookup main",
        ],
        "the rule `40: from all lookup main` is asked before multiwan's",
        "dev eth0",
    ),
];
/// The same for what does no harm.
const HARMLESS: [&[&str]; 3] = [
    &["route add default via 192.0.2.10"],
    &["route add throw default"],
    &[
        "route add default via 192.0.2.10",
        "rule add priority 40 lookup main suppress_prefixlength 0",
    ],
];

#[test]
fn what_main_takes_from_the_lines_is_named() {
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play((1, 0), |_lab| {
            for card in ["eth0", "eth1", "eth2"] {
                ip(&format!("link set {card} up"));
            }
            run(&mut stage.multiwan("apply"));
            assert!(way_out().contains("table 222"), "{}", way_out());
            for (made, said, answer) in IN_THE_WAY {
                made.iter().for_each(|made| ip(made));
                assert!(way_out().contains(answer), "{made:?}: {}", way_out());
                let told = text(&stage.multiwan("apply").output().unwrap());
                assert!(told.contains(&format!("warning: {said}")), "{told}");
                let found = text(&stage.multiwan("check").output().unwrap());
                let finding = format!("warning  beside multiwan: {said}");
                assert!(found.contains(&finding), "{found}");
                assert!(!found.contains("it does no harm"), "{found}");
                unmake(made);
            }
            for made in HARMLESS {
                made.iter().for_each(|made| ip(made));
                assert!(way_out().contains("table 222"), "{made:?}: {}", way_out());
                assert_eq!(text(&stage.multiwan("apply").output().unwrap()), "");
                unmake(made);
            }
        });
    });
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

fn unmake(made: &[&str]) {
    made.iter()
        .for_each(|made| ip(&made.replace(" add ", " del ")));
}

/// What the kernel does with what this router sends to a server.
fn way_out() -> String {
    let mut get = Command::new("ip");
    text(&get.args(["route", "get", "198.18.0.1"]).output().unwrap())
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}
