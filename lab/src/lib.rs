//! A router, its modems, an Internet and many clients in network namespaces.
//!
//! A [`sandbox`] is entered without root; in it a [`Topology`] is built into a [`Lab`] of real
//! hosts, whose lines can be broken by a [`Fault`] and repaired.
#![deny(unsafe_code)]

pub mod doctor;
mod error;
mod fault;
mod host;
mod hub;
mod hygiene;
mod lab;
mod modem;
mod mute;
mod netns;
mod plain;
mod provider;
mod rate;
mod routed;
pub mod sandbox;
mod slow;
mod topology;
pub mod traffic;

pub use error::Error;
pub use fault::Fault;
pub use host::{Device, FRAME_PORTS_END, FRAME_PORTS_START, Host, Mac};
pub use lab::{Client, Lab, Modem};
pub use netlink_packet_route as netlink;
pub use netns::Netns;
pub use rate::{Rate, has_token_bucket};
pub use sandbox::Sandbox;
pub use slow::SLOWNESS;
pub use topology::{Lan, Line, Topology};
