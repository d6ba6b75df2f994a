//! From the file as written to a configuration that can work, or the first thing that cannot.

mod beside;
mod keep;
mod keepalive;
mod kernel;
mod lan;
mod line;
mod lines;
mod pin;

pub(crate) use keepalive::default_timeout;

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv4Net;
use toml::Spanned;

use super::error::Complaint;
use super::{Config, file, value};

type Checked<T> = Result<T, Complaint>;

pub(in crate::config) fn check(
    file: file::File,
    previous: &BTreeMap<String, u8>,
) -> Checked<Config> {
    let lans = lan::lans(&file.lan.0)?;
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

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

fn refuse<T, V>(at: &Spanned<V>, message: impl Into<String>) -> Checked<T> {
    Err(Complaint::new(at.span(), message))
}
