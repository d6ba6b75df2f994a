//! The router of a lab, the changes that are made to it, and what is there.

use std::process::Command;

use multiwan::config::Config;
use multiwan::down;
use multiwan::error::Error;
use multiwan::kernel::{Kernel, Witness};
use multiwan::reconcile::{self, AbsentLan};
use multiwan::record::Record;
use multiwan::verdicts::Verdicts;
use multiwan_lab::sandbox::Sandbox;
use multiwan_lab::{Lab, Topology};

use crate::witness::Faults;

/// A change of the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// `apply` with this configuration.
    Apply(&'static str),
    /// `down`.
    Down,
}

/// A change from one state to another, and how both are reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Whether the router is a plain one with a single line before anything is applied, else it
    /// is bare.
    pub(crate) plain: bool,
    /// What leads to the state before, from anywhere.
    pub(crate) old: Change,
    /// What is cut off.
    pub(crate) new: Change,
    /// The lines, from 0, that are the same before and after.
    pub(crate) unchanged: &'static [usize],
}

pub(crate) const FIRST_ON_BARE: Case = Case {
    name: "first apply, bare",
    plain: false,
    old: Change::Down,
    new: Change::Apply(TWO_LINES),
    unchanged: &[],
};

pub(crate) const FIRST_ON_PLAIN: Case = Case {
    name: "first apply, plain router",
    plain: true,
    old: Change::Down,
    new: Change::Apply(TWO_LINES),
    unchanged: &[0],
};

pub(crate) const WEIGHT: Case = Case {
    name: "weight",
    plain: true,
    old: Change::Apply(TWO_LINES),
    new: Change::Apply(FOUR_TO_ONE),
    unchanged: &[0, 1],
};

pub(crate) const ADDED: Case = Case {
    name: "line added",
    plain: true,
    old: Change::Apply(TWO_LINES),
    new: Change::Apply(THREE_LINES),
    unchanged: &[0, 1],
};

pub(crate) const REMOVED: Case = Case {
    name: "line removed",
    plain: true,
    old: Change::Apply(THREE_LINES),
    new: Change::Apply(TWO_LINES),
    unchanged: &[0, 1],
};

pub(crate) const ADDRESS: Case = Case {
    name: "address changed",
    plain: true,
    old: Change::Apply(TWO_LINES),
    new: Change::Apply(OTHER_ADDRESS),
    unchanged: &[0],
};

pub(crate) const GATEWAY: Case = Case {
    name: "address becomes gateway",
    plain: true,
    old: Change::Apply(TWO_LINES),
    new: Change::Apply(OLD_ADDRESS_IS_GATEWAY),
    unchanged: &[0],
};

pub(crate) const NUMBER: Case = Case {
    name: "number to another line",
    plain: true,
    old: Change::Apply(TWO_LINES),
    new: Change::Apply(OTHER_LINE),
    unchanged: &[0],
};

pub(crate) const MOVED: Case = Case {
    name: "line moved to another card",
    plain: true,
    old: Change::Apply(TWO_LINES),
    new: Change::Apply(OTHER_CARD),
    unchanged: &[0],
};

pub(crate) const SWAPPED: Case = Case {
    name: "cards swapped",
    plain: true,
    old: Change::Apply(TWO_LINES),
    new: Change::Apply(CARDS_SWAPPED),
    unchanged: &[],
};

pub(crate) const SETTINGS: Case = Case {
    name: "settings and pins changed",
    plain: true,
    old: Change::Apply(TWO_LINES),
    new: Change::Apply(OTHER_SETTINGS),
    unchanged: &[0, 1],
};

pub(crate) const DOWN: Case = Case {
    name: "down",
    plain: true,
    old: Change::Apply(TWO_LINES),
    new: Change::Down,
    unchanged: &[0],
};

/// A test of each of them.
macro_rules! for_each_change {
    ($check:ident: $($name:ident: $case:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                $check(&$crate::router::$case);
            }
        )*
    };
    ($check:ident) => {
        $crate::router::for_each_change! {
            $check:
            first_apply_on_a_bare_router: FIRST_ON_BARE,
            first_apply_on_a_plain_router: FIRST_ON_PLAIN,
            weight: WEIGHT,
            line_added: ADDED,
            line_removed: REMOVED,
            address_changed: ADDRESS,
            address_becomes_gateway: GATEWAY,
            number_to_another_line: NUMBER,
            line_moved_to_another_card: MOVED,
            cards_swapped: SWAPPED,
            settings_and_pins_changed: SETTINGS,
            down: DOWN,
        }
    };
}
pub(crate) use for_each_change;

const TWO_LINES: &str = r#"
lan = [{ interface = "eth0", address = "192.0.2.1/24" }]
line = [
    { name = "dsl1", interface = "eth1", address = "198.51.100.2/24", gateway = "198.51.100.1" },
    { name = "dsl2", interface = "eth2", address = "203.0.113.2/24", gateway = "203.0.113.1" },
]
"#;

const FOUR_TO_ONE: &str = r#"
lan = [{ interface = "eth0", address = "192.0.2.1/24" }]
line = [
    { name = "dsl1", interface = "eth1", address = "198.51.100.2/24", gateway = "198.51.100.1", weight = 4 },
    { name = "dsl2", interface = "eth2", address = "203.0.113.2/24", gateway = "203.0.113.1" },
]
"#;

