//! Traffic and its captures, beside a router that nobody has set up.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use multiwan_lab::traffic::{Options, Outcome, Patience, Protocol};
use multiwan_lab::{Fault, Lab, Topology, sandbox};

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
