//! The file, with the places that its values were found in as comments.

use std::time::Duration;

use ipnet::Ipv4Net;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::findings::{Findings, Found, Given, Keepalive, Lan, Line, Pin};
use crate::config::{Established, Kernel, Spread};

const HEAD: &str = "\
# As `multiwan import` found this router; the comments say where.
";
/// Where others have set it up.
const STAYS: &str = "\
# `multiwan plan -c FILE` shows what would change. The set-up that is there now stays: remove it
# first, or let `multiwan check -c FILE` name what of it gets in the way.
";
/// Where multiwan has.
const OURS: &str = "\
# multiwan has set it up: what it put there tells.
";

/// The file.
pub(super) fn write(findings: &Findings) -> String {
    let mut document = DocumentMut::new();
    head(findings, &mut document);
    let lans = findings.lans.iter().map(lan);
    several(&mut document, "lan", lans);
    let lines = findings.lines.iter().map(line);
    several(&mut document, "line", lines);
    section(&mut document, "keepalive", keepalive(&findings.keepalive));
    let pins = findings.pins.iter().map(pin);
    several(&mut document, "pin", pins);
    if let Some(found) = &findings.kernel {
        section(&mut document, "kernel", kernel(found));
    }
    let mut text = HEAD.to_owned();
    text.push_str(if findings.kernel.is_some() {
        OURS
    } else {
        STAYS
    });
    if !findings.doubts.is_empty() {
        text.push_str("#\n# To be looked at:\n");
        let doubts = findings.doubts.iter();
        text.extend(doubts.map(|doubt| format!("# - {}\n", one_line(doubt))));
    }
    if findings.lans.is_empty() {
        text.push_str("#\n# No [lan]: a host by itself.\n");
    }
    text.push_str(&document.to_string());
    text
}

/// The doubts, those of single lines with the lines' names.
pub(super) fn doubts(findings: &Findings) -> Vec<String> {
    let of_lines = findings.lines.iter().flat_map(|line| {
        let name = &line.name;
        line.doubts
            .iter()
            .map(move |doubt| format!("line {name}: {doubt}"))
    });
    let all = findings.doubts.iter().cloned().chain(of_lines);
    all.map(|doubt| one_line(&doubt)).collect()
}

