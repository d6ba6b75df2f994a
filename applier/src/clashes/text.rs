//! What is said of a clash: what it is, what comes of it, and what to do.

use std::fmt;

use super::{Action, Answer, Clash, ForeignRule};
use crate::state::TABLE_MAIN;

impl ForeignRule {
    /// Whose it looks like.
    fn owner(&self) -> Option<&'static str> {
        /// Tailscale's table for its peers.
        const TAILSCALE: u32 = 52;
        match self.action {
            Action::Lookup {
                table: TAILSCALE, ..
            } => Some("Tailscale"),
            // `wg-quick` takes the interface's port for both; its other rule looks up main.
            Action::Lookup { table, .. }
                if self.inverted && self.mark.is_some_and(|mark| mark.value() == table) =>
            {
                Some("wg-quick")
            }
            Action::Lookup {
                table: TABLE_MAIN,
                suppress_prefix_length: Some(0),
            } => Some("wg-quick"),
            _ => None,
        }
    }
}

/// `32764: not from all fwmark 0xca6c lookup 51820`
impl fmt::Display for ForeignRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.priority)?;
        if self.inverted {
            f.write_str(" not")?;
        }
        match self.from {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if let Some(input) = &self.input {
            write!(f, " iif {input}")?;
        }
        if let Some(mark) = self.mark {
            write!(f, " fwmark {:#x}", mark.value())?;
            if mark.mask() != u32::MAX {
                write!(f, "/{:#x}", mark.mask())?;
            }
        }
        let Action::Lookup {
            table,
            suppress_prefix_length,
        } = self.action
        else {
            return Ok(());
        };
        match table {
            TABLE_MAIN => f.write_str(" lookup main")?,
            table => write!(f, " lookup {table}")?,
        }
        match suppress_prefix_length {
            Some(length) => write!(f, " suppress_prefixlength {length}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = |rule: &ForeignRule| match rule.owner() {
            Some(owner) => format!(" (by its looks {owner}'s)"),
            None => String::new(),
        };
        match self {
            Self::RuleInBetween(rule) => write!(
                f,
                "the rule `{rule}`{} is asked among multiwan's: what it matches does not keep to \
                 its line; give it a priority before them, or remove it",
                whose(rule)
            ),
            Self::RuleNeverReached(rule, balance) => write!(
                f,
                "the rule `{rule}`{} is never reached: {balance} answers for everything; give it \
                 a priority before multiwan's",
                whose(rule)
            ),
            Self::RuleOnOurMarks(rule, mask) => write!(
                f,
                "the rule `{rule}`{} tests bits of mark_mask {mask:#x}, which multiwan sets; \
                 choose another mark_mask under [kernel], or another mark there",
                whose(rule)
            ),
            Self::MarksChanged(writer, mask) => write!(
                f,
                "chain {} of table {} may change {:#x} of mark_mask {mask:#x}, by which \
                 connections keep to their lines; choose another mark_mask under [kernel], or let \
                 it keep to other bits",
                writer.chain,
                writer.table,
                writer.bits & mask
            ),
            Self::RouteInOurTable(route) => write!(
                f,
                "table {}, which is multiwan's, has a route to {} of somebody else's, which is \
                 kept and comes before its own; remove it, or choose other tables under [kernel]",
                route.table, route.to
            ),
            Self::DefaultInOurTable(table) => write!(
                f,
                "table {table} has a default route already, which `apply` replaces and `down` \
                 restores; if somebody else needs it, choose other tables under [kernel]"
            ),
            Self::MainRefuses { answer, last } => {
                let (article, name) = match answer {
                    Answer::Blackhole => ("a", "blackhole"),
                    Answer::Prohibit => ("a", "prohibit"),
                    _ => ("an", "unreachable"),
                };
                let when = if *last {
                    " once main's other default route is gone or its device has no carrier"
                } else {
                    ""
                };
                write!(
                    f,
                    "main has {article} `{name} default`, and no line is used{when}: multiwan's rule for main \
                     passes over default routes that lead somewhere, not over one that refuses; remove it, \
                     multiwan's last table ends with `unreachable` by itself"
                )
            }
            Self::MainTakes(networks) => {
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "main has routes to {}, as VPNs put there in place of a default route, over which \
                     multiwan's rule for main would pass: what they are for uses no line; have the VPN put a \
                     default route there, or routes to its own networks alone",
                    networks.join(" and ")
                )
            }
            Self::MainAskedBefore(rule) => write!(
                f,
                "the rule `{rule}`{} is asked before multiwan's, and main has routes for everything: what it \
                 matches is neither spread nor kept from a dead line; give it suppress_prefixlength 0, or \
                 remove it",
                whose(rule)
            ),
            Self::DefaultInMain => f.write_str(
                "main has a default route, as DHCP clients put there; it does no harm, since \
                 multiwan's rule for main passes over it",
            ),
            Self::NotUnderstood(table, mask) => write!(
                f,
                "table {table} has rules that are not understood; see that none of them changes bits \
                 of mark_mask {mask:#x}"
            ),
        }
    }
}
