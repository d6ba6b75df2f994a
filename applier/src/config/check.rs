//! From the file as written to a configuration that can work, or the first thing that cannot.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use toml::Spanned;

use super::error::Complaint;
use super::{Config, Keepalive, Kernel, Lan, Line, MOST_LINES, Pin, file, number, value};

type Checked<T> = Result<T, Complaint>;

/// What is written in place of an address that the interface gets from elsewhere.
const DYNAMIC: &str = "dynamic";

/// The largest weight that ip(8), and kernels before 6.12, can give a nexthop.
const LARGEST_WEIGHT: u64 = 256;

pub(super) fn check(file: file::File, previous: &BTreeMap<String, u8>) -> Checked<Config> {
    let lans = file
        .lan
        .0
        .iter()
        .map(|lan| self::lan(lan.get_ref()))
        .collect::<Checked<Vec<_>>>()?;
    apart(&file.lan.0, &lans)?;
    let lines = lines(&file, &lans, previous)?;
    let kernel = kernel(&file.kernel, &lines)?;
    Ok(Config {
        spread: file.spread,
        established: file.established,
        release_after: match &file.release_after {
            Some(text) => value::duration(text, Duration::ZERO)?,
            None => Duration::from_secs(5),
        },
        keepalive: keepalive(&file.keepalive)?,
        pins: file
            .pin
            .iter()
            .map(|pin| self::pin(pin, &lines))
            .collect::<Checked<_>>()?,
        lans,
        lines,
        kernel,
    })
}

fn lan(lan: &file::Lan) -> Checked<Lan> {
    Ok(Lan {
        interface: value::interface(&lan.interface)?,
        address: value::interface_address(&lan.address)?,
    })
}

/// LANs do not overlap each other: a route to one would hide the other.
fn apart(places: &[Spanned<file::Lan>], lans: &[Lan]) -> Checked<()> {
    for (at, lan) in lans.iter().enumerate() {
        if let Some(other) = lans[..at].iter().find(|o| overlap(o.address, lan.address)) {
            return refuse(
                &places[at].get_ref().address,
                format!(
                    "the LAN {} overlaps the LAN {} on {}; give each its own network",
                    lan.address.trunc(),
                    other.address.trunc(),
                    other.interface
                ),
            );
        }
    }
    Ok(())
}

fn lines(file: &file::File, lans: &[Lan], previous: &BTreeMap<String, u8>) -> Checked<Vec<Line>> {
    let written: Vec<&file::Line> = file.line.iter().map(Spanned::get_ref).collect();
    if written.is_empty() {
        return Err(Complaint::new(
            0..0,
            "there is no line; write one [[line]] for each",
        ));
    }
    let mut lines: Vec<Line> = Vec::new();
    for raw in &written {
        let line = line(raw)?;
        for lan in lans {
            beside_lan(raw, &line, lan)?;
        }
        for other in &lines {
            beside_line(raw, &line, other)?;
        }
        lines.push(line);
    }
    let wanted = lines.iter().zip(&written).map(|(line, raw)| {
        (
            line.name.as_str(),
            raw.number.is_some().then_some(line.number),
        )
    });
    let Some(numbers) = number::numbers(wanted, previous, MOST_LINES) else {
        return refuse(
            &written[usize::from(MOST_LINES).min(written.len() - 1)].name,
            format!(
                "this is line {}; {MOST_LINES} is the most there can be",
                written.len()
            ),
        );
    };
    for (line, number) in lines.iter_mut().zip(numbers) {
        line.number = number;
    }
    reduce(&written, &mut lines)?;
    Ok(lines)
}

