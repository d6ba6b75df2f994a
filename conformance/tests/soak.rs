//! Many flaps of random lines at random times, under traffic:
//! `FLAPS=1000 SEED=1 cargo test -p multiwan-conformance --test soak -- --ignored --nocapture`.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use multiwan_lab::traffic::{FlowId, Options, Patience, Protocol, Traffic};
use multiwan_lab::{Fault, Lab, sandbox};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use stage::Stage;

const LINES: usize = 4;
/// The line that never flaps.
const STEADY: usize = LINES - 1;
const FAULTS: [Fault; 4] = [
    Fault::Carrier,
    Fault::Silent,
    Fault::AdminDown,
    Fault::DeviceRemoved,
];
/// Between two events, at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(150);
/// Between new connections, and between exchanges of the old ones.
const PACE: Duration = Duration::from_millis(5);
/// A line that kept dying is held back for a minute.
const RETURN: Duration = Duration::from_secs(75);
/// Three packets in a third of a second: a live line answers the first.
const PATIENCE: Patience = Patience {
    interval: Duration::from_millis(110),
    attempts: 3,
};
/// What a process may keep of so many events, in KiB: its allocator's whims.
const MEMORY: u64 = 1024;

#[test]
#[ignore = "takes minutes"]
fn a_router_survives_flaps() {
    sandbox::test(|sandbox| {
        let toml = configuration();
        let stage = Stage::new(sandbox, &toml);
        stage.play_applied((17, 0), |lab| {
            let daemon = Daemon::start(&stage);
            let mut soak = Soak::new(lab, variable("SEED", 1));
            soak.flap(lab, variable("FLAPS", 30), &daemon);
            soak.until_all_lines_are_used();
            let own: Vec<Ipv4Addr> = lab
                .topology()
                .lines
                .iter()
                .map(|line| line.router.addr())
                .collect();
            let plan = stage.multiwan("plan").output().unwrap();
            assert!(plan.stdout.is_empty(), "{}", text(&plan.stdout));
            soak.judge(&own);
        });
    });
}

fn configuration() -> String {
    let mut toml = "[lan]\ninterface = \"eth0\"\naddress = \"192.0.2.1/24\"\n\
                    [keepalive]\ninterval = \"100ms\"\n"
        .to_owned();
    for line in 1..=LINES {
        toml += &format!(
            "[[line]]\nname = \"dsl{line}\"\ninterface = \"eth{line}\"\n\
             address = \"10.1.{line}.2/24\"\ngateway = \"10.1.{line}.1\"\n"
        );
    }
    toml
}

fn variable(name: &str, otherwise: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(otherwise, |set| set.parse().expect("a number"))
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Traffic, and what must become of it.
struct Soak {
    traffic: Traffic,
    rng: ChaCha8Rng,
    began: u32,
    /// Connections of the line that never flaps.
    steady: Vec<FlowId>,
    exchanges: usize,
    unanswered: usize,
}

impl Soak {
    fn new(lab: &Lab, seed: u64) -> Self {
        let mut soak = Self {
            traffic: lab.traffic(Options::default()).unwrap(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            began: 0,
            steady: Vec::new(),
            exchanges: 0,
            unanswered: 0,
        };
        soak.traffic.set_patience(PATIENCE);
        soak.steady = soak.batch();
        let ledger = soak.traffic.ledger();
        soak.steady
            .retain(|&flow| ledger.line(flow) == Some(STEADY));
        assert!(!soak.steady.is_empty());
        soak
    }

    fn begin(&mut self) -> FlowId {
        self.began += 1;
        let server = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + self.began;
        let client = self.began as usize % self.traffic.clients();
        let protocol = if self.began.is_multiple_of(2) {
            Protocol::Tcp
        } else {
            Protocol::Udp
        };
        self.traffic.begin(client, server.into(), protocol)
    }

    /// New connections, each to its outcome.
    fn batch(&mut self) -> Vec<FlowId> {
        let flows = (0..128).map(|_| self.begin()).collect();
        self.traffic.finish().unwrap();
        flows
    }

    /// Breaks and repairs lines, so many times each in all.
    fn flap(&mut self, lab: &mut Lab, flaps: u64, daemon: &Daemon) {
        let mut broken = [false; LINES - 1];
        let mut left = flaps;
        let mut early = None;
        while left > 0 {
            let line = self.rng.random_range(0..broken.len());
            if broken[line] {
                lab.repair(line).unwrap();
                left -= 1;
            } else {
                let fault = FAULTS[self.rng.random_range(0..FAULTS.len())];
                lab.break_line(line, fault).unwrap();
            }
            broken[line] = !broken[line];
            let pause = LONGEST_PAUSE.mul_f64(self.rng.random());
            self.traffic_for(pause);
            if left == flaps - flaps / 10 {
                early.get_or_insert_with(|| daemon.resident());
            }
        }
        for line in 0..broken.len() {
            lab.repair(line).unwrap();
        }
        let (early, late) = (early.unwrap_or_default(), daemon.resident());
        println!("{flaps} flaps; the keepalive had {early} KiB, and has {late}");
        assert!(late <= early + MEMORY, "{early} KiB became {late}");
    }

    fn traffic_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let mut turn = 0;
        while Instant::now() < end {
            let next = Instant::now() + PACE;
            self.begin();
            let flow = self.steady[turn % self.steady.len()];
            turn += 1;
            if !self.traffic.flow(flow).pending() {
                self.unanswered += usize::from(!self.traffic.flow(flow).answered());
                self.exchanges += 1;
                self.traffic.ask(flow);
            }
            while let Some(left) = next.checked_duration_since(Instant::now()) {
                self.traffic.turn(left).unwrap();
            }
        }
    }

    fn until_all_lines_are_used(&mut self) {
        let began = Instant::now();
        loop {
            let flows = self.batch();
            let answered = |&flow: &FlowId| self.traffic.flow(flow).answered();
            let ledger = self.traffic.ledger();
            let used = |line| flows.iter().any(|&flow| ledger.line(flow) == Some(line));
            if flows.iter().all(answered) && (0..LINES).all(used) {
                println!("all lines used again after {:?}", began.elapsed());
                return;
            }
            assert!(began.elapsed() < RETURN, "not all lines are used again");
            let pause = Instant::now() + Duration::from_millis(100);
            while let Some(left) = pause.checked_duration_since(Instant::now()) {
                self.traffic.turn(left).unwrap();
            }
        }
    }

    fn judge(&mut self, own: &[Ipv4Addr]) {
        let ledger = self.traffic.ledger();
        let foreign: Vec<_> = ledger
            .sources()
            .filter(|&(line, source, _)| source != own[line])
            .collect();
        let moved = self
            .steady
            .iter()
            .filter(|&&flow| ledger.sightings(flow).len() > 1)
            .count();
        println!(
            "{} connections, {} packets; on the steady line {} exchanges of {}, {} unanswered, \
             {moved} moved; foreign sources: {foreign:?}",
            self.began,
            ledger.packets(),
            self.exchanges,
            self.steady.len(),
            self.unanswered,
        );
        assert_eq!(self.traffic.lost().unwrap(), 0, "the captures lost frames");
        assert_eq!((self.unanswered, moved, foreign.len()), (0, 0, 0));
    }
}

/// The shipped applier's keepalive; it ends with this.
struct Daemon(Child);

impl Daemon {
    fn start(stage: &Stage<'_>) -> Self {
        let mut command = stage.multiwan("keepalive");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// What it has in memory, in KiB.
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        size.expect("VmRSS is there")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
