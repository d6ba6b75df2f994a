//! What gives another source to what leaves: nftables' `snat` and `masquerade`, and iptables'.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan_kernel::nft::{
    Chain, Family, Hook, Kind, Rule, SourceTranslation, Statement, Table, Test, Verdict,
};

/// Chains that jump to each other deeper than that are not followed; the kernel's limit is 16.
const DEEPEST: usize = 16;

/// A rule that gives another source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Translation {
    /// The table's family and name.
    table: String,
    /// The chain's name.
    chain: String,
    /// What it is for.
    condition: Condition,
    /// What source it gives.
    gives: SourceTranslation,
}

/// What of what leaves a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Condition {
    /// The interface that it leaves by.
    interface: Option<(Test, String)>,
    /// The source that it has so far.
    source: Option<(Test, Ipv4Net)>,
    /// Whether more is asked that is not understood here.
    more: bool,
}

/// All in these tables, in the order in which the kernel comes to them.
pub(super) fn translations(tables: &[Table]) -> Vec<Translation> {
    let mut entered: Vec<(i32, &Table, &Chain)> = Vec::new();
    for table in tables.iter().filter(|table| sees_ipv4(table)) {
        for chain in &table.chains {
            if let Some(base) = &chain.base
                && base.kind == Kind::Nat
                && base.hook == Hook::Postrouting
            {
                entered.push((base.priority, table, chain));
            }
        }
    }
    entered.sort_by_key(|(priority, ..)| *priority);
    let mut found = Vec::new();
    for (_, table, chain) in entered {
        follow(table, chain, &Condition::default(), 0, &mut found);
    }
    found
}

fn sees_ipv4(table: &Table) -> bool {
    matches!(table.family, Family::Ip | Family::Inet) && !table.dormant
}

fn follow(
    table: &Table,
    chain: &Chain,
    outer: &Condition,
    depth: usize,
    found: &mut Vec<Translation>,
) {
    for rule in &chain.rules {
        let condition = outer.and(rule);
        for statement in &rule.statements {
            if let Some(gives) = statement.source_translation() {
                found.push(Translation {
                    table: format!("{} {}", table.family, table.name),
                    chain: chain.name.clone(),
                    condition: condition.clone(),
                    gives,
                });
            }
            if let Statement::Verdict(Verdict::Jump(name) | Verdict::Goto(name)) = statement
                && let Some(next) = table.chain(name)
                && depth < DEEPEST
            {
                follow(table, next, &condition, depth + 1, found);
            }
        }
    }
}

impl Condition {
    fn and(&self, rule: &Rule) -> Self {
        let mut both = self.clone();
        for statement in rule.statements_for_ipv4() {
            match statement {
                Statement::OutputInterface(test, name) if both.interface.is_none() => {
                    both.interface = Some((*test, name.clone()));
                }
                Statement::Source(test, net) if both.source.is_none() => {
                    both.source = Some((*test, *net));
                }
                Statement::Counter(_) | Statement::Verdict(_) => {}
                other if other.source_translation().is_some() => {}
                _ => both.more = true,
            }
        }
        both
    }
}

impl Translation {
    /// Whether it is for what leaves by that interface, as far as it can be told.
    pub(super) fn is_for(&self, interface: &str) -> bool {
        match &self.condition.interface {
            Some((Test::Is, name)) => name == interface,
            Some((Test::IsNot, name)) => name != interface,
            None => true,
        }
    }

    /// Whether sources of that network are given another one, as far as it can be told.
    pub(super) fn covers(&self, network: Ipv4Net) -> bool {
        match &self.condition.source {
            Some((Test::Is, net)) => net.contains(&network) || network.contains(net),
            Some((Test::IsNot, net)) => !net.contains(&network),
            None => true,
        }
    }

    /// The network that it is for alone, where it says so.
    pub(super) fn source(&self) -> Option<Ipv4Net> {
        match self.condition.source {
            Some((Test::Is, net)) => Some(net),
            _ => None,
        }
    }

