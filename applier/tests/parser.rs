//! The fuzz target's entry point, with as many inputs as an ordinary test has time for: any bytes, and
//! configurations that are right but for a few of their bytes.

#[path = "../fuzz/entry.rs"]
mod entry;

use proptest::prelude::*;
use proptest::sample::{Index, select};

const CONFIGURATIONS: [&str; 3] = [
    include_str!("../../fixtures/configs/two-lines.toml"),
    include_str!("../../fixtures/configs/four-to-one.toml"),
    include_str!("../../fixtures/configs/two-lines-targets.toml"),
];

/// What is put in the place of some bytes.
const PIECES: [&str; 16] = [
    "",
    "0",
    "-1",
    "\"",
    "[",
    "]",
    "=",
    "\n",
    "/0",
    "/32",
    "255.255.255.255",
    "0.0.0.0",
    "18446744073709551616",
    "\u{0}",
    "é",
    "[[pin]]\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        entry::configuration(&bytes);
    }

    #[test]
    fn any_text(text in "[a-z0-9 =\\.\"\\[\\]{},/#\n-]{0,200}") {
        entry::configuration(text.as_bytes());
    }

    #[test]
    fn nearly_right(
        text in select(&CONFIGURATIONS[..]),
        changes in prop::collection::vec((any::<Index>(), 0..8_usize, select(&PIECES[..])), 1..4),
    ) {
        let mut bytes = text.as_bytes().to_vec();
        for (at, length, piece) in changes {
            let from = at.index(bytes.len());
            let to = (from + length).min(bytes.len());
            bytes.splice(from..to, piece.bytes());
        }
        entry::configuration(&bytes);
    }
}
