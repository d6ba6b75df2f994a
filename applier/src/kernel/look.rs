//! All that `status` shows, with the privileges that this process has.

use super::Kernel;
use crate::error::Error;
use crate::gateways::Gateways;
use crate::runtime::{Counted, RunningKeepalive};
use crate::status::{Seen, is_applied};

impl Kernel {
    /// Whether it shows that multiwan has been here: a rule of multiwan's is there.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub async fn has_been_applied_to(&mut self) -> Result<bool, Error> {
        Ok(is_applied(&self.read_unprivileged().await?))
    }

    /// What can be seen. Needs no privilege; without CAP_NET_ADMIN nftables stays hidden.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub async fn look(
        &mut self,
        keepalive: Option<RunningKeepalive>,
        counted: Option<Counted>,
    ) -> Result<Seen, Error> {
        let mut state = self.read_unprivileged().await?;
        let hidden = match self.read_firewall() {
            Ok(firewall) => {
                state.firewall = firewall;
                None
            }
            Err(error) if error.exit_status() == 3 => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok(Seen {
            state,
            hidden,
            devices: self.devices().await?,
            keepalive,
            counted,
            gateways: Gateways::remembered(),
        })
    }
}
