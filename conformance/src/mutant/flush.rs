//! A mistake that is no state: all of connection tracking is forgotten before routes change.

use std::sync::Mutex;

use multiwan::state::{Route, State};
use multiwan_kernel::nft::{self, Netfilter};

/// Forgets every connection as soon as other routes are wanted than the last time.
#[derive(Debug, Default)]
pub(super) struct Flush {
    wanted: Mutex<Option<Vec<Route>>>,
}

impl Flush {
    /// Takes in what is wanted now.
    pub(super) fn heed(&self, state: &State) {
        let mut wanted = self.wanted.lock().expect("no holder panics");
        let before = wanted.replace(state.routes.clone());
        if before.is_some_and(|before| before != state.routes)
            && let Err(error) = forget_all()
        {
            eprintln!("flushing connection tracking: {error}");
        }
    }
}

/// `conntrack -F`
fn forget_all() -> Result<(), nft::Error> {
    let mut netfilter = Netfilter::open()?;
    for connection in netfilter.connections()? {
        netfilter.forget(&connection)?;
    }
    Ok(())
}
