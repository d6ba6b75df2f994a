//! The unit for systemd, as far as a kernel without systemd can try it.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::os::unix::process::CommandExt as _;
use std::time::{Duration, Instant};

use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::{Fault, sandbox};
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use stage::{Stage, Watched};

const UNIT: &str = include_str!("../../applier/systemd/multiwan.service");

/// What a keepalive says that cannot ask.
const CANNOT: Option<&str> = Some("cannot be probed");

const TARGETS: &str = r#"["198.18.0.53", "tcp:198.18.0.53:80", "dns:198.18.0.53"]"#;

/// Whatever the targets are, the families of sockets that the unit allows are enough to ask them.
#[test]
fn its_families_of_sockets_are_enough_for_every_target() {
    let allowed = families(UNIT);
    sandbox::test(|sandbox| {
        let stage = Stage::new(sandbox, &with_targets());
        stage.play_applied((1, 0), |lab| {
            let mut watched = watched(&stage, &allowed);
            watched.hears_without("watching", CANNOT);
            lab.break_line(0, Fault::Upstream).unwrap();
            watched.hears_without("no target beyond it", CANNOT);
        });
    });
}

/// A line is not dead because this router cannot ask.
#[test]
fn without_a_socket_to_ask_by_a_line_stays_what_it_was() {
    const INTERVAL: Duration = Duration::from_millis(100);
    let mut allowed = families(UNIT);
    allowed.retain(|&family| family != libc::AF_INET);
    sandbox::test(|sandbox| {
        let stage = Stage::new(sandbox, &with_targets());
        stage.play_applied((1, 0), |lab| {
            let mut watched = watched(&stage, &allowed);
            for line in ["dsl1", "dsl2"] {
                let told = watched.hears("cannot be probed");
                assert!(told.contains("dsl"), "{line}: {told}");
            }
            // Three misses in a row would be death.
            let began = Instant::now();
            std::thread::sleep(INTERVAL * 10);
            lab.break_line(1, Fault::Carrier).unwrap();
            let next = watched.hears_without("dsl", CANNOT);
            assert!(next.contains("dsl2") && next.contains("carrier"), "{next}");
            assert!(began.elapsed() >= INTERVAL * 10);
        });
    });
}

fn with_targets() -> String {
    let (head, _) = TWO_LINES.toml.split_once("[keepalive]").unwrap();
    format!("{head}[keepalive]\ninterval = \"100ms\"\ntargets = {TARGETS}\n")
}

/// What `RestrictAddressFamilies=` names.
fn families(unit: &str) -> Vec<i32> {
    let mut lines = unit.lines();
    let named = lines.find_map(|line| line.strip_prefix("RestrictAddressFamilies="));
    let number = |name| match name {
        "AF_UNIX" => libc::AF_UNIX,
        "AF_INET" => libc::AF_INET,
        "AF_NETLINK" => libc::AF_NETLINK,
        "AF_PACKET" => libc::AF_PACKET,
        other => panic!("what is the number of {other}?"),
    };
    named.unwrap().split_whitespace().map(number).collect()
}

/// As systemd restricts a service: `socket` of any other family is refused.
fn only(allowed: &[i32]) -> BpfProgram {
    let differs = |&family: &i32| {
        let (length, value) = (SeccompCmpArgLen::Dword, family as u64);
        SeccompCondition::new(0, length, SeccompCmpOp::Ne, value).unwrap()
    };
    let refused = SeccompRule::new(allowed.iter().map(differs).collect()).unwrap();
    let rules = [(libc::SYS_socket, vec![refused])].into();
    let (pass, refuse) = (
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EAFNOSUPPORT as u32),
    );
    let machine = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, pass, refuse, machine).unwrap();
    filter.try_into().unwrap()
}

fn watched(stage: &Stage<'_>, allowed: &[i32]) -> Watched {
    let filter = only(allowed);
    let mut command = stage.multiwan("keepalive");
    // SAFETY: the filter is made; installing it takes two system calls and no memory.
    unsafe {
        command.pre_exec(move || seccompiler::apply_filter(&filter).map_err(std::io::Error::other));
    }
    Watched::begin(command)
}
