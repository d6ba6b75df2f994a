//! Devices and their addresses, a line each, in the words of `ip`.

use std::fmt::Display;

use multiwan_lab::netlink::RouteNetlinkMessage as Message;
use multiwan_lab::netlink::address::{AddressAttribute, AddressFlags, AddressScope};
use multiwan_lab::netlink::link::{LinkAttribute, LinkFlags};

use super::kernel::{Names, device, mac, part};

pub(super) fn link_name(message: &Message) -> Option<(u32, String)> {
    let Message::NewLink(link) = message else {
        return None;
    };
    let name = |attribute: &LinkAttribute| match attribute {
        LinkAttribute::IfName(name) => Some((link.header.index, name.clone())),
        _ => None,
    };
    link.attributes.iter().find_map(name)
}

/// `2: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP link 02:00:00:00:00:01`.
pub(super) fn link_line(message: &Message) -> Option<String> {
    let Message::NewLink(link) = message else {
        return None;
    };
    let (index, name) = link_name(message)?;
    let mut line = format!("{index}: {name}: <{}>", link_flags(link.header.flags));
    let (mut mtu, mut state, mut own) = (None, None, None);
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::Mtu(value) => mtu = Some(value),
            LinkAttribute::OperState(value) => state = Some(value),
            LinkAttribute::Address(value) => own = Some(value),
            _ => {}
        }
    }
    // In the order of ip, not of the kernel.
    mtu.inspect(|mtu| part(&mut line, "mtu", mtu));
    state.inspect(|state| part(&mut line, "state", state));
    own.inspect(|own| part(&mut line, "link", mac(own)));
    Some(line)
}

/// Of a device that is up it is told that it does not run, not that it does.
fn link_flags(flags: LinkFlags) -> String {
    const WORDS: [(LinkFlags, &str); 18] = [
        (LinkFlags::Loopback, "LOOPBACK"),
        (LinkFlags::Broadcast, "BROADCAST"),
        (LinkFlags::Pointopoint, "POINTOPOINT"),
        (LinkFlags::Multicast, "MULTICAST"),
        (LinkFlags::Noarp, "NOARP"),
        (LinkFlags::Allmulti, "ALLMULTI"),
        (LinkFlags::Promisc, "PROMISC"),
        (LinkFlags::Controller, "MASTER"),
        (LinkFlags::Port, "SLAVE"),
        (LinkFlags::Debug, "DEBUG"),
        (LinkFlags::Dynamic, "DYNAMIC"),
        (LinkFlags::Automedia, "AUTOMEDIA"),
        (LinkFlags::Portsel, "PORTSEL"),
        (LinkFlags::Notrailers, "NOTRAILERS"),
        (LinkFlags::Up, "UP"),
        (LinkFlags::LowerUp, "LOWER_UP"),
        (LinkFlags::Dormant, "DORMANT"),
        (LinkFlags::Echo, "ECHO"),
    ];
    let stands = flags.contains(LinkFlags::Up) && !flags.contains(LinkFlags::Running);
    let known = WORDS
        .into_iter()
        .filter_map(|(flag, word)| flags.contains(flag).then_some(word));
    let words: Vec<&str> = stands
        .then_some("NO-CARRIER")
        .into_iter()
        .chain(known)
        .collect();
    words.join(",")
}

/// `eth1 198.51.100.2/24 brd 198.51.100.255 scope global`.
pub(super) fn address_line(message: &Message, names: &Names) -> Option<String> {
    let Message::NewAddress(message) = message else {
        return None;
    };
    let length = message.header.prefix_len;
    let (mut local, mut address) = (None, None);
    let mut rest = String::new();
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(one) => local = Some(one),
            AddressAttribute::Address(one) => address = Some(one),
            AddressAttribute::Broadcast(to) => part(&mut rest, "brd", to),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    let mut line = device(names, message.header.index);
    match (local, address) {
        // A device with one peer has its own address and the peer's; IPv6 has one attribute only.
        (Some(local), Some(peer)) if local != peer => {
            part(&mut line, "", local);
            part(&mut line, "peer", format!("{peer}/{length}"));
        }
        (Some(own), _) | (None, Some(own)) => part(&mut line, "", format!("{own}/{length}")),
        (None, None) => {}
    }
    line.push_str(&rest);
    match message.header.scope {
        AddressScope::Universe => part(&mut line, "scope", "global"),
        other => part(&mut line, "scope", other),
    }
    for word in address_flags(flags) {
        part(&mut line, "", word);
    }
    Some(line)
}

