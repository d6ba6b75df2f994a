//! The set that most clauses play on: a lab for the described configuration, the applier at work
//! in its router, and traffic.

mod calls;
mod changes;
mod evidence;
mod load;
mod pairs;
mod ping;
mod router_news;
mod service;
mod stream;
mod topology;
mod wait;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use multiwan::config::Line;
use multiwan_lab::traffic::{FlowId, Options, Origin, Patience, Protocol, Traffic};
use multiwan_lab::{Fault, Lab, Topology};
use rand::Rng as _;

use crate::applier;
use crate::bundle::FRAMES;
use crate::context::Context;
use crate::events::Mark;
use crate::judge::{expected, shares};
use crate::judgement::{Judgement, Status, Trouble};
pub use calls::NO_ANSWER;
use pairs::Pairs;
use router_news::RouterNews;
pub use service::Service;
pub use stream::Stream;
pub use topology::is_point_to_point;
use topology::{given, network, topology};
pub use wait::outcome;

/// For packets that are sent to see where they go, answered or not: the second is a
/// retransmission.
const BRIEF: Patience = Patience {
    interval: Duration::from_millis(60),
    attempts: 2,
};

/// A lab with an applier at work, and traffic through it.
///
/// It ends with [`Scene::verdict`]; one that is dropped before ends in trouble.
pub struct Scene<'a> {
    /// The lab.
    pub lab: Lab,
    /// Traffic through it.
    pub traffic: Traffic,
    /// What the clause was given.
    pub cx: &'a mut Context,
    pairs: Pairs,
    keepalive: Option<applier::Keepalive>,
    /// Of the machine's ARP table, before the play.
    overflows: u64,
    news: RouterNews,
    /// Its events are the clause's from this one on.
    first_event: usize,
    /// Whether its end was told, or went well.
    told: bool,
    /// Whether its timeline was added to the clause's.
    drawn: bool,
}

impl<'a> Scene<'a> {
    /// Builds the lab, runs `apply`, starts the keepalive and waits until every line carries new
    /// flows.
    ///
    /// # Errors
    ///
    /// If the applier fails, or a line carries none in the time for a line's return.
    pub fn set(cx: &'a mut Context) -> Result<Self, Trouble> {
        Self::set_with(cx, 0)
    }

