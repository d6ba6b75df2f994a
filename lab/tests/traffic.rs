//! Traffic and its captures, beside a router that nobody has set up.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use multiwan_kernel::nft::Netfilter;
use multiwan_lab::traffic::{
    FlowId, Options, Outcome, Patience, Protocol, Refusal, SEGMENT, Stray, Traffic,
};
use multiwan_lab::{Fault, Lab, Rate, Sandbox, Topology, sandbox};

#[test]
fn a_device_that_went_down_does_not_keep_the_lab_busy() {
    sandbox::test(|sandbox| {
        let net = |text: &str| text.parse().unwrap();
        let gateway = Ipv4Addr::new(198, 51, 100, 1);
        let topology = Topology::new("eth0", net("192.0.2.1/24"))
            .line("eth1", net("198.51.100.2/24"), gateway)
            .clients(1);
        let mut lab = Lab::build(sandbox, topology).unwrap();
        let mut traffic = lab.traffic(Options::default()).unwrap();
        lab.break_line(0, Fault::Carrier).unwrap();
        // The first turn may hear of it; the others have nothing to do.
        const WAIT: Duration = Duration::from_millis(50);
        traffic.turn(WAIT).unwrap();
        let began = Instant::now();
        for _ in 0..4 {
            traffic.turn(WAIT).unwrap();
        }
        assert!(
            began.elapsed() >= 4 * WAIT,
            "turned in {:?}",
            began.elapsed()
        );
    });
}

#[test]
fn a_flow_that_nobody_answers_is_silent_and_seen_on_no_line() {
    sandbox::test(|sandbox| {
        let net = |text: &str| text.parse().unwrap();
        let gateway = Ipv4Addr::new(198, 51, 100, 1);
        let topology = Topology::new("eth0", net("192.0.2.1/24"))
            .line("eth1", net("198.51.100.2/24"), gateway)
            .clients(200);
        let lab = Lab::build(sandbox, topology).unwrap();
        let mut traffic = lab.traffic(Options::default()).unwrap();
        traffic.set_patience(Patience {
            interval: Duration::from_millis(10),
            attempts: 3,
        });
        let flow = traffic.begin(199, Ipv4Addr::new(198, 18, 0, 1), Protocol::Tcp);
        traffic.finish().unwrap();
        assert_eq!(traffic.flow(flow).outcome, Some(Outcome::Silent));
        assert_eq!(traffic.flow(flow).retransmissions, 2);
        assert_eq!(traffic.ledger().line(flow), None);
        assert_eq!(traffic.lost().unwrap(), 0);
    });
}

/// A lab of one line whose router has its addresses, forwards, and translates.
fn plain_router(sandbox: &Sandbox) -> Lab {
    plain_router_with(sandbox, None, "masquerade")
}

fn plain_router_with(sandbox: &Sandbox, rate: Option<Rate>, translation: &str) -> Lab {
    let net = |text: &str| text.parse().unwrap();
    let gateway = Ipv4Addr::new(198, 51, 100, 1);
    let topology = Topology::new("eth0", net("192.0.2.1/24"))
        .line("eth1", net("198.51.100.2/24"), gateway)
        .clients(2);
    let topology = match rate {
        Some(rate) => topology.rate(rate),
        None => topology,
    };
    let mut lab = Lab::build(sandbox, topology).unwrap();
    for command in [
        "link set eth0 up",
        "address add 192.0.2.1/24 dev eth0",
        "link set eth1 up",
        "address add 198.51.100.2/24 dev eth1",
        "route add default via 198.51.100.1",
    ] {
        let done = Command::new("ip")
            .args(command.split(' '))
            .status()
            .unwrap();
        assert!(done.success(), "ip {command}");
    }
    let translate = &format!(
        "add table ip lab; add chain ip lab leaving {{ type nat hook postrouting priority 100; }}; \
         add rule ip lab leaving oifname eth1 {translation}"
    );
    let done = Command::new("nft").arg(translate).status().unwrap();
    assert!(done.success(), "nft {translate}");
    lab.router().set("ipv4/ip_forward", "1").unwrap();
    lab.wait_router_links().unwrap();
    lab
}

const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

#[test]
fn a_host_outside_asks_the_router_and_is_answered_by_its_line() {
    sandbox::test(|sandbox| {
        let lab = plain_router(sandbox);
        let mut traffic = lab.traffic(Options::default()).unwrap();
        let router = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 2), 7);
        let echo = traffic.begin_outside(0, SERVER, router, Protocol::Echo);
        // Nobody listens.
        let closed = traffic.begin_outside(0, SERVER, router, Protocol::Tcp);
        traffic.finish().unwrap();
        assert!(traffic.flow(echo).answered());
        assert_eq!(traffic.flow(closed).outcome, Some(Outcome::Reset));
        for flow in [echo, closed] {
            let [seen] = traffic.ledger().sightings(flow) else {
                panic!("one line and source");
            };
            assert_eq!((seen.line, seen.source.ip()), (0, router.ip()));
        }
    });
}

