//! What the router's kernel does about its lines, with the time when it did.

use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use multiwan_kernel::rtnl::Monitor;
use multiwan_lab::Lab;
use multiwan_lab::netlink::RouteNetlinkMessage as News;
use multiwan_lab::netlink::link::{LinkFlags, LinkMessage};
use multiwan_lab::netlink::route::{RouteAttribute, RouteMessage, RouteNextHop, RouteType};

use crate::judgement::Trouble;

/// How soon the listener notices that nobody wants to know any more.
const LOOK: Duration = Duration::from_millis(200);

/// Something that the kernel did.
pub(super) type Change = (Instant, String);

/// Listens in a thread of its own, so that each change has its own time, until it is dropped.
pub(super) struct RouterNews(Arc<Mutex<Vec<Change>>>);

impl RouterNews {
    /// Listens from now on; in the router's namespace, before the applier does anything.
    pub(super) fn listen(lab: &mut Lab) -> Result<Self, Trouble> {
        let mut devices = Vec::new();
        for line in lab.topology().lines.clone() {
            let index = lab.router().link(&line.interface)?.header.index;
            devices.push((index, line.interface));
        }
        let mut monitor = Monitor::links_and_routes().map_err(|source| Trouble::System {
            doing: "listening to the router's kernel",
            source,
        })?;
        let kept = Arc::new(Mutex::new(Vec::new()));
        let wanted = Arc::downgrade(&kept);
        thread::spawn(move || {
            let mut state = State::new(devices);
            while let Some(kept) = Weak::upgrade(&wanted) {
                let heard = monitor.hear(LOOK, |news| {
                    if let Some(what) = state.describe(&news) {
                        let mut kept = kept.lock().expect("no holder panics");
                        kept.push((Instant::now(), what));
                    }
                });
                if heard.is_err() {
                    return;
                }
            }
        });
        Ok(Self(kept))
    }

    /// What was heard so far.
    pub(super) fn take(&self) -> Vec<Change> {
        std::mem::take(&mut self.0.lock().expect("no holder panics"))
    }
}

/// What the lines' devices were like when last heard of.
struct State {
    devices: Vec<(u32, String)>,
    last: Vec<&'static str>,
}

impl State {
    fn new(devices: Vec<(u32, String)>) -> Self {
        let last = vec!["down"; devices.len()];
        Self { devices, last }
    }

    /// A line's device that changed, or a default route.
    fn describe(&mut self, news: &News) -> Option<String> {
        match news {
            News::NewLink(link) => self.link(link),
            News::NewRoute(route) => {
                let (table, by) = self.default(route)?;
                Some(format!("table {table}: default by {by}"))
            }
            News::DelRoute(route) => {
                let (table, by) = self.default(route)?;
                Some(format!("table {table}: no default by {by}"))
            }
            _ => None,
        }
    }

    fn link(&mut self, link: &LinkMessage) -> Option<String> {
        let number = self
            .devices
            .iter()
            .position(|(index, _)| *index == link.header.index)?;
        let flags = link.header.flags;
        let now = if !flags.contains(LinkFlags::Up) {
            "down"
        } else if flags.contains(LinkFlags::LowerUp) {
            "up"
        } else {
            "without carrier"
        };
        let before = std::mem::replace(&mut self.last[number], now);
        (before != now).then(|| format!("{} {now}", self.devices[number].1))
    }

    /// The table of a default route and the lines' devices that it goes by.
    fn default(&self, route: &RouteMessage) -> Option<(u32, String)> {
        let header = &route.header;
        if header.destination_prefix_length != 0 || header.kind != RouteType::Unicast {
            return None;
        }
        let mut table = u32::from(header.table);
        let mut by = Vec::new();
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Table(number) => table = *number,
                RouteAttribute::Oif(index) => by.extend(self.name(*index)),
                RouteAttribute::MultiPath(hops) => {
                    let index = |hop: &RouteNextHop| self.name(hop.interface_index);
                    by.extend(hops.iter().filter_map(index));
                }
                _ => {}
            }
        }
        (!by.is_empty()).then(|| (table, by.join(" and ")))
    }

    fn name(&self, index: u32) -> Option<&str> {
        let device = self.devices.iter().find(|(known, _)| *known == index)?;
        Some(&device.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, flags: LinkFlags) -> News {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = flags;
        News::NewLink(link)
    }

    #[test]
    fn a_device_is_told_when_it_changes_and_a_route_when_it_is_a_line_s_default() {
        let mut state = State::new(vec![(3, "eth1".into()), (4, "eth2".into())]);
        let up = LinkFlags::Up | LinkFlags::LowerUp;
        assert_eq!(state.describe(&link(3, up)).unwrap(), "eth1 up");
        assert_eq!(state.describe(&link(3, up)), None);
        assert_eq!(state.describe(&link(9, up)), None);
        let told = state.describe(&link(3, LinkFlags::Up)).unwrap();
        assert_eq!(told, "eth1 without carrier");

        let mut route = RouteMessage::default();
        route.header.kind = RouteType::Unicast;
        route.header.table = 222;
        let hop = |index| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = index;
            hop
        };
        let hops = RouteAttribute::MultiPath(vec![hop(3), hop(4)]);
        route.attributes = vec![hops];
        let told = state.describe(&News::NewRoute(route.clone())).unwrap();
        assert_eq!(told, "table 222: default by eth1 and eth2");
        route.attributes = vec![RouteAttribute::Oif(4)];
        let told = state.describe(&News::DelRoute(route.clone())).unwrap();
        assert_eq!(told, "table 222: no default by eth2");
        route.header.destination_prefix_length = 24;
        assert_eq!(state.describe(&News::NewRoute(route)), None);
    }
}
