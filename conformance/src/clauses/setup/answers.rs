//! What the router answers: the kernel where a packet would go (`ip route get`), and ping.

use std::net::Ipv4Addr;

use multiwan_kernel::rtnl::Rtnl;
use multiwan_lab::netlink::RouteNetlinkMessage as Message;
use multiwan_lab::netlink::link::LinkMessage;
use multiwan_lab::netlink::route::{RouteAddress, RouteAttribute, RouteMessage};
use multiwan_lab::traffic::{FlowId, Protocol};

use super::super::fits;
use super::link_name;
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(in crate::clauses) static ROUTE_GET: Clause = Clause {
    id: "setup.route-get",
    kind: Kind::Layout,
    how_to: &["2.3.3"],
    promise: "The kernel says where packets would go as the how-to prints it.",
    method: "The router's kernel is asked what `ip route get` asks. A gateway is reached by its \
        line's card, without a gateway, from the line's address; 50 hosts on the Internet by one \
        of the lines' gateways, cards and addresses together; the same hosts from a line's \
        address by that line. (The cache that the how-to's answers end in is gone.)",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::own_networks(config)?;
        fits::described_gateways(config)?;
        fits::described_addresses(config)
    },
    tests: Tests::None,
    judge: route_get,
};

fn route_get(cx: &mut Context) -> Result<Judgement, Trouble> {
    const HOSTS: usize = 50;
    let mut scene = Scene::applied(cx)?;
    let hosts: Vec<Ipv4Addr> = (0..HOSTS).map(|_| scene.server()).collect();
    let router = scene.lab.router();
    let links = router.dump("listing links", Message::GetLink(LinkMessage::default()))?;
    let names: Vec<(u32, String)> = links.iter().filter_map(link_name).collect();
    // This process lives on the router.
    let mut kernel = Rtnl::open().map_err(|source| Trouble::System {
        doing: "asking the router's kernel",
        source,
    })?;
    let mut ways = Vec::new();
    let mut wrong = Vec::new();
    for line in scene.cx.config.lines.clone() {
        let (Some(own), Some(gateway)) = (line.address, line.gateway) else {
            continue;
        };
        let own = own.addr();
        let to_gateway = ask(&mut kernel, &names, gateway, None);
        let expected = format!("dev {} src {own}", line.interface);
        if to_gateway != expected {
            wrong.push(format!("{gateway}: {to_gateway}, not {expected}"));
        }
        ways.push(format!("via {gateway} {expected}"));
        let expected = format!("via {gateway} dev {}", line.interface);
        for &host in &hosts {
            let way = ask(&mut kernel, &names, host, Some(own));
            if way != expected {
                wrong.push(format!("from {own} to {host}: {way}, not {expected}"));
            }
        }
    }
    for &host in &hosts {
        let way = ask(&mut kernel, &names, host, None);
        if !ways.contains(&way) {
            wrong.push(format!("{host}: {way}, none of {}", ways.join(", ")));
        }
    }
    let judgement = Judgement::holds_if(wrong.is_empty(), || {
        format!("{} wrong answers: {}", wrong.len(), wrong[0])
    });
    scene.verdict(judgement.with("wrong", wrong.len()))
}

/// The kernel's answer for a destination, from an address or from none yet, in the how-to's words.
fn ask(kernel: &mut Rtnl, names: &[(u32, String)], to: Ipv4Addr, from: Option<Ipv4Addr>) -> String {
    let mut question = RouteMessage::default();
    question.header.address_family = multiwan_lab::netlink::AddressFamily::Inet;
    question.header.destination_prefix_length = 32;
    let address = RouteAddress::Inet;
    question
        .attributes
        .push(RouteAttribute::Destination(address(to)));
    if let Some(from) = from {
        question.header.source_prefix_length = 32;
        question
            .attributes
            .push(RouteAttribute::Source(address(from)));
    }
    let route = match kernel.ask("asking for a way", Message::GetRoute(question)) {
        Ok(Message::NewRoute(route)) => route,
        Ok(_) => return "no answer".to_owned(),
        Err(refused) => return refused.source.to_string(),
    };
    let mut words = Vec::new();
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(via)) => {
                words.push((0, format!("via {via}")))
            }
            RouteAttribute::Oif(index) => {
                let name = names.iter().find(|(known, _)| known == index);
                let name = name.map_or("?", |(_, name)| name.as_str());
                words.push((1, format!("dev {name}")));
            }
            RouteAttribute::PrefSource(RouteAddress::Inet(source)) if from.is_none() => {
                words.push((2, format!("src {source}")));
            }
            _ => {}
        }
    }
    words.sort();
    let words: Vec<String> = words.into_iter().map(|(_, word)| word).collect();
    words.join(" ")
}

pub(in crate::clauses) static REACHABLE: Clause = Clause {
    id: "setup.reachable",
    kind: Kind::Behaviour,
    how_to: &["2.3.1", "2.3.2"],
    promise: "The loopback, the hosts of the LAN, the router's own addresses and the gateways \
        answer ping.",
    method: "After `apply` the router pings 127.0.0.1, its own addresses, every client and every \
        gateway, and a client pings the router's addresses and the gateways. Each must answer.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: fits::always,
    tests: Tests::None,
    judge: reachable,
};

fn reachable(cx: &mut Context) -> Result<Judgement, Trouble> {
    let mut scene = Scene::applied(cx)?;
    let mut shared = vec![scene.lab.topology().lan.router.addr()];
    shared.extend(scene.own_addresses());
    shared.extend(scene.lab.topology().lines.iter().map(|line| line.gateway));
    let asked: Vec<(Ipv4Addr, FlowId)> = shared
        .iter()
        .map(|&address| (address, scene.traffic.begin(0, address, Protocol::Echo)))
        .collect();
    scene.finish()?;
    let mut silent: Vec<String> = asked
        .iter()
        .filter(|&&(_, flow)| !scene.traffic.flow(flow).answered())
        .map(|(address, _)| format!("{address} to a client"))
        .collect();
    let mut addresses = vec![Ipv4Addr::LOCALHOST];
    addresses.extend(scene.lab.topology().client_addresses());
    addresses.extend(shared);
    let mute = scene.ping(&addresses)?;
    silent.extend(
        mute.iter()
            .map(|address| format!("{address} to the router")),
    );
    let judgement = Judgement::holds_if(silent.is_empty(), || {
        format!("no answer to ping: {}", silent.join(", "))
    });
    scene.verdict(judgement.with("addresses", addresses.len()))
}
