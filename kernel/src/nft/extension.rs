//! The words for extensions of iptables, as `iptables-nft` puts them into a rule: name, and content where that is known.

use super::{
    numbers::target,
    statement::{Mark, States},
    translation::only_address,
    wire::{self, Nest},
};

/// `xt match comment "the office"`; `kind` is `match` or `target`.
pub(super) fn text(kind: &str, data: Nest<'_>) -> Option<String> {
    let name = data.string(target::NAME)?;
    let info = data.get(target::INFO).unwrap_or(&[]);
    let revision = data.u32(target::REVISION).unwrap_or(0);
    let content = match (kind, name, revision) {
        // Quoted as a string of Rust's: a comment may hold anything.
        ("match", "comment", 0) => wire::text(info).map(|text| format!("{text:?}")),
        ("match", "mark", 1) => mark_match(info),
        ("match", "conntrack", 2 | 3) => states(info),
        ("match", "state", 0) => word(info, 0)
            .and_then(States::from_bits)
            .map(|states| states.to_string()),
        ("target", "MARK", 2) => mark_set(info),
        ("target", "CONNMARK", 1) => connmark(info, 12),
        ("target", "CONNMARK", 2) => connmark(info, 14),
        ("target", "SNAT" | "DNAT", _) => only_address(data).map(|to| format!("to {to}")),
        _ => None,
    };
    let content = content.map_or_else(String::new, |content| format!(" {content}"));
    Some(format!("xt {kind} {name}{content}"))
}

/// `struct xt_mark_mtinfo1`: mark, mask, whether it is inverted.
fn mark_match(info: &[u8]) -> Option<String> {
    let mark = Mark::new(word(info, 0)?, word(info, 4)?);
    let not = if *info.get(8)? != 0 { "!= " } else { "" };
    Some(format!("{not}{mark}"))
}

/// `struct xt_mark_tginfo2`: what is turned over once the mask has been cleared.
fn mark_set(info: &[u8]) -> Option<String> {
    let (xor, mask) = (word(info, 0)?, word(info, 4)?);
    Some(format!("set xor {xor:#x}/{mask:#x}"))
}

/// `struct xt_connmark_tginfo1` and its successor, which has a shift before the mode: mark of the connection, its mask,
/// the packet's mask, what is done.
fn connmark(info: &[u8], mode: usize) -> Option<String> {
    let [mark, of_connection, of_packet] = [word(info, 0)?, word(info, 4)?, word(info, 8)?];
    let masks = format!("ctmask {of_connection:#x} nfmask {of_packet:#x}");
    Some(match info.get(mode)? {
        0 => format!("set xor {mark:#x}/{of_connection:#x}"),
        1 => format!("save {masks}"),
        2 => format!("restore {masks}"),
        _ => return None,
    })
}

/// The states of `struct xt_conntrack_mtinfo3` and its predecessor, if it asks for nothing else.
fn states(info: &[u8]) -> Option<String> {
    const MATCH_FLAGS: usize = 146;
    const INVERT_FLAGS: usize = 148;
    const STATE_MASK: usize = 150;
    /// `XT_CONNTRACK_STATE`
    const STATE: u16 = 1;
    /// `XT_CONNTRACK_STATE_ALIAS`: it was written as `-m state`.
    const ALIAS: u16 = 1 << 13;
    let short = |at: usize| Some(u16::from_ne_bytes(info.get(at..at + 2)?.try_into().ok()?));
    (short(MATCH_FLAGS)? & !ALIAS == STATE).then_some(())?;
    let not = if short(INVERT_FLAGS)? & STATE != 0 {
        "!= "
    } else {
        ""
    };
    let states = States::from_bits(short(STATE_MASK)?.into())?;
    Some(format!("{not}state {states}"))
}

/// In the host's byte order.
fn word(info: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?))
}
