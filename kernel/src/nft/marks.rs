//! Which bits of marks a rule may change, also where somebody else wrote it.

use super::{
    numbers::{ct, meta, target},
    statement::{Statement, Unknown},
    wire::Nest,
};

/// `NFT_META_MARK` and `NFT_CT_MARK`.
const META_MARK: u32 = 3;
const CT_MARK: u32 = 3;
/// `XT_CONNMARK_RESTORE`.
const RESTORE: u8 = 2;

impl Statement {
    /// The bits of the packet's or the connection's mark that this may change; 0 for what changes
    /// no mark. All bits where the value is not a constant, as with `meta mark set ct mark`.
    ///
    /// What `iptables-nft` puts there (`-j MARK`, `-j CONNMARK`) is understood too.
    pub fn changed_mark_bits(&self) -> u32 {
        match self {
            Self::SetConntrackMark(mark) | Self::SetPacketMark(mark) => mark.mask(),
            Self::Unknown(unknown) => unknown.changed_mark_bits(),
            _ => 0,
        }
    }
}

impl Unknown {
    fn changed_mark_bits(&self) -> u32 {
        let data = Nest::new(&self.attributes);
        let stores = |source, key, mark| data.get(source).is_some() && data.u32(key) == Some(mark);
        match self.name.as_str() {
            "meta" if stores(meta::SREG, meta::KEY, META_MARK) => u32::MAX,
            "ct" if stores(ct::SREG, ct::KEY, CT_MARK) => u32::MAX,
            "target" => bits_of_target(data).unwrap_or(0),
            _ => 0,
        }
    }
}

/// `struct xt_mark_tginfo2` and `struct xt_connmark_tginfo1`, in the host's byte order.
fn bits_of_target(data: Nest<'_>) -> Option<u32> {
    let info = data.get(target::INFO)?;
    let word = |at: usize| {
        let bytes = info.get(4 * at..4 * at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    match data.string(target::NAME)? {
        "MARK" => Some(word(0)? | word(1)?),
        "CONNMARK" if info.get(12) == Some(&RESTORE) => word(2),
        "CONNMARK" => Some(word(0)? | word(1)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::Mark;
    use super::super::wire::Attributes;
    use super::*;

    fn unknown(name: &str, write: impl FnOnce(&mut Attributes)) -> u32 {
        let mut attributes = Attributes::new();
        write(&mut attributes);
        Statement::Unknown(Unknown {
            name: name.into(),
            attributes: attributes.into_bytes(),
        })
        .changed_mark_bits()
    }

    #[test]
    fn a_constant_changes_the_bits_of_its_mask() {
        let set = Statement::SetPacketMark(Mark::new(0x100, 0x3f00));
        assert_eq!(set.changed_mark_bits(), 0x3f00);
        assert_eq!(
            Statement::PacketMark(super::super::Test::Is, Mark::new(1, 1)).changed_mark_bits(),
            0
        );
    }

    #[test]
    fn a_copy_changes_all_bits_and_a_test_none() {
        let copy = unknown("meta", |data| {
            data.u32(meta::KEY, META_MARK);
            data.u32(meta::SREG, 1);
        });
        let load = unknown("meta", |data| {
            data.u32(meta::KEY, META_MARK);
            data.u32(meta::DREG, 1);
        });
        assert_eq!((copy, load), (u32::MAX, 0));
    }

    #[test]
    fn iptables_targets_change_what_they_say() {
        let words = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_ne_bytes()).collect()
        };
        let changed_by = |name: &str, info: Vec<u8>| {
            unknown("target", |data| {
                data.string(target::NAME, name);
                data.bytes(target::INFO, &info);
            })
        };
        assert_eq!(changed_by("MARK", words(&[0x40, 0xff])), 0xff);
        let restore = [words(&[0, u32::MAX, 0xff00]), vec![RESTORE, 0, 0, 0]].concat();
        assert_eq!(changed_by("CONNMARK", restore), 0xff00);
        assert_eq!(changed_by("LOG", words(&[1, 2])), 0);
    }
}
