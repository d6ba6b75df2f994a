//! Every nftables statement to the real kernel and back, its text both ways through `nft` too, and what others write.

use std::{
    io::Write,
    net::UdpSocket,
    process::{Command, Stdio},
};

use multiwan_kernel::{
    nft::*,
    rtnl::{Change, Rtnl},
};
use multiwan_lab::sandbox;
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkFlags, LinkMessage},
};
use nix::errno::Errno;

#[path = "../src/nft/samples.rs"]
mod samples;

#[test]
fn every_statement_comes_back() {
    sandbox::test(|_| {
        let mut netfilter = Netfilter::open().expect("a socket");
        for sample in samples::samples() {
            let table = sample.table("round_trip");
            netfilter
                .replace(&table)
                .unwrap_or_else(|error| panic!("{}: {error}", sample.text));
            let back = netfilter.read(table.family, &table.name).expect("readable");
            assert_eq!(back.as_ref(), Some(&table), "{}", sample.text);
            netfilter
                .delete(table.family, &table.name)
                .expect("deletable");
        }
        assert_eq!(netfilter.tables().expect("readable"), []);
    });
}

/// What is printed, put by nft, is what is encoded; and what nft prints of it, put by nft, too.
#[test]
fn nft_agrees() {
    sandbox::test(|_| {
        let mut netfilter = Netfilter::open().expect("a socket");
        for sample in samples::samples() {
            let table = sample.table("round_trip");
            let (family, name) = (table.family, &table.name);

            nft(&["-f", "-"], &table.to_string());
            let by_nft = netfilter
                .read(family, name)
                .expect("readable")
                .expect("there");
            assert_eq!(by_nft, table, "{}", sample.text);

            netfilter.replace(&table).expect("replaceable");
            let listed = nft(&["list", "table", &family.to_string(), name], "");
            nft(
                &["-f", "-"],
                &format!("delete table {family} {name}\n{listed}"),
            );
            let again = netfilter
                .read(family, name)
                .expect("readable")
                .expect("there");
            assert_eq!(again, table, "{}\n{listed}", sample.text);
            netfilter.delete(family, name).expect("deletable");
        }
    });
}

#[test]
fn replacing_is_idempotent() {
    sandbox::test(|_| {
        let mut netfilter = Netfilter::open().expect("a socket");
        let table = router();
        for _ in 0..3 {
            netfilter.replace(&table).expect("replaceable");
            let back = netfilter.read(Family::Ip, "multiwan").expect("readable");
            assert_eq!(back.as_ref(), Some(&table));
        }
        assert_eq!(
            netfilter.tables().expect("readable"),
            [(Family::Ip, "multiwan".into())]
        );
        netfilter.delete(Family::Ip, "multiwan").expect("deletable");
        assert_eq!(
            netfilter.read(Family::Ip, "multiwan").expect("readable"),
            None
        );
    });
}

#[test]
fn refusals_name_the_rule() {
    sandbox::test(|_| {
        let mut netfilter = Netfilter::open().expect("a socket");
        let before = router();
        netfilter.replace(&before).expect("replaceable");

        let mut refused = |statement: Statement| {
            let mut table = router();
            let rule = Rule::new([Statement::Local(End::Source, Test::Is), statement]);
            table.chains[0].rules.insert(3, rule);
            let error = netfilter.replace(&table).expect_err("refused");
            println!("    {error}");
            error
        };
        let nonesuch = Unknown {
            name: "nonesuch".into(),
            attributes: Vec::new(),
        };
        let error = refused(Statement::Unknown(nonesuch));
        assert_eq!(error.errno(), Some(Errno::ENOENT));
        assert!(error.to_string().contains("`nonesuch`"), "{error}");
        let error = refused(Verdict::Jump("nowhere".into()).into());
        assert_eq!(error.errno(), Some(Errno::ENOENT));
        assert!(error.to_string().contains("jump nowhere"), "{error}");
        let error = refused(Statement::Masquerade);
        assert!(error.to_string().contains("masquerade"), "{error}");

        let after = netfilter.read(Family::Ip, "multiwan").expect("readable");
        assert_eq!(after, Some(before));
        netfilter.delete(Family::Ip, "multiwan").expect("deletable");
    });
}

