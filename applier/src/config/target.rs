//! Who is asked beyond the gateway, and how.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

/// Who is asked beyond the gateway whether the line works, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// By an ICMP echo request: `"192.0.2.53"`.
    Echo(Ipv4Addr),
    /// By the first segment of a TCP connection: `"tcp:192.0.2.80:443"`.
    Tcp(SocketAddrV4),
    /// By a DNS query on UDP port 53: `"dns:192.0.2.53"`.
    Dns(Ipv4Addr),
}

impl Target {
    /// Where it is.
    pub fn address(&self) -> Ipv4Addr {
        match self {
            Self::Echo(address) | Self::Dns(address) => *address,
            Self::Tcp(server) => *server.ip(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo(address) => write!(f, "{address}"),
            Self::Tcp(server) => write!(f, "tcp:{server}"),
            Self::Dns(address) => write!(f, "dns:{address}"),
        }
    }
}

/// What is written is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// Without a prefix, and no address.
    #[error(
        "is not an IPv4 address; write it as \"192.0.2.53\", \"tcp:192.0.2.80:443\" or \
         \"dns:192.0.2.53\""
    )]
    Address,
    /// `tcp:`, and no address and port.
    #[error("is not an IPv4 address and port; write it as \"tcp:192.0.2.80:443\"")]
    Tcp,
    /// `dns:`, and no address.
    #[error("is not the IPv4 address of a name server; write it as \"dns:192.0.2.53\"")]
    Dns,
}

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        if let Some(server) = text.strip_prefix("tcp:") {
            let server: SocketAddrV4 = server.parse().map_err(|_| NoTarget::Tcp)?;
            return if server.port() == 0 {
                Err(NoTarget::Tcp)
            } else {
                Ok(Self::Tcp(server))
            };
        }
        if let Some(address) = text.strip_prefix("dns:") {
            return address.parse().map(Self::Dns).map_err(|_| NoTarget::Dns);
        }
        text.parse().map(Self::Echo).map_err(|_| NoTarget::Address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["192.0.2.53", "tcp:192.0.2.80:443", "dns:192.0.2.53"] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let wrong = |text: &str| text.parse::<Target>().unwrap_err();
        for text in ["tcp:192.0.2.80", "tcp:192.0.2.80:0", "tcp:host:80", "tcp:"] {
            assert_eq!(wrong(text), NoTarget::Tcp, "{text}");
        }
        for text in ["dns:192.0.2.53:53", "dns:", "dns:resolver"] {
            assert_eq!(wrong(text), NoTarget::Dns, "{text}");
        }
        for text in ["udp:192.0.2.53", "192.0.2.53:53", "TCP:192.0.2.80:443", ""] {
            assert_eq!(wrong(text), NoTarget::Address, "{text}");
        }
    }
}