    /// As [`Scene::set`], with so many clients more, which no flow is from until the clause begins
    /// one: the last of all clients. The router has not spent a word on them yet, of the few that
    /// its limit on ICMP errors grants to each.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn set_with(cx: &'a mut Context, fresh: usize) -> Result<Self, Trouble> {
        let mut scene = Self::applied_with(cx, fresh)?;
        scene.start()?;
        Ok(scene)
    }

    /// Builds the lab and runs `apply`, no more.
    ///
    /// # Errors
    ///
    /// If the applier fails.
    pub fn applied(cx: &'a mut Context) -> Result<Self, Trouble> {
        Self::applied_with(cx, 0)
    }

    fn applied_with(cx: &'a mut Context, fresh: usize) -> Result<Self, Trouble> {
        let mut scene = Self::bare_with(cx, fresh)?;
        scene.apply()?;
        Ok(scene)
    }

    /// Builds the lab, with a router that nobody has set up.
    ///
    /// # Errors
    ///
    /// If it cannot be built.
    pub fn bare(cx: &'a mut Context) -> Result<Self, Trouble> {
        Self::bare_with(cx, 0)
    }

    fn bare_with(cx: &'a mut Context, fresh: usize) -> Result<Self, Trouble> {
        let topology = topology(&cx.config)?.flyweights(fresh);
        Self::build(cx, topology)
    }

    fn build(cx: &'a mut Context, topology: Topology) -> Result<Self, Trouble> {
        let first_event = cx.events.kept().len();
        cx.events.note("building the lab");
        let mut lab = Lab::build(&cx.sandbox, topology)?;
        lab.prepare_router(cx.rng.next_u32())?;
        for line in 0..cx.lines().len() {
            if cx.lines()[line].dynamic {
                lab.lease(line)?;
            }
        }
        let news = RouterNews::listen(&mut lab)?;
        let record = if cx.evidence.wanted() { FRAMES } else { 0 };
        let traffic = lab.traffic(Options {
            record,
            ..Options::default()
        })?;
        let pairs = Pairs::new(cx, &lab);
        let overflows = lab.neighbour_overflows()?;
        Ok(Self {
            lab,
            traffic,
            cx,
            pairs,
            keepalive: None,
            overflows,
            news,
            first_event,
            told: false,
            drawn: false,
        })
    }

    /// Runs `apply`, and waits until the router's links pass frames.
    ///
    /// # Errors
    ///
    /// If the applier fails.
    pub fn apply(&mut self) -> Result<(), Trouble> {
        self.cx.events.note("apply");
        self.cx.applier.apply()?;
        self.lab.wait_router_links()?;
        Ok(())
    }

    /// Starts the keepalive, and waits until every line carries new flows.
    ///
    /// # Errors
    ///
    /// If a line carries none in the time for a line's return.
    pub fn start(&mut self) -> Result<(), Trouble> {
        self.watch()?;
        let shares: Vec<f64> = expected(self.cx.lines()).collect();
        self.until("every line carries new flows", |seen| {
            let carries = |(&count, &share): (&usize, &f64)| count > 0 || share == 0.0;
            seen.all_answered && seen.answered_by.iter().zip(&shares).all(carries)
        })?;
        Ok(())
    }

    /// Starts the keepalive.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn watch(&mut self) -> Result<(), Trouble> {
        self.cx.events.note("keepalive");
        self.keepalive = Some(self.cx.applier.keepalive()?);
        Ok(())
    }

    /// A client and a server that have had no flow together.
    pub fn pair(&mut self) -> (usize, Ipv4Addr) {
        self.pairs.next(&mut self.cx.rng)
    }

    /// Begins a flow of a client and a server that have had none together.
    pub fn begin(&mut self, protocol: Protocol) -> FlowId {
        let (client, server) = self.pair();
        self.traffic.begin(client, server, protocol)
    }

    /// Begins a flow by UDP of a client and a server that have had none together, with datagrams
    /// of so many bytes.
    pub fn begin_large(&mut self, bytes: usize) -> FlowId {
        let (client, server) = self.pair();
        self.traffic.begin_large(client, server, bytes)
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

    /// As [`Scene::finish`], without patience for answers that may never come.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn finish_in_vain(&mut self) -> Result<(), Trouble> {
        self.traffic.set_patience(BRIEF);
        let finished = self.finish();
        self.traffic.set_patience(Patience::default());
        finished
    }

    /// One more exchange on each of these flows; how many of them were not answered.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn unanswered(&mut self, flows: &[FlowId]) -> Result<usize, Trouble> {
        self.ask(flows)?;
        let answered = |flow: &&FlowId| self.traffic.flow(**flow).answered();
        Ok(flows.len() - flows.iter().filter(answered).count())
    }

    /// How many packets left with an address that is not their line's.
    pub fn foreign(&self) -> u64 {
        let own = self.own_addresses();
        let sources = self.traffic.ledger().sources();
        sources
            .filter(|&(line, source, _)| source != own[line])
            .map(|(_, _, packets)| packets)
            .sum()
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

    /// Lets time pass with the Internet and the captures at work.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn pause(&mut self, time: Duration) -> Result<(), Trouble> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left)?;
        }
        Ok(())
    }

    /// One turn of the traffic, so long at most.
    fn turn(&mut self, patience: Duration) -> Result<(), Trouble> {
        let turned = self.traffic.turn(patience);
        turned.map(drop).map_err(|source| Trouble::System {
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
        self.cx.events.mark(
            Mark::Fault,
            format!("{}: {}", self.name(line), fault.name()),
        );
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
            .mark(Mark::Repair, format!("{}: repaired", self.name(line)));
        let at = Instant::now();
        self.lab.repair(line)?;
        Ok(at)
    }

    /// Makes every modem drop echo requests to itself, as many providers' gateways do.
    ///
    /// # Errors
    ///
    /// If the lab cannot.
    pub fn drop_echo(&mut self) -> Result<(), Trouble> {
        self.cx.events.note("gateways drop echo");
        for line in 0..self.cx.lines().len() {
            let modem = self.lab.modem(line);
            modem.set("ipv4/icmp_echo_ignore_all", "1")?;
        }
        Ok(())
    }

    /// The provider gives a dynamic line the address with this number in the network with this
    /// number, whose gateway has the number 1.
    ///
    /// # Errors
    ///
    /// If the lab cannot.
    pub fn move_line(&mut self, line: usize, net: u8, host: u8) -> Result<Instant, Trouble> {
        let address = network(given(net, host));
        let what = format!("{}: gets {address}", self.name(line));
        self.cx.events.note(what);
        let at = Instant::now();
        self.lab.change_lease(line, address, given(net, 1))?;
        Ok(at)
    }

    /// A dynamic line's lease is renewed by a client that takes the address away and puts it back.
    ///
    /// # Errors
    ///
    /// If the lab cannot.
    pub fn renew_line(&mut self, line: usize) -> Result<Instant, Trouble> {
        self.cx
            .events
            .note(format!("{}: lease renewed", self.name(line)));
        let at = Instant::now();
        self.lab.end_lease(line)?;
        self.lab.lease(line)?;
        Ok(at)
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

    /// The verdict on which lines these flows took: each was answered (of watched ones, whose
    /// sockets know, that is not asked) and took one, and each line got its share, at this level.
    pub fn shares_of(&self, flows: &[FlowId], level: f64) -> Judgement {
        self.shares_among(self.cx.lines(), flows, level)
    }

    /// As [`Scene::shares_of`], where only these lines get any.
    pub fn shares_among(&self, lines: &[Line], flows: &[FlowId], level: f64) -> Judgement {
        let mut seen = vec![0; self.cx.lines().len()];
        let (mut unanswered, mut nowhere, mut split) = (0, 0, 0);
        for &flow in flows {
            let state = self.traffic.flow(flow);
            unanswered += usize::from(state.origin != Origin::Sockets && !state.answered());
            match self.traffic.ledger().line(flow) {
                Some(line) => seen[line] += 1,
                None if self.traffic.ledger().sightings(flow).is_empty() => nowhere += 1,
                None => split += 1,
            }
        }
        let (mut among, mut others) = (Vec::new(), 0);
        for (line, seen) in self.cx.lines().iter().zip(seen) {
            if lines.contains(line) {
                among.push(seen);
            } else {
                others += seen;
            }
        }
        if unanswered + nowhere + split == 0 && others == 0 {
            return Judgement::of_shares(&shares(lines, &among, level));
        }
        Judgement::failed(format!(
            "of {} connections {unanswered} were not answered, {nowhere} left by no line, \
             {split} by several and {others} by one that gets none",
            flows.len()
        ))
    }

    /// The verdict on flows of healthy lines: where more than one in a hundred needed a
    /// retransmission, something loses packets, and no promise about where they go is judged.
    pub fn unless_lossy(&self, flows: &[FlowId], judgement: Judgement) -> Judgement {
        let again = |flow: &&FlowId| self.traffic.flow(**flow).retransmissions > 0;
        let lossy = flows.iter().filter(again).count();
        if judgement.status != Status::Passed || lossy * 100 <= flows.len() {
            return judgement;
        }
        let lossy = Judgement::inconclusive(format!(
            "{lossy} of {} connections of healthy lines needed a retransmission: the router or the \
             machine loses packets",
            flows.len()
        ));
        lossy.measured_as(judgement)
    }

    /// Whether others on the machine have left no room in its ARP table since the play began.
    fn crowded(&mut self) -> Result<(), Trouble> {
        let times = self.lab.neighbour_overflows()? - self.overflows;
        if times > 0 {
            return Err(Trouble::Lab(format!(
                "the machine's ARP table, which all labs share, was full {times} times meanwhile, and \
                 packets were lost: run less beside it"
            )));
        }
        Ok(())
    }

    /// Ends the play: the keepalive stops, and the verdict stands only if nothing was lost on
    /// the way to it.
    ///
    /// # Errors
    ///
    /// If the keepalive ended by itself, or a capture cannot say what it lost.
    pub fn verdict(mut self, judgement: Judgement) -> Result<Judgement, Trouble> {
        self.draw();
        if judgement.is_bad() {
            self.keep();
        }
        if let Some(keepalive) = self.keepalive.take() {
            keepalive.stop()?;
        }
        self.cx.applier.down()?;
        let lost = self.traffic.lost();
        let lost = lost.map_err(|source| Trouble::System {
            doing: "asking the captures",
            source,
        })?;
        if lost > 0 {
            return Err(Trouble::Lab(format!("the captures lost {lost} frames")));
        }
        if judgement.status == Status::Failed {
            self.crowded()?;
        }
        let dropped = self.lab.conntrack_losses();
        if let Some(dropped) = dropped.filter(|&dropped| dropped > 0) {
            return Err(Trouble::Lab(format!(
                "connection tracking lost {dropped} entries"
            )));
        }
        self.told = true;
        Ok(judgement
            .with("packets", self.traffic.ledger().packets())
            .with("retransmitted", self.traffic.retransmissions()))
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
