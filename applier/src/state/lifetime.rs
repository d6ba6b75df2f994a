//! How long an address stays.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the kernel says where there is no end (`INFINITY_LIFE_TIME`).
pub const FOR_EVER: u32 = u32::MAX;

/// For how many seconds an address was valid, and preferred to others, when it was read. It ages
/// wherever it is, as the lease does that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetime {
    /// Until the kernel takes it away.
    pub valid: u32,
    /// Until new connections prefer another.
    pub preferred: u32,
    /// When that was, since the machine started.
    pub read: Duration,
}

impl Lifetime {
    /// What is left of it; none where it is over.
    pub fn left(&self, now: Duration) -> Option<Self> {
        let aged = now.saturating_sub(self.read);
        let aged = u32::try_from(aged.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        let left = |seconds: u32| match seconds {
            FOR_EVER => FOR_EVER,
            seconds => seconds.saturating_sub(aged),
        };
        let valid = left(self.valid);
        (valid > 0).then(|| Self {
            valid,
            preferred: left(self.preferred),
            read: now,
        })
    }
}

/// `valid_lft 3000 preferred_lft forever`
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |seconds: u32| match seconds {
            FOR_EVER => "forever".to_owned(),
            seconds => seconds.to_string(),
        };
        let (valid, preferred) = (shown(self.valid), shown(self.preferred));
        write!(f, "valid_lft {valid} preferred_lft {preferred}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ages_and_ends_but_for_what_is_for_ever() {
        let read = Duration::from_millis(10_500);
        let lifetime = |valid, preferred, read| Lifetime {
            valid,
            preferred,
            read,
        };
        for (then, seconds, left) in [
            ((30, 20), 5, Some((25, 15))),
            ((30, 20), 25, Some((5, 0))),
            ((30, 20), 30, None),
            ((FOR_EVER, 20), 40, Some((FOR_EVER, 0))),
        ] {
            let now = read + Duration::from_secs(seconds);
            let left = left.map(|(valid, preferred)| lifetime(valid, preferred, now));
            assert_eq!(lifetime(then.0, then.1, read).left(now), left);
        }
        // It is never lengthened.
        let soon = read + Duration::from_millis(1);
        assert_eq!(
            lifetime(30, 20, read).left(soon),
            Some(lifetime(29, 19, soon))
        );
    }
}
