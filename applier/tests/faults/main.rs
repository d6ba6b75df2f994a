//! Nothing half-done: every step of every kind of change is refused, left without an answer, or the
//! last that the process made, and what is there then is looked at, by packets too.

#[path = "../held/mod.rs"]
mod held;
mod killed;
mod refused;
mod router;
mod witness;

/// The process that is killed: it makes one change, and is the test binary itself.
#[test]
#[ignore = "started by the tests of killed changes"]
fn victim() {
    killed::be_killed();
}
