//! Lines whose addresses come from their providers (how-to 2.2).

use std::net::Ipv4Addr;

use multiwan_lab::traffic::FlowId;

use super::super::dead::milliseconds;
use super::super::fits;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::DYNAMIC;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static DYNAMIC_ADDRESS: Clause = Clause {
    id: "nat.dynamic-address",
    kind: Kind::Behaviour,
    how_to: &["2.2"],
    promise: "When a provider gives a line another address, new connections leave with that, none \
        with the old one, and the other lines' connections do not notice.",
    method: "Connections are opened by all lines, TCP, UDP and ICMP echo by turns. What a DHCP client does is done on the router: \
        the first line's address is taken away and one of another network put there, with a \
        default route in main by its gateway. Once new connections use the line again (in the time \
        that the contract gives), all ask once more: no packet may leave with the old address, and \
        those of other lines must be answered as before. Then the first line's lease is renewed, \
        which takes the address away for an instant, and the second line is moved into the first \
        one's network, behind a gateway of the same address: no connection that runs on the \
        first line may notice.",
    needs: &[Need::Settings, Need::Claimed(Feature::Dynamic)],
    configurations: &[DYNAMIC],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::dynamic(config)
    },
    tests: Tests::None,
    judge: dynamic_address,
};

fn dynamic_address(cx: &mut Context) -> Result<Judgement, Trouble> {
    const MOVING: usize = 0;
    const SECOND: usize = 1;
    // So many that all can ask at once, also those that nobody answers.
    const FLOWS: usize = 120;
    let mut scene = Scene::set(cx)?;
    let mut own: Vec<Vec<Ipv4Addr>> = scene.own_addresses().into_iter().map(|a| vec![a]).collect();
    let old = own[MOVING][0];
    let flows = scene.open_any(FLOWS)?;
    let by_moving =
        |scene: &Scene<'_>, flow: &FlowId| scene.traffic.ledger().line(*flow) == Some(MOVING);
    let (lost, others): (Vec<FlowId>, Vec<FlowId>) =
        flows.iter().partition(|flow| by_moving(&scene, flow));

    let moved_at = scene.move_line(MOVING, 11, 7)?;
    own[MOVING].push(scene.own_addresses()[MOVING]);
    // Before anybody has noticed.
    scene.ask_in_vain(&lost)?;
    let followed_at = scene.until_used(MOVING)?;
    let late = packets(&scene, MOVING, old);
    scene.ask_in_vain(&lost)?;
    scene.ask(&others)?;
    let mut wrong = undisturbed(&scene, "another line", &others);
    let new = scene.open(FLOWS)?;

    let renewed_at = scene.renew_line(MOVING)?;
    let back_at = scene.until_used(MOVING)?;
    scene.ask(&new)?;
    wrong = wrong.or(undisturbed(&scene, "the renewed line or another", &new));
    let by_first: Vec<FlowId> = new
        .iter()
        .filter(|flow| by_moving(&scene, flow))
        .copied()
        .collect();

    scene.move_line(SECOND, 11, 9)?;
    own[SECOND].push(scene.own_addresses()[SECOND]);
    scene.until_used(SECOND)?;
    scene.ask(&by_first)?;
    wrong = wrong.or(undisturbed(
        &scene,
        "the line whose network another has joined",
        &by_first,
    ));

    let late = packets(&scene, MOVING, old) - late;
    if late > 0 {
        wrong = Some(format!(
            "{late} packets left with {old}, which the line had no more"
        ));
    }
    let foreign = scene.foreign_to(|line, source| own[line].contains(&source));
    wrong = foreign.told().or(wrong);
    let judgement = wrong.map_or_else(Judgement::passed, Judgement::failed);
    let (follow, renewal) = (followed_at - moved_at, back_at - renewed_at);
    scene.verdict(
        judgement
            .with("follow_ms", milliseconds(follow))
            .with("renewal_ms", milliseconds(renewal)),
    )
}

/// How many packets have left by a line with a source.
fn packets(scene: &Scene<'_>, line: usize, source: Ipv4Addr) -> u64 {
    let seen = scene.traffic.ledger().sources();
    seen.filter(|&(by, from, _)| (by, from) == (line, source))
        .map(|(_, _, packets)| packets)
        .sum()
}

/// What happened to connections that nothing may happen to.
fn undisturbed(scene: &Scene<'_>, whose: &str, flows: &[FlowId]) -> Option<String> {
    let disturbed = |flow: &&FlowId| {
        !scene.traffic.flow(**flow).answered()
            || scene.traffic.ledger().sightings(**flow).len() != 1
    };
    let count = flows.iter().filter(disturbed).count();
    (count > 0).then(|| {
        format!(
            "of {} connections of {whose} {count} were not answered, or moved to another line or \
             source",
            flows.len()
        )
    })
}
