//! What must use one line.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use ipnet::Ipv4Net;
use multiwan::config::{Config, Pin};
use multiwan_lab::Fault;
use multiwan_lab::traffic::{FlowId, Outcome, Protocol};

use super::fits::{self, needs};
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::PINS;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, protocol};

pub(super) const CLAUSES: &[&Clause] = &[&PINNED];

static PINNED: Clause = Clause {
    id: "sticky.pinned",
    kind: Kind::Behaviour,
    how_to: &[],
    promise: "What is pinned to a line uses that line or none.",
    method: "For each pin 40 connections are opened that it is about. Then a line with pins dies, \
        by a modem that hangs: 40 more are opened at a time until one is told that it is \
        prohibited, or the contract's time is over. It is repaired, and 40 more are opened. Each \
        may leave by its pin's line only, and must be answered unless that is dead.",
    needs: &[Need::Settings, Need::Claimed(Feature::Pin)],
    configurations: &[PINS],
    fits: |config| {
        fits::silence_is_found(config)?;
        fits::first_two_share(config)?;
        needs(!config.pins.is_empty(), "pins")?;
        needs(
            config.pins.iter().all(|pin| can_be_met(pin, config)),
            "pins of TCP or UDP that the lab's clients and servers (ports 1024 to 32767) can meet",
        )
    },
    tests: Tests::None,
    judge: pinned,
};

