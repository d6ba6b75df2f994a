//! How the bytes of a value are read, which the kernel hands over without saying.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::nft::statement::{Protocol, States};
use crate::nft::wire;

/// How the bytes of a value are to be read.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// In the host's byte order, written in hexadecimal.
    Mark,
    /// In the host's byte order.
    Number,
    /// Of a device.
    Index,
    /// In network byte order.
    Network,
    Name,
    Address,
    Protocol,
    Family,
    States,
    Bytes,
}

impl Form {
    pub(super) fn write(self, bytes: &[u8]) -> String {
        let text = match self {
            Self::Mark => four(bytes).map(|four| format!("{:#x}", u32::from_ne_bytes(four))),
            Self::Number | Self::Index => {
                four(bytes).map(|four| u32::from_ne_bytes(four).to_string())
            }
            Self::Network => network(bytes).map(|number| number.to_string()),
            Self::Name => name(bytes),
            Self::Address => address(bytes),
            Self::Protocol => one(bytes).map(|number| Protocol(number).to_string()),
            Self::Family => one(bytes).map(|number| match number {
                2 => "ipv4".to_owned(),
                10 => "ipv6".to_owned(),
                _ => number.to_string(),
            }),
            Self::States => four(bytes)
                .and_then(|four| States::from_bits(u32::from_ne_bytes(four)))
                .map(|states| states.to_string()),
            Self::Bytes => None,
        };
        text.unwrap_or_else(|| hexadecimal(bytes))
    }
}

/// A mask is written in the byte order of what it masks.
pub(super) fn bits(form: Form, bytes: &[u8]) -> String {
    match (form, four(bytes)) {
        (Form::Mark | Form::Number | Form::States, Some(four)) => {
            format!("{:#x}", u32::from_ne_bytes(four))
        }
        (Form::Address, _) => form.write(bytes),
        _ => hexadecimal(bytes),
    }
}

fn one(bytes: &[u8]) -> Option<u8> {
    bytes.first().copied().filter(|_| bytes.len() == 1)
}

pub(super) fn four(bytes: &[u8]) -> Option<[u8; 4]> {
    bytes.try_into().ok()
}

fn network(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    })
}

/// A whole name ends with a zero; one without begins what it is compared with.
fn name(bytes: &[u8]) -> Option<String> {
    let wildcard = if bytes.last() == Some(&0) { "" } else { "*" };
    Some(format!("\"{}{wildcard}\"", wire::text(bytes)?))
}

/// Of a network whose length is whole bytes only these are compared.
fn address(bytes: &[u8]) -> Option<String> {
    match bytes.len() {
        length @ 1..=4 => {
            let mut octets = [0; 4];
            octets[..length].copy_from_slice(bytes);
            let address = Ipv4Addr::from(octets);
            Some(match length {
                4 => address.to_string(),
                _ => format!("{address}/{}", 8 * length),
            })
        }
        16 => <[u8; 16]>::try_from(bytes)
            .ok()
            .map(|octets| Ipv6Addr::from(octets).to_string()),
        _ => None,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
