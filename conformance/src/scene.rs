//! The set that most clauses play on: a lab for the described configuration, the applier at work
//! in its router, and traffic.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use multiwan::config::Config;
use multiwan_lab::traffic::{FlowId, Options, Patience, Protocol, Traffic};
use multiwan_lab::{Fault, Lab, Topology};
use rand::Rng as _;
use rand::seq::SliceRandom as _;

use crate::applier;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};

/// New flows per look at where they go. Should a line have only a fifth of them, the chance that
/// all of a batch miss it is 4e-13.
const BATCH: usize = 128;

/// How long such a look waits for answers, which take well under a millisecond each. An answer
/// that a stalled machine delays makes it look once more.
const GLANCE: Patience = Patience {
    interval: Duration::from_millis(60),
    attempts: 1,
};

/// For packets that are sent to see where they go, answered or not: the second is a
/// retransmission.
const BRIEF: Patience = Patience {
    interval: Duration::from_millis(60),
    attempts: 2,
};

/// A look takes less, also on a slow machine: what it takes beyond this, the machine stood still.
const UNHURRIED: Duration = Duration::from_millis(250);

/// A lab with an applier at work, and traffic through it.
pub struct Scene<'a> {
    /// The lab.
    pub lab: Lab,
    /// Traffic through it.
    pub traffic: Traffic,
    /// What the clause was given.
    pub cx: &'a mut Context,
    pairs: Pairs,
    keepalive: Option<applier::Keepalive>,
}

impl<'a> Scene<'a> {
    /// Builds the lab, runs `apply`, starts the keepalive and waits until every line carries new
    /// flows.
    ///
    /// # Errors
    ///
    /// If the applier fails, or a line carries none in the time for a line's return.
    pub fn set(cx: &'a mut Context) -> Result<Self, Trouble> {
        let mut scene = Self::applied(cx)?;
        scene.cx.events.note("keepalive");
        scene.keepalive = Some(scene.cx.applier.keepalive()?);
        let all: Vec<usize> = (0..scene.lab.topology().lines.len()).collect();
        scene.until("every line carries new flows", |seen| {
            seen.all_answered && all.iter().all(|&line| seen.answered_by[line] > 0)
        })?;
        Ok(scene)
    }

    /// Builds the lab and runs `apply`, no more.
    ///
    /// # Errors
    ///
    /// If the applier fails.
    pub fn applied(cx: &'a mut Context) -> Result<Self, Trouble> {
        cx.events.note("building the lab");
        let mut lab = Lab::build(&cx.sandbox, topology(&cx.config)?)?;
        lab.prepare_router(cx.rng.next_u32())?;
        cx.events.note("apply");
        cx.applier.apply()?;
        lab.wait_router_links()?;
        let traffic = lab.traffic(Options::default())?;
        let pairs = Pairs::new(cx, &lab);
        Ok(Self {
            lab,
            traffic,
            cx,
            pairs,
            keepalive: None,
        })
    }

    /// Begins a flow of a client and a server that have had none together.
    pub fn begin(&mut self, protocol: Protocol) -> FlowId {
        let (client, server) = self.pairs.next(&mut self.cx.rng);
        self.traffic.begin(client, server, protocol)
    }

