//! Packet sockets: frames sent and seen on one device, below routing and netfilter (`packet(7)`).
//!
//! [`PacketSocket`] sends and receives single frames or batches, [`CookedSocket`] packets without the
//! device's header, [`Ring`] captures into memory
//! shared with the kernel and knows what it lost.
//!
//! The system calls that have no safe wrapper elsewhere are in `sys`, and only there.

mod ring;
mod socket;
mod sys;

pub use ring::{Captured, Direction, Ring, RingStatistics};
pub use socket::{Burst, CookedSocket, PacketSocket};
pub use sys::attach_filter;

/// Ethertype that stands for every protocol (`ETH_P_ALL`).
pub const ALL: u16 = libc::ETH_P_ALL as u16;
/// Ethertype of IPv4 (`ETH_P_IP`).
pub const IPV4: u16 = libc::ETH_P_IP as u16;
/// Ethertype of ARP (`ETH_P_ARP`).
pub const ARP: u16 = libc::ETH_P_ARP as u16;
