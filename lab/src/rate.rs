//! Lines of a given capacity: a token bucket at either end of a line's uplink.
//!
//! ```text
//! … router ── lan modem isp ──► up provider down ──► internet     requests
//! … router ◄── lan modem isp ◄── down provider up ◄── internet    answers
//! ```
//!
//! What comes down is held back at the provider, where a real line's queue is: the modem answers
//! for itself, by ARP or echo, however much waits there. The provider's router has no address of
//! its own and either side's Ethernet address, so neither side sees it.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use multiwan_kernel::rtnl::Change;
use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteFlags;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use rtnetlink::RouteMessageBuilder;

use crate::error::Error;
use crate::host::{self, Device, Host};
use crate::topology::Topology;

/// What a line carries each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Bits of Ethernet frames, without their checksums, a second.
    pub bits: u32,
    /// How many bytes wait where more comes than is carried; what finds no room is dropped.
    pub queue: u32,
}

impl Rate {
    /// The bucket holds what is carried in this time: a line that has stood still for no longer,
    /// since the machine did, has lost nothing. One that rested carries so much at once.
    pub const BUCKET: Duration = Duration::from_millis(100);

    /// What the bucket holds, in bytes; never less than one frame.
    #[must_use]
    pub fn bucket(&self) -> u32 {
        const FRAME: u128 = 1514;
        let bytes = u128::from(self.bits / 8) * Self::BUCKET.as_millis() / 1000;
        bytes.max(FRAME) as u32
    }
}

/// Whether this kernel has the token bucket (`sch_tbf`).
///
/// # Errors
///
/// When that cannot be tried.
pub fn has_token_bucket() -> Result<bool, Error> {
    const ANY: Rate = Rate {
        bits: 8_000_000,
        queue: 1_000_000,
    };
    let mut host = Host::create("a try", &[])?;
    match host.change([limit(host::LOOPBACK, ANY)]) {
        Ok(()) => Ok(true),
        Err(Error::Request { source, .. })
            if source.source.raw_os_error() == Some(libc::ENOENT) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// `tc qdisc add dev … root tbf rate … burst … limit …`
pub(crate) fn limit(index: u32, rate: Rate) -> Change {
    // linux/pkt_sched.h and linux/rtnetlink.h
    const TCA_OPTIONS: u16 = 2;
    const TCA_TBF_PARMS: u16 = 1;
    const TCA_TBF_BURST: u16 = 6;
    const TC_LINKLAYER_ETHERNET: u8 = 1;

    // struct tc_tbf_qopt: rate, peak rate (none), limit, and a buffer and MTU in ticks, which the
    // burst in bytes takes the place of.
    let mut parameters = vec![0, TC_LINKLAYER_ETHERNET, 0, 0, 0, 0, 0, 0];
    parameters.extend((rate.bits / 8).to_ne_bytes());
    parameters.extend([0; 12]);
    parameters.extend(rate.queue.to_ne_bytes());
    parameters.extend([0; 8]);
    let options = [
        DefaultNla::new(TCA_TBF_PARMS, parameters),
        DefaultNla::new(TCA_TBF_BURST, rate.bucket().to_ne_bytes().to_vec()),
    ];
    let mut nest = vec![0; options.as_slice().buffer_len()];
    options.as_slice().emit(&mut nest);

    let mut message = TcMessage::default();
    message.header.index = index as i32;
    message.header.parent = TcHandle::ROOT;
    message.attributes = vec![
        TcAttribute::Kind("tbf".to_owned()),
        TcAttribute::Other(DefaultNla::new(TCA_OPTIONS | NLA_F_NESTED, nest)),
    ];
    Change::create(
        format!("limiting device {index} to {} bit/s", rate.bits),
        RouteNetlinkMessage::NewQueueDiscipline(message),
    )
}

/// The provider's router of a line with a rate, between the Internet and the modem.
pub(crate) struct Provider {
    pub(crate) host: Host,
}

impl Provider {
    /// Its device towards the modem.
    pub(crate) const DOWN: &str = "down";

    /// Links the Internet's card and the modem's, with the token bucket for what comes down.
    pub(crate) fn create(
        line: usize,
        rate: Rate,
        servers: Ipv4Net,
        (internet_card, internet): (&Device, &mut Host),
        (isp, modem): (&Device, &Host),
    ) -> Result<Self, Error> {
        let device = |name: &str, index, as_at: &Device| Device {
            name: name.to_owned(),
            index,
            mac: as_at.mac,
        };
        let up = device("up", 2, isp);
        let down = device(Self::DOWN, 3, internet_card);
        let name = format!("provider{}", line + 1);
        let mut host = Host::create(name, &[("ipv4/ip_forward", "1")])?;
        let (internets, modems) = Topology::uplink(line);
        internet.change([host::veth(internet_card, true, None, &up, &host)])?;
        host.change([
            // Before any address is its own, its kernel takes no gateway for one.
            host::up(host::LOOPBACK),
            host::up(up.index),
            host::veth(&down, true, None, isp, modem),
            host::neighbour(up.index, internets, internet_card.mac),
            host::neighbour(down.index, modems, isp.mac),
            route(servers, internets, up.index),
            route(Ipv4Net::default(), modems, down.index),
            limit(down.index, rate),
        ])?;
        Ok(Self { host })
    }
}

/// `ip route add … via … dev … onlink`: by who is not in any network of the host's own.
fn route(to: Ipv4Net, via: Ipv4Addr, by: u32) -> Change {
    let mut message = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(to.addr(), to.prefix_len())
        .gateway(via)
        .output_interface(by)
        .build();
    message.header.flags |= RouteFlags::Onlink;
    Change::create(
        format!("routing {to} via {via} on device {by}"),
        RouteNetlinkMessage::NewRoute(message),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_a_tenth_of_a_second_and_a_frame_at_least() {
        let bucket = |bits| Rate { bits, queue: 0 }.bucket();
        assert_eq!(bucket(10_000_000), 125_000);
        assert_eq!(bucket(8_000), 1514);
    }
}
