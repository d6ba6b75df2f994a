//! The set that most clauses play on: a lab for the described configuration, the applier at work
//! in its router, and traffic.

mod calls;
mod changes;
mod evidence;
mod faults;
mod flows;
mod foreign;
mod listeners;
mod load;
mod pairs;
mod ping;
mod pins;
mod router_news;
mod service;
mod shares;
mod stream;
mod topology;
mod wait;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use multiwan_lab::traffic::{Options, Traffic};
use multiwan_lab::{Lab, Line, Topology};
use rand::Rng as _;

use crate::applier;
use crate::bundle::FRAMES;
use crate::context::Context;
use crate::judge::expected;
use crate::judgement::{Judgement, Status, Trouble};
pub use calls::NO_ANSWER;
pub use flows::{any_protocol, protocol};
use pairs::{Pairs, halves};
pub use pins::Pins;
use router_news::RouterNews;
pub use service::Service;
pub use stream::Stream;
pub use topology::{can_be_built, is_point_to_point};
use topology::{topology, unpinned, with_more};
pub use wait::{in_words, outcome};

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
    /// Whom a wait looks at.
    looks: Pairs,
    keepalive: Option<applier::Keepalive>,
    /// Whether the events have it that the keepalive ended by itself.
    end_noted: bool,
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

    /// As [`Scene::set`], with so many clients more, or as many as the LAN has room for, which no flow
    /// is from until the clause begins one: the last of all clients, see [`Scene::listeners`]. The
    /// router has not spent a word on them yet, of the few that its limit on ICMP errors grants to
    /// each.
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
        scene.apply().map_err(Trouble::at_first)?;
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
        let topology = with_more(topology(&cx.config, cx.pins)?, fresh);
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
        let mut traffic = lab.traffic(Options {
            record,
            ..Options::default()
        })?;
        traffic.reserve(&pins::ports(&cx.config));
        let (clients, servers) = (unpinned(lab.topology(), &cx.config), lab.topology().servers);
        let [pairs, looks] = halves(servers).map(|servers| {
            Pairs::new(
                &mut cx.rng,
                clients.clone(),
                servers,
                &pins::destinations(&cx.config),
            )
        });
        let overflows = lab.neighbour_overflows()?;
        Ok(Self {
            lab,
            traffic,
            cx,
            pairs,
            looks,
            keepalive: None,
            end_noted: false,
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

    /// Ends the keepalive, if one runs.
    ///
    /// # Errors
    ///
    /// If it ended by itself.
    fn stop(&mut self) -> Result<(), Trouble> {
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.stop()?;
        }
        self.keepalive = None;
        Ok(())
    }

    /// That the keepalive ended by itself, and when.
    fn early_end(&mut self) -> Option<(Instant, applier::Error)> {
        self.keepalive.as_mut()?.early_end()
    }

    /// That a promise did not come true in its time: what was seen instead, and the keepalive's end
    /// if it ended by itself.
    pub fn unmet(&mut self, promise: &str, waited: Duration, mut seen: String) -> Trouble {
        if let Some((_, error)) = self.early_end() {
            seen.push_str(&format!("; {error}"));
        }
        let output = self.keepalive.as_ref().map(applier::Keepalive::output);
        Trouble::Unmet {
            promise: promise.to_owned(),
            waited,
            seen,
            output: output.unwrap_or_default(),
        }
    }

    /// How many packets have left each line for its gateway, or in search of it, beside those of
    /// connections.
    pub fn asked_for_gateways(&self) -> Vec<u64> {
        let ledger = self.traffic.ledger();
        let lines = self.lab.topology().lines.iter().enumerate();
        let of_line = |(line, described): (usize, &Line)| {
            let seen = ledger.questions().chain(ledger.destinations());
            let about = seen.filter(|&(by, to, _)| (by, to) == (line, described.gateway));
            about.map(|(_, _, packets)| packets).sum()
        };
        lines.map(of_line).collect()
    }

    /// The line's name.
    pub fn name(&self, line: usize) -> String {
        self.cx.config.lines[line].name.clone()
    }

    /// The lines that get new connections while all are up.
    pub fn sharing(&self) -> Vec<usize> {
        let shares = expected(self.cx.lines()).enumerate();
        let sharing = shares.filter(|&(_, share)| share > 0.0);
        sharing.map(|(line, _)| line).collect()
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
    /// If the keepalive ended by itself where nothing else is wrong, or a capture cannot say what it
    /// lost.
    pub fn verdict(mut self, mut judgement: Judgement) -> Result<Judgement, Trouble> {
        self.draw();
        if judgement.is_bad() {
            self.keep();
        }
        match (self.early_end(), &mut judgement.reason) {
            // What went wrong, and what it may well have come of.
            (Some((_, error)), Some(reason)) => reason.push_str(&format!("; {error}")),
            _ => self.stop()?,
        }
        let bad = judgement.is_bad();
        match (self.cx.applier.down(), &mut judgement.reason) {
            // What is judged is told too, but for a command that hangs, which ends the run.
            (Err(error), Some(reason)) if bad && !error.is_endless() => {
                reason.push_str(&format!("; {error}"));
            }
            (down, _) => drop(down?),
        }
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
