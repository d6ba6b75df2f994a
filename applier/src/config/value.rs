//! Single values: an address, a duration, a name, each with the words that refuse it.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::Duration;

use ipnet::Ipv4Net;
use toml::Spanned;

use super::error::Complaint;
use super::file::{Mask, Protocol};
use super::target::{NoTarget, Target};

type Checked<T> = Result<T, Complaint>;

/// The kernel's `IFNAMSIZ` less the final zero.
const LONGEST_INTERFACE_NAME: usize = 15;

/// An address with its prefix length, as on an interface: not the network itself, nor its
/// broadcast address.
pub(super) fn interface_address(text: &Spanned<String>) -> Checked<Ipv4Net> {
    let example = "write it as \"192.0.2.1/24\"";
    let net = prefix(text, example)?;
    if !text.get_ref().contains('/') {
        return refuse(
            text,
            format!("{} has no prefix length; {example}", text.get_ref()),
        );
    }
    let address = net.addr();
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return refuse(
            text,
            format!("{address} cannot be an interface's address; {example}"),
        );
    }
    if net.prefix_len() == 0 {
        return refuse(text, format!("{net} is every address there is; {example}"));
    }
    if net.prefix_len() < 31 && (address == net.network() || address == net.broadcast()) {
        let what = if address == net.network() {
            "network"
        } else {
            "broadcast"
        };
        return refuse(
            text,
            format!(
                "{address} is the {what} address of {}; {example}",
                net.trunc()
            ),
        );
    }
    Ok(net)
}

/// A network or a single address.
pub(super) fn prefix(text: &Spanned<String>, advice: &str) -> Checked<Ipv4Net> {
    let value = text.get_ref();
    let net = if value.contains('/') {
        value.parse().ok()
    } else {
        value.parse::<Ipv4Addr>().ok().map(Ipv4Net::from)
    };
    net.ok_or_else(|| {
        Complaint::new(
            text.span(),
            format!("\"{value}\" is not an IPv4 address; {advice}"),
        )
    })
}

/// A network of hosts, as a route leads to.
pub(super) fn network(text: &Spanned<String>) -> Checked<Ipv4Net> {
    let net = prefix(text, "write it as \"10.8.0.0/16\"")?;
    if net.prefix_len() == 0 {
        return refuse(
            text,
            format!("{net} is every address there is; write the networks that are there"),
        );
    }
    if net != net.trunc() {
        return refuse(
            text,
            format!("{net} is an address in {0}; write \"{0}\"", net.trunc()),
        );
    }
    let address = net.addr();
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return refuse(
            text,
            format!("{net} has no hosts behind a LAN; write the networks that are there"),
        );
    }
    Ok(net)
}

/// Addresses of others on an interface: one, with or without its network's prefix length, or all of a network.
pub(super) fn kept(text: &Spanned<String>) -> Checked<Ipv4Net> {
    let advice = "write it as \"203.0.113.200/32\", or as \"192.168.100.0/24\" for all in there";
    let net = prefix(text, advice)?;
    let address = net.addr();
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return refuse(text, format!("{net} is no interface's address; {advice}"));
    }
    Ok(if net == net.trunc() {
        net
    } else {
        address.into()
    })
}

pub(super) fn address(text: &Spanned<String>) -> Checked<Ipv4Addr> {
    text.get_ref().parse().map_err(|_| {
        let message = format!(
            "\"{}\" is not an IPv4 address; write it as \"192.0.2.1\"",
            text.get_ref()
        );
        Complaint::new(text.span(), message)
    })
}

pub(super) fn target(text: &Spanned<String>) -> Checked<Target> {
    text.get_ref()
        .parse()
        .map_err(|no: NoTarget| Complaint::new(text.span(), format!("\"{}\" {no}", text.get_ref())))
}

