//! What an administrator has beside the applier: a firewall, other programs' marks, forwarding.

use std::time::Duration;

use multiwan_kernel::nft::{
    Base, Chain, Counter, Family, Hook, Kind as ChainKind, Mark, Netfilter, Policy, State,
    Statement, States, Table, Test, Verdict,
};
use multiwan_lab::traffic::{FlowId, Patience, Protocol};

use super::super::fits::{self, needs};
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, Service};

pub(in crate::clauses) static FORWARDING: Clause = Clause {
    id: "setup.forwarding",
    kind: Kind::Behaviour,
    how_to: &["2.2", "2.3.3"],
    promise: "`apply` lets the LAN through: forwarding is on, and was off before.",
    method: "The router's `ip_forward` is 0 before `apply`. After it 200 new connections must be \
        answered. Control: with `ip_forward` 0 again nothing of new connections leaves.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: forwarding,
};

fn forwarding(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 200;
    const SETTING: &str = "ipv4/ip_forward";
    let mut scene = Scene::bare(cx)?;
    scene.lab.router().set(SETTING, "0")?;
    scene.apply()?;
    let flows = scene.open(FLOWS)?;
    let unanswered = count_unanswered(&scene, &flows);
    scene.lab.router().set(SETTING, "0")?;
    let control = scene.open_in_vain(FLOWS)?;
    let ledger = scene.traffic.ledger();
    let left = |flow: &&FlowId| !ledger.sightings(**flow).is_empty();
    let left = control.iter().filter(left).count();
    let judgement = Judgement::holds_if(unanswered == 0 && left == 0, || {
        format!(
            "of {FLOWS} connections after `apply` {unanswered} were not answered, and {left} left \
             with forwarding off"
        )
    });
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("connections", FLOWS))
}

pub(in crate::clauses) static STATEFUL: Clause = Clause {
    id: "setup.stateful",
    kind: Kind::Behaviour,
    how_to: &["2.2"],
    promise: "A stateful firewall beside the applier works: what is established passes in, out \
        and through, and what is refused stays refused.",
    method: "Before `apply` the suite installs a firewall of its own that lets new connections \
        through from the LAN only, and otherwise what is established or related. Connections of \
        clients and of the router are answered, twice; a TCP and a UDP service of the router hear \
        nothing from hosts outside.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: stateful,
};

fn stateful(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 200;
    const OUTSIDE: usize = 10;
    let mut scene = Scene::bare(cx)?;
    install(&firewall(&scene.cx.config.lans[0].interface))?;
    scene.apply()?;
    scene.start()?;
    let flows = scene.open(FLOWS)?;
    let mut unanswered = count_unanswered(&scene, &flows);
    scene.ask(&flows)?;
    unanswered += count_unanswered(&scene, &flows);
    let mut calls = scene.hold(FLOWS / 4, None)?;
    scene.call_again(&mut calls)?;
    let failed = calls.iter().filter(|call| call.failure.is_some()).count();
    let own = scene.own_addresses();
    let mut service = Service::at(&own)?;
    scene.traffic.set_patience(Patience {
        interval: Duration::from_millis(60),
        attempts: 1,
    });
    for line in 0..own.len() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for _ in 0..OUTSIDE {
                let (from, to) = (scene.server(), service.address(line, protocol));
                scene.traffic.begin_outside(line, from, to, protocol);
            }
        }
    }
    scene.finish_with(&mut service)?;
    let heard = service.heard.len();
    let judgement = Judgement::holds_if(unanswered + failed + heard == 0, || {
        format!(
            "with a stateful firewall {unanswered} exchanges of clients and {failed} of the \
             router's connections were not answered, and {heard} came in that it refuses"
        )
    });
    drop(calls);
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("connections", FLOWS + FLOWS / 4))
}

/// The how-to's stateful filter, with a default policy of drop for what comes in or through.
fn firewall(lan: &str) -> Table {
    let mut table = Table::new(Family::Ip, "administrator");
    for (name, hook) in [("through", Hook::Forward), ("into", Hook::Input)] {
        let base = Base::new(ChainKind::Filter, hook, 0).policy(Policy::Drop);
        let mut chain = Chain::base(name, base);
        chain.rule([
            Statement::ConntrackState(States::from([State::Established, State::Related])),
            Verdict::Accept.into(),
        ]);
        for inside in [lan, "lo"] {
            chain.rule([
                Statement::InputInterface(Test::Is, inside.to_owned()),
                Verdict::Accept.into(),
            ]);
        }
        table.chains.push(chain);
    }
    table
}