#[test]
fn what_is_injected_is_a_stray_where_it_arrives() {
    sandbox::test(|sandbox| {
        let mut lab = plain_router(sandbox);
        let mut traffic = lab.traffic(Options::default()).unwrap();
        let (source, to) = (SocketAddrV4::new(SERVER, 53), lab.client(0).address());
        traffic.inject(0, source, SocketAddrV4::new(to, 5000), Protocol::Udp);
        let deadline = Instant::now() + Duration::from_secs(5);
        while traffic.strays().is_empty() && Instant::now() < deadline {
            traffic.turn(Duration::from_millis(10)).unwrap();
        }
        assert_eq!(traffic.strays(), [Stray { source, to }]);
    });
}

/// As a resolver is, by a program that asks of itself.
#[test]
fn a_name_server_gives_the_query_back_as_an_answer() {
    sandbox::test(|sandbox| {
        let lab = plain_router(sandbox);
        let mut traffic = lab.traffic(Options::default()).unwrap();
        // The root's name servers, with recursion.
        let query = [b"\x12\x34\x01\x00\x00\x01", &[0; 7][..], b"\0\x02\0\x01"].concat();
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
            .send_to(&query, (Ipv4Addr::new(198, 18, 0, 53), 53))
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut answer = [0; 64];
        let length = loop {
            match socket.recv(&mut answer) {
                Ok(length) => break length,
                Err(_) => assert!(Instant::now() < deadline, "no answer"),
            }
            traffic.turn(Duration::from_millis(5)).unwrap();
        };
        let mut expected = query;
        expected[2] = 0x81;
        assert_eq!(answer[..length], expected);
    });
}

#[test]
fn errors_and_fragments_are_attributed_to_their_flow() {
    sandbox::test(|sandbox| {
        let lab = plain_router(sandbox);
        let mut traffic = lab.traffic(Options::default()).unwrap();
        let (port, too_big) = (Refusal::PORT_UNREACHABLE, Refusal::too_big(1400));
        let refused = traffic.begin(0, SERVER, Protocol::Tcp);
        traffic.refuse(refused, too_big);
        let echo = traffic.begin(0, SERVER, Protocol::Echo);
        let large = traffic.begin_large(1, SERVER, 4000);
        traffic.finish().unwrap();
        let outcome = traffic.flow(refused).outcome;
        let expected = Outcome::Refused {
            from: SERVER,
            kind: 3,
            code: 4,
        };
        assert_eq!(outcome, Some(expected));
        assert!(traffic.flow(echo).answered());
        assert!(traffic.flow(large).answered());
        traffic.complain(large, port);
        traffic.repeat(echo);
        traffic.finish().unwrap();
        let packets = |flow| match traffic.ledger().sightings(flow) {
            [seen] => seen.packets,
            seen => panic!("{seen:?}"),
        };
        // Three fragments and the complaint.
        assert_eq!((packets(large), packets(echo)), (4, 2));
    });
}

/// Such as a NAT that draws ports gives; an echo's identifier is drawn too.
const DRAWN: &str = "masquerade fully-random";

/// So many that one's identifier is likely to be what another had before.
const ECHOES: usize = 1000;

#[test]
fn echoes_are_told_apart_whatever_identifier_nat_gives_them() {
    sandbox::test(|sandbox| {
        let lab = plain_router_with(sandbox, None, DRAWN);
        let mut traffic = lab.traffic(Options::default()).unwrap();
        let echoes: Vec<FlowId> = (0..ECHOES)
            .map(|number| traffic.begin(number % 2, SERVER, Protocol::Echo))
            .collect();
        traffic.finish().unwrap();
        echoes.iter().for_each(|&echo| traffic.ask(echo));
        traffic.finish().unwrap();
        let identifiers = |traffic: &Traffic, flow| match traffic.ledger().sightings(flow) {
            [seen] => (traffic.flow(flow).local.port(), seen.source.port()),
            seen => panic!("{seen:?}"),
        };
        let drawn: Vec<(u16, u16)> = echoes
            .iter()
            .map(|&echo| identifiers(&traffic, echo))
            .collect();
        let kept = drawn.iter().filter(|(own, given)| own == given).count();
        assert!(kept < ECHOES / 10, "{kept} kept theirs");
        let taken = |(_, given): &&(u16, u16)| drawn.iter().any(|(own, _)| own == given);
        assert!(drawn.iter().any(|one| taken(&one)), "none got another's");
        // An error quotes no more of an echo than its identifier.
        for &echo in &echoes {
            traffic.complain(echo, Refusal::TIME_EXCEEDED);
            traffic.repeat(echo);
        }
        traffic.finish().unwrap();
        let packets = |flow| match traffic.ledger().sightings(flow) {
            [seen] => seen.packets,
            seen => panic!("{seen:?}"),
        };
        assert!(echoes.iter().all(|&echo| traffic.flow(echo).answered()));
        assert!(echoes.iter().all(|&echo| packets(echo) == 4));
        assert_eq!(traffic.strays(), []);
    });
}