/// What is usual goes without saying: an address that stays.
fn address_flags(flags: AddressFlags) -> impl Iterator<Item = impl Display> {
    const WORDS: [(AddressFlags, &str); 11] = [
        (AddressFlags::Secondary, "secondary"),
        (AddressFlags::Nodad, "nodad"),
        (AddressFlags::Optimistic, "optimistic"),
        (AddressFlags::Dadfailed, "dadfailed"),
        (AddressFlags::Homeaddress, "home"),
        (AddressFlags::Deprecated, "deprecated"),
        (AddressFlags::Tentative, "tentative"),
        (AddressFlags::Managetempaddr, "mngtmpaddr"),
        (AddressFlags::Noprefixroute, "noprefixroute"),
        (AddressFlags::Mcautojoin, "autojoin"),
        (AddressFlags::StablePrivacy, "stable-privacy"),
    ];
    let dynamic = !flags.contains(AddressFlags::Permanent);
    let known = WORDS
        .into_iter()
        .filter_map(move |(flag, word)| flags.contains(flag).then_some(word));
    dynamic.then_some("dynamic").into_iter().chain(known)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use multiwan_lab::netlink::address::AddressMessage;
    use multiwan_lab::netlink::link::LinkMessage;

    use super::*;

    #[test]
    fn flags_of_a_device_are_those_that_ip_prints() {
        let line = |flags| {
            let mut link = LinkMessage::default();
            link.header.index = 2;
            link.header.flags = flags;
            link.attributes = vec![
                LinkAttribute::IfName("eth1".into()),
                LinkAttribute::Mtu(1500),
            ];
            link_line(&Message::NewLink(link)).unwrap()
        };
        let up = LinkFlags::Broadcast | LinkFlags::Multicast | LinkFlags::Up;
        assert_eq!(
            line(up | LinkFlags::Running | LinkFlags::LowerUp),
            "2: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500"
        );
        assert_eq!(
            line(up),
            "2: eth1: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500"
        );
        assert_eq!(line(LinkFlags::Noarp), "2: eth1: <NOARP> mtu 1500");
    }

    #[test]
    fn addresses_of_both_families_are_shown_with_what_is_unusual() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let line = |length, flags, attributes: Vec<AddressAttribute>| {
            let mut message = AddressMessage::default();
            message.header.index = 2;
            message.header.prefix_len = length;
            message.attributes = attributes;
            message.attributes.push(AddressAttribute::Flags(flags));
            let names = Names::from([(2, "eth1".to_owned())]);
            address_line(&Message::NewAddress(message), &names).unwrap()
        };
        let own = AddressAttribute::Local(ip("10.0.0.1"));
        let stays = AddressFlags::Permanent;
        assert_eq!(
            line(
                24,
                stays,
                vec![AddressAttribute::Address(ip("10.0.0.1")), own.clone()]
            ),
            "eth1 10.0.0.1/24 scope global"
        );
        assert_eq!(
            line(
                32,
                stays,
                vec![AddressAttribute::Address(ip("10.0.0.2")), own]
            ),
            "eth1 10.0.0.1 peer 10.0.0.2/32 scope global"
        );
        let six = AddressAttribute::Address(ip("fe80::1"));
        assert_eq!(
            line(64, AddressFlags::Tentative, vec![six]),
            "eth1 fe80::1/64 scope global dynamic tentative"
        );
    }
}