#[test]
fn deleting_what_is_absent() {
    sandbox::test(|_| {
        let mut netfilter = Netfilter::open().expect("a socket");
        netfilter.delete(Family::Ip, "absent").expect("no error");
        netfilter
            .delete(Family::Netdev, "absent")
            .expect("no error");
        assert_eq!(netfilter.tables().expect("readable"), []);
    });
}

#[test]
fn foreign_rules_are_seen() {
    sandbox::test(|_| {
        let mut netfilter = Netfilter::open().expect("a socket");
        let table = router();
        netfilter.replace(&table).expect("replaceable");
        nft(
            &["-f", "-"],
            "insert rule ip multiwan prerouting meta mark 1 limit rate 5/second accept\n\
         add table inet other\nadd table arp another",
        );
        let current = netfilter
            .read(Family::Ip, "multiwan")
            .expect("readable")
            .expect("there");
        let differences = table.difference(&current);
        assert!(
            matches!(&differences[..], [Difference::RuleForeign { .. }]),
            "{differences:?}"
        );
        println!("    {}", differences[0]);

        netfilter.replace(&current).expect("replaceable");
        assert_eq!(
            netfilter.read(Family::Ip, "multiwan").expect("readable"),
            Some(current)
        );
        let names = netfilter.tables().expect("readable");
        assert!(
            names.contains(&(Family::Arp, "another".into())),
            "{names:?}"
        );
        for (family, name) in names {
            netfilter.delete(family, &name).expect("deletable");
        }
    });
}

/// What is put with `nft`, and how it reads here where that is not the same.
const FOREIGN: [(&str, &str, Option<&str>); 32] = [
    ("filter", "meta mark set ct mark", None),
    ("filter", "ct mark set meta mark", None),
    ("filter", "meta mark set ct mark & 0xff", None),
    ("filter", "meta mark set meta mark << 8", None),
    ("filter", "meta mark > 7", None),
    ("filter", "meta nfproto ipv6 drop", None),
    ("filter", "iif lo accept", Some("iif 1 accept")),
    ("filter", "iifname \"eth*\" accept", None),
    ("filter", "ip saddr @office accept", None),
    ("filter", "ip saddr != @office drop", None),
    (
        "filter",
        "th dport 1024-2048",
        Some("th dport >= 1024 th dport <= 2048"),
    ),
    ("filter", "th dport != 1024-2048", None),
    ("filter", "th sport > 1023 accept", None),
    ("filter", "ip saddr . th dport @doors accept", None),
    (
        "filter",
        "th dport { 22, 80 } accept",
        Some("th dport @__set0 accept"),
    ),
    ("filter", "meta mark vmap @ways", None),
    ("filter", "meta mark set ip saddr map @marks", None),
    (
        "filter",
        "numgen inc mod 2 vmap { 0 : accept }",
        Some("numgen inc mod 2 vmap @__map0"),
    ),
    (
        "filter",
        "meta mark set jhash ip saddr . ip daddr mod 2 offset 256",
        None,
    ),
    ("filter", "ct mark set numgen random mod 3 offset 1", None),
    ("filter", "limit rate 5/second burst 7 packets drop", None),
    ("filter", "limit rate over 1000 bytes/minute drop", None),
    ("filter", "log prefix \"hey \"", None),
    ("filter", "log group 3", None),
    ("filter", "reject with icmpx admin-prohibited", None),
    ("filter", "ip ttl 3 notrack", None),
    (
        "filter",
        "ip protocol icmp @th,0,8 8",
        Some("ip protocol icmp @th,0,8 0x08"),
    ),
    (
        "nat",
        "meta l4proto tcp dnat ip to 10.0.0.9:8080",
        Some("meta l4proto tcp dnat to 10.0.0.9:8080"),
    ),
    ("nat", "meta l4proto tcp redirect to :3128", None),
    ("nat", "oifname \"eth1\" masquerade random", None),
    (
        "nat",
        "oifname \"eth3\" snat ip to 10.0.0.1-10.0.0.4 persistent",
        Some("oifname \"eth3\" snat to 10.0.0.1-10.0.0.4 persistent"),
    ),
    (
        "nat",
        "snat ip to ip saddr map @others",
        Some("snat to ip saddr map @others"),
    ),
];

