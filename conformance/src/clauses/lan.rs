//! The way from the LAN to the router, which never breaks.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::fits;
use crate::applier;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[&LAN_STAYS];

static LAN_STAYS: Clause = Clause {
    id: "safety.lan-stays",
    kind: Kind::Behaviour,
    how_to: &[],
    promise: "The administrator's connection from the LAN lives through `apply` and `down`.",
    method: "The router is set up as a plain one of one line, and a LAN host keeps a TCP connection \
        to it. While `apply` runs, runs again, and `down` runs where there is one, and after each, \
        bytes must go to and fro on it without a pause of the time for a line's death.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: lan_stays,
};

fn lan_stays(cx: &mut Context) -> Result<Judgement, Trouble> {
    type Command = fn(&applier::Applier) -> Result<(), applier::Error>;
    const COMMANDS: [(&str, Command); 3] = [
        ("apply", applier::Applier::apply),
        ("a second apply", applier::Applier::apply),
        ("down", |applier| applier.down().map(drop)),
    ];
    /// Between two exchanges.
    const PAUSE: Duration = Duration::from_millis(1);
    let mut scene = Scene::bare(cx)?;
    scene.lab.set_single_line(0)?;
    let mut administrator = Administrator::connect(&mut scene)?;
    let mut broken = None;
    for (name, command) in COMMANDS {
        let Scene { cx, traffic, .. } = &mut scene;
        let applier = &cx.applier;
        let talked = thread::scope(|scope| {
            let running = scope.spawn(|| command(applier));
            let mut talked = Ok(());
            while talked.is_ok() && !running.is_finished() {
                talked = administrator.talk();
                // The captures see it too, and want to be read.
                talked = talked.and(traffic.turn(PAUSE).map(drop));
            }
            running.join().expect("running a command does not panic")?;
            Ok::<_, applier::Error>(talked.and_then(|()| administrator.talk()))
        })?;
        if let Err(why) = talked {
            broken = Some(format!("no answer on it during {name}, or after: {why}"));
            break;
        }
    }
    let judgement = Judgement::holds_if(broken.is_none(), || broken.unwrap_or_default());
    scene.verdict(judgement.with("exchanges", administrator.exchanges))
}

/// A connection of the first client to the router's LAN address.
struct Administrator {
    near: TcpStream,
    far: TcpStream,
    exchanges: u64,
}

impl Administrator {
    fn connect(scene: &mut Scene<'_>) -> Result<Self, Trouble> {
        const SSH: u16 = 22;
        let system = |source| Trouble::System {
            doing: "connecting to the router",
            source,
        };
        let patience = scene.cx.deadlines.honoured;
        let address = scene.lab.topology().lan.router.addr();
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, SSH)).map_err(system)?;
        let connect = || TcpStream::connect_timeout(&(address, SSH).into(), patience);
        let far = scene.lab.client(0).host().enter(connect)?;
        let (near, _) = listener.accept().map_err(system)?;
        for end in [&near, &far] {
            end.set_nodelay(true).map_err(system)?;
            end.set_read_timeout(Some(patience)).map_err(system)?;
        }
        Ok(Self {
            near,
            far,
            exchanges: 0,
        })
    }

    /// A byte there and one back.
    fn talk(&mut self) -> io::Result<()> {
        self.far.write_all(b"?")?;
        self.near.read_exact(&mut [0])?;
        self.near.write_all(b"!")?;
        self.far.read_exact(&mut [0])?;
        self.exchanges += 1;
        Ok(())
    }
}
