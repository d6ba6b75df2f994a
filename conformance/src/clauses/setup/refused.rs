//! What no router can do is refused before anything is touched (how-to 2.3.3).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan::config::Config;
use multiwan_lab::traffic::FlowId;
use toml::Value;

use super::super::fits::{self, needs};
use super::Held;
use crate::applier;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::SHARED_CARD;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(in crate::clauses) static REFUSED_CONFIG: Clause = Clause {
    id: "setup.refused-config",
    kind: Kind::Behaviour,
    how_to: &["2.3.3"],
    promise: "Lines on one card that cannot be told apart are refused, and nothing is touched.",
    method: "Three descriptions are given to `apply`, one after the other: two lines on one card \
        with the same gateway and network, with the same gateway and different networks, and with \
        networks that overlap. Each time it must end otherwise than with 0, and addresses, rules \
        and routes must be as before. Then the right description is applied, and 100 connections \
        are answered.",
    needs: &[Need::Settings, Need::Claimed(Feature::SharedCard)],
    configurations: &[SHARED_CARD],
    fits: |config| {
        fits::shares_first_card(config)?;
        needs(
            second_on_card(config).is_some(),
            "two lines on one card whose addresses and gateways are described",
        )
    },
    tests: Tests::None,
    judge: refused_config,
};

/// The line that is to be like the first, on whose card it is; both are fixed.
fn second_on_card(config: &Config) -> Option<usize> {
    let fixed = |line: &multiwan::config::Line| line.address.is_some() && line.gateway.is_some();
    let (first, others) = config.lines.split_first()?;
    let like = |line: &multiwan::config::Line| line.interface == first.interface && fixed(line);
    let second = others.iter().position(like)? + 1;
    fixed(first).then_some(second)
}

/// What the second line is made to be, in words, as its address and its gateway.
fn impossible(first: Ipv4Net, gateway: Ipv4Addr, second: Ipv4Net) -> [Wrong; 3] {
    // The last addresses of the first line's network.
    let back = |by: u32| Ipv4Addr::from(u32::from(first.broadcast()) - by);
    let half = Ipv4Net::new(back(1), first.prefix_len() + 1).unwrap_or(first);
    [
        (
            "the same gateway and network",
            Ipv4Net::new_assert(back(1), first.prefix_len()),
            gateway,
        ),
        ("the same gateway", second, gateway),
        ("overlapping networks", half, back(2)),
    ]
}

type Wrong = (&'static str, Ipv4Net, Ipv4Addr);

fn refused_config(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 100;
    let mut scene = Scene::bare(cx)?;
    let right = scene.cx.config.clone();
    let at = second_on_card(&right).unwrap_or(1);
    let of = |line: usize| right.lines[line].address.zip(right.lines[line].gateway);
    let (Some((first, gateway)), Some((second, its_own))) = (of(0), of(at)) else {
        return Err(Trouble::Lab("the lines have no fixed addresses".to_owned()));
    };
    let before = Held::read(scene.lab.router())?;
    let mut wrong = Vec::new();
    for (what, address, gateway) in impossible(first, gateway, second) {
        describe(&mut scene, at, address, gateway)?;
        scene.cx.events.note(format!("apply with {what}"));
        match scene.cx.applier.apply() {
            Err(applier::Error::Ended { .. }) => {}
            Err(other) => return Err(other.into()),
            Ok(()) => wrong.push(format!("{what} on one card: `apply` ended with 0")),
        }
        if Held::read(scene.lab.router())? != before {
            wrong.push(format!("{what} on one card: something was changed"));
            break;
        }
    }
    if wrong.is_empty() {
        describe(&mut scene, at, second, its_own)?;
        scene.apply()?;
        scene.start()?;
        let flows = scene.open(FLOWS)?;
        let answered = |flow: &&FlowId| scene.traffic.flow(**flow).answered();
        let unanswered = FLOWS - flows.iter().filter(answered).count();
        if unanswered > 0 {
            wrong.push(format!(
                "with the right description {unanswered} of {FLOWS} were not answered"
            ));
        }
    }
    let judgement = Judgement::holds_if(wrong.is_empty(), || wrong.join("; "));
    scene.verdict(judgement)
}

/// Describes the line at this place so.
fn describe(
    scene: &mut Scene<'_>,
    at: usize,
    address: Ipv4Net,
    gateway: Ipv4Addr,
) -> Result<(), Trouble> {
    let mut config = scene.cx.config.clone();
    config.lines[at].address = Some(address);
    config.lines[at].gateway = Some(gateway);
    scene.cx.misdescribe(&config, |lines| {
        if let Some(Value::Table(line)) = lines.get_mut(at) {
            line.insert("address".to_owned(), address.to_string().into());
            line.insert("gateway".to_owned(), gateway.to_string().into());
        }
    })
}
