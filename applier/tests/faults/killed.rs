//! A killed change leaves the LAN, the administrator's connection and the other lines' flows as they
//! were and no packet with a wrong source, and the next `apply` or `down` finishes.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Duration;

use multiwan_lab::traffic::{FlowId, Options, Patience, Protocol, Traffic};
use multiwan_lab::{Lab, sandbox};
use nix::libc::SIGKILL;

use crate::held::Held;
use crate::router::{Case, Change, count, for_each_change, lab, make, prepare};
use crate::witness::{Fault, Faults};

/// What the victim is to do, and the step after which it is killed.
const CHANGE: &str = "MULTIWAN_TEST_CHANGE";
const AT: &str = "MULTIWAN_TEST_AT";
const DOWN: &str = "down";

/// For packets that may have no answer.
const IN_VAIN: Patience = Patience {
    interval: Duration::from_millis(10),
    attempts: 1,
};

/// For the administrator's bytes, which take no time but on a machine that stalls.
const DEADLINE: Duration = Duration::from_secs(10);

/// What may leave by each line. The second has another address in some cases.
const SOURCES: [&[Ipv4Addr]; 3] = [
    &[Ipv4Addr::new(198, 51, 100, 2)],
    &[Ipv4Addr::new(203, 0, 113, 2), Ipv4Addr::new(203, 0, 113, 3)],
    &[Ipv4Addr::new(192, 88, 99, 2)],
];

const LAN_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ADMINISTRATION: u16 = 22;

for_each_change!(each_step);

/// After each step the process is killed, and in turn the new configuration, the old one and
/// `down` finish.
fn each_step(case: &Case) {
    sandbox::test(|sandbox| {
        let mut lab = lab(sandbox);
        prepare(&mut lab, case);
        let before = Held::now();
        count(Change::Down);
        let bare = Held::now();
        count(case.old);
        Held::now().assert_same(&before, &format!("{}: down and back", case.name));
        let steps = count(case.new);
        let after = Held::now();
        count(case.old);
        let mut scene = Scene::new(&mut lab, case);
        let ends = [
            (case.new, &after),
            (case.old, &before),
            (Change::Down, &bare),
        ];
        for number in 0..steps {
            let (end, expected) = ends[number % ends.len()];
            let when = format!("{}: killed after {number} of {steps}", case.name);
            kill(case.new, number);
            scene.look(&when);
            let when = format!("{when}, then {end:?}");
            make(end, Faults::default()).unwrap_or_else(|why| panic!("{when}: {why}"));
            if matches!(end, Change::Down) {
                scene.only_main_s_line_stays();
            }
            Held::now().assert_same(expected, &when);
            scene.look(&when);
            count(case.old);
            scene.look(&format!("{when} and back"));
            scene.open_flows(case);
        }
        println!("{}: {steps} steps × SIGKILL", case.name);
    });
}

fn kill(change: Change, at: usize) {
    let change = match change {
        Change::Apply(text) => text,
        Change::Down => DOWN,
    };
    let status = Command::new("/proc/self/exe")
        .args(["--exact", "victim", "--ignored", "--test-threads=1"])
        .env(CHANGE, change)
        .env(AT, at.to_string())
        .output()
        .unwrap();
    assert_eq!(status.status.signal(), Some(SIGKILL), "{status:?}");
}

/// The victim's part.
pub(crate) fn be_killed() {
    // Asked for by hand with all ignored tests.
    let (Ok(change), Ok(at)) = (env::var(CHANGE), env::var(AT)) else {
        return;
    };
    let change = if change == DOWN {
        Change::Down
    } else {
        Change::Apply(change.leak())
    };
    let fault = (at.parse().unwrap(), Fault::Killed);
    make(change, Faults::at([fault])).unwrap();
}

/// Traffic that runs all the while.
struct Scene {
    traffic: Traffic,
    /// Flows of lines that stay, with their lines.
    staying: Vec<(FlowId, usize)>,
    others: Vec<FlowId>,
    server: u32,
    administrator: Option<Administrator>,
}

