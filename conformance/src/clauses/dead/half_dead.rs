//! A modem that hears nothing and still talks.

use std::time::{Duration, Instant};

use multiwan_lab::Fault;

use super::{avoid, fits};
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static HALF_DEAD: Clause = Clause {
    id: "dead.half-dead",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "A modem that hears nothing but still talks is dead: its own ARP brings no new \
        connections back.",
    method: "The first line's modem drops all that it gets, and can send. Once a batch of new \
        connections succeeds without the line, in the time that the contract gives, and that time \
        is over (the kernel alone may be quicker, and believes what it hears then), it asks for the \
        router by ARP some twenty times in two seconds, and more connections are opened after each \
        time: each must be answered, and none may leave by the dead line.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: half_dead,
};

fn half_dead(cx: &mut Context) -> Result<Judgement, Trouble> {
    const DEAD: usize = 0;
    const BATCH: usize = 32;
    const LONG: Duration = Duration::from_secs(2);
    let mut scene = Scene::set(cx)?;
    let fault_at = scene.break_line(DEAD, Fault::HalfDead)?;
    scene.until_avoided(DEAD)?;
    scene.until_honoured(fault_at)?;
    scene.cx.events.note("the modem asks for the router");
    let began = Instant::now();
    let mut flows = Vec::new();
    while began.elapsed() < LONG {
        scene.lab.modem_asks(DEAD)?;
        // Once at once, and once when who watches may have acted on it.
        flows.extend(scene.open(BATCH)?);
        scene.pause(LONG / 40)?;
        flows.extend(scene.open(BATCH)?);
        scene.pause(LONG / 40)?;
    }
    let judgement = avoid(&scene, &flows, DEAD);
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("connections", flows.len()))
}
