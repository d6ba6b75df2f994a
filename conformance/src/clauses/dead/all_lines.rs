//! No line is left.

use std::io;
use std::net::{SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use multiwan_lab::Fault;
use multiwan_lab::traffic::{Outcome, Patience};

use super::milliseconds;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, protocol};

pub(super) static ALL_LINES: Clause = Clause {
    id: "dead.all-lines",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "With all lines dead, clients are told at once, the LAN works, and any line that \
        returns is used.",
    method: "All lines' cards are taken down, which makes the kernel drop the whole multipath route. In \
        the time that the contract gives, a new connection must meet an ICMP error within 250 ms; \
        then one of each other client must, and the router must answer in the LAN. The last line \
        returns first and must be used while the others are dead, and they after it.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| !config.lines.is_empty(),
    tests: Tests::None,
    judge: all_lines,
};

/// A client is told this quickly: an error takes well under a millisecond, and what waits for a
/// neighbour that does not answer takes longer.
const PROMPT: Patience = Patience {
    interval: Duration::from_millis(250),
    attempts: 1,
};

fn all_lines(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::set(cx)?;
    let lines = scene.cx.lines().len();
    for line in 0..lines {
        scene.break_line(line, Fault::AdminDown)?;
    }
    let told = until_told(&mut scene)?;
    let wrong = untold(&mut scene)?.or(lan_is_dead(&mut scene));
    for line in (0..lines).rev() {
        scene.repair(line)?;
        scene.until_used(line)?;
    }
    let judgement = wrong.map_or_else(Judgement::passed, Judgement::failed);
    scene.verdict(judgement.with("told_ms", milliseconds(told)))
}

/// Waits until a new connection of the first client meets an error at once; how long it took.
///
/// The kernel allows some two ICMP errors to a client, and then one in two seconds: none is spent
/// before this, and no other client's here.
fn until_told(scene: &mut Scene<'_>) -> Result<Duration, Trouble> {
    let patience = scene.cx.deadlines.honoured;
    let began = Instant::now();
    loop {
        let late = began.elapsed() > patience;
        let met = outcomes(scene, 0..1)?[0];
        if let Some(Outcome::Refused { .. }) = met {
            return Ok(began.elapsed());
        }
        if late {
            return Err(Trouble::Unmet {
                promise: "clients are told at once that all lines are dead".to_owned(),
                waited: patience,
                seen: format!("the last new connection met {met:?}"),
                output: String::new(),
            });
        }
    }
}

/// Whose new connections meet no error at once, beside the first client.
fn untold(scene: &mut Scene<'_>) -> Result<Option<String>, Trouble> {
    let clients = scene.traffic.clients();
    let met = outcomes(scene, 1..clients)?;
    let told = |met: &&Option<Outcome>| matches!(met, Some(Outcome::Refused { .. }));
    let silent = met.iter().filter(|met| !told(met)).count();
    Ok((silent > 0).then(|| {
        format!(
            "of {} clients {silent} were not told within {} ms",
            met.len(),
            PROMPT.interval.as_millis()
        )
    }))
}

/// What one new connection of each of these clients meets.
fn outcomes(
    scene: &mut Scene<'_>,
    clients: std::ops::Range<usize>,
) -> Result<Vec<Option<Outcome>>, Trouble> {
    let server = scene.server();
    scene.traffic.set_patience(PROMPT);
    let flows: Vec<_> = clients
        .map(|client| scene.traffic.begin(client, server, protocol(client)))
        .collect();
    let finished = scene.finish();
    scene.traffic.set_patience(Patience::default());
    finished?;
    Ok(flows
        .iter()
        .map(|&flow| scene.traffic.flow(flow).outcome)
        .collect())
}

/// The router answers a client's own kernel in the LAN, be it that nobody listens there.
fn lan_is_dead(scene: &mut Scene<'_>) -> Option<String> {
    const UNUSED: u16 = 9;
    let router = scene.lab.topology().lan.router.addr();
    let patience = scene.cx.deadlines.drain;
    let asked = scene.lab.client(0).host().enter(|| {
        let address = SocketAddrV4::new(router, UNUSED).into();
        match TcpStream::connect_timeout(&address, patience) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => Err(error),
            _ => Ok(()),
        }
    });
    asked
        .err()
        .map(|error| format!("the router does not answer in the LAN: {error}"))
}
