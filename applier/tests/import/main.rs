//! What `multiwan import` makes of a real kernel: of set-ups as people have them, made with `ip`,
//! `nft` and `iptables`, and of multiwan's own. Each file is one that `apply` takes, and what is there
//! after that gives the same file.

mod command;
#[path = "../held/mod.rs"]
mod held;
mod others;
mod own;
mod router;
