//! What a router sees of faults.

use multiwan_lab::{Fault, Lab, Topology, sandbox};

#[test]
fn a_removed_device_comes_back_as_another_of_the_same_name() {
    sandbox::test(|sandbox| {
        let net = |text: &str| text.parse().unwrap();
        let topology = Topology::new("eth0", net("192.0.2.1/24"))
            .line(
                "eth1",
                net("198.51.100.2/24"),
                "198.51.100.1".parse().unwrap(),
            )
            .line("lan", net("203.0.113.2/24"), "203.0.113.1".parse().unwrap())
            .clients(1);
        let mut lab = Lab::build(sandbox, topology).unwrap();
        for (line, card) in ["eth1", "lan"].into_iter().enumerate() {
            let mut seen = vec![lab.router().link(card).unwrap().header.index];
            for _ in 0..2 {
                lab.break_line(line, Fault::DeviceRemoved).unwrap();
                lab.router().link(card).unwrap_err();
                lab.repair(line).unwrap();
                let index = lab.router().link(card).unwrap().header.index;
                assert!(!seen.contains(&index), "{card} has {index} again");
                seen.push(index);
            }
        }
    });
}