fn line(raw: &file::Line) -> Checked<Line> {
    let name = value::line_name(&raw.name)?;
    let interface = value::interface(&raw.interface)?;
    if interface == "lo" {
        return refuse(
            &raw.interface,
            "lo cannot be a line; write the interface of the modem",
        );
    }
    let dynamic = raw.address.get_ref() == DYNAMIC;
    let address = if dynamic {
        None
    } else {
        Some(value::interface_address(&raw.address)?)
    };
    let gateway = match &raw.gateway {
        Some(text) => Some(self::gateway(text, address, raw.onlink)?),
        None if raw.onlink => {
            return refuse(
                &raw.name,
                format!(
                    "line {name} has onlink = true and no gateway; write gateway = \"…\" beside it, \
                     or leave it out"
                ),
            );
        }
        None => None,
    };
    let broadcast = match (&raw.broadcast, address) {
        (None, _) => None,
        (Some(text), Some(address)) => Some(broadcast(text, address)?),
        (Some(text), None) => {
            return refuse(
                text,
                "a dynamic address brings its broadcast address; leave this out",
            );
        }
    };
    let weight = match &raw.weight {
        None => 1,
        Some(weight) if *weight.get_ref() == 0 => {
            return refuse(
                weight,
                "a line of weight 0 would get no connections; write 1 or more, backup = true, or \
                 leave the line out",
            );
        }
        Some(weight) => value::number(weight, "weight", 1..65536)?,
    };
    let number = match &raw.number {
        None => 0,
        Some(number) => value::number(number, "line number", 1..i64::from(MOST_LINES) + 1)?,
    };
    Ok(Line {
        name,
        number: u8::try_from(number).unwrap_or(MOST_LINES),
        interface,
        dynamic,
        address,
        broadcast,
        gateway,
        onlink: raw.onlink,
        weight: u16::try_from(weight).unwrap_or(u16::MAX),
        backup: raw.backup,
    })
}

fn gateway(text: &Spanned<String>, address: Option<Ipv4Net>, onlink: bool) -> Checked<Ipv4Addr> {
    let gateway = value::address(text)?;
    if gateway.is_unspecified() || gateway.is_multicast() || gateway.is_loopback() {
        return refuse(
            text,
            format!("{gateway} cannot be a gateway; write the modem's address"),
        );
    }
    let Some(address) = address else {
        return Ok(gateway);
    };
    let network = address.trunc();
    if gateway == address.addr() {
        return refuse(
            text,
            format!("gateway {gateway} is this router's own address; write the modem's"),
        );
    }
    if !network.contains(&gateway) {
        return if onlink {
            Ok(gateway)
        } else {
            refuse(
                text,
                format!(
                    "gateway {gateway} is not in the line's network {network}; write an address of \
                     that network, or onlink = true if the provider wants it so"
                ),
            )
        };
    }
    if network.prefix_len() < 31 {
        let ends = [
            (network.network(), "network"),
            (network.broadcast(), "broadcast"),
        ];
        if let Some((_, what)) = ends.iter().find(|(end, _)| *end == gateway) {
            return refuse(
                text,
                format!("gateway {gateway} is the {what} address of {network}; write the modem's"),
            );
        }
    }
    Ok(gateway)
}

fn broadcast(text: &Spanned<String>, address: Ipv4Net) -> Checked<Ipv4Addr> {
    let broadcast = value::address(text)?;
    let network = address.trunc();
    if !network.contains(&broadcast) || broadcast == address.addr() {
        return refuse(
            text,
            format!(
                "{broadcast} cannot be the broadcast address of {network}; write {} or leave it out",
                network.broadcast()
            ),
        );
    }
    Ok(broadcast)
}

fn beside_lan(raw: &file::Line, line: &Line, lan: &Lan) -> Checked<()> {
    if line.interface == lan.interface {
        return refuse(
            &raw.interface,
            format!(
                "{} is the LAN's interface; write the one of the modem",
                lan.interface
            ),
        );
    }
    match line.address {
        Some(address) if overlap(address, lan.address) => refuse(
            &raw.address,
            format!(
                "{} overlaps the LAN {} on {}; one of the two networks must change",
                address.trunc(),
                lan.address.trunc(),
                lan.interface
            ),
        ),
        _ => Ok(()),
    }
}

