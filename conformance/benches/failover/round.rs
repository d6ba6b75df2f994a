//! One death and return of a line, under a stream of new connections.

use std::process::Child;
use std::time::{Duration, Instant};

use multiwan_lab::traffic::{FlowId, Options, Patience, Protocol, Traffic};
use multiwan_lab::{Fault, Lab};
use rand::RngExt as _;

use crate::stage::Stage;

/// The first line dies.
const LINE: usize = 0;
/// Between new connections.
const PACE: Duration = Duration::from_millis(1);
/// Nobody tries twice, and a healthy line answers in well under a millisecond.
const ONCE: Patience = Patience {
    interval: Duration::from_millis(100),
    attempts: 1,
};
/// So long without a failure, where every second connection failed, and it is over.
const QUIET: Duration = Duration::from_millis(400);
/// Faults and repairs come at any time between two probes.
const PHASE: Duration = Duration::from_secs(1);
/// No wait is longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was measured.
pub(crate) struct Round {
    /// From the fault to the first new connection after which none failed.
    pub(crate) death: Duration,
    /// From the repair to the first new connection that used the line; without a keepalive it is not
    /// waited for.
    pub(crate) back: Option<Duration>,
}

/// A daemon that ends with its round.
pub(crate) struct Daemon(pub(crate) Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Plays one round in a router of its own.
pub(crate) fn play(
    stage: &Stage<'_>,
    fault: Fault,
    keepalive: bool,
    tune: impl FnOnce(&mut Lab),
) -> Round {
    stage.play_applied((17, 0), |lab| {
        let _daemon = keepalive.then(|| daemon(stage));
        tune(lab);
        let mut stream = Stream::new(lab);
        stream.run_until(|stream| stream.quiet_since(stream.began));
        stream.run_for(PHASE.mul_f64(rand::rng().random()));
        let fault_at = Instant::now();
        lab.break_line(LINE, fault)
            .unwrap_or_else(|why| panic!("{why}"));
        stream.run_until(|stream| stream.quiet_since(fault_at));
        let death = stream.healthy_since(fault_at) - fault_at;
        let back = keepalive.then(|| {
            stream.run_for(PHASE.mul_f64(rand::rng().random()));
            let repaired_at = Instant::now();
            lab.repair(LINE).unwrap_or_else(|why| panic!("{why}"));
            stream.run_until(|stream| stream.used_since(repaired_at).is_some());
            stream.used_since(repaired_at).expect("it was just seen") - repaired_at
        });
        Round { death, back }
    })
}

/// The shipped applier's keepalive.
pub(crate) fn daemon(stage: &Stage<'_>) -> Daemon {
    let mut command = stage.multiwan("keepalive");
    let quiet = || std::process::Stdio::null();
    command.stdout(quiet()).stderr(quiet());
    Daemon(command.spawn().expect("multiwan starts"))
}

/// New connections, one after the other, of clients and servers that had none together.
struct Stream {
    traffic: Traffic,
    began: Instant,
    flows: Vec<FlowId>,
}

impl Stream {
    fn new(lab: &Lab) -> Self {
        let mut traffic = lab
            .traffic(Options::default())
            .unwrap_or_else(|why| panic!("{why}"));
        traffic.set_patience(ONCE);
        Self {
            traffic,
            began: Instant::now(),
            flows: Vec::new(),
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.run_until(|_| Instant::now() >= end);
    }

    fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut next = Instant::now();
        let mut looks = 0u32;
        while Instant::now() < end {
            let now = Instant::now();
            if now >= next {
                self.begin();
                next = now + PACE;
                looks += 1;
                if looks.is_multiple_of(8) && done(self) {
                    return;
                }
            }
            let left = next.saturating_duration_since(Instant::now());
            self.traffic.turn(left).expect("the lab's sockets work");
        }
        panic!("not within {} s", PATIENCE.as_secs());
    }

    fn begin(&mut self) {
        let number = self.flows.len();
        let server = u32::from(std::net::Ipv4Addr::new(198, 18, 1, 1)) + number as u32;
        let client = number % self.traffic.clients();
        let protocol = if number.is_multiple_of(2) {
            Protocol::Tcp
        } else {
            Protocol::Udp
        };
        self.flows
            .push(self.traffic.begin(client, server.into(), protocol));
    }

    /// When the last connection was begun that failed or is still waiting after its time.
    fn last_failure(&self) -> Option<Instant> {
        let failed = |flow: &&FlowId| {
            let flow = self.traffic.flow(**flow);
            flow.outcome.is_some() && !flow.answered()
        };
        let last = self.flows.iter().rev().find(failed)?;
        self.traffic.flow(*last).asked
    }

    /// Whether no connection has failed for long.
    fn quiet_since(&self, since: Instant) -> bool {
        let last = self.last_failure().unwrap_or(since).max(since);
        last.elapsed() > QUIET + ONCE.interval
    }

    /// The first connection after which none failed.
    fn healthy_since(&self, since: Instant) -> Instant {
        let Some(last) = self.last_failure().filter(|&last| last >= since) else {
            return since;
        };
        let asked = self.flows.iter().map(|&flow| self.traffic.flow(flow).asked);
        asked.flatten().find(|&asked| asked > last).unwrap_or(last)
    }

    /// The first connection that was begun since then and used the line.
    fn used_since(&self, since: Instant) -> Option<Instant> {
        let ledger = self.traffic.ledger();
        let recent = self.flows.iter().rev().take_while(|&&flow| {
            let asked = self.traffic.flow(flow).asked;
            asked.is_none_or(|asked| asked >= since)
        });
        let used = |flow: &&FlowId| {
            ledger.line(**flow) == Some(LINE) && self.traffic.flow(**flow).answered()
        };
        recent
            .filter(used)
            .filter_map(|&flow| self.traffic.flow(flow).asked)
            .last()
    }
}
