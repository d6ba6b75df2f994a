//! From what a router holds to a described configuration.
//!
//! Nothing here asks a kernel: [`Router`] is what one of them holds. Where multiwan has been at
//! work, its own rules and its own table of nftables tell exactly (`own`). Elsewhere it is worked
//! out from default routes, rules, addresses and translations what the lines are and how new
//! connections are shared (`others`): by a multipath route as in the how-to and LARTC, by marks as
//! with mwan3 and VyOS, or by metrics as DHCP clients leave them. Both give values with the places
//! that they were found in, which `text` writes down.
//!
//! What cannot be told is never chosen in silence: it is a doubt, which stands in the file and is
//! told beside it.

mod address;
mod findings;
mod lan;
mod line;
mod others;
mod own;
mod part;
mod pin;
mod router;
mod share;
mod text;
mod translation;
mod way;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use router::{Remembered, Router};

use crate::config::{Config, ConfigError};

/// A configuration as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The file.
    pub text: String,
    /// What cannot be told or had to be chosen, in one line each; the file says so too.
    pub doubts: Vec<String>,
    /// Why the file is refused as it stands, if it is.
    pub refused: Option<ConfigError>,
}

/// Why there is nothing to describe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    /// No default route that leads anywhere.
    #[error(
        "there is no default route in any table of this network namespace, so that there is no \
         line to describe; run it where the lines are up"
    )]
    NoDefaultRoute,
}

/// Describes what the router does; `name` is the file's in what is refused.
///
/// # Errors
///
/// When there is nothing to describe.
pub fn import(router: &Router, name: &str) -> Result<Imported, Nothing> {
    let findings = match &router.state.firewall {
        Some(table) => own::findings(router, table),
        None => None,
    };
    let findings = findings.unwrap_or_else(|| others::findings(router));
    if findings.lines.is_empty() && findings.doubts.is_empty() {
        return Err(Nothing::NoDefaultRoute);
    }
    let text = text::write(&findings);
    let numbers = router
        .remembered
        .names
        .iter()
        .map(|(number, name)| (name.clone(), *number))
        .collect();
    let refused = Config::parse_numbered(&text, name, &numbers).err();
    Ok(Imported {
        doubts: text::doubts(&findings),
        text,
        refused,
    })
}
