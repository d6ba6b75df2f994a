//! Reads back a line that an edit has written. Every word that it does not know is an error, as
//! the mistake would not be the one that was meant.

use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use multiwan::state::{
    DeviceSetting, GlobalSetting, Hop, Link, NeighbourSetting, Route, Rule, Setting, TABLE_MAIN,
    Target,
};
use multiwan_kernel::nft::{
    self, Counter, Direction, End, Mark, Protocol, Reject, SegmentSize, State, Statement, States,
    Test, Unreachable, Verdict,
};

use super::draft::Element;

type Result<T> = std::result::Result<T, String>;

/// The thing that this line makes.
pub(super) fn element(line: &str) -> Result<Element> {
    let starts = |start| line.strip_prefix(start).map(Words::new);
    if let Some(mut words) = starts("ip rule add ") {
        return rule(&mut words).map(Element::Rule);
    }
    if let Some(mut words) = starts("ip route add ") {
        return route(&mut words).map(Element::Route);
    }
    if let Some(mut words) = starts("ip link set dev ") {
        let name = words.next()?.to_owned();
        let up = match words.next()? {
            "up" => true,
            "down" => false,
            other => return Err(unknown(other)),
        };
        return Ok(Element::Link(
            name,
            Link {
                up,
                ..Link::default()
            },
        ));
    }
    if let Some(rest) = line.strip_prefix("sysctl -w ") {
        let (name, value) = rest.split_once('=').ok_or("no value")?;
        return Ok(Element::Setting(setting(name)?, number(value)?));
    }
    if let Some(mut words) = starts("nft add rule ip multiwan ") {
        let chain = words.next()?.to_owned();
        return Ok(Element::ChainRule(chain, chain_rule(&mut words)?));
    }
    Err("no such line can be written by an edit".to_owned())
}

fn rule(words: &mut Words<'_>) -> Result<Rule> {
    let mut rule = Rule::new(0, 0);
    while let Some(word) = words.more() {
        match word {
            "prio" => rule.priority = words.value()?,
            "from" => rule.from = Some(words.net()?),
            "to" => rule.to = Some(words.net()?),
            "oif" => rule.output = Some(words.next()?.to_owned()),
            "fwmark" => {
                let (value, mask) = words.next()?.split_once('/').ok_or("a mark has a mask")?;
                rule.mark = Some(Mark::new(number(value)?, number(mask)?));
            }
            "ipproto" => rule.transport = Some(words.value()?),
            "dport" => rule.port = Some(words.value()?),
            "table" => rule.table = words.table()?,
            "suppress_prefixlength" => rule.suppress_prefix_length = Some(words.value()?),
            "protocol" => rule.protocol = words.value()?,
            other => return Err(unknown(other)),
        }
    }
    Ok(rule)
}

fn route(words: &mut Words<'_>) -> Result<Route> {
    let refuses = match words.next()? {
        "default" => None,
        kind => {
            words.expect("default")?;
            Some(match kind {
                "prohibit" => Target::Prohibit,
                "unreachable" => Target::Unreachable,
                other => return Err(unknown(other)),
            })
        }
    };
    let mut route = Route::new(0, 0, Target::Prohibit);
    let mut hops = vec![Hop {
        gateway: None,
        interface: String::new(),
        onlink: false,
        weight: 1,
    }];
    let mut source = None;
    while let Some(word) = words.more() {
        let hop = hops.last_mut().expect("there is one");
        match word {
            "via" => hop.gateway = Some(words.value()?),
            "dev" => words.next()?.clone_into(&mut hop.interface),
            "onlink" => hop.onlink = true,
            "weight" => hop.weight = words.value()?,
            "src" => source = Some(words.value()?),
            "proto" => words.expect("static")?,
            "metric" => route.metric = words.value()?,
            "table" => route.table = words.table()?,
            "nexthop" if hop.interface.is_empty() => (),
            "nexthop" => {
                let next = Hop {
                    interface: String::new(),
                    ..hop.clone()
                };
                hops.push(next);
            }
            other => return Err(unknown(other)),
        }
    }
    route.target = refuses.unwrap_or(Target::Hops { hops, source });
    Ok(route)
}

fn setting(name: &str) -> Result<Setting> {
    let device = name.split('.').nth(3).unwrap_or_default().to_owned();
    let global = GlobalSetting::ALL.into_iter().map(Setting::Global);
    let devices = DeviceSetting::ALL
        .into_iter()
        .map(|setting| Setting::Device(device.clone(), setting));
    let neighbours = NeighbourSetting::ALL
        .into_iter()
        .map(|setting| Setting::Neighbour(device.clone(), setting));
    global
        .chain(devices)
        .chain(neighbours)
        .find(|setting| setting.to_string() == name)
        .ok_or_else(|| unknown(name))
}

