//! Several lines on one card (how-to 2.3).

use multiwan_lab::Fault;
use multiwan_lab::traffic::FlowId;

use super::super::fits;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::SHARED_CARD;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static SHARED_CARD_CLAUSE: Clause = Clause {
    id: "nat.shared-card",
    kind: Kind::Behaviour,
    how_to: &["2.3", "2.3.3", "3.2"],
    promise: "Lines on one card share new connections by weight, each connection stays on its line \
        with that line's address, and one line's death is not the other's.",
    method: "The modems of two lines and one card of the router are on a hub. Distinct \
        client–server pairs open one connection each; the lines' counts are tested by the exact \
        binomial test. 400 of them ask again while the first line's modem hangs, is avoided, and \
        is used again: those of the other lines must be answered by their line. The source of \
        every packet that reaches a modem must be its line's address.",
    needs: &[Need::Settings, Need::Claimed(Feature::SharedCard)],
    configurations: &[SHARED_CARD],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::shares_first_card(config)
    },
    tests: Tests::Shares(1),
    judge: shared_card,
};

fn shared_card(cx: &mut Context) -> Result<Judgement, Trouble> {
    const DYING: usize = 0;
    let (pairs, level) = (cx.pairs(), cx.level);
    let mut scene = Scene::set(cx)?;
    let flows = scene.open(usize::try_from(pairs).unwrap_or(usize::MAX))?;
    let mut judgement = scene.shares_of(&flows, level);
    let (dying, others): (Vec<FlowId>, Vec<FlowId>) = flows[..flows.len().min(400)]
        .iter()
        .partition(|flow| scene.traffic.ledger().line(**flow) == Some(DYING));
    let mut ask = |scene: &mut Scene<'_>| -> Result<(), Trouble> {
        scene.ask(&others)?;
        let gone = |flow: &&FlowId| {
            !scene.traffic.flow(**flow).answered() || scene.traffic.ledger().line(**flow).is_none()
        };
        let gone = others.iter().filter(gone).count();
        if gone > 0 {
            judgement = Judgement::failed(format!(
                "of {} connections of other lines on the card {gone} were not answered, or left by \
                 another line",
                others.len()
            ));
        }
        Ok(())
    };
    scene.ask(&dying)?;
    ask(&mut scene)?;
    scene.break_line(DYING, Fault::Silent)?;
    ask(&mut scene)?;
    scene.until_avoided(DYING)?;
    scene.ask_in_vain(&dying[..dying.len().min(120)])?;
    ask(&mut scene)?;
    scene.repair(DYING)?;
    scene.until_used(DYING)?;
    ask(&mut scene)?;
    if let Some(foreign) = scene.foreign().told() {
        judgement = Judgement::failed(foreign);
    }
    scene.verdict(judgement)
}
