//! A device that goes away, and another of its name that comes.

use multiwan_lab::Fault;

use super::{avoid, fits, milliseconds};
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static DEVICE_REMOVED: Clause = Clause {
    id: "dead.device-removed",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "When a line's device disappears, as a USB modem's or PPP's, new connections use the \
        others; when it is there again, so is the line.",
    method: "The router's device of the first line goes away, and with it what the kernel held for \
        it: also the whole multipath route. Once a batch of new connections succeeds (in the time \
        that the contract gives), 500 more are opened: each must be answered. Then a new device \
        of that name appears, down and without an address. New connections must use the line \
        again; 400 of them ask twice more, and all are answered.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::own_cards(config)?;
        fits::described_addresses(config)
    },
    tests: Tests::None,
    judge: device_removed,
};

fn device_removed(cx: &mut Context) -> Result<Judgement, Trouble> {
    const LINE: usize = 0;
    let mut scene = Scene::set(cx)?;
    let removed_at = scene.break_line(LINE, Fault::DeviceRemoved)?;
    let switched_at = scene.until_avoided(LINE)?;
    let flows = scene.open_over(500, scene.cx.deadlines.reaction)?;
    let mut judgement = avoid(&scene, &flows, LINE);
    let back_at = scene.repair(LINE)?;
    let used_at = scene.until_used(LINE)?;
    let mut unanswered = 0;
    let flows = scene.open(400)?;
    for _ in 0..2 {
        unanswered += scene.unanswered(&flows)?;
    }
    if unanswered > 0 {
        judgement = Judgement::failed(format!(
            "after the return {unanswered} of {} later exchanges were not answered",
            2 * flows.len()
        ));
    }
    let switch = switched_at.duration_since(removed_at);
    let back = used_at.duration_since(back_at);
    scene.verdict(
        judgement
            .with("switch_ms", milliseconds(switch))
            .with("return_ms", milliseconds(back)),
    )
}
