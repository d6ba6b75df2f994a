//! Networks that main leads to by a card.

use ipnet::Ipv4Net;

/// A network that a route in main leads to, other than a default route: one on a card, or one that is
/// reached by way of a host there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The destinations.
    pub network: Ipv4Net,
    /// The interface's name.
    pub interface: String,
}