pub(in crate::clauses) static BESIDE_QOS: Clause = Clause {
    id: "setup.beside-qos",
    kind: Kind::Behaviour,
    how_to: &["2.1"],
    promise: "Another program's marks on the LAN's packets, by which it shapes them, survive.",
    method: "Before `apply` the suite installs a table that gives packets from the LAN a mark in \
        the lowest eight bits, which the described `mark_mask` leaves to others, before the \
        applier's own chains. 400 connections of clients ask twice: each must be answered, and \
        every packet must still have its mark where a shaper reads it, just before it leaves.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        needs(
            config.kernel.mark_mask & CLASS.mask() == 0,
            "a `mark_mask` that leaves the lowest eight bits to others",
        )
    },
    tests: Tests::None,
    judge: beside_qos,
};

/// A traffic class, in bits of its own.
const CLASS: Mark = Mark::new(0x2a, 0xff);

fn beside_qos(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 400;
    let mut scene = Scene::bare(cx)?;
    let lan = scene.cx.config.lans[0].clone();
    let mut table = Table::new(Family::Ip, "classes");
    // Before mangle, and between mangle and source NAT.
    let mut classify = Chain::base(
        "classify",
        Base::new(ChainKind::Filter, Hook::Prerouting, -160),
    );
    classify.rule([
        Statement::InputInterface(Test::Is, lan.interface.clone()),
        Statement::SetPacketMark(CLASS),
    ]);
    let mut shape = Chain::base("shape", Base::new(ChainKind::Filter, Hook::Postrouting, 50));
    for test in [Test::Is, Test::IsNot] {
        shape.rule([
            Statement::OutputInterface(Test::IsNot, lan.interface.clone()),
            Statement::Source(Test::Is, lan.address.trunc()),
            Statement::PacketMark(test, CLASS),
            Statement::Counter(Counter::default()),
        ]);
    }
    table.chains = vec![classify, shape];
    install(&table)?;
    scene.apply()?;
    scene.start()?;
    let flows = scene.open(FLOWS)?;
    let mut unanswered = count_unanswered(&scene, &flows);
    scene.ask(&flows)?;
    unanswered += count_unanswered(&scene, &flows);
    let [kept, lost] = counted(&table)?;
    let judgement = Judgement::holds_if(unanswered == 0 && lost == 0 && kept > 0, || {
        format!(
            "{unanswered} exchanges were not answered, and of {} packets from the LAN {lost} had \
             lost another program's mark",
            kept + lost
        )
    });
    let judgement = scene.unless_lossy(&flows, judgement);
    scene.verdict(judgement.with("marked", kept))
}

/// What the two rules of the last chain have counted; nothing where somebody has removed them.
fn counted(table: &Table) -> Result<[u64; 2], Trouble> {
    let held = Netfilter::open()
        .and_then(|mut netfilter| netfilter.read(table.family, &table.name))
        .map_err(|error| Trouble::Lab(format!("reading counters: {error}")))?;
    let rules = held
        .as_ref()
        .and_then(|table| table.chains.last())
        .map(|chain| chain.rules.as_slice());
    let count = |rule: Option<&multiwan_kernel::nft::Rule>| {
        rule.and_then(|rule| rule.counter())
            .map_or(0, |counter| counter.packets)
    };
    let rules = rules.unwrap_or_default();
    Ok([count(rules.first()), count(rules.get(1))])
}

fn install(table: &Table) -> Result<(), Trouble> {
    Netfilter::open()
        .and_then(|mut netfilter| netfilter.replace(table))
        .map_err(|error| Trouble::Lab(format!("installing a table beside the applier: {error}")))
}

fn count_unanswered(scene: &Scene<'_>, flows: &[FlowId]) -> usize {
    let unanswered = |flow: &&FlowId| !scene.traffic.flow(**flow).answered();
    flows.iter().filter(unanswered).count()
}
