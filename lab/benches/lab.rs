//! How long a lab takes to come and to go, beside the same lab made by `ip` commands.
//!
//! The lab by `ip` has the same hosts, links, addresses and routes, and leaves out what `ip`
//! cannot do without further processes: kernel settings.

mod side_by_side;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use multiwan_kernel::rtnl::Monitor;
use multiwan_lab::sandbox::{self, Sandbox};
use multiwan_lab::{Lab, Topology};
use side_by_side::{Comparison, Unit};

const CLIENTS: usize = 17;
const MORE_CLIENTS: usize = 117;

fn main() {
    let sandbox = sandbox::enter().unwrap_or_else(|why| panic!("{why}"));
    let mut criterion = side_by_side::criterion();

    // First, since the kernel makes a caller wait while it takes back what the others leave.
    let title = "entering a sandbox, and its end";
    let mut enter = Comparison::new(&mut criterion, title, Unit::Milliseconds);
    enter.measure("sandbox::in_sandbox", || {
        timed(|| sandbox::in_sandbox(Command::new("true")).map_err(io::Error::other))
    });
    enter.measure("unshare(1)", || {
        let flags = [
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "--pid",
            "--fork",
        ];
        timed(|| {
            Command::new("unshare")
                .args(flags)
                .args(["--mount-proc", "true"])
                .status()
        })
    });
    enter.measure("no sandbox", || timed(|| Command::new("true").status()));
    enter.finish("a process each, `true` in it");

    let title = "lab up, router + 2 modems + Internet + 17 clients";
    let mut up = Comparison::new(&mut criterion, title, Unit::Milliseconds);
    let few = up.measure("Lab::build", || build(&sandbox, CLIENTS).0);
    let few_batched = up.measure("ip -batch", || by_ip(CLIENTS, ip_batch).0);
    up.measure("ip, a process for each command", || {
        by_ip(CLIENTS, ip_each).0
    });
    up.finish("goal: 80 ms or less");

    let title = "lab up, the same with 117 clients";
    let mut up = Comparison::new(&mut criterion, title, Unit::Milliseconds);
    let many = up.measure("Lab::build", || build(&sandbox, MORE_CLIENTS).0);
    let many_batched = up.measure("ip -batch", || by_ip(MORE_CLIENTS, ip_batch).0);
    up.finish("for the next line");
    if let Some(ours) = per_client(few, many) {
        print!("==> per further client: {ours:.2} ms (goal: 3 ms or less)");
        if let Some(theirs) = per_client(few_batched, many_batched) {
            print!("; ip -batch: {theirs:.2} ms, ratio {:.2}", theirs / ours);
        }
        println!("\n");
    }

    let title = "lab down, 17 clients, until the router's last link is gone";
    let mut down = Comparison::new(&mut criterion, title, Unit::Milliseconds);
    down.measure("drop", || build(&sandbox, CLIENTS).1);
    down.measure("ip -all netns delete", || by_ip(CLIENTS, ip_batch).1);
    down.finish("goal: 100 ms or less");

    criterion.final_summary();
}

/// Milliseconds per client, from the times for few and for many.
fn per_client(few: Option<Duration>, many: Option<Duration>) -> Option<f64> {
    let more = many?.saturating_sub(few?);
    Some(more.as_secs_f64() * 1e3 / (MORE_CLIENTS - CLIENTS) as f64)
}

fn timed<T>(work: impl FnOnce() -> io::Result<T>) -> Duration {
    let began = Instant::now();
    work().expect("it can be started");
    began.elapsed()
}

/// How long a lab took to build and to go.
fn build(sandbox: &Sandbox, clients: usize) -> (Duration, Duration) {
    let began = Instant::now();
    let lab = Lab::build(sandbox, topology(clients)).unwrap_or_else(|why| panic!("{why}"));
    let up = began.elapsed();
    (up, until_gone(|| drop(lab)))
}

/// How long the same lab took by `ip` commands, which `run` runs, and how long it took to go.
fn by_ip(clients: usize, run: fn(&[Host])) -> (Duration, Duration) {
    let hosts = hosts(clients);
    let began = Instant::now();
    run(&hosts);
    let up = began.elapsed();
    let down = until_gone(|| ip(&["-all", "netns", "delete"], ""));
    (up, down)
}

