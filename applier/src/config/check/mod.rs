//! From the file as written to a configuration that can work, or the first thing that cannot.

mod beside;
mod keepalive;
mod kernel;
mod line;
mod lines;
mod pin;

pub(crate) use keepalive::default_timeout;

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv4Net;
use toml::Spanned;

use super::error::Complaint;
use super::{Config, Lan, file, value};

type Checked<T> = Result<T, Complaint>;

pub(in crate::config) fn check(
    file: file::File,
    previous: &BTreeMap<String, u8>,
) -> Checked<Config> {
    let lans = file
        .lan
        .0
        .iter()
        .map(|lan| self::lan(lan.get_ref()))
        .collect::<Checked<Vec<_>>>()?;
    apart(&file.lan.0, &lans)?;
    let lines = lines::lines(&file, &lans, previous)?;
    let kernel = kernel::kernel(&file.kernel, &lines)?;
    kernel::room_for_pins(&file, &kernel, &lines)?;
    Ok(Config {
        spread: file.spread,
        established: file.established,
        release_after: match &file.release_after {
            Some(text) => value::duration(text, Duration::ZERO)?,
            None => Duration::from_secs(5),
        },
        keepalive: keepalive::keepalive(&file.keepalive, &lans, &lines)?,
        pins: pin::pins(&file.pin, &lines)?,
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

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

fn refuse<T, V>(at: &Spanned<V>, message: impl Into<String>) -> Checked<T> {
    Err(Complaint::new(at.span(), message))
}
