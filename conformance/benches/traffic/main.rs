//! How much traffic one thread can make and see through a router that the shipped applier has
//! set up, beside what plain sockets and pnet's own channel can.

mod capture;
#[path = "../../../lab/benches/side_by_side/mod.rs"]
mod side_by_side;
mod sockets;
#[path = "../stage/mod.rs"]
mod stage;

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use criterion::Criterion;
use multiwan_lab::traffic::{FlowId, Options, Patience, Protocol, Traffic};
use multiwan_lab::{Fault, Lab, sandbox};
use side_by_side::{Comparison, Unit};
use stage::Stage;

/// The how-to's 17 clients.
const HOSTS: (usize, usize) = (17, 0);
/// Clients without a namespace.
const FLYWEIGHTS: (usize, usize) = (0, 1000);

const UNCAPTURED: Options = Options {
    capture: false,
    window: 128,
    record: 0,
};
const CAPTURED: Options = Options {
    capture: true,
    ..UNCAPTURED
};

fn main() {
    let sandbox = sandbox::enter().unwrap_or_else(|why| panic!("{why}"));
    let narrow = Stage::two_lines(&sandbox);
    let wide = Stage::two_lines_wide(&sandbox);
    let mut criterion = side_by_side::criterion();
    new_flows(&mut criterion, &narrow);
    answered_flows(&mut criterion, &narrow);
    conversations(&mut criterion, &narrow, &wide);
    capture::benchmark(&mut criterion, &narrow);
    criterion.final_summary();
}

/// First packets that end in a modem that hangs: each makes the router choose a line, translate
/// and track, and nothing answers.
fn new_flows(criterion: &mut Criterion, stage: &Stage<'_>) {
    const COUNT: usize = 30_000;
    let unit = Unit::PerSecond {
        count: COUNT as u64,
        what: "flows",
    };
    let round = |options| {
        stage.play_applied(HOSTS, |lab| {
            let mut traffic = warm(lab, options);
            hang(lab);
            traffic.set_patience(Patience {
                interval: Duration::ZERO,
                attempts: 1,
            });
            let (took, flows) = timed(|| begin(&mut traffic, COUNT, datagram));
            assert!(tracked() >= COUNT, "the router tracks {}", tracked());
            if options.capture {
                all_seen(&mut traffic, &flows);
            }
            took
        })
    };
    let title = "new NATed flows, one way, not captured";
    let mut new = Comparison::new(criterion, title, unit);
    new.measure("Traffic, from 17 clients", || round(UNCAPTURED));
    new.measure("UdpSocket::send_to, from 17 clients", || {
        stage.play_applied(HOSTS, |lab| {
            drop(warm(lab, UNCAPTURED));
            hang(lab);
            let (took, ()) = timed(|| sockets::send_datagrams(lab, COUNT));
            assert!(tracked() >= COUNT, "the router tracks {}", tracked());
            took
        })
    });
    new.finish("goal: 50000/s or more");

    let title = "new NATed flows, one way, every packet captured and attributed";
    let mut new = Comparison::new(criterion, title, unit);
    new.measure("Traffic, from 17 clients", || round(CAPTURED));
    new.finish("goal: 30000/s or more");
}

/// Flows whose first packet is answered: twice the packets, and the answers are made by the same
/// thread.
fn answered_flows(criterion: &mut Criterion, stage: &Stage<'_>) {
    const COUNT: usize = 10_000;
    let unit = Unit::PerSecond {
        count: COUNT as u64,
        what: "flows",
    };
    let round = |options| {
        stage.play_applied(HOSTS, |lab| {
            let mut traffic = warm(lab, options);
            let (took, flows) = timed(|| begin(&mut traffic, COUNT, datagram));
            all_answered(&traffic, &flows);
            if options.capture {
                all_seen(&mut traffic, &flows);
            }
            took
        })
    };
    let title = "new NATed flows, UDP, asked and answered";
    let mut answered = Comparison::new(criterion, title, unit);
    answered.measure("not captured", || round(UNCAPTURED));
    answered.measure("every packet captured and attributed", || round(CAPTURED));
    answered.finish("no goal");
}