fn chain_rule(words: &mut Words<'_>) -> Result<nft::Rule> {
    let mut rule = nft::Rule::new([]);
    while let Some(word) = words.more() {
        rule.statements.push(statement(word, words)?);
    }
    Ok(rule)
}

fn statement(word: &str, words: &mut Words<'_>) -> Result<Statement> {
    Ok(match word {
        "iifname" => Statement::InputInterface(words.test(), words.quoted()?),
        "oifname" => Statement::OutputInterface(words.test(), words.quoted()?),
        "ip" => match words.next()? {
            "saddr" => Statement::Source(words.test(), words.net()?),
            "daddr" => Statement::Destination(words.test(), words.net()?),
            other => return Err(unknown(other)),
        },
        "meta" => match words.next()? {
            "mark" => match words.mark("meta")? {
                (Some(test), mark) => Statement::PacketMark(test, mark),
                (None, mark) => Statement::SetPacketMark(mark),
            },
            "l4proto" => Statement::Protocol(words.test(), protocol(words.next()?)?),
            other => return Err(unknown(other)),
        },
        "ct" => match words.next()? {
            "mark" => match words.mark("ct")? {
                (Some(test), mark) => Statement::ConntrackMark(test, mark),
                (None, mark) => Statement::SetConntrackMark(mark),
            },
            "state" => Statement::ConntrackState(states(words.next()?)?),
            "direction" => Statement::ConntrackDirection(direction(words.next()?)?),
            other => {
                let direction = direction(other)?;
                words.expect("ip")?;
                Statement::ConntrackAddress {
                    direction,
                    end: end(words.next()?)?,
                    test: words.test(),
                    address: words.value()?,
                }
            }
        },
        "th" => {
            words.expect("dport")?;
            Statement::DestinationPort(words.test(), words.value()?)
        }
        "tcp" => match words.next()? {
            "flags" => {
                words.all("syn / syn,rst")?;
                Statement::OpensTcp
            }
            "option" => {
                words.all("maxseg size set")?;
                Statement::SetSegmentSize(segment_size(words)?)
            }
            other => return Err(unknown(other)),
        },
        "rt" => {
            words.all("ip nexthop")?;
            Statement::Nexthop(words.test(), words.value()?)
        }
        "fib" => {
            let end = end(words.next()?)?;
            words.expect("type")?;
            let test = words.test();
            words.expect("local")?;
            Statement::Local(end, test)
        }
        "reject" => {
            words.expect("with")?;
            Statement::Reject(reject(words)?)
        }
        "counter" => Statement::Counter(Counter::default()),
        "snat" => {
            words.expect("to")?;
            Statement::SourceNat(words.value()?)
        }
        "masquerade" => Statement::Masquerade,
        "accept" => Verdict::Accept.into(),
        "drop" => Verdict::Drop.into(),
        "return" => Verdict::Return.into(),
        "jump" => Verdict::Jump(words.next()?.to_owned()).into(),
        other => return Err(unknown(other)),
    })
}

fn segment_size(words: &mut Words<'_>) -> Result<SegmentSize> {
    if words.words.next_if_eq(&"rt").is_none() {
        return words.value().map(SegmentSize::Bytes);
    }
    words.expect("mtu")?;
    Ok(SegmentSize::RouteMtu)
}

fn reject(words: &mut Words<'_>) -> Result<Reject> {
    match words.next()? {
        "tcp" => words.expect("reset").map(|()| Reject::TcpReset),
        "icmp" => {
            let word = words.next()?;
            let called = |reason: &Unreachable| reason.to_string() == word;
            let reason = Unreachable::ALL.into_iter().find(called);
            reason.map(Reject::Icmp).ok_or_else(|| unknown(word))
        }
        other => Err(unknown(other)),
    }
}

fn end(word: &str) -> Result<End> {
    [End::Source, End::Destination]
        .into_iter()
        .find(|end| end.to_string() == word)
        .ok_or_else(|| unknown(word))
}

fn protocol(word: &str) -> Result<Protocol> {
    Ok(match word {
        "icmp" => Protocol::ICMP,
        "tcp" => Protocol::TCP,
        "udp" => Protocol::UDP,
        other => return Err(unknown(other)),
    })
}

fn states(word: &str) -> Result<States> {
    let known = [
        State::Invalid,
        State::Established,
        State::Related,
        State::New,
    ];
    let state = |word| {
        let called = |state: &State| state.to_string() == word;
        known.into_iter().find(called).ok_or_else(|| unknown(word))
    };
    word.split(',').map(state).collect()
}