/// What others put with `nft` reads much as `nft` itself writes it, and never as a name alone.
#[test]
fn rules_of_others_can_be_read() {
    sandbox::test(|_| {
        let mut netfilter = Netfilter::open().expect("a socket");
        for (kind, put, reads) in FOREIGN {
            let hook = match put {
                _ if put.contains("dnat") || put.contains("redirect") => "prerouting priority -100",
                _ if kind == "nat" => "postrouting priority 100",
                _ => "prerouting priority -300",
            };
            let input = format!(
                "table inet others {{
                    set office {{ type ipv4_addr; }}
                    set doors {{ type ipv4_addr . inet_service; }}
                    map ways {{ type mark : verdict; }}
                    map marks {{ type ipv4_addr : mark; }}
                    map others {{ type ipv4_addr : ipv4_addr; }}
                    chain one {{
                        type {kind} hook {hook}
                        {put}
                    }}
                }}"
            );
            nft(&["-f", "-"], &input);
            assert_eq!(
                read_rule(&mut netfilter, Family::Inet, "others", "one"),
                reads.unwrap_or(put)
            );
            netfilter.delete(Family::Inet, "others").expect("deletable");
        }
    });
}

/// An extension of iptables is named, with what is known of its content.
#[test]
fn rules_of_iptables_can_be_read() {
    sandbox::test(|_| {
        let mut netfilter = Netfilter::open().expect("a socket");
        for (table, put, reads) in [
            (
                "nat",
                "POSTROUTING -o eth1 -m comment --comment one -j MASQUERADE",
                "oifname \"eth1\" xt match comment \"one\" counter xt target MASQUERADE",
            ),
            (
                "nat",
                "POSTROUTING -m mark ! --mark 1 -j SNAT --to-source 192.0.2.1",
                "meta mark != 0x1 counter xt target SNAT to 192.0.2.1",
            ),
            (
                "mangle",
                "PREROUTING -j CONNMARK --restore-mark --mask 0x3f00",
                "counter xt target CONNMARK restore ctmask 0x3f00 nfmask 0x3f00",
            ),
            (
                "mangle",
                "PREROUTING -m conntrack --ctstate NEW -j MARK --set-mark 0x100/0x3f00",
                "xt match conntrack state new counter xt target MARK set xor 0x100/0x3f00",
            ),
            (
                "filter",
                "FORWARD -m state ! --state INVALID -j ACCEPT",
                "xt match conntrack != state invalid counter accept",
            ),
        ] {
            let arguments = ["-t", table, "-A"].into_iter().chain(put.split(' '));
            let arguments: Vec<&str> = arguments.collect();
            run("iptables-nft", &arguments, "");
            let chain = put.split(' ').next().expect("a chain");
            assert_eq!(read_rule(&mut netfilter, Family::Ip, table, chain), reads);
            netfilter.delete(Family::Ip, table).expect("deletable");
        }
    });
}

/// The only rule of a chain, as text.
fn read_rule(netfilter: &mut Netfilter, family: Family, table: &str, chain: &str) -> String {
    let table = netfilter
        .read(family, table)
        .expect("readable")
        .expect("there");
    let [rule] = &table.chain(chain).expect("there").rules[..] else {
        panic!("{table}");
    };
    let text = rule.to_string();
    // nft puts this test of the family before what is about an address.
    match text.strip_prefix("meta nfproto ipv4 ") {
        Some(text) => text.to_owned(),
        None => text,
    }
}

/// A datagram over the loopback device, marked on its way.
#[test]
fn connections() {
    sandbox::test(|_| {
        let mut netfilter = Netfilter::open().expect("a socket");
        let mut table = Table::new(Family::Ip, "marks");
        let mut output = Chain::base("output", Base::new(Kind::Filter, Hook::Output, -150));
        output.rule([Statement::SetConntrackMark(Mark::new(0x300, 0x3f00))]);
        output.rule([
            Statement::ConntrackMark(Test::Is, Mark::new(0x300, 0x3f00)),
            Statement::Counter(Counter::default()),
        ]);
        table.chains.push(output);
        netfilter.replace(&table).expect("replaceable");
        loopback_up();
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let to = receiver.local_addr().expect("bound");
        sender.send_to(b"x", to).expect("sent");

        let mut found = netfilter.connections().expect("readable");
        let connection = found.pop().expect("a connection");
        println!(
            "    {} mark {:#x} {:?}",
            connection.original, connection.mark, connection.status
        );
        assert_eq!((found.len(), connection.mark), (0, 0x300));
        let ports = conntrack::Ports::Ports {
            source: sender.local_addr().expect("bound").port(),
            destination: to.port(),
        };
        assert_eq!(
            (connection.original.protocol, connection.original.ports),
            (Protocol::UDP, ports)
        );
        assert!(!connection.status.seen_reply());
        let counted = netfilter
            .read(Family::Ip, "marks")
            .expect("readable")
            .expect("there");
        let counter = counted.chains[0].rules[1].counter().expect("a counter");
        assert_eq!((counter.packets, counter.bytes), (1, 29));

        let mut marked = |value| {
            let of = netfilter.connections_marked(Mark::new(value, 0x3f00));
            let tuples = of.expect("readable").into_iter().map(|one| one.original);
            tuples.collect::<Vec<_>>()
        };
        assert_eq!(marked(0x300), [connection.original]);
        assert_eq!(marked(0x100), []);

        assert!(netfilter.forget(&connection).expect("forgettable"));
        assert!(!netfilter.forget(&connection).expect("no error"));
        assert_eq!(netfilter.connections().expect("readable"), []);
        netfilter.delete(Family::Ip, "marks").expect("deletable");
    });
}

