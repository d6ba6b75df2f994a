//! The set that most clauses play on: a lab for the described configuration, the applier at work
//! in its router, and traffic.

mod calls;
mod evidence;
mod pairs;
mod router_news;
mod service;
mod topology;
mod wait;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use multiwan_lab::traffic::{FlowId, Options, Origin, Patience, Protocol, Traffic};
use multiwan_lab::{Fault, Lab};
use rand::Rng as _;

use crate::applier;
use crate::bundle::{self, FRAMES};
use crate::context::Context;
use crate::events::Mark;
use crate::judge::{expected, shares};
use crate::judgement::{Judgement, Status, Trouble};
use pairs::Pairs;
use router_news::RouterNews;
pub use service::Service;
use topology::topology;

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
        let mut scene = Self::applied(cx)?;
        scene.start()?;
        Ok(scene)
    }

    /// Starts the keepalive and waits until every line carries new flows.
    ///
    /// # Errors
    ///
    /// If a line carries none in the time for a line's return.
    pub fn start(&mut self) -> Result<(), Trouble> {
        self.cx.events.note("keepalive");
        self.keepalive = Some(self.cx.applier.keepalive()?);
        let shares: Vec<f64> = expected(self.cx.lines()).collect();
        self.until("every line carries new flows", |seen| {
            let carries = |(&count, &share): (&usize, &f64)| count > 0 || share == 0.0;
            seen.all_answered && seen.answered_by.iter().zip(&shares).all(carries)
        })?;
        Ok(())
    }

    /// Builds the lab and runs `apply`, no more.
    ///
    /// # Errors
    ///
    /// If the applier fails.
    pub fn applied(cx: &'a mut Context) -> Result<Self, Trouble> {
        let first_event = cx.events.kept().len();
        cx.events.note("building the lab");
        let mut lab = Lab::build(&cx.sandbox, topology(&cx.config)?)?;
        lab.prepare_router(cx.rng.next_u32())?;
        let news = RouterNews::listen(&mut lab)?;
        cx.events.note("apply");
        if let Err(error) = cx.applier.apply() {
            bundle::take(cx, &mut lab, None, None);
            return Err(error.into());
        }
        lab.wait_router_links()?;
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
        if unanswered + nowhere + split == 0 {
            return Judgement::of_shares(&shares(self.cx.lines(), &seen, level));
        }
        Judgement::failed(format!(
            "of {} connections {unanswered} were not answered, {nowhere} left by no line and \
             {split} by several",
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
