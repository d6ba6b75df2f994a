//! What address connections leave with (how-to 2.2, 2.3.3).

mod dynamic;
mod first_address;
mod lan_only;
mod shared_card;
mod translated;

use multiwan_lab::Fault;

use super::fits;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::{FOUR_TO_ONE, THREE_LINES, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) const CLAUSES: &[&Clause] = &[
    &translated::SNAT,
    &translated::MASQUERADE,
    &translated::ANY_CLIENT,
    &lan_only::LAN_ONLY,
    &first_address::FIRST_ADDRESS,
    &NO_FOREIGN_SOURCE,
    &dynamic::DYNAMIC_ADDRESS,
    &shared_card::SHARED_CARD_CLAUSE,
];

static NO_FOREIGN_SOURCE: Clause = Clause {
    id: "nat.no-foreign-source",
    kind: Kind::Behaviour,
    how_to: &["2.2", "2.3.3", "3.2"],
    promise: "No packet leaves a line with any source but that line's own, in any phase.",
    method: "Connections are opened, TCP, UDP and ICMP echo by turns, ask, and stay open while each \
        line in turn loses its carrier, hangs, and is repaired; all ask again in every phase while new ones open, and segments \
        that connection tracking cannot make sense of are mixed in. The source of every IPv4 \
        packet that leaves a line must be that line's address.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES, FOUR_TO_ONE, THREE_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: no_foreign_source,
};

fn no_foreign_source(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::applied(cx)?;
    let played = through_all_faults(&mut scene);
    // What has left with a foreign source has left, whether the rest came in time or not.
    let foreign = scene.foreign();
    let Some(told) = foreign.told() else {
        played?;
        return scene.verdict(Judgement::passed().with("foreign", 0));
    };
    scene.verdict(Judgement::failed(told).with("foreign", foreign.packets()))
}

fn through_all_faults(scene: &mut Scene<'_>) -> Result<(), Trouble> {
    // So many that all can ask at once, also those that nobody answers.
    const FLOWS: usize = 120;
    scene.start()?;
    let flows = scene.open_any(FLOWS)?;
    let phase = |scene: &mut Scene<'_>| -> Result<(), Trouble> {
        for client in 0..scene.traffic.clients() {
            let server = scene.server();
            scene.traffic.send_invalid(client, server);
        }
        scene.ask_in_vain(&flows)?;
        scene.open_in_vain(FLOWS)?;
        Ok(())
    };
    phase(scene)?;
    let sharing = scene.sharing();
    for line in 0..scene.cx.lines().len() {
        for fault in [Fault::Carrier, Fault::Silent] {
            scene.break_line(line, fault)?;
            // Before anybody has noticed, and after.
            phase(scene)?;
            scene.until_avoided(line)?;
            phase(scene)?;
            scene.repair(line)?;
            phase(scene)?;
            if sharing.contains(&line) {
                scene.until_used(line)?;
            }
            phase(scene)?;
        }
    }
    Ok(())
}