/// A datagram is counted in one chain before and after the rules of another are replaced.
#[test]
fn counters_of_other_chains_go_on() {
    sandbox::test(|_| {
        let mut netfilter = Netfilter::open().expect("a socket");
        let mut table = router();
        let mut output = Chain::base("output", Base::new(Kind::Filter, Hook::Output, -150));
        output.rule([Statement::Counter(Counter::default())]);
        table.chains.push(output);
        netfilter.replace(&table).expect("replaceable");
        loopback_up();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let to = socket.local_addr().expect("bound");
        let send = |netfilter: &mut Netfilter| {
            socket.send_to(b"x", to).expect("sent");
            let read = netfilter.read(Family::Ip, "multiwan").expect("readable");
            read.expect("there")
        };
        let before = send(&mut netfilter);

        let mut wanted = before.clone();
        wanted.chains[0].rules.truncate(3);
        wanted.chains[0].rules.reverse();
        let changed = wanted.changed_chains(&before).expect("only rules differ");
        assert_eq!(changed, [&wanted.chains[0]]);
        let refill = Transaction::new().refill(&wanted, changed);
        netfilter.commit(&refill).expect("refillable");

        let after = send(&mut netfilter);
        assert_eq!(after, wanted);
        let counter = after.chains[1].rules[0].counter().expect("a counter");
        assert_eq!(counter.packets, 2);

        // A chain that is not there, or hooked in elsewhere, is no matter of its rules.
        wanted.chains[0].name = "other".into();
        assert_eq!(wanted.changed_chains(&before), None);
        // What the kernel refuses leaves all as it was.
        let refill = Transaction::new().refill(&wanted, &wanted.chains);
        let error = netfilter.commit(&refill).expect_err("no such chain");
        assert!(
            error.to_string().contains("chain ip multiwan other"),
            "{error}"
        );
        let back = netfilter.read(Family::Ip, "multiwan").expect("readable");
        assert_eq!(back, Some(after));
        netfilter.delete(Family::Ip, "multiwan").expect("deletable");
    });
}

/// A namespace begins with the device down.
fn loopback_up() {
    let mut rtnl = Rtnl::open().expect("a socket");
    let mut message = LinkMessage::default();
    message.header.index = 1;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    let up = Change::existing("raising lo", RouteNetlinkMessage::SetLink(message));
    rtnl.change([up]).expect("raisable");
}

/// Runs nft in this namespace and returns what it prints.
fn nft(arguments: &[&str], input: &str) -> String {
    run("nft", arguments, input)
}

fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes())
        .expect("writable");
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "{}\n{input}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// A table of the applier's size: 25 rules.
fn router() -> Table {
    let mut table = Table::new(Family::Ip, "multiwan");
    let base = Base::new(Kind::Filter, Hook::Prerouting, -150);
    let mut chain = Chain::base("prerouting", base);
    for line in 1..=25_u32 {
        chain.rule([
            Statement::InputInterface(Test::Is, format!("eth{line}")),
            Statement::ConntrackState([State::New].into()),
            Statement::ConntrackMark(Test::Is, Mark::new(0, 0x3f00)),
            Statement::SetConntrackMark(Mark::new(line << 8, 0x3f00)),
            Statement::Counter(Counter::default()),
        ]);
    }
    table.chains.push(chain);
    table
}
