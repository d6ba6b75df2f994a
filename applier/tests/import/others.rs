//! Set-ups that are not multiwan's.
//!
//! A case is `cases/NAME.sh`, which makes the set-up, and `cases/NAME.toml`, all that is imported from it,
//! with where each value was found and what is doubtful. A script that begins with `# after APPLIER CONFIG`
//! goes on from what that applier of the fixtures makes of that configuration.

use std::fs;
use std::path::Path;

use multiwan::config::{Config, Line};

use crate::router::{applied_by, fixture, imported, imports_and_applies, shell, with_cards};

const CARDS: [&str; 4] = ["eth0", "eth1", "eth2", "eth3"];

/// `UPDATE_CASES=1` writes what is expected anew, to be read before it is kept.
#[track_caller]
fn is_found(case: &str) {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/cases");
    let script = fs::read_to_string(cases.join(format!("{case}.sh"))).unwrap();
    with_cards(&CARDS, || {
        let mut words = script.lines().next().unwrap_or_default().split(' ');
        if (words.next(), words.next()) == (Some("#"), Some("after")) {
            let (applier, config) = (words.next().unwrap(), words.next().unwrap());
            applied_by(applier, &fixture(config));
        }
        shell(&script);
        let found = imported();
        let expected = cases.join(format!("{case}.toml"));
        if std::env::var_os("UPDATE_CASES").is_some() {
            fs::write(&expected, &found.text).unwrap();
        }
        let expected = fs::read_to_string(expected).unwrap();
        assert_eq!(
            found.text, expected,
            "{case}: this was found:\n{}",
            found.text
        );
        if found.refused.is_none() {
            imports_and_applies();
        }
    });
}

macro_rules! cases {
    ($($name:ident: $case:literal),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                is_found($case);
            }
        )*
    };
}

cases! {
    the_how_to_s_commands: "how-to",
    the_how_to_s_commands_with_masquerade: "masquerade",
    nexthop_objects_that_are_not_spelt_out: "hidden-nexthop-objects",
    mwan3: "mwan3",
    marks_of_nftables: "nftables-marks",
    default_routes_with_metrics: "metrics",
    one_line_by_dhcp: "dhcp",
    point_to_point: "point-to-point",
    pins_and_policy: "pins",
    spread_is_by_the_kernel_s_setting: "hash-policy",
}

/// Whatever set it up, what is imported is what was described, but for the names.
macro_rules! are_found_again {
    ($($name:ident: $applier:literal with $config:literal),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                is_found_again($applier, $config);
            }
        )*
    };
}

are_found_again! {
    weights_of_the_how_to: "verbatim/how-to-2001.sh" with "four-to-one.toml",
    a_shell_script: "correct/shell.sh" with "three-lines.toml",
    a_shell_script_that_shares_by_connections: "correct/shell.sh" with "connection.toml",
    nexthop_objects: "correct/nexthop-objects.sh" with "three-lines.toml",
    iptables: "correct/iptables.sh" with "four-to-one.toml",
}

#[track_caller]
fn is_found_again(applier: &str, config: &str) {
    with_cards(&CARDS, || {
        let described = fixture(config);
        applied_by(applier, &described);
        let (found, doubts) = imports_and_applies();
        assert_eq!(found.lans, described.lans);
        assert_eq!(unnamed(&found), unnamed(&described));
        assert_eq!(found.spread, described.spread);
        assert_eq!(doubts, Vec::<String>::new());
    });
}

fn unnamed(config: &Config) -> Vec<Line> {
    let unnamed = |line: &Line| Line {
        name: String::new(),
        ..line.clone()
    };
    config.lines.iter().map(unnamed).collect()
}

/// Reading leaves no trace.
#[test]
fn nothing_is_changed() {
    with_cards(&CARDS, || {
        applied_by("verbatim/how-to-2001.sh", &fixture("two-lines.toml"));
        let before = crate::held::Held::now();
        imported();
        crate::held::Held::now().assert_same(&before, "import");
    });
}