/// The name of a network interface, by the kernel's own `dev_valid_name`.
pub(super) fn interface(text: &Spanned<String>) -> Checked<String> {
    let name = text.get_ref();
    let advice = "write one that `ip link` shows";
    if name.is_empty() || name == "." || name == ".." {
        return refuse(
            text,
            format!("\"{name}\" cannot be an interface's name; {advice}"),
        );
    }
    if name.len() > LONGEST_INTERFACE_NAME {
        let longest = LONGEST_INTERFACE_NAME;
        return refuse(
            text,
            format!("\"{name}\" is longer than {longest} bytes; {advice}"),
        );
    }
    if let Some(bad) = name
        .chars()
        .find(|c| !c.is_ascii_graphic() || matches!(c, '/' | ':' | '"' | '\'' | '\\' | '*'))
    {
        return refuse(text, format!("\"{name}\" has {bad:?} in it; {advice}"));
    }
    Ok(name.clone())
}

/// The administrator's name for a line: it stands in logs, tables and files.
pub(super) fn line_name(text: &Spanned<String>) -> Checked<String> {
    let name = text.get_ref();
    let usable = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let advice = "write letters, digits, '-', '_' and '.', at most 32 bytes";
    if name.is_empty() || name.len() > 32 || !name.chars().all(usable) || name.starts_with('-') {
        return refuse(
            text,
            format!("\"{name}\" cannot be a line's name; {advice}"),
        );
    }
    Ok(name.clone())
}

/// A span of time as `humantime` writes it: "1s", "200ms", "1m 30s".
pub(super) fn duration(text: &Spanned<String>, least: Duration) -> Checked<Duration> {
    let value = text.get_ref();
    let advice = "write it as \"200ms\" or \"1s\"";
    let Ok(duration) = humantime::parse_duration(value) else {
        return refuse(text, format!("\"{value}\" is not a duration; {advice}"));
    };
    let most = Duration::from_hours(1);
    if duration < least || duration > most {
        let (least, most) = (
            humantime::format_duration(least),
            humantime::format_duration(most),
        );
        return refuse(
            text,
            format!("\"{value}\" is not between {least} and {most}; {advice}"),
        );
    }
    Ok(duration)
}

pub(super) fn number(value: &Spanned<i64>, what: &str, range: Range<i64>) -> Checked<u32> {
    let number = *value.get_ref();
    match u32::try_from(number) {
        Ok(small) if range.contains(&number) => Ok(small),
        _ => {
            let (least, most) = (range.start, range.end - 1);
            refuse(
                value,
                format!("{what} {number} is not between {least} and {most}"),
            )
        }
    }
}

pub(super) fn protocol(value: &Spanned<Protocol>) -> Checked<u8> {
    let number = match value.get_ref() {
        Protocol::Name(name) => match name.as_str() {
            "icmp" => Some(1),
            "tcp" => Some(6),
            "udp" => Some(17),
            other => other.parse().ok().filter(|n| *n != 0),
        },
        Protocol::Number(number) => u8::try_from(*number).ok().filter(|n| *n != 0),
    };
    number.ok_or_else(|| {
        let message =
            "this is no protocol; write \"tcp\", \"udp\", \"icmp\" or a number from 1 to 255";
        Complaint::new(value.span(), message)
    })
}

/// A mark mask: one run of set bits.
pub(super) fn mask(value: &Spanned<Mask>) -> Checked<u32> {
    let mask = match value.get_ref() {
        Mask::Number(number) => u32::try_from(*number).ok(),
        Mask::Text(text) => match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        },
    };
    match mask {
        Some(mask) if mask != 0 && is_contiguous(mask) => Ok(mask),
        _ => refuse(
            value,
            "the mark mask must be one run of set bits, as in \"0x3f00\"",
        ),
    }
}

fn is_contiguous(mask: u32) -> bool {
    let run = mask >> mask.trailing_zeros();
    run & run.wrapping_add(1) == 0
}

fn refuse<T, V>(at: &Spanned<V>, message: impl Into<String>) -> Checked<T> {
    Err(Complaint::new(at.span(), message))
}
