//! What a command goes by while a keepalive runs beside it, and without one.

use super::turn::Turn;
use super::warn;
use crate::absent::Absent;
use crate::clashes::clashes;
use crate::config::Config;
use crate::kernel::{Alongside, Kernel};
use crate::reconcile::{AbsentLan, Reconciled};
use crate::runtime::{RunningKeepalive, running_keepalive};
use crate::verdicts::Verdicts;

/// The keepalive that a command runs beside, if one does.
pub(super) struct Beside(Option<RunningKeepalive>);

impl Beside {
    /// The one that runs now.
    pub(super) fn now() -> Self {
        Self(running_keepalive())
    }

    /// Its verdicts; without one all lines are up.
    pub(super) fn verdicts(&self) -> Verdicts {
        let keepalive = self.0.as_ref();
        keepalive
            .map(RunningKeepalive::verdicts)
            .unwrap_or_default()
    }

    /// A LAN that is not there is waited for by the keepalive, and by nobody without one.
    pub(super) fn absent_lan(&self) -> AbsentLan {
        match self.0 {
            Some(_) => AbsentLan::Awaited,
            None => AbsentLan::Refused,
        }
    }

    /// Says what is left out, but for lines that the keepalive has found dead already.
    pub(super) fn say_absent(&self, absent: &Absent) {
        let verdicts = self.verdicts();
        let alive = absent
            .lines
            .iter()
            .filter(|line| verdicts.is_up(&line.name));
        for line in alive {
            warn(format_args!(
                "there is no interface {}, so that line {} is left out; {} takes it in when it comes",
                line.interface,
                line.name,
                self.who_waits()
            ));
        }
        for lan in &absent.lans {
            warn(format_args!(
                "there is no interface {lan}, which is a LAN's; {} sets it up when it comes",
                self.who_waits()
            ));
        }
    }

    fn who_waits(&self) -> &'static str {
        match self.0 {
            Some(_) => "the keepalive that runs here",
            None => "`multiwan run` or `multiwan keepalive`",
        }
    }
}

/// Says what became of it that nobody asked for: that `down` will not know what was there before, where
/// that was not said already, which addresses and which routes of others are gone.
pub(super) fn say_consequences(done: &Reconciled, turn: &Turn) {
    if let (Some(why), false) = (&done.unremembered, turn.has_told_of_the_record()) {
        warn(format_args!(
            "what was there before cannot be remembered: {why}; `down` will leave settings, addresses and \
             links as they are"
        ));
    }
    for address in &done.taken {
        warn(format_args!(
            "{} was taken away: {address}",
            address.place()
        ));
    }
    say_gone(&done.gone);
}

/// Says what others have in the kernel that gets in the way of what was done, as far as the kernel tells.
pub(super) async fn say_clashes(kernel: &mut Kernel, config: &Config) {
    let Ok(around) = kernel.surroundings().await else {
        return;
    };
    let clashes = clashes(config, &around).into_iter();
    clashes.filter(|clash| !clash.is_harmless()).for_each(warn);
}

/// Says which routes of others went with an address.
pub(super) fn say_gone(routes: &[Alongside]) {
    for route in routes {
        warn(format_args!(
            "the route {route} went with an address that is no longer described, and the kernel does not \
             take it back"
        ));
    }
}
