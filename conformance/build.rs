//! Cargo notices a changed fixture by itself, but not that one is new or gone.

fn main() {
    println!("cargo::rerun-if-changed=../fixtures/appliers");
}