/// A connection of the first client to the router.
struct Administrator {
    ends: [TcpStream; 2],
}

impl Scene {
    fn new(lab: &mut Lab, case: &Case) -> Self {
        let mut scene = Self {
            traffic: lab.traffic(Options::default()).unwrap(),
            staying: Vec::new(),
            others: Vec::new(),
            server: 1,
            administrator: case.plain.then(|| Administrator::connect(lab)),
        };
        scene.open_flows(case);
        scene
    }

    fn open_flows(&mut self, case: &Case) {
        if !case.plain {
            return;
        }
        self.staying.clear();
        self.others.clear();
        for flow in self.open(40) {
            assert!(self.traffic.flow(flow).answered(), "{}", case.name);
            let line = self.traffic.ledger().line(flow).unwrap();
            if case.unchanged.contains(&line) {
                self.staying.push((flow, line));
            } else {
                self.others.push(flow);
            }
        }
    }

    /// After `down` the lines that main does not lead to are none.
    fn only_main_s_line_stays(&mut self) {
        self.staying.retain(|&(_, line)| line == 0);
    }

    fn open(&mut self, count: u32) -> Vec<FlowId> {
        let flows = (0..count).map(|number| {
            self.server += 1;
            let server = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + self.server);
            let protocol = if number % 2 == 0 {
                Protocol::Tcp
            } else {
                Protocol::Udp
            };
            self.traffic.begin(number as usize % 4, server, protocol)
        });
        let flows: Vec<_> = flows.collect();
        self.traffic.finish().unwrap();
        flows
    }

    fn look(&mut self, when: &str) {
        let before: BTreeSet<_> = self.traffic.ledger().sources().collect();
        if let Some(administrator) = &mut self.administrator {
            let answered = administrator.talk();
            answered.unwrap_or_else(|why| panic!("{when}: the administrator's connection: {why}"));
        }
        for &(flow, _) in &self.staying {
            self.traffic.ask(flow);
        }
        self.traffic.finish().unwrap();
        for &(flow, line) in &self.staying {
            let state = self.traffic.flow(flow);
            assert!(
                state.answered(),
                "{when}: {} of line {line} does not go on",
                state.local
            );
            assert_eq!(self.traffic.ledger().line(flow), Some(line), "{when}");
        }
        // What becomes of these is not said, but for their sources.
        self.traffic.set_patience(IN_VAIN);
        self.others.iter().for_each(|&flow| self.traffic.ask(flow));
        self.open(8);
        self.traffic.set_patience(Patience::default());
        let mut sources = BTreeMap::new();
        for seen in self.traffic.ledger().sources() {
            let (line, source, packets) = seen;
            assert!(
                SOURCES[line].contains(&source),
                "{when}: {packets} packets left by line {line} from {source}"
            );
            // A line has one at a time.
            if !before.contains(&seen) {
                let other = sources.insert(line, source);
                assert_eq!(
                    other, None,
                    "{when}: packets left by line {line} from {source} too"
                );
            }
        }
        assert_eq!(self.traffic.lost().unwrap(), 0, "{when}");
    }
}

impl Administrator {
    fn connect(lab: &mut Lab) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, ADMINISTRATION)).unwrap();
        let connect =
            || TcpStream::connect_timeout(&(LAN_ADDRESS, ADMINISTRATION).into(), DEADLINE);
        let far = lab.client(0).host().enter(connect).unwrap();
        let (near, _) = listener.accept().unwrap();
        Self { ends: [near, far] }
    }

    /// A byte there and one back.
    fn talk(&mut self) -> io::Result<()> {
        let [near, far] = &mut self.ends;
        pass(far, near)?;
        pass(near, far)
    }
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    from.write_all(b"x")?;
    to.set_read_timeout(Some(DEADLINE))?;
    to.read_exact(&mut [0])
}
