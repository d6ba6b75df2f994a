//! Capture of what reaches a modem at 100,000 packets a second: what it loses, and what it takes
//! of a processor.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::{Duration, Instant};

use criterion::Criterion;
use multiwan_kernel::packet::{Burst, IPV4, PacketSocket};
use multiwan_lab::traffic::{Options, Protocol};
use multiwan_lab::{Host, Lab};
use pnet::datalink::{self, Channel, NetworkInterface};
use pnet::packet::ethernet::{EtherTypes, MutableEthernetPacket};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::{self, MutableIpv4Packet};
use pnet::packet::udp::MutableUdpPacket;
use rustix::time::{ClockId, clock_gettime};

use super::side_by_side::{Comparison, Unit};
use super::stage::Stage;

const RATE: u64 = 100_000;
const PACKETS: u64 = 100_000;
/// The packets belong to so many flows.
const FLOWS: usize = 1000;
/// When nothing has come for so long, all that was sent has.
const QUIET: Duration = Duration::from_millis(50);

/// A card to send or capture on.
struct Card {
    name: String,
    index: u32,
}

/// What a capture did in the second.
struct Captured {
    processor: Duration,
    seen: u64,
    /// What the capture itself says that it lost, if it can.
    lost: Option<u64>,
}

pub(crate) fn benchmark(criterion: &mut Criterion, stage: &Stage<'_>) {
    let title = "processor time to capture 100000 packets in a second";
    let mut capture = Comparison::new(criterion, title, Unit::Milliseconds);
    let mut ours = Vec::new();
    let mut pnets = Vec::new();
    capture.measure("Traffic, each attributed", || {
        let captured = stage.play((0, 0), by_traffic);
        let processor = captured.processor;
        ours.push(captured);
        processor
    });
    capture.measure("pnet's channel, each counted", || {
        let captured = stage.play((0, 0), by_pnet);
        let processor = captured.processor;
        pnets.push(captured);
        processor
    });
    capture.finish("goal: none lost; 10 ms are 1 % of a processor");
    for (name, rounds) in [("Traffic", ours), ("pnet's channel", pnets)] {
        let sent = rounds.len() as u64 * PACKETS;
        let seen: u64 = rounds.iter().map(|round| round.seen).sum();
        let lost: Option<u64> = rounds.iter().map(|round| round.lost).sum();
        let says = lost.map_or("cannot say".to_owned(), |lost| format!("says {lost}"));
        println!(
            "==> {name}: {} of {sent} packets not seen, and it {says}",
            sent - seen
        );
    }
    println!();
}

/// Captures as every clause of the suite does.
fn by_traffic(lab: &mut Lab) -> Captured {
    let mut traffic = lab
        .traffic(Options::default())
        .unwrap_or_else(|why| panic!("{why}"));
    let servers = (0..FLOWS).map(|number| {
        let flow = traffic.watch(
            Ipv4Addr::new(198, 18, 0, 1 + (number % 250) as u8),
            Protocol::Udp,
        );
        traffic.flow(flow).server
    });
    let frames = frames(servers.collect());
    let router_card = line(lab);
    thread::scope(|scope| {
        let sender = scope.spawn(move || send(&router_card, &frames));
        let began = processor_time();
        while traffic.turn(QUIET).expect("a capture") || !sender.is_finished() {}
        Captured {
            processor: processor_time() - began,
            seen: traffic.ledger().packets(),
            lost: Some(traffic.lost().expect("captures count")),
        }
    })
}

/// Captures with pnet's own channel, as its documentation has it.
fn by_pnet(lab: &mut Lab) -> Captured {
    let server = |number| SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 1), 1024 + number as u16);
    let frames = frames((0..FLOWS).map(server).collect());
    let router_card = line(lab);
    let modem = lab.modem(0);
    let card = device(modem, "lan");
    let card = NetworkInterface {
        name: card.name,
        description: String::new(),
        index: card.index,
        mac: None,
        ips: Vec::new(),
        flags: 0,
    };
    let config = datalink::Config {
        read_timeout: Some(QUIET),
        ..datalink::Config::default()
    };
    let channel = modem.enter(|| datalink::channel(&card, config));
    let Ok(Channel::Ethernet(_, mut receiver)) = channel else {
        panic!("no channel")
    };
    thread::scope(|scope| {
        let sender = scope.spawn(move || send(&router_card, &frames));
        let began = processor_time();
        let mut seen = 0;
        loop {
            let frame = receiver.next();
            match frame {
                Ok(frame) if frame[12..14] == IPV4.to_be_bytes() => seen += 1,
                Ok(_) => {}
                Err(_) if sender.is_finished() => break,
                Err(_) => {}
            }
        }
        Captured {
            processor: processor_time() - began,
            seen,
            lost: None,
        }
    })
}

/// The router's card of the first line, up.
fn line(lab: &mut Lab) -> Card {
    let name = lab.topology().lines[0].interface.clone();
    super::stage::run(std::process::Command::new("ip").args(["link", "set", &name, "up"]));
    lab.wait_router_links()
        .unwrap_or_else(|why| panic!("{why}"));
    device(lab.router(), &name)
}

fn device(host: &mut Host, name: &str) -> Card {
    let link = host.link(name).unwrap_or_else(|why| panic!("{why}"));
    Card {
        name: name.to_owned(),
        index: link.header.index,
    }
}

/// Sends all packets, as many at a time as are due.
fn send(card: &Card, frames: &Burst) {
    let socket = PacketSocket::open(card.index, 0).expect("a packet socket");
    socket.bypass_queueing().expect("a packet socket");
    let began = Instant::now();
    let mut sent = 0;
    while sent < PACKETS {
        let due = (began.elapsed().as_micros() as u64 * RATE / 1_000_000).min(PACKETS);
        let mut burst = Burst::default();
        for number in sent..due {
            let frame = frames.frame(number as usize % frames.len());
            burst.push_with(frame.len(), |room| room.copy_from_slice(frame));
        }
        let taken = socket.send_burst(&burst).expect("room for a burst");
        sent += taken as u64;
        thread::sleep(Duration::from_millis(1));
    }
}

/// A frame to each server, to all hosts at once, which none of them forwards or answers.
fn frames(servers: Vec<SocketAddrV4>) -> Burst {
    const ETHERNET: usize = 14;
    const IP: usize = 20;
    const UDP: usize = 8;
    let source = Ipv4Addr::new(198, 51, 100, 2);
    let mut burst = Burst::default();
    for server in servers {
        burst.push_with(60, |frame| {
            let length = frame.len() - ETHERNET;
            let mut ethernet = MutableEthernetPacket::new(frame).expect("room");
            ethernet.set_destination([0xff; 6].into());
            ethernet.set_source([2; 6].into());
            ethernet.set_ethertype(EtherTypes::Ipv4);
            let mut ip = MutableIpv4Packet::new(&mut frame[ETHERNET..]).expect("room");
            ip.set_version(4);
            ip.set_header_length(5);
            ip.set_total_length(length as u16);
            ip.set_ttl(64);
            ip.set_next_level_protocol(IpNextHeaderProtocols::Udp);
            ip.set_source(source);
            ip.set_destination(*server.ip());
            ip.set_checksum(ipv4::checksum(&ip.to_immutable()));
            let mut udp = MutableUdpPacket::new(&mut frame[ETHERNET + IP..]).expect("room");
            udp.set_source(40000);
            udp.set_destination(server.port());
            udp.set_length((length - IP) as u16);
            debug_assert!(length - IP >= UDP);
        });
    }
    burst
}

/// What this thread has used of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