/// Whether the lab's clients and servers have such connections.
fn can_be_met(pin: &Pin, config: &Config) -> bool {
    let inside = |net: &Ipv4Net| config.lans.iter().any(|lan| lan.address.contains(net));
    let from = pin.from.as_ref().is_none_or(inside);
    from && matches!(pin.protocol, None | Some(TCP | UDP))
        && pin.port.is_none_or(|port| (1024..32768).contains(&port))
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;

fn pinned(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::set(cx)?;
    let lines: Vec<usize> = scene
        .cx
        .config
        .pins
        .iter()
        .map(|pin| line_of(&scene.cx.config, pin))
        .collect();
    let dies = lines.iter().copied().min().unwrap_or(0);
    let mut wrong = Wrong::default();
    let before = open(&mut scene, None)?;
    wrong.look(&scene, "before", &before, None);
    let honoured = scene.break_line(dies, Fault::Silent)? + scene.cx.deadlines.honoured;
    scene.cx.events.wait(scene.cx.deadlines.honoured);
    scene.until_avoided(dies)?;
    let mut meanwhile = Vec::new();
    loop {
        let late = Instant::now() > honoured;
        let opened = open(&mut scene, Some(dies))?;
        wrong.look(&scene, "while another line was dead", &opened, Some(dies));
        let settled = is_settled(&scene, &opened, dies);
        meanwhile.extend(opened);
        if settled || late {
            break;
        }
    }
    scene.repair(dies)?;
    scene.until_used(dies)?;
    let after = open(&mut scene, None)?;
    wrong.look(&scene, "after the repair", &after, None);
    // What asked in vain asks again by itself.
    let others = [before, meanwhile, after].concat();
    wrong.look_where(&scene, "at any time", &others);
    let judgement = Judgement::holds_if(wrong.0.is_empty(), || wrong.0.join("; "));
    scene.verdict(judgement.with("connections", others.len()))
}

/// A connection, and the line that it must use.
type Pinned = (FlowId, usize);

fn line_of(config: &Config, pin: &Pin) -> usize {
    let named = config.lines.iter().position(|line| line.name == pin.line);
    named.expect("a pin names a line")
}

/// Whether the applier has honoured the line's death, as far as new connections show it: the
/// kernel's own word, that the modem is not found (ICMP code 1), is no sign of that.
fn is_settled(scene: &Scene<'_>, opened: &[Pinned], dead: usize) -> bool {
    let outcomes = opened
        .iter()
        .filter(|(_, line)| *line == dead)
        .map(|&(flow, _)| scene.traffic.flow(flow).outcome);
    outcomes
        .flatten()
        .any(|outcome| !matches!(outcome, Outcome::Silent | Outcome::Refused { code: 1, .. }))
}

/// Opens connections that each pin is about; for each the first pin that it meets counts. Those of
/// a dead line are not waited for with patience.
fn open(scene: &mut Scene<'_>, dead: Option<usize>) -> Result<Vec<Pinned>, Trouble> {
    let mut opened = begin(scene, |line| dead != Some(line));
    scene.finish()?;
    opened.extend(begin(scene, |line| dead == Some(line)));
    scene.finish_in_vain()?;
    Ok(opened)
}

fn begin(scene: &mut Scene<'_>, of: impl Fn(usize) -> bool) -> Vec<Pinned> {
    const EACH: usize = 40;
    let config = scene.cx.config.clone();
    let clients: Vec<Ipv4Addr> = scene.lab.topology().client_addresses().collect();
    let mut opened = Vec::new();
    for pin in config.pins.iter().filter(|pin| of(line_of(&config, pin))) {
        let from: Vec<usize> = (0..clients.len())
            .filter(|&client| pin.from.is_none_or(|net| net.contains(&clients[client])))
            .collect();
        let to: Option<Vec<Ipv4Addr>> = pin.to.map(|net| net.hosts().take(EACH).collect());
        for number in 0..EACH {
            let Some(&client) = from.get(number % from.len().max(1)) else {
                break;
            };
            let protocol = match pin.protocol {
                Some(TCP) => Protocol::Tcp,
                Some(UDP) => Protocol::Udp,
                _ => protocol(number),
            };
            let server = match &to {
                // A port of one's own choice is free once at each server.
                Some(to) if pin.port.is_some() && number >= to.len() => break,
                Some(to) => to[number % to.len()],
                None => scene.server(),
            };
            let flow = match pin.port {
                Some(port) => {
                    let server = SocketAddrV4::new(server, port);
                    scene.traffic.begin_at(client, server, protocol)
                }
                None => scene.traffic.begin(client, server, protocol),
            };
            let first = config.pins.iter().find(|pin| {
                meets(
                    pin,
                    clients[client],
                    scene.traffic.flow(flow).server,
                    protocol,
                )
            });
            opened.push((flow, line_of(&config, first.unwrap_or(pin))));
        }
    }
    opened
}

fn meets(pin: &Pin, client: Ipv4Addr, server: SocketAddrV4, protocol: Protocol) -> bool {
    let number = match protocol {
        Protocol::Tcp => TCP,
        Protocol::Udp => UDP,
        Protocol::Echo => ICMP,
    };
    pin.from.is_none_or(|net| net.contains(&client))
        && pin.to.is_none_or(|net| net.contains(server.ip()))
        && pin.protocol.is_none_or(|its| its == number)
        && pin.port.is_none_or(|its| its == server.port())
}

/// What was not as pinned, as sentences.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn look(&mut self, scene: &Scene<'_>, when: &str, flows: &[Pinned], dead: Option<usize>) {
        let unanswered =
            |&&(flow, line): &&Pinned| dead != Some(line) && !scene.traffic.flow(flow).answered();
        let unanswered = flows.iter().filter(unanswered).count();
        if unanswered > 0 {
            self.0.push(format!(
                "{unanswered} pinned connections were not answered {when}"
            ));
        }
    }

    fn look_where(&mut self, scene: &Scene<'_>, when: &str, flows: &[Pinned]) {
        let elsewhere = |&&(flow, line): &&Pinned| {
            let seen = scene.traffic.ledger().sightings(flow);
            seen.iter().any(|seen| seen.line != line)
        };
        let elsewhere: Vec<&Pinned> = flows.iter().filter(elsewhere).collect();
        if let Some(&&(flow, line)) = elsewhere.first() {
            self.0.push(format!(
                "{} pinned connections left by another line {when}, such as {} to {} not by {}",
                elsewhere.len(),
                scene.traffic.flow(flow).local,
                scene.traffic.flow(flow).server,
                scene.name(line)
            ));
        }
    }
}