fn direction(word: &str) -> Result<Direction> {
    [Direction::Original, Direction::Reply]
        .into_iter()
        .find(|direction| direction.to_string() == word)
        .ok_or_else(|| unknown(word))
}

/// The words of a line, read one after the other.
struct Words<'a> {
    words: std::iter::Peekable<std::str::SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Words {
            words: text.split_whitespace().peekable(),
        }
    }

    fn more(&mut self) -> Option<&'a str> {
        self.words.next()
    }

    fn next(&mut self) -> Result<&'a str> {
        self.more().ok_or_else(|| "it ends too early".to_owned())
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        match self.next()? {
            next if next == word => Ok(()),
            other => Err(unknown(other)),
        }
    }

    fn all(&mut self, words: &str) -> Result<()> {
        words.split(' ').try_for_each(|word| self.expect(word))
    }

    fn value<T: FromStr>(&mut self) -> Result<T> {
        let word = self.next()?;
        word.parse().map_err(|_| unknown(word))
    }

    fn net(&mut self) -> Result<Ipv4Net> {
        let word = self.next()?;
        let host = || word.parse::<Ipv4Addr>().map(Ipv4Net::from);
        word.parse().or_else(|_| host()).map_err(|_| unknown(word))
    }

    fn table(&mut self) -> Result<u32> {
        match self.next()? {
            "main" => Ok(TABLE_MAIN),
            other => number(other),
        }
    }

    fn quoted(&mut self) -> Result<String> {
        Ok(self.next()?.trim_matches('"').to_owned())
    }

    fn test(&mut self) -> Test {
        match self.words.next_if_eq(&"!=") {
            Some(_) => Test::IsNot,
            None => Test::Is,
        }
    }

    /// What follows `ct mark` or `meta mark`: a match with its test, or what is set.
    fn mark(&mut self, of: &str) -> Result<(Option<Test>, Mark)> {
        if self.words.next_if_eq(&"set").is_none() {
            if self.words.next_if_eq(&"&").is_none() {
                let test = self.test();
                return Ok((Some(test), Mark::new(number(self.next()?)?, u32::MAX)));
            }
            let mask = number(self.next()?)?;
            let test = match self.next()? {
                "==" => Test::Is,
                "!=" => Test::IsNot,
                other => return Err(unknown(other)),
            };
            return Ok((Some(test), Mark::new(number(self.next()?)?, mask)));
        }
        let first = self.next()?;
        if first != of {
            return Ok((None, Mark::new(number(first)?, u32::MAX)));
        }
        self.expect("mark")?;
        self.expect("&")?;
        let mask = !number(self.next()?)?;
        let value = match self.words.next_if_eq(&"|") {
            Some(_) => number(self.next()?)?,
            None => 0,
        };
        Ok((None, Mark::new(value, mask)))
    }
}

fn number(word: &str) -> Result<u32> {
    let parsed = match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => word.parse(),
    };
    parsed.map_err(|_| unknown(word))
}

fn unknown(word: &str) -> String {
    format!("`{word}` is not understood there")
}

#[cfg(test)]
mod tests {
    use multiwan::verdicts::{Verdict, Verdicts};

    use super::*;
    use crate::configuration::{BUILTIN, Configuration};
    use crate::mutant::draft;

    /// Whatever the applier prints today can be written by an edit.
    #[test]
    fn every_line_of_every_plan_comes_back() {
        for builtin in BUILTIN {
            let config = Configuration::builtin(builtin).config;
            let each = |verdict| {
                config
                    .lines
                    .iter()
                    .map(move |line| (line.name.as_str(), verdict))
            };
            for verdicts in [Verdicts::default(), each(Verdict::Dead).collect()] {
                comes_back(multiwan::desired::desired(&config, &verdicts));
            }
        }
    }

    fn comes_back(state: multiwan::state::State) {
        for element in draft::elements(state) {
            if matches!(element, Element::Address(_) | Element::Chain(..)) {
                continue;
            }
            let line = element.to_string();
            let mut back =
                super::element(&line).unwrap_or_else(|reason| panic!("{line}: {reason}"));
            if let Element::Link(_, link) = &mut back {
                link.cleared = matches!(&element, Element::Link(_, link) if link.cleared);
            }
            assert_eq!(back, element, "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (line, reason) in [
            (
                "ip rule add prio 1 iif eth0",
                "`iif` is not understood there",
            ),
            ("ip route add default via", "it ends too early"),
            (
                "nft add rule ip multiwan x log",
                "`log` is not understood there",
            ),
            (
                "sysctl -w net.ipv4.nothing=1",
                "`net.ipv4.nothing` is not understood there",
            ),
            ("rm -rf /", "no such line can be written by an edit"),
        ] {
            assert_eq!(element(line).unwrap_err(), reason);
        }
    }
}