const THREE_LINES: &str = r#"
lan = [{ interface = "eth0", address = "192.0.2.1/24" }]
line = [
    { name = "dsl1", interface = "eth1", address = "198.51.100.2/24", gateway = "198.51.100.1" },
    { name = "dsl2", interface = "eth2", address = "203.0.113.2/24", gateway = "203.0.113.1" },
    { name = "dsl3", interface = "eth3", address = "192.88.99.2/24", gateway = "192.88.99.1" },
]
"#;

const OTHER_ADDRESS: &str = r#"
lan = [{ interface = "eth0", address = "192.0.2.1/24" }]
line = [
    { name = "dsl1", interface = "eth1", address = "198.51.100.2/24", gateway = "198.51.100.1" },
    { name = "dsl2", interface = "eth2", address = "203.0.113.3/24", gateway = "203.0.113.1" },
]
"#;

const OLD_ADDRESS_IS_GATEWAY: &str = r#"
lan = [{ interface = "eth0", address = "192.0.2.1/24" }]
line = [
    { name = "dsl1", interface = "eth1", address = "198.51.100.2/24", gateway = "198.51.100.1" },
    { name = "dsl2", interface = "eth2", address = "203.0.113.3/24", gateway = "203.0.113.2" },
]
"#;

const OTHER_LINE: &str = r#"
lan = [{ interface = "eth0", address = "192.0.2.1/24" }]
line = [
    { name = "dsl1", interface = "eth1", address = "198.51.100.2/24", gateway = "198.51.100.1" },
    { name = "dsl3", interface = "eth3", address = "192.88.99.2/24", gateway = "192.88.99.1" },
]
"#;

const OTHER_CARD: &str = r#"
lan = [{ interface = "eth0", address = "192.0.2.1/24" }]
line = [
    { name = "dsl1", interface = "eth1", address = "198.51.100.2/24", gateway = "198.51.100.1" },
    { name = "dsl2", interface = "eth3", address = "192.88.99.2/24", gateway = "192.88.99.1" },
]
"#;

const CARDS_SWAPPED: &str = r#"
lan = [{ interface = "eth0", address = "192.0.2.1/24" }]
line = [
    { name = "dsl2", interface = "eth1", address = "198.51.100.2/24", gateway = "198.51.100.1" },
    { name = "dsl1", interface = "eth2", address = "203.0.113.2/24", gateway = "203.0.113.1" },
]
"#;

const OTHER_SETTINGS: &str = r#"
spread = "connection"
lan = [{ interface = "eth0", address = "192.0.2.1/24" }]
line = [
    { name = "dsl2", interface = "eth2", address = "203.0.113.2/24", gateway = "203.0.113.1" },
    { name = "dsl1", interface = "eth1", address = "198.51.100.2/24", gateway = "198.51.100.1" },
]
pin = [{ to = "198.18.0.1", line = "dsl1" }]
keepalive = { interval = "3s", failures = 4 }
"#;

const PLAIN_ROUTER: &str = include_str!("plain-router.sh");
const BARE_ROUTER: &str = include_str!("bare-router.sh");

pub(crate) fn lab(sandbox: &Sandbox) -> Lab {
    let net = |text: &str| text.parse().unwrap();
    let topology = Topology::new("eth0", net("192.0.2.1/24"))
        .line("eth1", net("198.51.100.2/24"), [198, 51, 100, 1].into())
        .line("eth2", net("203.0.113.2/24"), [203, 0, 113, 1].into())
        .line("eth3", net("192.88.99.2/24"), [192, 88, 99, 1].into())
        .clients(4);
    Lab::build(sandbox, topology).unwrap_or_else(|why| panic!("{why}"))
}

/// The state that the case begins with.
pub(crate) fn prepare(lab: &mut Lab, case: &Case) {
    shell(if case.plain {
        PLAIN_ROUTER
    } else {
        BARE_ROUTER
    });
    if let Change::Apply(_) = case.old {
        make(case.old, Faults::default()).unwrap_or_else(|why| panic!("{}: {why}", case.name));
    }
    lab.wait_router_links().unwrap();
}

pub(crate) fn shell(script: &str) {
    let status = Command::new("sh").args(["-e", "-c", script]).status();
    assert!(status.unwrap().success(), "{script}");
}

/// Makes a change as the commands do, with faults.
pub(crate) fn make(change: Change, faults: Faults) -> Result<(), Error> {
    make_witnessed(change, faults)
}

pub(crate) fn make_witnessed(change: Change, witness: impl Witness + 'static) -> Result<(), Error> {
    let numbers = Record::open().unwrap().content().numbers.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut kernel = Kernel::open()?;
        kernel.witnessed_by(witness);
        match change {
            Change::Apply(text) => {
                let config = Config::parse_numbered(text, "test.toml", &numbers)?;
                reconcile::reconcile_and_read_back(
                    &mut kernel,
                    &config,
                    &Verdicts::default(),
                    AbsentLan::Refused,
                )
                .await?;
            }
            Change::Down => {
                down::down(&mut kernel, None).await?;
            }
        }
        Ok(())
    })
}

/// Makes a change and tells how many steps it has.
pub(crate) fn count(change: Change) -> usize {
    let faults = Faults::default();
    let seen = faults.seen();
    make(change, faults).unwrap_or_else(|why| panic!("{why}"));
    seen.get()
}