    /// Begins so many flows, TCP and UDP by turns, and sees each to its outcome.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn open(&mut self, count: usize) -> Result<Vec<FlowId>, Trouble> {
        let flows = (0..count)
            .map(|number| self.begin(protocol(number)))
            .collect();
        self.finish()?;
        Ok(flows)
    }

    /// One more exchange on each of these flows, each to its outcome.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn ask(&mut self, flows: &[FlowId]) -> Result<(), Trouble> {
        for &flow in flows {
            self.traffic.ask(flow);
        }
        self.finish()
    }

    /// Begins so many flows as [`Scene::open`] does, without patience for answers that may never
    /// come.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn open_in_vain(&mut self, count: usize) -> Result<Vec<FlowId>, Trouble> {
        self.traffic.set_patience(BRIEF);
        let flows = self.open(count);
        self.traffic.set_patience(Patience::default());
        flows
    }

    /// One more exchange on each of these flows, without patience for answers that may never
    /// come.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn ask_in_vain(&mut self, flows: &[FlowId]) -> Result<(), Trouble> {
        self.traffic.set_patience(BRIEF);
        let asked = self.ask(flows);
        self.traffic.set_patience(Patience::default());
        asked
    }

    /// Goes on until every exchange has its outcome.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn finish(&mut self) -> Result<(), Trouble> {
        self.traffic.finish().map_err(|source| Trouble::System {
            doing: "making traffic",
            source,
        })
    }

    /// A server that no flow was with, for flows that the lab's clients do not make.
    pub fn server(&mut self) -> Ipv4Addr {
        self.pairs.server()
    }

    /// Breaks a line.
    ///
    /// # Errors
    ///
    /// If the lab cannot.
    pub fn break_line(&mut self, line: usize, fault: Fault) -> Result<Instant, Trouble> {
        self.cx
            .events
            .note(format!("{}: {}", self.name(line), fault.name()));
        let at = Instant::now();
        self.lab.break_line(line, fault)?;
        Ok(at)
    }

    /// Repairs a line.
    ///
    /// # Errors
    ///
    /// If the lab cannot.
    pub fn repair(&mut self, line: usize) -> Result<Instant, Trouble> {
        self.cx
            .events
            .note(format!("{}: repaired", self.name(line)));
        let at = Instant::now();
        self.lab.repair(line)?;
        Ok(at)
    }

    /// Waits until new flows avoid a line and all succeed. When the first batch that did was
    /// begun.
    ///
    /// # Errors
    ///
    /// If they do not in the time that the contract gives for a line's death.
    pub fn until_avoided(&mut self, line: usize) -> Result<Instant, Trouble> {
        let what = format!("all new flows succeed without {}", self.name(line));
        self.until(&what, |seen| {
            seen.all_answered && seen.answered_by[line] == 0
        })
    }

    /// Waits until new flows use a line again and all succeed. When the first batch that did was
    /// begun.
    ///
    /// # Errors
    ///
    /// If they do not in the time that the contract gives for a line's return.
    pub fn until_used(&mut self, line: usize) -> Result<Instant, Trouble> {
        let what = format!("new flows use {} and all succeed", self.name(line));
        self.until(&what, |seen| {
            seen.all_answered && seen.answered_by[line] > 0
        })
    }

    /// Looks at batches of new flows until they are as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&Glance) -> bool) -> Result<Instant, Trouble> {
        self.traffic.set_patience(GLANCE);
        let result = self.look_until(what, wanted);
        self.traffic.set_patience(Patience::default());
        self.cx
            .events
            .note(if result.is_ok() { what } else { "not in time" });
        result
    }

    fn look_until(
        &mut self,
        what: &str,
        wanted: impl Fn(&Glance) -> bool,
    ) -> Result<Instant, Trouble> {
        let patience = self.cx.deadlines.honoured;
        let began = Instant::now();
        let mut stalled = Duration::ZERO;
        loop {
            let batch_began = Instant::now();
            let seen = self.glance()?;
            if wanted(&seen) {
                return Ok(batch_began);
            }
            stalled += batch_began.elapsed().saturating_sub(UNHURRIED);
            // A batch that begins before the deadline is looked at to its end.
            if began.elapsed() <= patience {
                continue;
            }
            if stalled > patience / 4 {
                return Err(Trouble::Lab(format!(
                    "{what}: not seen, but the machine stood still for {} ms of {}",
                    stalled.as_millis(),
                    patience.as_millis()
                )));
            }
            return Err(Trouble::Unmet {
                promise: what.to_owned(),
                waited: patience,
                seen: seen.describe(&self.cx.config),
                output: self
                    .keepalive
                    .as_ref()
                    .map(|daemon| daemon.output())
                    .unwrap_or_default(),
            });
        }
    }

    fn glance(&mut self) -> Result<Glance, Trouble> {
        let flows = self.open(BATCH)?;
        let mut seen = Glance {
            all_answered: true,
            answered_by: vec![0; self.lab.topology().lines.len()],
            answered: 0,
        };
        for flow in flows {
            if !self.traffic.flow(flow).answered() {
                seen.all_answered = false;
                continue;
            }
            seen.answered += 1;
            if let Some(line) = self.traffic.ledger().line(flow) {
                seen.answered_by[line] += 1;
            }
        }
        Ok(seen)
    }

    /// The line's name.
    pub fn name(&self, line: usize) -> String {
        self.cx.config.lines[line].name.clone()
    }

    /// Each line's own address, in order.
    pub fn own_addresses(&self) -> Vec<Ipv4Addr> {
        self.lab
            .topology()
            .lines
            .iter()
            .map(|line| line.router.addr())
            .collect()
    }

    /// Ends the play: the keepalive stops, and the verdict stands only if nothing was lost on
    /// the way to it.
    ///
    /// # Errors
    ///
    /// If the keepalive ended by itself, or a capture cannot say what it lost.
    pub fn verdict(mut self, judgement: Judgement) -> Result<Judgement, Trouble> {
        if let Some(keepalive) = self.keepalive.take() {
            keepalive.stop()?;
        }
        let lost = self.traffic.lost();
        let lost = lost.map_err(|source| Trouble::System {
            doing: "asking the captures",
            source,
        })?;
        if lost > 0 {
            return Err(Trouble::Lab(format!("the captures lost {lost} frames")));
        }
        let dropped = self.lab.conntrack_losses();
        if dropped > 0 {
            return Err(Trouble::Lab(format!(
                "connection tracking lost {dropped} entries"
            )));
        }
        Ok(judgement.with("packets", self.traffic.ledger().packets()))
    }
}

