//! A state as lines that can be edited.

use std::fmt;

use multiwan::state::{Address, Link, Route, Rule, Setting, State};
use multiwan_kernel::nft;

use super::{Compiled, Error, parse};

/// One thing that a kernel holds; its `Display` is the line that makes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Element {
    Link(String, Link),
    Address(Address),
    Setting(Setting, u32),
    Rule(Rule),
    Route(Route),
    Chain(String, Option<nft::Base>),
    ChainRule(String, nft::Rule),
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name, link) => {
                let state = if link.up { "up" } else { "down" };
                write!(f, "ip link set dev {name} {state}")
            }
            Self::Address(address) => address.fmt(f),
            Self::Setting(setting, value) => write!(f, "sysctl -w {setting}={value}"),
            Self::Rule(rule) => write!(f, "ip rule add {rule}"),
            Self::Route(route) => write!(f, "ip route add {route}"),
            Self::Chain(name, None) => write!(f, "nft add chain ip multiwan {name}"),
            Self::Chain(name, Some(base)) => {
                write!(f, "nft add chain ip multiwan {name} {{ {base} }}")
            }
            Self::ChainRule(chain, rule) => write!(f, "nft add rule ip multiwan {chain} {rule}"),
        }
    }
}

/// The state with all edits, in order. A line that no edit changes stays what it was, so only
/// what edits write needs to be read back.
pub(super) fn edited(state: State, edits: &[Compiled]) -> Result<State, Error> {
    let table = state.firewall.clone();
    let mut lines: Vec<(String, Element)> = elements(state)
        .map(|element| (element.to_string(), element))
        .collect();
    for edit in edits {
        let mut next = Vec::with_capacity(lines.len());
        for (line, element) in lines {
            let Some(becomes) = edit.change(&line) else {
                next.push((line, element));
                continue;
            };
            for new in becomes {
                let element = if new == line {
                    element.clone()
                } else {
                    parse::element(&new).map_err(|reason| Error::Unreadable {
                        line: new.clone(),
                        reason,
                    })?
                };
                next.push((new, element));
            }
        }
        lines = next;
    }
    Ok(assembled(
        lines.into_iter().map(|(_, element)| element),
        table,
    ))
}

pub(super) fn elements(state: State) -> impl Iterator<Item = Element> {
    let State {
        links,
        addresses,
        settings,
        rules,
        routes,
        firewall,
    } = state;
    let links = links
        .into_iter()
        .map(|(name, link)| Element::Link(name, link));
    let settings = settings
        .into_iter()
        .map(|(setting, value)| Element::Setting(setting, value));
    let chains = firewall.into_iter().flat_map(|table| table.chains);
    let chains = chains.flat_map(|chain| {
        let name = chain.name.clone();
        let rules = chain.rules.into_iter();
        std::iter::once(Element::Chain(chain.name, chain.base))
            .chain(rules.map(move |rule| Element::ChainRule(name.clone(), rule)))
    });
    links
        .chain(addresses.into_iter().map(Element::Address))
        .chain(settings)
        .chain(rules.into_iter().map(Element::Rule))
        .chain(routes.into_iter().map(Element::Route))
        .chain(chains)
}

/// The state of these, with the rest of the firewall's table from `table`.
fn assembled(elements: impl Iterator<Item = Element>, table: Option<nft::Table>) -> State {
    let mut state = State::default();
    let mut chains: Vec<nft::Chain> = Vec::new();
    for element in elements {
        match element {
            Element::Link(name, link) => drop(state.links.insert(name, link)),
            Element::Address(address) => drop(state.addresses.insert(address)),
            Element::Setting(setting, value) => drop(state.settings.insert(setting, value)),
            Element::Rule(rule) => state.rules.push(rule),
            Element::Route(route) => state.routes.push(route),
            Element::Chain(name, base) => {
                let mut chain = nft::Chain::regular(name);
                chain.base = base;
                chains.push(chain);
            }
            Element::ChainRule(name, rule) => {
                // A rule whose chain an edit has deleted is gone with it.
                if let Some(chain) = chains.iter_mut().find(|chain| chain.name == name) {
                    chain.rules.push(rule);
                }
            }
        }
    }
    state.rules.sort_by_key(|rule| rule.priority);
    state.firewall = table.map(|table| nft::Table { chains, ..table });
    state
}
