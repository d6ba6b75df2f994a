//! How the lines are probed.

use std::time::Duration;

use toml::Spanned;

use super::Checked;
use crate::config::{Keepalive, file, value};

/// Unless a timeout is given, no line is called dead sooner than so long after the first probe that
/// went unanswered, however short the interval: healthy gateways take a fifth of a second.
const PATIENCE: Duration = Duration::from_millis(250);

pub(super) fn keepalive(raw: &file::Keepalive) -> Checked<Keepalive> {
    let least = Duration::from_millis(1);
    let interval = match &raw.interval {
        Some(text) => value::duration(text, least)?,
        None => Duration::from_secs(1),
    };
    let count = |number: &Option<Spanned<i64>>, what, default| match number {
        Some(number) => value::number(number, what, 1..1001),
        None => Ok(default),
    };
    let failures = count(&raw.failures, "failures", 2)?;
    Ok(Keepalive {
        interval,
        timeout: match &raw.timeout {
            Some(text) => value::duration(text, least)?,
            None => default_timeout(interval, failures),
        },
        failures,
        successes: count(&raw.successes, "successes", 1)?,
        targets: raw
            .targets
            .iter()
            .map(value::target)
            .collect::<Checked<_>>()?,
    })
}

/// The timeout where none is written.
pub(crate) fn default_timeout(interval: Duration, failures: u32) -> Duration {
    let before_last = interval.saturating_mul(failures.saturating_sub(1));
    interval.max(PATIENCE.saturating_sub(before_last))
}
