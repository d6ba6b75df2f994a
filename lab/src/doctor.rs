//! Whether a lab can be built here, found out by building one.

use std::fs;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Instant;

use crate::Fault;
use crate::lab::Lab;
use crate::sandbox::{self, Mode, Sandbox};
use crate::topology::Topology;
use crate::traffic::Options;

/// What some clauses need of the kernel, and since when it has it.
const SETTINGS: &[(&str, &str)] = &[
    ("ipv4/fib_multipath_hash_policy", "Linux 4.12"),
    ("ipv4/fib_multipath_use_neigh", "Linux 4.7"),
    ("ipv4/fib_multipath_hash_fields", "Linux 5.14"),
    ("ipv4/fib_multipath_hash_seed", "Linux 6.11"),
];

/// Enters a sandbox, builds a lab in it, and says what works and what does not, with the fix.
///
/// Must be called before anything that starts a thread.
pub fn main() -> ExitCode {
    let entered = Instant::now();
    let sandbox = match sandbox::enter() {
        Ok(sandbox) => sandbox,
        Err(why) => {
            eprintln!("multiwan-lab: {why}");
            return ExitCode::from(3);
        }
    };
    println!(
        "ok       a sandbox, without touching the host ({:.1?})",
        entered.elapsed()
    );
    match examine(&sandbox) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            println!("missing  {error}");
            ExitCode::from(3)
        }
    }
}

fn examine(sandbox: &Sandbox) -> Result<bool, crate::Error> {
    let full = sandbox.mode() == Mode::Full;
    if full {
        println!("ok       the kernel's settings can be changed");
    } else {
        println!(
            "missing  /proc/sys is read-only: clauses that change settings cannot be judged; run \
             the container with `podman run --security-opt unmask=/proc/sys` or `docker run \
             --security-opt systempaths=unconfined`"
        );
    }
    let net = |address| ipnet::Ipv4Net::new_assert(address, 24);
    let (lan, dsl) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 2));
    let topology =
        Topology::new("eth0", net(lan)).line("eth1", net(dsl), Ipv4Addr::new(198, 51, 100, 1));
    let built = Instant::now();
    let mut lab = Lab::build(sandbox, topology)?;
    let took = built.elapsed();
    println!(
        "ok       namespaces, links and addresses by netlink: a router with one line and 17 clients ({took:.1?})"
    );
    lab.traffic(Options::default())?;
    println!("ok       frames and captures on packet sockets");
    lab.break_line(0, Fault::Silent)?;
    println!("ok       nftables on a device, and a queue that is a black hole");
    for (setting, since) in SETTINGS {
        let there = fs::exists(format!("/proc/sys/net/{setting}")).unwrap_or(false);
        let (word, name) = (
            if there { "ok" } else { "absent" },
            setting.replace('/', "."),
        );
        println!("{word:<8} net.{name} ({since})");
    }
    Ok(full)
}
