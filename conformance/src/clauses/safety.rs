//! What comes from outside and claims to be from inside (how-to 2.3.3, 3.2).

use std::net::{Ipv4Addr, SocketAddrV4};

use multiwan_lab::Fault;
use multiwan_lab::traffic::{FlowId, Protocol};

use super::fits;
use crate::clause::{Clause, Feature, Kind, Need, Tests};
use crate::configuration::{BACKUP, SHARED_CARD, TWO_LINES};
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::{Scene, Service};

pub(super) const CLAUSES: &[&Clause] = &[&SPOOFED_SOURCE, &SHARED_CARD_CLAUSE, &RP_FILTER];

static SPOOFED_SOURCE: Clause = Clause {
    id: "safety.spoofed-source",
    kind: Kind::Behaviour,
    how_to: &["2.3.3", "3.2"],
    promise: "A packet from outside that claims a source of the LAN or of the router itself gets \
        no further.",
    method: "With loose `rp_filter`, as distributions have it, datagrams are sent into each line \
        that claim to come from a client, from the router's address on the LAN and from each \
        line's own address, to two clients and to a service of the router. None may arrive.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: spoofed_source,
};

static SHARED_CARD_CLAUSE: Clause = Clause {
    id: "safety.shared-card",
    kind: Kind::Behaviour,
    how_to: &["2.3", "2.3.3"],
    promise: "Where several lines are on one card, and their modems on one wire, a packet from \
        there that claims a source of the LAN or of the router itself gets no further.",
    method: "With loose `rp_filter`, datagrams are sent by each modem of the hub that claim to \
        come from a client, from the router's address on the LAN and from each line's own \
        address, to two clients and to a service at each line's address. None may arrive.",
    needs: &[Need::Settings, Need::Claimed(Feature::SharedCard)],
    configurations: &[SHARED_CARD],
    fits: fits::shares_first_card,
    tests: Tests::None,
    judge: spoofed_source,
};

fn spoofed_source(cx: &mut Context) -> Result<Judgement, Trouble> {
    // One that belongs to the lab on clients and on the Internet.
    const PORT: u16 = 5060;
    let mut scene = Scene::set(cx)?;
    let own = scene.own_addresses();
    let mut service = Service::at(&own)?;
    let clients = scene.lab.topology().clients.min(3);
    let inside: Vec<Ipv4Addr> = (0..clients)
        .map(|client| scene.lab.client(client).address())
        .collect();
    let router = scene.lab.topology().lan.router.addr();
    let mut claims = vec![router, inside[0]];
    claims.extend(&own);
    let mut sent = 0;
    for line in 0..own.len() {
        let at_clients = inside[1..]
            .iter()
            .map(|&client| SocketAddrV4::new(client, PORT));
        let at_router = service.address(line, Protocol::Udp);
        for to in at_clients.chain([at_router]) {
            for &claim in &claims {
                let from = SocketAddrV4::new(claim, PORT);
                scene.traffic.inject(line, from, to, Protocol::Udp);
                sent += 1;
            }
        }
        // What came before this was dealt with before this, whether it is answered or not.
        let (from, to) = (scene.server(), service.address(line, Protocol::Echo));
        scene.traffic.begin_outside(line, from, to, Protocol::Echo);
    }
    scene.finish_with(&mut service)?;
    let at_clients = scene
        .traffic
        .strays()
        .iter()
        .map(|stray| *stray.source.ip());
    let at_router = service.heard.iter().filter_map(|from| match from.ip() {
        std::net::IpAddr::V4(address) => Some(address),
        std::net::IpAddr::V6(_) => None,
    });
    let arrived: Vec<Ipv4Addr> = at_clients
        .chain(at_router)
        .filter(|source| claims.contains(source))
        .collect();
    let judgement = Judgement::holds_if(arrived.is_empty(), || {
        format!(
            "of {sent} datagrams from outside with an inside source {} arrived, one of them from \
             {}",
            arrived.len(),
            arrived[0]
        )
    });
    scene.verdict(judgement.with("sent", sent))
}

