//! What of a desired state this kernel, as it was found, can hold.

use crate::desired::{HASH_CONNECTIONS, HASH_FIELDS};
use crate::state::{Address, GlobalSetting, Setting, State};

/// What must be there and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfeasible {
    /// An interface.
    #[error("there is no interface {0}; `ip link` shows those that are there")]
    NoInterface(String),
    /// IPv4 on an interface.
    #[error("interface {0} has no IPv4; its MTU must be 68 or more")]
    NoIpv4(String),
    /// A gateway.
    #[error(
        "line {0} has no gateway, and its interface is no point-to-point link but asks by ARP; write \
         gateway = \"…\""
    )]
    NoGateway(String),
    /// A setting.
    #[error(
        "this kernel has no {0}; it needs CONFIG_IP_ROUTE_MULTIPATH and CONFIG_IP_MULTIPLE_TABLES"
    )]
    NoSetting(Setting),
}

/// The address, with the peer that it has where it is there only so: nobody describes that, and the
/// gateway may be it.
fn with_peer(address: Address, found: &State) -> Address {
    if address.address.prefix_len() < 32 || found.addresses.contains(&address) {
        return address;
    }
    let mut there = found.addresses.iter();
    let same = there
        .find(|there| there.interface == address.interface && there.address == address.address);
    same.cloned().unwrap_or(address)
}

/// `wanted`, less what a kernel like `found` need not or cannot hold: what belongs to interfaces
/// of dead lines that are not there, hash fields before Linux 5.14, and neighbour timers that there
/// are none of.
///
/// # Errors
///
/// When something is not there that must be.
pub fn feasible(mut wanted: State, found: &State) -> Result<State, Unfeasible> {
    let there = |interface: &str| found.links.contains_key(interface);
    if let Some(missing) = wanted.links.keys().find(|interface| !there(interface)) {
        return Err(Unfeasible::NoInterface(missing.clone()));
    }
    wanted.addresses.retain(|address| there(&address.interface));
    wanted.addresses = wanted
        .addresses
        .into_iter()
        .map(|address| with_peer(address, found))
        .collect();
    wanted
        .settings
        .retain(|setting, _| setting.interface().is_none_or(there));

    let fields = Setting::Global(GlobalSetting::HashFields);
    let policy = Setting::Global(GlobalSetting::HashPolicy);
    if wanted.settings.get(&policy) == Some(&HASH_FIELDS) && !found.settings.contains_key(&fields) {
        wanted.settings.remove(&fields);
        wanted.settings.insert(policy, HASH_CONNECTIONS);
    }
    // The kernel's own safety net; the keepalive does without.
    wanted.settings.retain(|setting, _| {
        !matches!(setting, Setting::Neighbour(..)) || found.settings.contains_key(setting)
    });
    if let Some(missing) = wanted
        .settings
        .keys()
        .find(|key| !found.settings.contains_key(key))
    {
        return Err(match missing.interface() {
            Some(interface) => Unfeasible::NoIpv4(interface.to_owned()),
            None => Unfeasible::NoSetting(missing.clone()),
        });
    }
    Ok(wanted)
}