    /// The address that it gives, where it is one.
    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        match self.gives {
            SourceTranslation::To(address) => Some(address),
            _ => None,
        }
    }

    /// Whether it gives whatever address the interface has.
    pub(super) fn masquerades(&self) -> bool {
        self.gives == SourceTranslation::OfDevice
    }
}

/// `snat to 198.51.100.2 for 192.0.2.0/24, table ip nat chain POSTROUTING`
impl fmt::Display for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gives {
            SourceTranslation::To(address) => write!(f, "snat to {address}")?,
            SourceTranslation::OfDevice => f.write_str("masquerade")?,
            SourceTranslation::Unclear => f.write_str("snat to an address that is not plain")?,
        }
        match self.condition.source {
            Some((Test::Is, net)) => write!(f, " for {net}")?,
            Some((Test::IsNot, net)) => write!(f, " for all but {net}")?,
            None => {}
        }
        if self.condition.more {
            f.write_str(" (for some of it)")?;
        }
        write!(f, ", table {} chain {}", self.table, self.chain)
    }
}

#[cfg(test)]
mod tests {
    use multiwan_kernel::nft::Base;

    use super::*;

    fn chain(name: &str) -> Chain {
        Chain::base(name, Base::new(Kind::Nat, Hook::Postrouting, 100))
    }

    fn leaves_by(name: &str) -> Statement {
        Statement::OutputInterface(Test::Is, name.into())
    }

    #[test]
    fn a_chain_that_is_jumped_to_is_for_what_jumps_there() {
        let mut table = Table::new(Family::Inet, "fw4");
        let mut base = chain("srcnat");
        base.rule([leaves_by("wan"), Verdict::Jump("srcnat_wan".into()).into()]);
        let mut wan = Chain::regular("srcnat_wan");
        let ipv4 = Statement::EtherType(Test::Is, 0x0800);
        wan.rule([ipv4, Statement::Masquerade]);
        table.chains = vec![base, wan];

        let found = translations(&[table]);
        let [only] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert!(only.is_for("wan") && !only.is_for("lan"));
        let shown = "masquerade (for some of it), table inet fw4 chain srcnat_wan";
        assert_eq!(only.to_string(), shown);
    }

    #[test]
    fn sources_are_those_of_the_rule() {
        let mut table = Table::new(Family::Ip, "nat");
        let lan: Ipv4Net = "192.0.2.0/24".parse().unwrap();
        let mut base = chain("POSTROUTING");
        base.rule([
            leaves_by("eth1"),
            Statement::Source(Test::Is, lan),
            Statement::SourceNat([198, 51, 100, 2].into()),
        ]);
        table.chains = vec![base];

        let found = translations(&[table]);
        assert!(found[0].covers(lan) && !found[0].covers("10.0.0.0/8".parse().unwrap()));
        assert_eq!(found[0].address(), Some([198, 51, 100, 2].into()));
        assert_eq!(
            found[0].to_string(),
            "snat to 198.51.100.2 for 192.0.2.0/24, table ip nat chain POSTROUTING"
        );
    }

    #[test]
    fn what_is_elsewhere_or_asleep_is_not_told() {
        let mut asleep = Table::new(Family::Ip, "asleep");
        let mut base = chain("here");
        base.rule([Statement::Masquerade]);
        asleep.chains = vec![base.clone()];
        asleep.dormant = true;
        let mut six = asleep.clone();
        six.family = Family::Ip6;
        six.dormant = false;
        assert_eq!(translations(&[asleep, six]), []);
    }

    /// The kernel allows no such thing; a listing that is torn may.
    #[test]
    fn a_circle_ends() {
        let mut table = Table::new(Family::Ip, "nat");
        let mut base = chain("a");
        base.rule([Verdict::Jump("a".into()).into()]);
        table.chains = vec![base];
        assert_eq!(translations(&[table]), []);
    }
}