/// Two lines may share a provider's network, or a gateway's address behind two modems; what the
/// how-to demands where they share a card is that gateways and networks differ (2.3.3).
fn beside_line(raw: &file::Line, line: &Line, other: &Line) -> Checked<()> {
    let name = &other.name;
    if line.name == other.name {
        return refuse(
            &raw.name,
            format!("there is a line {name} already; write another name"),
        );
    }
    if let Some(number) = &raw.number
        && line.number == other.number
    {
        let taken = line.number;
        return refuse(
            number,
            format!("number {taken} is line {name}'s; write another or leave it out"),
        );
    }
    if line.interface == other.interface {
        tell_apart(raw, line, other)?;
    }
    let (Some(address), Some(its)) = (line.address, other.address) else {
        return Ok(());
    };
    if address.addr() == its.addr() {
        return refuse(
            &raw.address,
            format!(
                "{} is line {name}'s address; every line needs its own",
                address.addr()
            ),
        );
    }
    if line.gateway == Some(its.addr()) && line.interface == other.interface {
        return refuse(
            raw.gateway.as_ref().unwrap_or(&raw.name),
            format!(
                "{} is this router's own address on line {name}; write the modem's",
                its.addr()
            ),
        );
    }
    if line.interface != other.interface {
        return Ok(());
    }
    let card = &line.interface;
    if line.gateway == other.gateway {
        return refuse(
            raw.gateway.as_ref().unwrap_or(&raw.name),
            format!(
                "line {name} has the same gateway on {card}; lines on one card need different ones"
            ),
        );
    }
    if overlap(address, its) {
        return refuse(
            &raw.address,
            format!(
                "{} overlaps line {name}'s {} on {card}; lines on one card need networks of their own",
                address.trunc(),
                its.trunc()
            ),
        );
    }
    Ok(())
}

/// Lines on one card are told apart by their addresses and gateways, which must be described then.
fn tell_apart(raw: &file::Line, line: &Line, other: &Line) -> Checked<()> {
    let (name, card) = (&other.name, &line.interface);
    if line.dynamic || other.dynamic {
        return refuse(
            if line.dynamic {
                &raw.address
            } else {
                &raw.interface
            },
            format!(
                "line {name} is on {card} too, where nobody could tell which line has a dynamic \
                 address; write both addresses, or give each line a card of its own"
            ),
        );
    }
    if line.gateway.is_none() || other.gateway.is_none() {
        let without = if line.gateway.is_none() {
            &line.name
        } else {
            name
        };
        return refuse(
            &raw.interface,
            format!(
                "line {name} is on {card} too, where lines are told apart by their gateways; write \
                 line {without}'s"
            ),
        );
    }
    Ok(())
}

