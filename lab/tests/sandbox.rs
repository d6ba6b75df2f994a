//! A sandbox is entered without root, nothing gets out of it, and nothing of it stays.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libc::{EACCES, EROFS};
use multiwan_kernel::rtnl::Rtnl;
use multiwan_lab::netlink::address::AddressMessage;
use multiwan_lab::netlink::link::{LinkAttribute, LinkMessage};
use multiwan_lab::netlink::route::{RouteAttribute, RouteMessage};
use multiwan_lab::netlink::rule::RuleMessage;
use multiwan_lab::netlink::{RouteNetlinkMessage as Message, address::AddressAttribute};
use multiwan_lab::sandbox::Mode;
use multiwan_lab::{Fault, Lab, Netns, Topology, sandbox};

/// Long enough for any machine; what it really took is printed.
const PATIENCE: Duration = Duration::from_secs(20);

fn topology() -> Topology {
    let net = |text: &str| text.parse().unwrap();
    Topology::new("eth0", net("192.0.2.1/24"))
        .line(
            "eth1",
            net("198.51.100.2/24"),
            Ipv4Addr::new(198, 51, 100, 1),
        )
        .line("eth2", net("203.0.113.2/24"), Ipv4Addr::new(203, 0, 113, 1))
}

/// This binary again, for one of its ignored tests.
fn again(test: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([
        "--exact",
        test,
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    command
}

#[test]
fn the_router_starts_with_a_loopback_only() {
    sandbox::test(|_| {
        assert_eq!(devices(), ["lo"]);
    });
}

#[test]
fn a_lab_has_its_devices_and_no_other() {
    sandbox::test(|sandbox| {
        let lab = Lab::build(sandbox, topology()).unwrap();
        assert_eq!(devices(), ["eth0", "eth1", "eth2", "lo"]);
        drop(lab);
    });
}

fn devices() -> Vec<String> {
    let table = fs::read_to_string("/proc/net/dev").unwrap();
    let names = table.lines().filter_map(|line| line.split_once(':'));
    let mut names: Vec<_> = names.map(|(name, _)| name.trim().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn nothing_gets_out_and_nothing_outside_changes() {
    // Whoever can be reached from here must not be from there.
    let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    tcp.set_nonblocking(true).unwrap();
    udp.set_nonblocking(true).unwrap();
    let ports = format!(
        "{} {}",
        tcp.local_addr().unwrap().port(),
        udp.local_addr().unwrap().port()
    );
    let addresses = addresses_here()
        .into_iter()
        .map(|address| address.to_string());

    let before = outside();
    let mut inner = again("inner_shouts");
    inner
        .env("PORTS", ports)
        .env("ADDRESSES", addresses.collect::<Vec<_>>().join(" "));
    let output = sandbox::in_sandbox(inner).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let after = outside();

    assert_eq!(tcp.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(
        udp.recv(&mut [0; 8]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert!(!before.is_empty());
    for (what, held) in &before {
        assert_eq!(after.get(what), Some(held), "{what} changed");
    }
    assert_eq!(before.len(), after.len());
}

/// Builds a lab, changes and breaks it, and tries to reach the outside from its router and from a
/// client.
#[test]
#[ignore = "runs inside of another test"]
fn inner_shouts() {
    sandbox::test(|sandbox| {
        let mut lab = Lab::build(sandbox, topology()).unwrap();
        lab.prepare_router(7).unwrap();
        lab.router().set("ipv4/ip_forward", "1").unwrap();
        lab.break_line(0, Fault::Silent).unwrap();
        lab.break_line(1, Fault::Carrier).unwrap();
        let ports = std::env::var("PORTS").unwrap();
        let (tcp, udp) = ports.split_once(' ').unwrap();
        let (tcp, udp): (u16, u16) = (tcp.parse().unwrap(), udp.parse().unwrap());
        let addresses = std::env::var("ADDRESSES").unwrap();
        assert!(!addresses.is_empty());
        for address in addresses.split(' ') {
            let address: Ipv4Addr = address.parse().unwrap();
            let shout = || {
                // Refused, unreachable or unanswered: all but connected.
                let patience = Duration::from_millis(200);
                assert!(TcpStream::connect_timeout(&(address, tcp).into(), patience).is_err());
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                let _ = socket.send_to(b"out?", (address, udp));
                Ok(())
            };
            lab.router().enter(shout).unwrap();
            lab.client(0).host().enter(shout).unwrap();
        }
    });
}

fn addresses_here() -> Vec<Ipv4Addr> {
    let dump = Rtnl::open()
        .unwrap()
        .dump(
            "listing addresses",
            Message::GetAddress(AddressMessage::default()),
        )
        .unwrap();
    let of = |message| match message {
        Message::NewAddress(message) => {
            message
                .attributes
                .into_iter()
                .find_map(|attribute| match attribute {
                    AddressAttribute::Local(std::net::IpAddr::V4(address)) => Some(address),
                    _ => None,
                })
        }
        _ => None,
    };
    dump.into_iter().filter_map(of).collect()
}

/// What a lab could change outside, without what changes by itself.
fn outside() -> BTreeMap<String, String> {
    let mut rtnl = Rtnl::open().unwrap();
    let mut held = BTreeMap::new();
    for message in rtnl
        .dump("links", Message::GetLink(LinkMessage::default()))
        .unwrap()
    {
        let Message::NewLink(link) = message else {
            continue;
        };
        let lasting = |attribute: &&LinkAttribute| {
            matches!(
                attribute,
                LinkAttribute::IfName(_)
                    | LinkAttribute::Address(_)
                    | LinkAttribute::Mtu(_)
                    | LinkAttribute::Controller(_)
            )
        };
        let attributes: Vec<_> = link.attributes.iter().filter(lasting).collect();
        held.insert(
            format!("link {}", link.header.index),
            format!("{:?} {attributes:?}", link.header),
        );
    }
    held.insert("addresses".to_owned(), format!("{:?}", addresses_here()));
    let mut rules = RuleMessage::default();
    rules.header.family = multiwan_lab::netlink::AddressFamily::Inet;
    let rules = rtnl.dump("rules", Message::GetRule(rules)).unwrap();
    held.insert("rules".to_owned(), format!("{rules:?}"));
    let mut routes = RouteMessage::default();
    routes.header.address_family = multiwan_lab::netlink::AddressFamily::Inet;
    let mut routes = rtnl.dump("routes", Message::GetRoute(routes)).unwrap();
    for route in &mut routes {
        if let Message::NewRoute(route) = route {
            route
                .attributes
                .retain(|attribute| !matches!(attribute, RouteAttribute::CacheInfo(_)));
        }
    }
    held.insert("routes".to_owned(), format!("{routes:?}"));
    held.insert(
        "mounts".to_owned(),
        fs::read_to_string("/proc/self/mountinfo").unwrap(),
    );
    for folder in ["ipv4", "ipv4/conf", "ipv6/conf", "bridge"] {
        settings(&Path::new("/proc/sys/net").join(folder), &mut held);
    }
    held
}

fn settings(folder: &Path, held: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if folder.ends_with("conf") {
                settings(&path, held);
            }
        } else if let Ok(value) = fs::read_to_string(&path) {
            held.insert(path.display().to_string(), value);
        }
    }
}

#[test]
fn nothing_stays_after_a_kill() {
    sandbox::test(|_| {
        // A limit of its own for this sandbox: room for one lab of 21 hosts and a few more.
        const LIMIT: usize = 30;
        const HOSTS: usize = 21;
        fs::write("/proc/sys/user/max_net_namespaces", LIMIT.to_string()).unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let before = processes();

        let mut inner = again("inner_holds_a_lab");
        inner.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = sandbox::spawn(inner).unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            said.map_while(Result::ok)
                .any(|line| line.ends_with("the lab is up"))
        );
        let mut room = Vec::new();
        assert!(!fill(&mut room, HOSTS), "the limit does not hold");
        assert!(processes() > before);

        child.kill().unwrap();
        let killed = Instant::now();
        child.wait().unwrap();
        while processes() != before {
            assert!(
                killed.elapsed() < PATIENCE,
                "{} processes stay",
                processes() - before
            );
            std::thread::yield_now();
        }
        println!("processes gone after {:?}", killed.elapsed());
        // What was made is kept: given back at each try, namespaces that the kernel has still to
        // clean up would be the ones in the way.
        while !fill(&mut room, HOSTS) {
            assert!(killed.elapsed() < PATIENCE, "namespaces stay");
            std::thread::yield_now();
        }
        println!("namespaces back after {:?}", killed.elapsed());
        assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    });
}

/// Builds a lab and holds it until it is killed.
#[test]
#[ignore = "runs inside of another test"]
fn inner_holds_a_lab() {
    sandbox::test(|sandbox| {
        let _lab = Lab::build(sandbox, topology()).unwrap();
        println!("the lab is up");
        std::io::stdin().lines().for_each(drop);
    });
}

/// Makes namespaces until there are so many, or no more can be had.
fn fill(room: &mut Vec<Netns>, count: usize) -> bool {
    while room.len() < count {
        match Netns::create(|| Ok(())) {
            Ok((netns, ())) => room.push(netns),
            Err(_) => return false,
        }
    }
    true
}

/// How many processes this sandbox has: its /proc shows no other.
fn processes() -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit())
        .count()
}

#[test]
fn why_there_is_no_sandbox_is_said_with_the_fix() {
    sandbox::test(|_| {
        fs::write("/proc/sys/user/max_net_namespaces", "0").unwrap();
        let refused = sandbox::in_sandbox(again("inner_holds_a_lab")).unwrap_err();
        assert_eq!(refused.stage, sandbox::Stage::Unshare);
        assert!(
            refused.to_string().contains("user.max_net_namespaces (0)"),
            "{refused}"
        );
    });
}

#[test]
fn without_user_namespaces_root_does_without() {
    sandbox::test(|_| {
        fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
        let output = sandbox::in_sandbox(again("inner_holds_a_lab")).unwrap();
        assert!(output.status.success());
    });
}

/// As root too, who would be let by the kernel; and what the lab needs can be written.
#[test]
fn settings_of_the_machine_are_read_only() {
    sandbox::test(|sandbox| {
        let open = |setting: &str| {
            let path = Path::new("/proc/sys").join(setting);
            let opened = fs::File::options().write(true).open(path);
            opened.err().and_then(|error| error.raw_os_error())
        };
        if sandbox.mode() == Mode::Limited {
            return;
        }
        assert_eq!(open("net/ipv4/ip_forward"), None);
        // Who is not root of the machine is refused as no owner of the file, in whatever order.
        let users = fs::read_to_string("/proc/self/uid_map").unwrap();
        let root = users.split_whitespace().nth(1) == Some("0");
        let refusals: &[_] = if root { &[EROFS] } else { &[EROFS, EACCES] };
        for setting in ["vm/swappiness", "kernel/panic", "fs/file-max"] {
            let refused = open(setting).expect("it is the machine's");
            assert!(refusals.contains(&refused), "{setting}: {refused}");
        }
    });
}
