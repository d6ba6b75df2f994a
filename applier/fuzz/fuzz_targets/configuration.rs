//! `cargo +nightly fuzz run configuration fuzz/corpus/configuration ../fixtures/configs`, in `applier/`.
#![no_main]

#[path = "../entry.rs"]
mod entry;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| entry::configuration(bytes));
