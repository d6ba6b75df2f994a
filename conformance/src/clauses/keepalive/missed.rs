//! How many answers may be missed (how-to 2.4).

use std::time::{Duration, Instant};

use multiwan_lab::Fault;

use super::fits;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES_PATIENT;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static MISSED: Clause = Clause {
    id: "keepalive.missed",
    kind: Kind::Behaviour,
    how_to: &["2.4"],
    promise: "A line that misses fewer answers in a row than make it dead stays in use.",
    method: "The first line's modem hangs for half an interval, 40 times or until three times \
        some of what was asked of the gateway was left without an answer, and less than `failures`. \
        Nothing else uses the lines then until what was asked is too old for an answer: any packet \
        from the gateway would be a sign of life. After that, for two intervals, new connections must \
        use every line. A hang in which the machine stood still is not judged.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES_PATIENT],
    fits: |config| {
        fits::no_targets(config)?;
        fits::have_arp(config)?;
        fits::several_failures(config)
    },
    tests: Tests::None,
    judge: missed,
};

fn missed(cx: &mut Context) -> Result<Judgement, Trouble> {
    const LINE: usize = 0;
    const TIMES: usize = 3;
    /// Each meets one probe of two, if lines are asked as often as is described; who asks once more only
    /// after a long wait for an answer is met less often.
    const HANGS: usize = 40;
    let mut scene = Scene::set(cx)?;
    let keepalive = scene.cx.config.keepalive.clone();
    let mut judged = 0;
    for _ in 0..HANGS {
        if judged == TIMES {
            break;
        }
        let before = scene.asked_for_gateways()[LINE];
        scene.break_line(LINE, Fault::Silent)?;
        let hang = scene.stream(keepalive.interval / 2, None)?;
        scene.repair(LINE)?;
        let asked = scene.asked_for_gateways()[LINE] - before;
        if asked == 0 || asked >= keepalive.failures.into() {
            // Not in step with who asks.
            scene.pause(keepalive.interval / 3)?;
            continue;
        }
        let rest = scene.stream(keepalive.timeout, None)?;
        let out = left_out(&mut scene, 2 * keepalive.interval)?;
        let starved = [hang, rest].iter().any(|part| part.starved().is_some());
        if out.late || starved {
            continue;
        }
        if !out.lines.is_empty() {
            let judgement = Judgement::failed(format!(
                "{} got no new connections after its modem had left {asked} of its questions \
                 unanswered; {} in a row make it dead",
                out.lines.join(", "),
                keepalive.failures
            ));
            return scene.verdict(judgement);
        }
        judged += 1;
    }
    let judgement = match judged {
        0 => Judgement::inconclusive(format!(
            "none of {HANGS} short hangs of a modem left something unanswered, less than makes a line \
             dead, while the machine did not stand still"
        )),
        _ => Judgement::passed(),
    };
    scene.verdict(judgement.with("missed", judged))
}

/// Which lines got no new connections at one moment of some time.
struct LeftOut {
    lines: Vec<String>,
    /// The machine stood still for so long that a probe may have been missed by that.
    late: bool,
}

fn left_out(scene: &mut Scene<'_>, time: Duration) -> Result<LeftOut, Trouble> {
    let keepalive = scene.cx.config.keepalive.clone();
    let mut out = LeftOut {
        lines: Vec::new(),
        late: false,
    };
    let began = Instant::now();
    while out.lines.is_empty() && began.elapsed() < time {
        let look = Instant::now();
        out.lines = scene.unused()?;
        scene.pause(keepalive.interval / 8)?;
        out.late |= look.elapsed() > keepalive.timeout / 2 + keepalive.interval / 8;
    }
    Ok(out)
}
