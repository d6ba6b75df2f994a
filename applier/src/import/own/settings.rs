//! What settings and chains tell of the configuration's head and of the keepalive.

use std::time::Duration;

use super::super::findings::{Found, Keepalive};
use super::{Own, way};
use crate::config::{Established, Spread, default_timeout};
use crate::desired::{HASH_PAIRS, TELL_TCP};
use crate::state::{GlobalSetting, NeighbourSetting, Setting};

/// The keepalive's defaults.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_FAILURES: u32 = 2;

impl Own<'_> {
    pub(super) fn spread(&self) -> Option<Found<Spread>> {
        let policy = Setting::Global(GlobalSetting::HashPolicy);
        let value = *self.router.state.settings.get(&policy)?;
        let spread = if value == HASH_PAIRS {
            Spread::Pair
        } else {
            Spread::Connection
        };
        let place = format!("fib_multipath_hash_policy is {value}");
        Some(Found::new(spread, place))
    }

    pub(super) fn established(&self) -> Option<Found<Established>> {
        self.firewall.chain(TELL_TCP).map(|chain| {
            let place = format!("chain {}; \"release\" has it too", chain.name);
            Found::new(Established::Reset, place)
        })
    }

    /// A line's neighbours are asked as often, and for as long, as its gateway.
    pub(super) fn keepalive(&self) -> Keepalive {
        let setting = |wanted| {
            let mut lines = self.lines().into_iter();
            lines.find_map(|number| {
                let routes = self.router.routes(self.kernel.table(number));
                let (hop, _) = routes.into_iter().find_map(way)?;
                let key = Setting::Neighbour(hop.interface.clone(), wanted);
                let value = *self.router.state.settings.get(&key)?;
                Some(Found::new(value, format!("{key} is {value}")))
            })
        };
        let timeout = setting(NeighbourSetting::RetransTime).map(|timeout| {
            let span = Duration::from_millis(timeout.value.into());
            Found::new(span, timeout.place)
        });
        let failures = setting(NeighbourSetting::UcastSolicit);
        let tries = failures
            .as_ref()
            .map_or(DEFAULT_FAILURES, |failures| failures.value);
        let follows = |span: &Found<Duration>| default_timeout(span.value, tries) == span.value;
        Keepalive {
            interval: timeout
                .clone()
                .filter(|span| span.value != DEFAULT_INTERVAL),
            timeout: timeout.filter(|span| !follows(span)),
            failures: failures.filter(|failures| failures.value != DEFAULT_FAILURES),
        }
    }
}