/// A key, its value, and the comment beside it.
type Entry = (&'static str, Value, String);

fn head(findings: &Findings, document: &mut DocumentMut) {
    let mut entries: Vec<Entry> = Vec::new();
    if let Some(spread) = &findings.spread
        && spread.value != Spread::default()
    {
        entries.push(entry("spread", "connection", &spread.place));
    }
    if let Some(established) = &findings.established {
        let word = match established.value {
            Established::Prohibit => "prohibit",
            Established::Reset => "reset",
            Established::Release => "release",
        };
        entries.push(entry("established", word, &established.place));
    }
    fill(document.as_table_mut(), entries);
    if let Some((mut first, _)) = document.as_table_mut().iter_mut().next() {
        first.leaf_decor_mut().set_prefix("\n");
    }
}

fn lan(lan: &Lan) -> Table {
    let mut entries = vec![
        entry("interface", lan.interface.as_str(), ""),
        entry("address", lan.address.value.to_string(), &lan.address.place),
    ];
    if !lan.networks.is_empty() {
        let networks: Array = lan.networks.iter().map(Ipv4Net::to_string).collect();
        entries.push(entry(
            "networks",
            networks,
            "translated; routes in table main",
        ));
    }
    table(&[], entries)
}

fn line(line: &Line) -> Table {
    let address = match line.address.value {
        Given::Always(net) => net.to_string(),
        Given::Dynamic => "dynamic".to_owned(),
    };
    let mut entries = vec![
        entry("name", line.name.as_str(), ""),
        entry(
            "interface",
            line.interface.value.as_str(),
            &line.interface.place,
        ),
        entry("address", address, &line.address.place),
    ];
    if let Some(broadcast) = line.broadcast {
        entries.push(entry("broadcast", broadcast.to_string(), ""));
    }
    if let Some(gateway) = &line.gateway {
        entries.push(entry("gateway", gateway.value.to_string(), &gateway.place));
    }
    if line.onlink {
        entries.push(entry("onlink", true, "outside of the address's network"));
    }
    if !line.keep.is_empty() {
        let keep: Array = line.keep.iter().map(Ipv4Net::to_string).collect();
        entries.push(entry("keep", keep, "beside the line's own"));
    }
    match &line.backup {
        Some(why) => entries.push(entry("backup", true, why)),
        None => entries.push(entry(
            "weight",
            i64::from(line.weight.value),
            &line.weight.place,
        )),
    }
    if let Some(number) = &line.number {
        entries.push(entry("number", i64::from(number.value), &number.place));
    }
    let doubts = line
        .doubts
        .iter()
        .map(|doubt| format!("To be looked at: {doubt}"));
    let above: Vec<String> = line.remarks.iter().cloned().chain(doubts).collect();
    table(&above, entries)
}

fn keepalive(keepalive: &Keepalive) -> Vec<Entry> {
    let span = |key, span: &Option<Found<Duration>>| {
        let span = span.as_ref()?;
        let written = humantime::format_duration(span.value).to_string();
        Some(entry(key, written, &span.place))
    };
    let failures = keepalive.failures.as_ref();
    [
        span("interval", &keepalive.interval),
        span("timeout", &keepalive.timeout),
        failures.map(|count| entry("failures", i64::from(count.value), &count.place)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn pin(pin: &Pin) -> Table {
    let mut entries = Vec::new();
    let net = |net: Ipv4Net| match net.prefix_len() {
        32 => net.addr().to_string(),
        _ => net.to_string(),
    };
    entries.extend(pin.from.map(|from| entry("from", net(from), "")));
    entries.extend(pin.to.map(|to| entry("to", net(to), "")));
    let protocol = pin.protocol.map(|protocol| match protocol {
        1 => Value::from("icmp"),
        6 => Value::from("tcp"),
        17 => Value::from("udp"),
        other => Value::from(i64::from(other)),
    });
    entries.extend(protocol.map(|protocol| entry("protocol", protocol, "")));
    entries.extend(pin.port.map(|port| entry("port", i64::from(port), "")));
    entries.push(entry("line", pin.line.value.as_str(), &pin.line.place));
    table(&[], entries)
}

/// Those that are not the defaults.
fn kernel(found: &Kernel) -> Vec<Entry> {
    let usual = Kernel::default();
    let numbers = [
        (
            "main_priority",
            found.main_priority,
            usual.main_priority,
            "of multiwan's rule for table main",
        ),
        (
            "first_table",
            found.first_table,
            usual.first_table,
            "by multiwan's rules for marks",
        ),
        (
            "balance_table",
            found.balance_table,
            usual.balance_table,
            "of multiwan's last rule",
        ),
    ];
    let mut entries: Vec<Entry> = numbers
        .into_iter()
        .filter(|(_, found, usual, _)| found != usual)
        .map(|(key, found, _, place)| entry(key, i64::from(found), place))
        .collect();
    if found.mark_mask != usual.mark_mask {
        let mask = format!("{:#x}", found.mark_mask);
        entries.push(entry("mark_mask", mask, "by multiwan's rules for marks"));
    }
    entries
}

fn entry(key: &'static str, value: impl Into<Value>, place: &str) -> Entry {
    (key, value.into(), one_line(place))
}

/// What others have named, with any character that nftables takes, is to end no comment.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(plain).collect()
}

/// A table with comments above it.
fn table(above: &[String], entries: Vec<Entry>) -> Table {
    let mut table = Table::new();
    let comments: String = above
        .iter()
        .map(|comment| format!("# {}\n", one_line(comment)))
        .collect();
    table.decor_mut().set_prefix(format!("\n{comments}"));
    fill(&mut table, entries);
    table
}

/// Values and comments stand below each other.
fn fill(table: &mut Table, entries: Vec<Entry>) {
    let length = |value: &Value| value.to_string().trim().len();
    let keys = entries.iter().map(|(key, ..)| key.len()).max().unwrap_or(0);
    let values = entries.iter().map(|(_, value, _)| length(value));
    let values = values.max().unwrap_or(0);
    for (key, mut value, place) in entries {
        if !place.is_empty() {
            let room = values - length(&value);
            value
                .decor_mut()
                .set_suffix(format!("{:room$}  # {place}", ""));
        }
        table.insert(key, Item::Value(value));
        if let Some(mut key) = table.key_mut(key) {
            let room = keys - key.get().len() + 1;
            key.leaf_decor_mut().set_suffix(" ".repeat(room));
        }
    }
}

fn several(document: &mut DocumentMut, key: &str, tables: impl Iterator<Item = Table>) {
    let mut array = ArrayOfTables::new();
    tables.for_each(|table| array.push(table));
    if !array.is_empty() {
        document.insert(key, Item::ArrayOfTables(array));
    }
}

fn section(document: &mut DocumentMut, key: &str, entries: Vec<Entry>) {
    if !entries.is_empty() {
        document.insert(key, Item::Table(table(&[], entries)));
    }
}
