//! The way back: what `apply` put there, and nothing else, is removed, and what it overwrote is
//! restored.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::difference::{Changes, difference};
use crate::error::Error;
use crate::kernel::Kernel;
use crate::reconcile::all_or_none;
use crate::record::{Content, Record};
use crate::state::{Hop, Rule, State, TABLE_MAIN};

/// What [`down`] did.
#[derive(Debug)]
pub struct Removed {
    /// The steps.
    pub changes: Changes,
    /// Whether what `apply` found was remembered; else settings, addresses and links stayed.
    pub remembered: bool,
}

/// Removes what `apply` put into the kernel, with the tables of `config` where nothing is
/// remembered.
///
/// # Errors
///
/// When the kernel refuses a step; what was done until then is undone, in reverse.
pub async fn down(kernel: &mut Kernel, config: Option<&Config>) -> Result<Removed, Error> {
    let record = Record::open().ok().filter(|record| !record.is_empty());
    let content = record
        .as_ref()
        .map(|record| record.content().clone())
        .unwrap_or_default();
    let found = kernel.read().await?;
    let before = before(&found, &content, config);
    let changes = difference(&before, &found).inverse();
    all_or_none(kernel, &changes).await?;
    let remembered = record.is_some();
    if let Some(record) = record {
        // Left behind, it would say of what is gone that it is multiwan's; harmless.
        let _ = record.forget();
    }
    Ok(Removed {
        changes,
        remembered,
    })
}

/// What the kernel held before `apply`, as far as it is known.
fn before(found: &State, content: &Content, config: Option<&Config>) -> State {
    let mut before = found.clone();
    for link in &content.links {
        if let Some(link) = before.links.get_mut(link) {
            link.up = false;
        }
    }
    before
        .addresses
        .retain(|address| !content.addresses.contains(address));
    for (setting, value) in &mut before.settings {
        let path = setting.path();
        // What others have set since is theirs.
        if let Some(known) = content.settings.iter().find(|known| known.setting == path)
            && setting.holds(*value, known.put)
        {
            *value = known.found;
        }
    }
    let tables = tables(found, content, config);
    before.rules.retain(|rule| !rule.is_ours());
    before.routes.retain(|route| !tables.contains(&route.table));
    let there = |hop: &Hop| found.links.contains_key(&hop.interface);
    let restored = content
        .routes
        .iter()
        .filter(|route| route.hops().iter().all(there));
    before.routes.extend(restored.cloned());
    before.firewall = None;
    before
}

fn tables(found: &State, content: &Content, config: Option<&Config>) -> BTreeSet<u32> {
    let asked_for = found
        .rules
        .iter()
        .filter(|rule| Rule::is_ours(rule))
        .map(|rule| rule.table);
    let described = config.into_iter().flat_map(Config::tables);
    content
        .tables
        .iter()
        .copied()
        .chain(asked_for)
        .chain(described)
        .filter(|table| *table != TABLE_MAIN)
        .collect()
}
