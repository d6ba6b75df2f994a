//! When a dead line's connections are set free for a line that lives, and which of them.
//!
//! Connection tracking keeps a connection on its line by its mark and its translation. UDP that
//! goes on sending, as WireGuard and SIP do, keeps that entry alive for ever, also where each of
//! its packets is prohibited. Once the entry is forgotten, the next packet of the same five-tuple
//! begins a new one, on a line that works.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use multiwan_kernel::nft::conntrack::Connection;
use multiwan_kernel::nft::{self, Mark, Netfilter, Protocol};

use super::line::Moment;
use crate::config::{Config, Established};
use crate::verdicts::Verdicts;

/// From a first look at a line's connections to a second: what was on its way through the router,
/// or held by a program of the administrator's, while the routes changed.
const AGAIN: Duration = Duration::from_secs(1);
const LOOKS: u32 = 2;

/// The moments at which dead lines' connections are set free: pure arithmetic.
///
/// None are while no other line is up to take them: with a short outage of all lines they live on,
/// and what a server sends still finds its client.
#[derive(Debug, Default)]
pub(super) struct Releases {
    dead: BTreeMap<String, Dead>,
    delay: Duration,
    taken_over: bool,
}

#[derive(Debug)]
struct Dead {
    since: Moment,
    looked: Moment,
    looks: u32,
}

impl Releases {
    /// Takes in the verdicts as the kernel holds them since `now`.
    pub(super) fn heed(&mut self, config: &Config, verdicts: &Verdicts, now: Moment) {
        self.delay = match config.established {
            Established::Release => Duration::ZERO,
            Established::Prohibit | Established::Reset => config.release_after,
        };
        let (up, dead): (Vec<_>, Vec<_>) = config
            .lines
            .iter()
            .partition(|line| verdicts.is_up(&line.name));
        self.taken_over = !up.is_empty();
        self.dead
            .retain(|name, _| dead.iter().any(|line| line.name == *name));
        for line in dead {
            self.dead.entry(line.name.clone()).or_insert(Dead {
                since: now,
                looked: now,
                looks: 0,
            });
        }
    }

    /// When the next line's connections are to be set free.
    pub(super) fn due(&self) -> Option<Moment> {
        let due = self.dead.values().filter_map(|dead| self.due_of(dead));
        due.min().filter(|_| self.taken_over)
    }

    /// The lines whose connections are to be set free now.
    pub(super) fn take(&mut self, now: Moment) -> Vec<String> {
        let due = |dead: &Dead| self.due_of(dead).is_some_and(|due| due <= now);
        let due: Vec<String> = self
            .dead
            .iter()
            .filter(|(_, dead)| self.taken_over && due(dead))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &due {
            if let Some(dead) = self.dead.get_mut(name) {
                dead.looked = now;
                dead.looks += 1;
            }
        }
        due
    }

    fn due_of(&self, dead: &Dead) -> Option<Moment> {
        match dead.looks {
            0 => Some(dead.since.saturating_add(self.delay)),
            LOOKS.. => None,
            _ => Some(dead.looked + AGAIN),
        }
    }
}

/// Which connections are set free.
#[derive(Debug)]
pub(super) struct Freed {
    mark: Mark,
    /// The line's own address: what was begun from outside to it has nowhere else to go.
    address: Option<Ipv4Addr>,
    /// Whether TCP that no answer has come to is too: it is not open yet, and its client asks again.
    unanswered: bool,
}

impl Freed {
    /// Those of the line of that name.
    pub(super) fn of(config: &Config, name: &str) -> Option<Self> {
        let line = config.lines.iter().find(|line| line.name == name)?;
        Some(Self {
            mark: Mark::new(config.kernel.mark(line.number), config.kernel.mark_mask),
            address: line.address.map(|address| address.addr()),
            unanswered: config.established == Established::Release,
        })
    }

    /// Forgets them; how many there were.
    pub(super) fn forget(&self) -> Result<usize, nft::Error> {
        let mut netfilter = Netfilter::open()?;
        let mut forgotten = 0;
        for connection in netfilter.connections_marked(self.mark)? {
            if self.is_meant(&connection) {
                forgotten += usize::from(netfilter.forget(&connection)?);
            }
        }
        Ok(forgotten)
    }

    fn is_meant(&self, connection: &Connection) -> bool {
        let ours = Mark::new(connection.mark, self.mark.mask()) == self.mark;
        let from_outside = self.address == Some(connection.original.destination);
        let may_move = connection.original.protocol != Protocol::TCP
            || self.unanswered && !connection.status.seen_reply();
        ours && !from_outside && may_move
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::Verdict;

    const TWO_LINES: &str = include_str!("../../../fixtures/configs/two-lines.toml");

    const fn ms(milliseconds: u64) -> Moment {
        Duration::from_millis(milliseconds)
    }

    fn config(established: &str) -> Config {
        let text = format!("{established}\n{TWO_LINES}");
        Config::parse(&text, "test.toml").unwrap()
    }

    fn dead(lines: &[&str]) -> Verdicts {
        lines.iter().map(|line| (*line, Verdict::Dead)).collect()
    }

    #[test]
    fn told_for_a_while_then_set_free_twice() {
        let config = config("release_after = \"3s\"");
        let mut releases = Releases::default();
        releases.heed(&config, &dead(&["dsl1"]), ms(1000));
        releases.heed(&config, &dead(&["dsl1"]), ms(2500));
        assert_eq!(releases.due(), Some(ms(4000)), "from the first word of it");
        assert!(releases.take(ms(3999)).is_empty());
        assert_eq!(releases.take(ms(4010)), ["dsl1"]);
        assert_eq!(releases.due(), Some(ms(5010)));
        assert_eq!(releases.take(ms(5010)), ["dsl1"]);
        assert_eq!(releases.due(), None);
    }

    #[test]
    fn released_at_once() {
        let mut releases = Releases::default();
        let config = config("established = \"release\"");
        releases.heed(&config, &dead(&["dsl1"]), ms(1000));
        assert_eq!(releases.take(ms(1000)), ["dsl1"]);
    }

    #[test]
    fn nothing_is_set_free_without_a_line_to_take_it() {
        let config = config("established = \"release\"");
        let mut releases = Releases::default();
        releases.heed(&config, &dead(&["dsl1", "dsl2"]), ms(1000));
        assert_eq!(releases.due(), None);
        assert!(releases.take(ms(9000)).is_empty());
        releases.heed(&config, &dead(&["dsl1"]), ms(9000));
        assert_eq!(releases.take(ms(9000)), ["dsl1"]);
    }

    #[test]
    fn a_line_that_is_back_keeps_its_connections() {
        let config = config("");
        let mut releases = Releases::default();
        releases.heed(&config, &dead(&["dsl1"]), ms(1000));
        releases.heed(&config, &dead(&[]), ms(2000));
        assert_eq!(releases.due(), None);
        releases.heed(&config, &dead(&["dsl1"]), ms(3000));
        assert_eq!(
            releases.due(),
            Some(ms(8000)),
            "told anew from its death on"
        );
    }
}