/// Open, request, reply, close.
fn conversations(criterion: &mut Criterion, narrow: &Stage<'_>, wide: &Stage<'_>) {
    const COUNT: usize = 4_000;
    let unit = Unit::PerSecond {
        count: COUNT as u64,
        what: "conversations",
    };
    let frames = |stage: &Stage<'_>, clients, options| {
        stage.play_applied(clients, |lab| {
            let mut traffic = warm(lab, options);
            let (took, flows) = timed(|| begin(&mut traffic, COUNT, conversation));
            all_answered(&traffic, &flows);
            if options.capture {
                all_seen(&mut traffic, &flows);
            }
            took
        })
    };
    let sockets = |converse: fn(&mut Lab, usize)| {
        narrow.play_applied(HOSTS, |lab| {
            drop(warm(lab, UNCAPTURED));
            timed(|| converse(lab, COUNT)).0
        })
    };

    let title = "TCP conversations, frame by frame";
    let mut frame_by_frame = Comparison::new(criterion, title, unit);
    frame_by_frame.measure("1000 clients without namespaces", || {
        frames(wide, FLYWEIGHTS, UNCAPTURED)
    });
    frame_by_frame.measure("the same, captured and attributed", || {
        frames(wide, FLYWEIGHTS, CAPTURED)
    });
    frame_by_frame.measure("17 clients with namespaces", || {
        frames(narrow, HOSTS, UNCAPTURED)
    });
    frame_by_frame.finish("goal: 10000/s or more");

    let title = "TCP conversations, 17 clients' own sockets";
    let mut real = Comparison::new(criterion, title, unit);
    real.measure("tokio, one thread", || sockets(sockets::converse));
    real.measure("blocking std sockets, two threads", || {
        sockets(sockets::converse_blocking)
    });
    real.finish("goal: 3000/s or more");
}

/// Gets ready and lets every host learn what it learns from first packets, by one conversation of
/// each client.
fn warm(lab: &Lab, options: Options) -> Traffic {
    let mut traffic = lab.traffic(options).unwrap_or_else(|why| panic!("{why}"));
    let clients = traffic.clients();
    let flows = begin(&mut traffic, clients, conversation);
    all_answered(&traffic, &flows);
    traffic
}

fn datagram(traffic: &mut Traffic, client: usize, server: Ipv4Addr) -> FlowId {
    traffic.begin(client, server, Protocol::Udp)
}

fn conversation(traffic: &mut Traffic, client: usize, server: Ipv4Addr) -> FlowId {
    traffic.converse(client, server, Protocol::Tcp)
}

/// Begins flows, each client's with another server, and sees them to their end.
fn begin(
    traffic: &mut Traffic,
    count: usize,
    begin: fn(&mut Traffic, usize, Ipv4Addr) -> FlowId,
) -> Vec<FlowId> {
    let clients = traffic.clients();
    let flows = (0..count)
        .map(|number| begin(traffic, number % clients, server(number / clients)))
        .collect();
    traffic.finish().expect("frames can be sent");
    flows
}

/// The servers in order.
fn server(number: usize) -> Ipv4Addr {
    let first = u32::from(Ipv4Addr::new(198, 18, 0, 1));
    Ipv4Addr::from(first + number as u32)
}

fn hang(lab: &mut Lab) {
    for line in 0..2 {
        lab.break_line(line, Fault::Silent)
            .unwrap_or_else(|why| panic!("{why}"));
    }
}

/// How many connections the router tracks.
fn tracked() -> usize {
    let count = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count");
    count
        .expect("connection tracking")
        .trim()
        .parse()
        .expect("a number")
}

fn all_answered(traffic: &Traffic, flows: &[FlowId]) {
    let answered = flows.iter().filter(|&&flow| traffic.flow(flow).answered());
    assert_eq!(answered.count(), flows.len(), "flows answered");
}

fn all_seen(traffic: &mut Traffic, flows: &[FlowId]) {
    assert_eq!(traffic.lost().expect("captures count"), 0, "frames lost");
    let ledger = traffic.ledger();
    let seen = flows.iter().filter(|&&flow| ledger.line(flow).is_some());
    assert_eq!(seen.count(), flows.len(), "flows attributed");
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let result = work();
    (began.elapsed(), result)
}