/// Where a batch of new flows went.
struct Glance {
    all_answered: bool,
    answered: usize,
    answered_by: Vec<usize>,
}

impl Glance {
    fn describe(&self, config: &Config) -> String {
        let by = config.lines.iter().zip(&self.answered_by);
        let by: Vec<String> = by
            .map(|(line, count)| format!("{count} by {}", line.name))
            .collect();
        format!(
            "of the last {BATCH} new flows {} were answered ({})",
            self.answered,
            by.join(", ")
        )
    }
}

/// TCP and UDP by turns.
pub fn protocol(number: usize) -> Protocol {
    if number.is_multiple_of(2) {
        Protocol::Tcp
    } else {
        Protocol::Udp
    }
}

/// The lab's topology for a described configuration.
fn topology(config: &Config) -> Result<Topology, Trouble> {
    let [lan] = &config.lans[..] else {
        return Err(Trouble::Lab("the lab has exactly one LAN".to_owned()));
    };
    let mut topology = Topology::new(&lan.interface, lan.address);
    for line in &config.lines {
        let (Some(address), Some(gateway)) = (line.address, line.gateway) else {
            return Err(Trouble::Lab(format!(
                "the lab needs {}'s address and gateway",
                line.name
            )));
        };
        topology = topology.line(&line.interface, address, gateway);
    }
    let room = topology.lan.router.hosts().count().saturating_sub(1);
    let clients = topology.clients.min(room);
    Ok(topology.clients(clients))
}

/// Client–server pairs, none twice: one server after the other in random order, each with every
/// client once.
struct Pairs {
    clients: Vec<usize>,
    next: usize,
    current: Ipv4Addr,
    network: u32,
    /// Steps through all servers once: odd, so that it meets each of a power of two.
    stride: u32,
    count: u32,
    mask: u32,
}

impl Pairs {
    fn new(cx: &mut Context, lab: &Lab) -> Self {
        let servers = lab.topology().servers;
        let mask = !u32::from(servers.netmask());
        let clients: Vec<usize> = (0..lab.topology().clients).collect();
        let mut pairs = Self {
            next: clients.len(),
            clients,
            current: servers.addr(),
            network: u32::from(servers.network()),
            stride: cx.rng.next_u32() | 1,
            count: cx.rng.next_u32(),
            mask,
        };
        pairs.current = pairs.server();
        pairs
    }

    fn server(&mut self) -> Ipv4Addr {
        loop {
            self.count = self.count.wrapping_add(1);
            let host = self.count.wrapping_mul(self.stride) & self.mask;
            // Neither the network's own nor its broadcast address.
            if host != 0 && host != self.mask {
                return Ipv4Addr::from(self.network | host);
            }
        }
    }

    fn next(&mut self, rng: &mut impl rand::Rng) -> (usize, Ipv4Addr) {
        if self.next >= self.clients.len() {
            self.clients.shuffle(rng);
            self.current = self.server();
            self.next = 0;
        }
        self.next += 1;
        (self.clients[self.next - 1], self.current)
    }
}
