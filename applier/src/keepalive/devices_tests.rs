//! Devices as the kernel tells of them, line by line.

use std::net::Ipv4Addr;

use netlink_packet_route::link::LinkLayerType;

use super::*;

const INDEX: u32 = 7;
const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn link(flags: LinkFlags) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = INDEX;
    message.header.link_layer_type = LinkLayerType::Ether;
    message.header.flags = flags;
    message.attributes = vec![
        LinkAttribute::IfName("eth1".into()),
        LinkAttribute::Address(OWN.to_vec()),
    ];
    message
}

fn line(address: Option<&str>, gateway: Option<&str>) -> Line {
    Line {
        name: "dsl1".into(),
        number: 1,
        interface: "eth1".into(),
        dynamic: false,
        address: address.map(|address| address.parse().unwrap()),
        broadcast: None,
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        onlink: false,
        keep: Vec::new(),
        weight: 1,
        backup: false,
    }
}

fn fixed() -> Line {
    line(Some("198.51.100.2/24"), Some("198.51.100.1"))
}

const RUNNING: LinkFlags = LinkFlags::Up
    .union(LinkFlags::LowerUp)
    .union(LinkFlags::Running);

#[test]
fn a_device_comes_loses_its_carrier_goes_down_and_goes() {
    let mut devices = Devices::default();
    assert_eq!(
        devices.outlook(&fixed(), None),
        Outlook::Faulty(Fault::DeviceMissing)
    );
    let rows = [
        (LinkFlags::empty(), Some(Fault::AdminDown)),
        (LinkFlags::Up, Some(Fault::NoCarrier)),
        (RUNNING, None),
    ];
    for (flags, fault) in rows {
        devices.take(&RouteNetlinkMessage::NewLink(link(flags)));
        match (devices.outlook(&fixed(), None), fault) {
            (Outlook::Faulty(found), Some(expected)) => assert_eq!(found, expected),
            (Outlook::Carries { index, asked }, None) => {
                assert_eq!(index, INDEX);
                let Some(Asked::Gateway(question)) = asked else {
                    panic!("Ethernet with a gateway asks: {asked:?}");
                };
                assert_eq!(question.own, MacAddr::from(OWN));
                assert_eq!(question.source, Ipv4Addr::new(198, 51, 100, 2));
                assert_eq!(question.gateway, Ipv4Addr::new(198, 51, 100, 1));
            }
            other => panic!("{flags:?}: {other:?}"),
        }
    }
    let gone = RouteNetlinkMessage::DelLink(link(RUNNING));
    assert_eq!(devices.take(&gone), Some(INDEX));
    assert_eq!(
        devices.outlook(&fixed(), None),
        Outlook::Faulty(Fault::DeviceMissing)
    );
}

#[test]
fn a_port_that_leaves_its_bridge_is_not_gone() {
    let mut devices = Devices::default();
    devices.take(&RouteNetlinkMessage::NewLink(link(RUNNING)));
    let mut port = link(RUNNING);
    port.header.interface_family = AddressFamily::Bridge;
    assert_eq!(devices.take(&RouteNetlinkMessage::DelLink(port)), None);
    assert!(matches!(
        devices.outlook(&fixed(), None),
        Outlook::Carries { .. }
    ));
}

#[test]
fn without_arp_whoever_is_at_the_other_end_is_asked() {
    let carries = |asked| Outlook::Carries {
        index: INDEX,
        asked,
    };
    let other_end = |hardware| {
        carries(Some(Asked::OtherEnd(OtherEnd {
            source: Ipv4Addr::new(198, 51, 100, 2),
            hardware,
        })))
    };
    let mut devices = Devices::default();
    devices.take(&RouteNetlinkMessage::NewLink(link(RUNNING)));
    assert_eq!(devices.outlook(&line(None, None), None), carries(None));
    let mut without = link(RUNNING | LinkFlags::Noarp);
    devices.take(&RouteNetlinkMessage::NewLink(without.clone()));
    // As the kernel addresses frames there.
    let own = Some(MacAddr::from(OWN));
    assert_eq!(devices.outlook(&fixed(), None), other_end(own));
    without.header.link_layer_type = LinkLayerType::Ppp;
    devices.take(&RouteNetlinkMessage::NewLink(without));
    assert_eq!(devices.outlook(&fixed(), None), other_end(None));
}

#[test]
fn a_renamed_device_is_another() {
    let mut devices = Devices::default();
    devices.take(&RouteNetlinkMessage::NewLink(link(RUNNING)));
    let mut renamed = link(RUNNING);
    renamed.attributes[0] = LinkAttribute::IfName("wan1".into());
    devices.take(&RouteNetlinkMessage::NewLink(renamed));
    assert_eq!(
        devices.outlook(&fixed(), None),
        Outlook::Faulty(Fault::DeviceMissing)
    );
    assert_eq!(devices.name(INDEX), Some("wan1"));
}

#[test]
fn a_line_that_lacks_something_is_no_use_on_the_best_device() {
    let mut devices = Devices::default();
    let lacks = |devices: &Devices| devices.outlook(&fixed(), Some(Lack::Address));
    assert_eq!(lacks(&devices), Outlook::Faulty(Fault::DeviceMissing));
    devices.take(&RouteNetlinkMessage::NewLink(link(RUNNING)));
    assert_eq!(
        lacks(&devices),
        Outlook::Faulty(Fault::Lacks(Lack::Address))
    );
}
