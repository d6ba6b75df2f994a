//! Flows of clients that have not met, and each seen to its outcome.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use multiwan_lab::traffic::{FlowId, Patience, Protocol};

use super::Scene;
use crate::judgement::Trouble;
use crate::last_words;

/// For packets that are sent to see where they go, answered or not: the second is a
/// retransmission.
const BRIEF: Patience = Patience {
    interval: Duration::from_millis(60),
    attempts: 2,
};

impl Scene<'_> {
    /// A client and a server that have had no flow together.
    pub fn pair(&mut self) -> (usize, Ipv4Addr) {
        self.pairs.next()
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
        self.open_by(protocol, count)
    }

    /// As [`Scene::open`], for connections that are to run for a while: TCP, UDP and ICMP
    /// echo by turns.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn open_any(&mut self, count: usize) -> Result<Vec<FlowId>, Trouble> {
        self.open_by(any_protocol, count)
    }

    /// As [`Scene::open_any`], for connections that say nothing until a line has died and returned:
    /// by TCP alone where that may take longer than connection tracking remembers the others.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn open_idle(&mut self, count: usize) -> Result<Vec<FlowId>, Trouble> {
        /// `nf_conntrack_udp_timeout` and `nf_conntrack_icmp_timeout`.
        const REMEMBERED: Duration = Duration::from_secs(30);
        if self.cx.deadlines.honoured * 2 < REMEMBERED {
            self.open_by(any_protocol, count)
        } else {
            self.open_by(|_| Protocol::Tcp, count)
        }
    }

    fn open_by(
        &mut self,
        protocol: fn(usize) -> Protocol,
        count: usize,
    ) -> Result<Vec<FlowId>, Trouble> {
        let flows = (0..count)
            .map(|number| self.begin(protocol(number)))
            .collect();
        self.finish()?;
        Ok(flows)
    }

    /// As [`Scene::open`], in batches that are spread evenly over so long.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn open_over(&mut self, count: usize, time: Duration) -> Result<Vec<FlowId>, Trouble> {
        const BATCHES: u32 = 25;
        let began = Instant::now();
        let mut flows = Vec::new();
        for batch in 1..=BATCHES {
            let due = count * batch as usize / BATCHES as usize;
            flows.extend(self.open(due - flows.len())?);
            let end = time * batch / BATCHES;
            self.pause(end.saturating_sub(began.elapsed()))?;
        }
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

    /// Begins so many flows as [`Scene::open_any`] does, without patience for answers that may
    /// never come.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn open_in_vain(&mut self, count: usize) -> Result<Vec<FlowId>, Trouble> {
        self.traffic.set_patience(BRIEF);
        let flows = self.open_any(count);
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

    /// Goes on until every exchange has its outcome.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn finish(&mut self) -> Result<(), Trouble> {
        last_words::heed()?;
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
        self.cx.events.wait(time);
        self.let_pass(time)
    }

    /// As [`Scene::pause`], within what is waited for anyway.
    pub(super) fn let_pass(&mut self, time: Duration) -> Result<(), Trouble> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left)?;
        }
        Ok(())
    }

    /// One turn of the traffic, so long at most.
    pub(super) fn turn(&mut self, patience: Duration) -> Result<(), Trouble> {
        last_words::heed()?;
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
}

/// TCP and UDP by turns.
pub fn protocol(number: usize) -> Protocol {
    if number.is_multiple_of(2) {
        Protocol::Tcp
    } else {
        Protocol::Udp
    }
}

/// TCP, UDP and ICMP echo by turns.
pub fn any_protocol(number: usize) -> Protocol {
    const BY_TURNS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Echo];
    BY_TURNS[number % BY_TURNS.len()]
}