#[test]
fn an_echo_with_another_identifier_has_a_second_source() {
    sandbox::test(|sandbox| {
        let lab = plain_router_with(sandbox, None, DRAWN);
        let mut traffic = lab.traffic(Options::default()).unwrap();
        let echo = traffic.begin(0, SERVER, Protocol::Echo);
        traffic.finish().unwrap();
        let mut netfilter = Netfilter::open().unwrap();
        for connection in netfilter.connections().unwrap() {
            assert!(netfilter.forget(&connection).unwrap());
        }
        traffic.ask(echo);
        traffic.finish().unwrap();
        assert!(traffic.flow(echo).answered());
        let [one, other] = traffic.ledger().sightings(echo) else {
            panic!("two identifiers");
        };
        assert_eq!(one.source.ip(), other.source.ip());
    });
}

#[test]
fn echoes_from_outside_are_known_beside_those_of_clients() {
    sandbox::test(|sandbox| {
        let lab = plain_router_with(sandbox, None, DRAWN);
        let mut traffic = lab.traffic(Options::default()).unwrap();
        let router = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 2), 0);
        let flows: Vec<FlowId> = (0..ECHOES)
            .map(|number| match number % 2 {
                0 => traffic.begin_outside(0, SERVER, router, Protocol::Echo),
                _ => traffic.begin(0, SERVER, Protocol::Echo),
            })
            .collect();
        traffic.finish().unwrap();
        for (number, &flow) in flows.iter().enumerate() {
            assert!(traffic.flow(flow).answered());
            let [seen] = traffic.ledger().sightings(flow) else {
                panic!("one line and source");
            };
            assert_eq!((seen.packets, seen.source.ip()), (1, router.ip()));
            // An answer has the identifier that was asked with.
            if number % 2 == 0 {
                assert_eq!(seen.source.port(), traffic.flow(flow).local.port());
            }
        }
    });
}

#[test]
fn a_line_carries_its_rate_and_no_more() {
    const RATE: Rate = Rate {
        bits: 8_000_000,
        queue: 1 << 20,
    };
    const DOWNLOADS: u32 = 40;
    const BYTES: u32 = 10 * SEGMENT;
    sandbox::test(|sandbox| {
        if !multiwan_lab::has_token_bucket().unwrap() {
            eprintln!("this kernel has no token bucket: nothing to test");
            return;
        }
        let lab = plain_router_with(sandbox, Some(RATE), "masquerade");
        let mut traffic = lab.traffic(Options::default()).unwrap();
        traffic.set_patience(Patience {
            interval: Duration::from_secs(5),
            attempts: 2,
        });
        let flows: Vec<_> = (0..DOWNLOADS)
            .map(|number| traffic.fetch(number as usize % 2, SERVER, BYTES))
            .collect();
        traffic.finish().unwrap();
        assert!(flows.iter().all(|&flow| traffic.flow(flow).answered()));
        let bytes_of = |flow| {
            let arrivals = traffic.arrivals().iter();
            arrivals
                .filter(|arrival| arrival.flow == flow)
                .map(|arrival| arrival.bytes)
                .sum::<u32>()
        };
        for &flow in &flows {
            assert_eq!(bytes_of(flow), BYTES + 10 * 54);
        }
        let mut times: Vec<_> = traffic.arrivals().iter().map(|seen| seen.at).collect();
        times.sort();
        let took = (times[times.len() - 1] - times[0]).as_secs_f64();
        let still: f64 = times
            .windows(2)
            .map(|two| (two[1] - two[0]).saturating_sub(Rate::BUCKET).as_secs_f64())
            .sum();
        let bytes = DOWNLOADS * (BYTES + 10 * 54) - RATE.bucket();
        let expected = f64::from(bytes) * 8.0 / f64::from(RATE.bits);
        // Never faster; slower only by what the machine stood still.
        assert!(took > expected * 0.99, "{took} s, {expected} expected");
        assert!(
            took - still < expected * 1.02,
            "{took} s, {still} of it still"
        );
    });
}