/// How long it takes until the router has no link any more but its loopback: the kernel takes
/// namespaces back at its leisure.
fn until_gone(take_down: impl FnOnce()) -> Duration {
    let mut links = Monitor::links().expect("a netlink socket");
    let began = Instant::now();
    take_down();
    let patience = Duration::from_secs(10);
    loop {
        let devices = fs::read_to_string("/proc/net/dev").expect("the router's devices");
        // Two lines of headings, and the loopback.
        if devices.lines().count() <= 3 {
            return began.elapsed();
        }
        assert!(began.elapsed() < patience, "links stay:\n{devices}");
        links.wait(patience).expect("news of links");
    }
}

fn topology(clients: usize) -> Topology {
    let net = |text: &str| text.parse().expect("a network");
    let address = |text: &str| text.parse().expect("an address");
    Topology::new("eth0", net("192.0.2.1/24"))
        .line("eth1", net("198.51.100.2/24"), address("198.51.100.1"))
        .line("eth2", net("203.0.113.2/24"), address("203.0.113.1"))
        .clients(clients)
}

/// A host by its name, with the `ip` commands that are run in its namespace; none for the router,
/// whose namespace is ours.
struct Host {
    name: String,
    commands: Vec<String>,
}

/// The lab's hosts, each after those that it has links to.
fn hosts(clients: usize) -> Vec<Host> {
    let host = |name: &str, commands: &[&str]| Host {
        name: name.to_owned(),
        commands: commands.iter().map(ToString::to_string).collect(),
    };
    let mut hosts = Vec::new();
    let mut switch = host("switch", &["link add br0 up type bridge mcast_snooping 0"]);
    let mut internet = host(
        "internet",
        &["link set lo up", "route add local 198.18.0.0/15 dev lo"],
    );
    for number in 1..=clients {
        let name = format!("client{number}");
        switch.commands.push(format!(
            "link add {name} up master br0 type veth peer name eth0 netns {name}"
        ));
        hosts.push(host(
            &name,
            &[
                "link set lo up",
                "link set eth0 up",
                &format!("addr add 192.0.2.{}/24 dev eth0", number + 1),
                "route add default via 192.0.2.1",
            ],
        ));
    }
    let mut router = host("router", &["link set lo up"]);
    router
        .commands
        .push("link add eth0 type veth peer name router netns switch".to_owned());
    switch
        .commands
        .push("link set router up master br0".to_owned());
    for (number, net) in [(1, "198.51.100"), (2, "203.0.113")] {
        let name = format!("modem{number}");
        router.commands.push(format!(
            "link add eth{number} type veth peer name lan netns {name}"
        ));
        internet.commands.extend([
            format!("link add isp{number} up type veth peer name isp netns {name}"),
            format!("addr add 10.255.0.{}/30 dev isp{number}", 4 * number - 3),
        ]);
        hosts.push(host(
            &name,
            &[
                "link set lo up",
                "link set lan up",
                "link set isp up",
                &format!("addr add 10.255.0.{}/30 dev isp", 4 * number - 2),
                &format!("addr add {net}.1/24 dev lan"),
                &format!("route add default via 10.255.0.{}", 4 * number - 3),
            ],
        ));
    }
    // Links are made from these three.
    hosts.splice(0..0, [router, switch, internet]);
    hosts
}

/// A process for each command.
fn ip_each(hosts: &[Host]) {
    for Host { name, .. } in others(hosts) {
        ip(&["netns", "add", name], "");
    }
    for host in hosts {
        for command in &host.commands {
            let words: Vec<_> = namespace(host).chain(command.split(' ')).collect();
            ip(&words, "");
        }
    }
}

/// A process for all namespaces, and one more for each of them.
fn ip_batch(hosts: &[Host]) {
    let add = others(hosts).map(|host| format!("netns add {}\n", host.name));
    ip(&["-batch", "-"], &add.collect::<String>());
    for host in hosts {
        let words: Vec<_> = namespace(host).chain(["-batch", "-"]).collect();
        ip(&words, &(host.commands.join("\n") + "\n"));
    }
}

fn others(hosts: &[Host]) -> impl Iterator<Item = &Host> {
    hosts.iter().filter(|host| host.name != "router")
}

fn namespace(host: &Host) -> impl Iterator<Item = &str> {
    let words = (host.name != "router").then_some(["-n", &host.name]);
    words.into_iter().flatten()
}

fn ip(words: &[&str], input: &str) {
    let mut ip = Command::new("ip")
        .args(words)
        .stdin(Stdio::piped())
        .spawn()
        .expect("ip, of iproute2, can be started");
    let mut stdin = ip.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("ip reads");
    drop(stdin);
    let status = ip.wait().expect("ip ends");
    assert!(status.success(), "ip {} {status}", words.join(" "));
}
