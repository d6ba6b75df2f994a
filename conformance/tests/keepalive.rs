//! What the keepalive does that no packet shows.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use multiwan_conformance::configuration::TWO_LINES;
use multiwan_kernel::packet::{self, PacketSocket};
use multiwan_lab::{Fault, Lab, sandbox};
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pnet::datalink;
use pnet::packet::arp::{ArpOperation, ArpOperations, ArpPacket};
use pnet::packet::ethernet::EthernetPacket;
use stage::{Stage, Watched, run};

const POINT_TO_POINT: &str = r#"
[lan]
interface = "eth0"
address   = "192.0.2.1/24"

[[line]]
name      = "ppp"
interface = "ppp0"
address   = "198.51.100.2/32"

[[line]]
name      = "dsl2"
interface = "eth2"
address   = "203.0.113.2/24"
gateway   = "203.0.113.1"

[keepalive]
interval  = "200ms"
targets   = ["198.18.0.53"]
"#;

/// There is no gateway that could be asked, and the link stays up.
#[test]
fn a_target_beyond_a_point_to_point_link_tells_a_dead_provider() {
    sandbox::test(|sandbox| {
        let stage = Stage::new(sandbox, POINT_TO_POINT);
        stage.play_applied((1, 0), |lab| {
            let mut command = stage.multiwan("keepalive");
            let mut daemon = command.stderr(Stdio::piped()).spawn().unwrap();
            let mut said = BufReader::new(daemon.stderr.take().unwrap()).lines();
            let mut hears = |what: &str| {
                let about = |line: &String| line.contains("ppp") && line.contains("to=");
                let line = said.by_ref().map(Result::unwrap).find(about).unwrap();
                assert!(line.contains(what), "{what}: {line}");
            };
            lab.break_line(0, Fault::Upstream).unwrap();
            hears("to=suspect");
            hears("no target answers");
            lab.repair(0).unwrap();
            hears("to=up");
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        });
    });
}

/// For what takes no time but on a machine that stalls.
const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn a_gateway_that_does_not_answer_the_kernel_is_asked_at_once() {
    const INTERVAL: Duration = Duration::from_secs(20);
    sandbox::test(|sandbox| {
        let toml = TWO_LINES.toml.replace(
            "interval  = \"200ms\"",
            "interval = \"20s\"\ntimeout = \"100ms\"",
        );
        let stage = Stage::new(sandbox, &toml);
        stage.play_applied((1, 0), |lab| {
            run(Command::new("ping").args(["-c", "1", "-I", "eth1", "198.51.100.1"]));
            let replies = Arp::on("eth1");
            let mut command = stage.multiwan("keepalive");
            let mut daemon = command.stderr(Stdio::piped()).spawn().unwrap();
            let began = Instant::now();
            let mut said = BufReader::new(daemon.stderr.take().unwrap()).lines();
            assert!(said.any(|line| line.unwrap().contains("watching")));
            // The first probe's. With the cable out at once there would be none.
            replies.wait_for(ArpOperations::Reply, [198, 51, 100, 1].into());
            lab.break_line(0, Fault::Silent).unwrap();
            let probe = ["change", "198.51.100.1", "dev", "eth1", "nud", "probe"];
            run(Command::new("ip").arg("neigh").args(probe));
            assert!(said.any(|line| line.unwrap().contains("to=dead")));
            let took = began.elapsed();
            daemon.kill().unwrap();
            daemon.wait().unwrap();
            assert!(took < INTERVAL / 2, "dead after {took:?}");
        });
    });
}

#[test]
fn a_name_server_beyond_the_gateway_tells_a_dead_provider() {
    sandbox::test(|sandbox| {
        let toml = TWO_LINES.toml.replace(
            "[keepalive]",
            "[keepalive]\ntargets = [\"dns:198.18.0.53\"]",
        );
        let stage = Stage::new(sandbox, &toml);
        stage.play_applied((1, 0), |lab| {
            let server = lab.internet().enter(|| UdpSocket::bind("198.18.0.53:53"));
            let server = server.unwrap();
            thread::spawn(move || {
                let mut query = [0; 512];
                while let Ok((length, client)) = server.recv_from(&mut query) {
                    // The bit that makes an answer of it (RFC 1035, 4.1.1).
                    query[2] |= 0x80;
                    let _ = server.send_to(&query[..length], client);
                }
            });
            let mut command = stage.multiwan("keepalive");
            let mut daemon = command.stderr(Stdio::piped()).spawn().unwrap();
            let mut said = BufReader::new(daemon.stderr.take().unwrap()).lines();
            let mut hears = |what: &str| {
                let about = |line: String| line.contains("dsl1") && line.contains(what);
                assert!(said.any(|line| about(line.unwrap())), "{what}");
            };
            lab.break_line(0, Fault::Upstream).unwrap();
            hears("to=dead");
            lab.repair(0).unwrap();
            hears("to=up");
            daemon.kill().unwrap();
            daemon.wait().unwrap();
            assert_eq!(
                unreachables_sent(),
                0,
                "the answers are taken without a word"
            );
        });
    });
}

