//! No line is left.

use std::io;
use std::net::{SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use multiwan_lab::Fault;
use multiwan_lab::traffic::{Outcome, Patience};

use super::{fits, milliseconds};
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::{THREE_LINES, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, in_words, protocol};

pub(super) static ALL_LINES: Clause = Clause {
    id: "dead.all-lines",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "With all lines dead, clients are told at once, the LAN works, and any line that \
        returns is used.",
    method: "All lines' cards are taken down, which makes the kernel drop the whole multipath \
        route; in a second pass all modems hang, and nobody but the keepalive can tell. In the time \
        that the contract gives, two new connections, one after the other, must meet an ICMP error \
        or a TCP reset within 250 ms each, and then one of each of 16 clients that the router's \
        limit on ICMP errors leaves a word for; and the router must answer in the LAN. The last line returns first \
        and must be used while the others are dead, and they after it.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, THREE_LINES],
    fits: |config| {
        fits::silence_is_found(config)?;
        fits::own_cards(config)
    },
    tests: Tests::None,
    judge: all_lines,
};

/// A client is told this quickly: an error takes well under a millisecond, and what waits for a
/// neighbour that does not answer takes longer.
const PROMPT: Patience = Patience {
    interval: Duration::from_millis(250),
    attempts: 1,
};

/// So many clients in each pass must be told, if there are as many; and as many more find out when.
const CLIENTS: usize = 16;

fn all_lines(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FAULTS: [Fault; 2] = [Fault::AdminDown, Fault::Silent];
    let mut scene = Scene::set_with(cx, 2 * CLIENTS * FAULTS.len())?;
    let lines = scene.cx.lines().len();
    let mut judgement = Judgement::passed();
    for fault in FAULTS {
        for line in 0..lines {
            scene.break_line(line, fault)?;
        }
        let (told, untold) = until_all_are_told(&mut scene)?;
        let wrong = untold.or(lan_is_dead(&mut scene));
        for line in (0..lines).rev() {
            scene.repair(line)?;
            scene.until_used(line)?;
        }
        if let Some(wrong) = wrong {
            judgement = Judgement::failed(format!("all lines {}: {wrong}", fault.name()));
            break;
        }
        judgement = judgement.with("told_ms", milliseconds(told));
    }
    scene.verdict(judgement)
}

/// Waits until new connections meet an error at once, those of all clients; how long it took, and what
/// is wrong if not all do.
///
/// Lines that are found dead one after the other make some clients told before the others are.
fn until_all_are_told(scene: &mut Scene<'_>) -> Result<(Duration, Option<String>), Trouble> {
    let patience = scene.cx.deadlines.honoured;
    scene.cx.events.wait(patience);
    let began = Instant::now();
    loop {
        let told_at = until_told(scene, began, patience)?;
        let late = began.elapsed() > patience;
        let wrong = untold(scene)?;
        if wrong.is_none() || late {
            return Ok((told_at, wrong));
        }
    }
}

/// Waits until a new connection meets an error at once, and the next one too; when that was.
///
/// One alone may have met the end of the kernel's search for a gateway that does not answer, begun
/// for others before it; the next then waits for a search of its own.
fn until_told(
    scene: &mut Scene<'_>,
    began: Instant,
    patience: Duration,
) -> Result<Duration, Trouble> {
    loop {
        let late = began.elapsed() > patience;
        let told_at = began.elapsed();
        let mut met = None;
        let mut told = 0;
        while told < 2 {
            met = outcomes(scene, 1)?.pop().flatten();
            if !is_told(met) {
                break;
            }
            told += 1;
        }
        if told == 2 {
            return Ok(told_at);
        }
        if late {
            let seen = format!("the last new connection was {}", in_words(met));
            return Err(scene.unmet(
                "clients are told at once that all lines are dead",
                patience,
                seen,
            ));
        }
    }
}

/// Of how many clients new connections meet no error at once.
fn untold(scene: &mut Scene<'_>) -> Result<Option<String>, Trouble> {
    let met = outcomes(scene, CLIENTS)?;
    let silent = met.iter().filter(|&&met| !is_told(met)).count();
    Ok((silent > 0).then(|| {
        format!(
            "of {} clients {silent} were not told within {} ms",
            met.len(),
            PROMPT.interval.as_millis()
        )
    }))
}

/// By ICMP, or as a firewall may tell TCP.
fn is_told(met: Option<Outcome>) -> bool {
    matches!(met, Some(Outcome::Refused { .. } | Outcome::Reset))
}

/// What one new connection of each of so many clients meets.
fn outcomes(scene: &mut Scene<'_>, clients: usize) -> Result<Vec<Option<Outcome>>, Trouble> {
    let clients = scene.rested(clients)?;
    let server = scene.server();
    scene.traffic.set_patience(PROMPT);
    let flows: Vec<_> = clients
        .into_iter()
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
