//! What source a rule gives to what leaves, also where somebody else wrote it.

use std::net::Ipv4Addr;

use super::{
    numbers::{cmp, meta, nat, target},
    statement::{Statement, Unknown},
    table::Rule,
    wire::Nest,
};

const NFPROTO: u32 = libc::NFT_META_NFPROTO as u32;
/// `NFTA_DATA_VALUE`
const DATA_VALUE: u16 = 1;

/// What source a statement gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceTranslation {
    /// This address.
    To(Ipv4Addr),
    /// The first address of the device that the packet leaves by (`masquerade`).
    OfDevice,
    /// One of several, or one that is looked up.
    Unclear,
}

impl Statement {
    /// What source this gives; none for what leaves the source alone.
    ///
    /// What `iptables-nft` puts there (`-j SNAT`, `-j MASQUERADE`) is understood too.
    pub fn source_translation(&self) -> Option<SourceTranslation> {
        match self {
            Self::SourceNat(address) => Some(SourceTranslation::To(*address)),
            Self::Masquerade => Some(SourceTranslation::OfDevice),
            Self::Unknown(unknown) => unknown.source_translation(),
            _ => None,
        }
    }
}

impl Rule {
    /// Its statements without the test for IPv4 that nft puts before one of an address in family
    /// `inet`.
    pub fn statements_for_ipv4(&self) -> Vec<&Statement> {
        let mut rest = self.statements.as_slice();
        let mut statements = Vec::new();
        while let [first, tail @ ..] = rest {
            match tail {
                [second, behind @ ..] if is_test_for_ipv4(first, second) => rest = behind,
                _ => {
                    statements.push(first);
                    rest = tail;
                }
            }
        }
        statements
    }
}

/// `meta nfproto ipv4`
fn is_test_for_ipv4(load: &Statement, compare: &Statement) -> bool {
    let (Statement::Unknown(load), Statement::Unknown(compare)) = (load, compare) else {
        return false;
    };
    let (key, family) = (Nest::new(&load.attributes), Nest::new(&compare.attributes));
    load.name == "meta"
        && key.u32(meta::KEY) == Some(NFPROTO)
        && compare.name == "cmp"
        && family.u32(cmp::OP) == Some(0)
        && family.nest(cmp::DATA).and_then(|data| data.get(DATA_VALUE))
            == Some(&[libc::NFPROTO_IPV4 as u8])
}

impl Unknown {
    fn source_translation(&self) -> Option<SourceTranslation> {
        let data = Nest::new(&self.attributes);
        match self.name.as_str() {
            "masq" => Some(SourceTranslation::OfDevice),
            "nat" => {
                (data.u32(nat::TYPE) == Some(nat::SOURCE)).then_some(SourceTranslation::Unclear)
            }
            "target" => match data.string(target::NAME)? {
                "MASQUERADE" => Some(SourceTranslation::OfDevice),
                "SNAT" => Some(
                    only_address(data).map_or(SourceTranslation::Unclear, SourceTranslation::To),
                ),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The only address of `struct nf_nat_ipv4_multi_range_compat` (revision 0) or
/// `struct nf_nat_range` and its successor: flags, first and last address.
pub(super) fn only_address(data: Nest<'_>) -> Option<Ipv4Addr> {
    let info = data.get(target::INFO)?;
    // Before revision 1 comes how many ranges there are, and an address takes 4 bytes, not 16.
    let (flags, room) = match data.u32(target::REVISION) {
        None | Some(0) => (4, 4),
        _ => (0, 16),
    };
    let four = |at: usize| -> Option<[u8; 4]> { info.get(at..at + 4)?.try_into().ok() };
    let first = four(flags + 4)?;
    let one =
        u32::from_ne_bytes(four(flags)?) & nat::MAP_IPS != 0 && first == four(flags + 4 + room)?;
    one.then_some(first.into())
}

#[cfg(test)]
mod tests {
    use super::super::wire::Attributes;
    use super::*;

    fn unknown(name: &str, write: impl FnOnce(&mut Attributes)) -> Option<SourceTranslation> {
        let mut attributes = Attributes::new();
        write(&mut attributes);
        Statement::Unknown(Unknown {
            name: name.into(),
            attributes: attributes.into_bytes(),
        })
        .source_translation()
    }

    fn iptables(name: &str, revision: u32, info: &[&[u8]]) -> Option<SourceTranslation> {
        unknown("target", |data| {
            data.string(target::NAME, name);
            data.u32(target::REVISION, revision);
            data.bytes(target::INFO, &info.concat());
        })
    }

    const ADDRESS: [u8; 4] = [192, 0, 2, 1];
    const OTHER: [u8; 4] = [192, 0, 2, 9];

    #[test]
    fn iptables_snat_of_both_layouts() {
        let to = Some(SourceTranslation::To(ADDRESS.into()));
        let flags = nat::MAP_IPS.to_ne_bytes();
        let one = 1_u32.to_ne_bytes();
        let old = |last| iptables("SNAT", 0, &[&one, &flags, &ADDRESS, last, &[0; 4]]);
        assert_eq!(old(&ADDRESS), to);
        assert_eq!(old(&OTHER), Some(SourceTranslation::Unclear));
        let rest = [0; 12];
        let new = |last| iptables("SNAT", 2, &[&flags, &ADDRESS, &rest, last, &rest, &[0; 8]]);
        assert_eq!(new(&ADDRESS), to);
        assert_eq!(new(&OTHER), Some(SourceTranslation::Unclear));
    }

    #[test]
    fn the_test_for_ipv4_is_passed_over_and_others_are_not() {
        let part = |name: &str, write: &dyn Fn(&mut Attributes)| {
            let mut attributes = Attributes::new();
            write(&mut attributes);
            Statement::Unknown(Unknown {
                name: name.into(),
                attributes: attributes.into_bytes(),
            })
        };
        let load = |key| part("meta", &move |data| data.u32(meta::KEY, key));
        let is = |family: u8| {
            part("cmp", &move |data| {
                data.u32(cmp::OP, 0);
                data.nest(cmp::DATA, |data| data.bytes(DATA_VALUE, &[family]));
            })
        };
        let count = |load, compare| {
            let rule = Rule::new([load, compare, Statement::Masquerade]);
            rule.statements_for_ipv4().len()
        };
        assert_eq!(count(load(NFPROTO), is(2)), 1);
        assert_eq!(count(load(NFPROTO), is(10)), 3);
        assert_eq!(count(load(16), is(2)), 3);
    }

    #[test]
    fn what_gives_no_address_or_another_is_told_apart() {
        let device = Some(SourceTranslation::OfDevice);
        assert_eq!(iptables("MASQUERADE", 0, &[&[0; 20]]), device);
        assert_eq!(unknown("masq", |data| data.u32(1, 4)), device);
        assert_eq!(iptables("DNAT", 0, &[&[0; 20]]), None);
        let nat = |kind| unknown("nat", |data| data.u32(nat::TYPE, kind));
        assert_eq!(nat(nat::SOURCE), Some(SourceTranslation::Unclear));
        assert_eq!(nat(nat::DESTINATION), None);
        assert_eq!(
            Statement::DestinationNat(ADDRESS.into()).source_translation(),
            None
        );
    }
}