static RP_FILTER: Clause = Clause {
    id: "safety.rp-filter",
    kind: Kind::Behaviour,
    how_to: &["3.2"],
    promise: "Strict `rp_filter` drops nothing genuine, and what arrives on the wrong line.",
    method: "The administrator has set `rp_filter` to 1 everywhere. Connections are opened by a \
        backup line while all others are dead; when these are back and get the new ones, the old \
        ones ask ten times more, and new ones ask: each must be answered. Datagrams into each line \
        with a source of another line's network must not reach a service of the router.",
    needs: &[Need::Settings, Need::Claimed(Feature::Backup)],
    configurations: &[BACKUP],
    fits: fits::backup_and_other,
    tests: Tests::None,
    judge: rp_filter,
};

fn rp_filter(cx: &mut Context) -> Result<Judgement, Trouble> {
    const FLOWS: usize = 128;
    const ROUNDS: usize = 10;
    let mut scene = Scene::bare(cx)?;
    let lines = scene.cx.config.lines.clone();
    let cards = lines.iter().map(|line| line.interface.clone());
    let lan = scene.lab.topology().lan.interface.clone();
    let everywhere = ["all".to_owned(), "default".to_owned(), lan];
    for device in everywhere.into_iter().chain(cards) {
        let setting = format!("ipv4/conf/{device}/rp_filter");
        scene.lab.router().set(&setting, "1")?;
    }
    scene.apply()?;
    scene.start()?;
    let others: Vec<usize> = (0..lines.len())
        .filter(|&line| !lines[line].backup)
        .collect();
    for &line in &others {
        scene.break_line(line, Fault::Carrier)?;
    }
    for &line in &others {
        scene.until_avoided(line)?;
    }
    let on_backup = scene.open(FLOWS)?;
    let mut unanswered = count_unanswered(&scene, &on_backup);
    for &line in &others {
        scene.repair(line)?;
    }
    for &line in &others {
        scene.until_used(line)?;
    }
    let new = scene.open(FLOWS)?;
    unanswered += count_unanswered(&scene, &new);
    for _ in 0..ROUNDS {
        scene.ask(&on_backup)?;
        unanswered += count_unanswered(&scene, &on_backup);
        if unanswered > 0 {
            break;
        }
    }
    let heard = wrong_line(&mut scene)?;
    let judgement = Judgement::holds_if(unanswered + heard == 0, || {
        format!(
            "{unanswered} exchanges of healthy lines were not answered, and {heard} datagrams that \
             arrived on the wrong line were let in"
        )
    });
    scene.verdict(judgement.with("connections", 2 * FLOWS))
}

/// How many datagrams with a source of another line's network a service of the router hears.
fn wrong_line(scene: &mut Scene<'_>) -> Result<usize, Trouble> {
    const PORT: u16 = 5060;
    let own = scene.own_addresses();
    let gateways: Vec<Ipv4Addr> = scene
        .lab
        .topology()
        .lines
        .iter()
        .map(|line| line.gateway)
        .collect();
    let mut service = Service::at(&own)?;
    for line in 0..own.len() {
        for (_, &claim) in gateways
            .iter()
            .enumerate()
            .filter(|&(other, _)| other != line)
        {
            let from = SocketAddrV4::new(claim, PORT);
            let to = service.address(line, Protocol::Udp);
            scene.traffic.inject(line, from, to, Protocol::Udp);
        }
        let (from, to) = (scene.server(), service.address(line, Protocol::Echo));
        scene.traffic.begin_outside(line, from, to, Protocol::Echo);
    }
    scene.finish_with(&mut service)?;
    Ok(service.heard.len())
}

fn count_unanswered(scene: &Scene<'_>, flows: &[FlowId]) -> usize {
    let unanswered = |flow: &&FlowId| !scene.traffic.flow(**flow).answered();
    flows.iter().filter(unanswered).count()
}
