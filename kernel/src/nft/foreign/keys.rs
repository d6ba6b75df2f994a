//! What can be asked of a packet and its connection: nft's name for it, and how it is read.

use super::Form;
use crate::nft::numbers::*;
use crate::nft::wire::Nest;

pub(super) fn meta_key(key: u32) -> Option<(&'static str, Form)> {
    Some(match key as i32 {
        libc::NFT_META_LEN => ("length", Form::Number),
        libc::NFT_META_PROTOCOL => ("protocol", Form::Bytes),
        libc::NFT_META_PRIORITY => ("priority", Form::Mark),
        libc::NFT_META_MARK => ("mark", Form::Mark),
        libc::NFT_META_IIF => ("iif", Form::Index),
        libc::NFT_META_OIF => ("oif", Form::Index),
        libc::NFT_META_IIFNAME => ("iifname", Form::Name),
        libc::NFT_META_OIFNAME => ("oifname", Form::Name),
        libc::NFT_META_SKUID => ("skuid", Form::Number),
        libc::NFT_META_SKGID => ("skgid", Form::Number),
        libc::NFT_META_NFTRACE => ("nftrace", Form::Bytes),
        libc::NFT_META_NFPROTO => ("nfproto", Form::Family),
        libc::NFT_META_L4PROTO => ("l4proto", Form::Protocol),
        libc::NFT_META_PKTTYPE => ("pkttype", Form::Bytes),
        libc::NFT_META_CPU => ("cpu", Form::Number),
        libc::NFT_META_IIFGROUP => ("iifgroup", Form::Number),
        libc::NFT_META_OIFGROUP => ("oifgroup", Form::Number),
        libc::NFT_META_CGROUP => ("cgroup", Form::Number),
        libc::NFT_META_PRANDOM => ("random", Form::Number),
        _ => return None,
    })
}

pub(super) fn conntrack_key(key: u32) -> Option<(&'static str, Form)> {
    Some(match key as i32 {
        libc::NFT_CT_STATE => ("state", Form::States),
        libc::NFT_CT_DIRECTION => ("direction", Form::Bytes),
        libc::NFT_CT_STATUS => ("status", Form::Mark),
        libc::NFT_CT_MARK => ("mark", Form::Mark),
        libc::NFT_CT_EXPIRATION => ("expiration", Form::Number),
        libc::NFT_CT_HELPER => ("helper", Form::Name),
        libc::NFT_CT_L3PROTOCOL => ("l3proto", Form::Family),
        libc::NFT_CT_SRC => ("saddr", Form::Address),
        libc::NFT_CT_DST => ("daddr", Form::Address),
        libc::NFT_CT_PROTOCOL => ("protocol", Form::Protocol),
        libc::NFT_CT_PROTO_SRC => ("proto-src", Form::Network),
        libc::NFT_CT_PROTO_DST => ("proto-dst", Form::Network),
        ct::ZONE => ("zone", Form::Bytes),
        ct::SRC_IP => ("ip saddr", Form::Address),
        ct::DST_IP => ("ip daddr", Form::Address),
        _ => return None,
    })
}

/// A field of a header that nearly every rule set asks for, or nft's way to write any other: `@th,104,8`.
pub(super) fn header(data: Nest<'_>) -> Option<(String, Form)> {
    let [base, offset, length] =
        [payload::BASE, payload::OFFSET, payload::LEN].map(|kind| data.u32(kind));
    let (base, offset, length) = (base?, offset?, length?);
    let (name, form) = match (base, offset, length) {
        (1, 8, 1) => ("ip ttl", Form::Network),
        (1, 9, 1) => ("ip protocol", Form::Protocol),
        (1, 12, 1..=4) => ("ip saddr", Form::Address),
        (1, 16, 1..=4) => ("ip daddr", Form::Address),
        (1, 8, 16) => ("ip6 saddr", Form::Address),
        (1, 24, 16) => ("ip6 daddr", Form::Address),
        (2, 0, 2) => ("th sport", Form::Network),
        (2, 2, 2) => ("th dport", Form::Network),
        _ => {
            let base = ["ll", "nh", "th", "ih"].get(base as usize).copied()?;
            let text = format!("@{base},{},{}", 8 * offset, 8 * length);
            return Some((text, Form::Bytes));
        }
    };
    Some((name.to_owned(), form))
}

pub(super) fn routed(data: Nest<'_>) -> Option<(String, Form)> {
    const OF: [&str; 5] = ["saddr", "daddr", "mark", "iif", "oif"];
    let flags = data.u32(fib::FLAGS)?;
    let of: Vec<&str> = OF
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| flags & (1 << bit) != 0)
        .map(|(_, word)| word)
        .collect();
    let (result, form) = match data.u32(fib::RESULT)? {
        fib::OIF => ("oif", Form::Number),
        fib::OIFNAME => ("oifname", Form::Name),
        fib::ADDRTYPE => ("type", Form::Number),
        _ => return None,
    };
    Some((format!("fib {} {result}", of.join(" . ")), form))
}