/// Brings the weights to their smallest terms: 400 and 100 are 4 and 1 (how-to 2.3.3).
fn reduce(written: &[&file::Line], lines: &mut [Line]) -> Checked<()> {
    let common = lines
        .iter()
        .fold(0, |common, line| gcd(common, u64::from(line.weight)));
    for (line, raw) in lines.iter_mut().zip(written) {
        let reduced = u64::from(line.weight) / common;
        if let Some(weight) = &raw.weight
            && reduced > LARGEST_WEIGHT
        {
            return refuse(
                weight,
                format!(
                    "weight {reduced} in smallest terms is more than {LARGEST_WEIGHT}, the most that \
                     ip(8) and kernels before 6.12 take; write smaller numbers of nearly that ratio"
                ),
            );
        }
        line.weight = u16::try_from(reduced).unwrap_or(u16::MAX);
    }
    Ok(())
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Unless a timeout is given, no line is called dead sooner than so long after the first probe that
/// went unanswered, however short the interval: healthy gateways take a fifth of a second.
const PATIENCE: Duration = Duration::from_millis(250);

fn keepalive(raw: &file::Keepalive) -> Checked<Keepalive> {
    let least = Duration::from_millis(1);
    let interval = match &raw.interval {
        Some(text) => value::duration(text, least)?,
        None => Duration::from_secs(1),
    };
    let count = |number: &Option<Spanned<i64>>, what, default| match number {
        Some(number) => value::number(number, what, 1..1001),
        None => Ok(default),
    };
    let failures = count(&raw.failures, "failures", 2)?;
    Ok(Keepalive {
        interval,
        timeout: match &raw.timeout {
            Some(text) => value::duration(text, least)?,
            None => interval.max(PATIENCE.saturating_sub(interval.saturating_mul(failures - 1))),
        },
        failures,
        successes: count(&raw.successes, "successes", 1)?,
        targets: raw
            .targets
            .iter()
            .map(value::target)
            .collect::<Checked<_>>()?,
    })
}

fn pin(raw: &Spanned<file::Pin>, lines: &[Line]) -> Checked<Pin> {
    let place = raw.span();
    let raw = raw.get_ref();
    let line = raw.line.get_ref();
    if !lines.iter().any(|known| known.name == *line) {
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        return refuse(
            &raw.line,
            format!("there is no line {line}; write one of {}", names.join(", ")),
        );
    }
    let network = |text: &Option<Spanned<String>>| {
        text.as_ref()
            .map(|text| value::prefix(text, "write it as \"192.0.2.0/24\" or \"192.0.2.1\""))
            .transpose()
            .map(|net| net.map(|net| net.trunc()))
    };
    let protocol = raw.protocol.as_ref().map(value::protocol).transpose()?;
    let port = match &raw.port {
        None => None,
        Some(port) if matches!(protocol, Some(6 | 17)) => {
            Some(value::number(port, "port", 1..65536)?)
        }
        Some(port) => return refuse(port, "a port needs protocol = \"tcp\" or \"udp\" beside it"),
    };
    let pin = Pin {
        to: network(&raw.to)?,
        from: network(&raw.from)?,
        protocol,
        port: port.and_then(|port| u16::try_from(port).ok()),
        line: line.clone(),
    };
    if pin.to.is_none() && pin.from.is_none() && pin.protocol.is_none() {
        return Err(Complaint::new(
            place,
            "this pin matches everything; write what goes by the line: to, from, protocol, port",
        ));
    }
    Ok(pin)
}

fn kernel(raw: &file::Kernel, lines: &[Line]) -> Checked<Kernel> {
    let default = Kernel::default();
    let priority = |value: &Option<Spanned<i64>>, what, default| match value {
        Some(value) => value::number(value, what, 1..32766),
        None => Ok(default),
    };
    let kernel = Kernel {
        main_priority: priority(&raw.main_priority, "main_priority", default.main_priority)?,
        first_table: priority(&raw.first_table, "first_table", default.first_table)?,
        balance_table: priority(&raw.balance_table, "balance_table", default.balance_table)?,
        mark_mask: match &raw.mark_mask {
            Some(mask) => value::mask(mask)?,
            None => default.mark_mask,
        },
    };
    let place = |value: &Option<Spanned<i64>>| value.as_ref().map_or(0..0, Spanned::span);
    let highest = lines.iter().map(|line| line.number).max().unwrap_or(1);
    let last = kernel.table(highest);
    let reserved = |table: u32| (253..=255).contains(&table);
    if let Some(line) = lines
        .iter()
        .find(|line| reserved(kernel.table(line.number)))
    {
        return Err(Complaint::new(
            place(&raw.first_table),
            format!(
                "line {}'s table {} is the kernel's own (253 to 255); write another first_table",
                line.name,
                kernel.table(line.number)
            ),
        ));
    }
    if reserved(kernel.balance_table) {
        return Err(Complaint::new(
            place(&raw.balance_table),
            "tables 253 to 255 are the kernel's own; write another balance_table",
        ));
    }
    if kernel.main_priority >= kernel.first_table {
        return Err(Complaint::new(
            place(if raw.main_priority.is_some() {
                &raw.main_priority
            } else {
                &raw.first_table
            }),
            format!(
                "table main at priority {} would come after the lines' rules, from {} on; write a \
                 smaller main_priority",
                kernel.main_priority, kernel.first_table
            ),
        ));
    }
    if last >= kernel.balance_table {
        return Err(Complaint::new(
            place(if raw.balance_table.is_some() {
                &raw.balance_table
            } else {
                &raw.first_table
            }),
            format!(
                "the lines' tables and priorities reach {last}, so that balance_table {} would not \
                 come after them; write {} or more",
                kernel.balance_table,
                last + 1
            ),
        ));
    }
    let most = kernel.mark_mask >> kernel.mark_mask.trailing_zeros();
    if u32::from(highest) > most {
        return Err(Complaint::new(
            raw.mark_mask.as_ref().map_or(0..0, Spanned::span),
            format!(
                "mark_mask {:#x} has room for {most} lines, and number {highest} is in use; write \
                 more bits, as in \"0x3f00\"",
                kernel.mark_mask
            ),
        ));
    }
    Ok(kernel)
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

fn refuse<T, V>(at: &Spanned<V>, message: impl Into<String>) -> Checked<T> {
    Err(Complaint::new(at.span(), message))
}