/// Each probe is answered, though the server half opens a connection for the one before.
#[test]
fn a_server_beyond_the_gateway_tells_that_a_line_is_back_to_stay() {
    comes_back_twice(1, |_| {});
}

/// There the server keeps what it has half opened: answers for more probes than there are ports.
#[test]
fn a_server_tells_it_where_resets_get_lost() {
    comes_back_twice(18, |lab| {
        let drop = "add table ip lossy; \
             add chain ip lossy input { type filter hook input priority 0; }; \
             add rule ip lossy input tcp flags rst drop";
        let internet = lab.internet();
        internet
            .enter(|| {
                run(Command::new("nft").arg(drop));
                Ok(())
            })
            .unwrap();
    });
}

/// After so many answers in a row, and after several the second time, for it has relapsed.
fn comes_back_twice(successes: u32, prepare: fn(&mut Lab)) {
    sandbox::test(|sandbox| {
        let keys =
            format!("[keepalive]\ntargets = [\"tcp:198.18.0.9:80\"]\nsuccesses = {successes}");
        let toml = TWO_LINES.toml.replace("[keepalive]", &keys);
        let stage = Stage::new(sandbox, &toml);
        stage.play_applied((1, 0), |lab| {
            let listen = || TcpListener::bind("198.18.0.9:80");
            let _server = lab.internet().enter(listen).unwrap();
            prepare(lab);
            let mut keepalive = Watched::begin(stage.multiwan("keepalive"));
            for _ in 0..2 {
                lab.break_line(0, Fault::Upstream).unwrap();
                keepalive.hears("to=dead");
                lab.repair(0).unwrap();
                keepalive.hears("to=up");
            }
        });
    });
}

/// The kernel tells of it as of one that never was away where nobody listens meanwhile.
#[test]
fn a_device_with_the_index_of_one_that_is_gone_is_asked() {
    const OWN: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
    sandbox::test(|sandbox| {
        let stage = Stage::two_lines(sandbox);
        stage.play_applied((1, 0), |lab| {
            let replies = Arp::on("eth1");
            let keepalive = Watched::begin(stage.multiwan("keepalive"));
            replies.wait_for(ArpOperations::Reply, [198, 51, 100, 1].into());
            let cards = datalink::interfaces();
            let card = cards.iter().find(|card| card.name == "eth1").unwrap();
            let (index, hardware) = (card.index.to_string(), card.mac.unwrap().to_string());

            let process = Pid::from_raw(keepalive.pid() as i32);
            kill(process, Signal::SIGSTOP).unwrap();
            lab.break_line(0, Fault::DeviceRemoved).unwrap();
            let ip = |arguments: &str| run(Command::new("ip").args(arguments.split(' ')));
            ip(&format!(
                "link add eth1 index {index} address {hardware} type veth peer far index 77"
            ));
            ip("link set far up");
            ip("link set eth1 up");
            let questions = Arp::on("far");
            kill(process, Signal::SIGCONT).unwrap();
            questions.wait_for(ArpOperations::Request, OWN);
        });
    });
}

/// The ARP packets that come in on a card.
struct Arp(PacketSocket);

impl Arp {
    fn on(card: &str) -> Self {
        Self(PacketSocket::open(if_nametoindex(card).unwrap(), packet::ARP).unwrap())
    }

    /// Waits for one of that kind from that address.
    fn wait_for(&self, operation: ArpOperation, sender: Ipv4Addr) {
        let deadline = Instant::now() + DEADLINE;
        let mut frame = [0; 64];
        let is_it = |frame: &[u8]| {
            ArpPacket::new(&frame[EthernetPacket::minimum_packet_size()..]).is_some_and(|arp| {
                arp.get_operation() == operation && arp.get_sender_proto_addr() == sender
            })
        };
        loop {
            match self.0.receive(&mut frame) {
                Ok(_) if is_it(&frame) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    assert!(
                        !left.is_zero(),
                        "no {operation:?} from {sender} in {DEADLINE:?}"
                    );
                    let timeout = PollTimeout::try_from(left).unwrap();
                    poll(
                        &mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)],
                        timeout,
                    )
                    .unwrap();
                }
                Err(error) => panic!("hearing ARP: {error}"),
            }
        }
    }
}

/// How many ICMP errors the router has sent that say "unreachable" (`OutDestUnreachs`).
fn unreachables_sent() -> u64 {
    let table = fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut icmp = table.lines().filter(|line| line.starts_with("Icmp:"));
    let names = icmp.next().unwrap().split_whitespace();
    let mut columns = names.zip(icmp.next().unwrap().split_whitespace());
    let (_, count) = columns
        .find(|(name, _)| *name == "OutDestUnreachs")
        .unwrap();
    count.parse().unwrap()
}
