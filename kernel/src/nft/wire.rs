//! Netlink attributes as nfnetlink has them: integers in network byte order, strings ending with NUL, nests flagged.

use netlink_packet_core::{
    Emitable, NLA_F_NESTED, NLA_HEADER_SIZE, NLM_F_REQUEST, NetlinkHeader, NlasIterator,
};

/// Length of a netlink header and of the `nfgenmsg` after it.
pub(super) const NETLINK_HEADER: usize = 16;
pub(super) const NETFILTER_HEADER: usize = 4;

/// Appends a request: `kind` is subsystem and message, `resource` the batch's subsystem or 0.
pub(super) fn frame(
    buffer: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    (family, resource): (u8, u16),
    attributes: &[u8],
) {
    let mut header = NetlinkHeader::default();
    header.length = (NETLINK_HEADER + NETFILTER_HEADER + attributes.len()) as u32;
    header.message_type = kind;
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = sequence;

    let start = buffer.len();
    buffer.resize(start + NETLINK_HEADER, 0);
    header.emit(&mut buffer[start..]);
    buffer.extend_from_slice(&[family, libc::NFNETLINK_V0 as u8]);
    buffer.extend_from_slice(&resource.to_be_bytes());
    buffer.extend_from_slice(attributes);
}

/// A message of the nftables subsystem.
pub(super) const fn nftables(message: i32) -> u16 {
    ((libc::NFNL_SUBSYS_NFTABLES as u16) << 8) | message as u16
}

/// Attributes being written.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    bytes: Vec<u8>,
}

impl Attributes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What somebody else has written, as it is.
    pub(super) fn raw(&mut self, attributes: &[u8]) {
        self.bytes.extend_from_slice(attributes);
    }

    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind, |attributes| attributes.bytes.extend_from_slice(value));
    }

    pub(super) fn string(&mut self, kind: u16, value: &str) {
        self.attribute(kind, |attributes| {
            attributes.bytes.extend_from_slice(value.as_bytes());
            attributes.bytes.push(0);
        });
    }

    pub(super) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(super) fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) {
        self.attribute(kind | NLA_F_NESTED, inner);
    }

    /// The length is known, and filled in, once the value stands; what follows is aligned to 4 bytes.
    fn attribute(&mut self, kind: u16, value: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        value(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Attributes being read. What is truncated or of another length than asked for counts as absent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nest<'a> {
    bytes: &'a [u8],
}

impl<'a> Nest<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Kinds and values, in their order.
    pub(super) fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        NlasIterator::new(self.bytes)
            .map_while(Result::ok)
            .map(|attribute| {
                let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
                (kind, &attribute.into_inner()[NLA_HEADER_SIZE..length])
            })
    }

    /// The attribute that has this byte, and the byte's place in it, header included.
    pub(super) fn at(self, offset: usize) -> Option<(u16, &'a [u8], usize)> {
        let mut start = 0;
        for (kind, value) in self.iter() {
            let end = start + NLA_HEADER_SIZE + value.len().next_multiple_of(4);
            if (start..end).contains(&offset) {
                return Some((kind, value, offset - start));
            }
            start = end;
        }
        None
    }

    pub(super) fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.iter()
            .find(|(one, _)| *one == kind)
            .map(|(_, value)| value)
    }

    pub(super) fn nest(self, kind: u16) -> Option<Self> {
        self.get(kind).map(Self::new)
    }

    /// Whether there is nothing but these kinds.
    pub(super) fn only(self, kinds: &[u16]) -> bool {
        self.iter().all(|(kind, _)| kinds.contains(&kind))
    }

    pub(super) fn array<const N: usize>(self, kind: u16) -> Option<[u8; N]> {
        self.get(kind)?.try_into().ok()
    }

    pub(super) fn u8(self, kind: u16) -> Option<u8> {
        self.array(kind).map(u8::from_be_bytes)
    }

    pub(super) fn u16(self, kind: u16) -> Option<u16> {
        self.array(kind).map(u16::from_be_bytes)
    }

    pub(super) fn u32(self, kind: u16) -> Option<u32> {
        self.array(kind).map(u32::from_be_bytes)
    }

    pub(super) fn u64(self, kind: u16) -> Option<u64> {
        self.array(kind).map(u64::from_be_bytes)
    }

    pub(super) fn string(self, kind: u16) -> Option<&'a str> {
        text(self.get(kind)?)
    }
}

/// A string up to its NUL, if it has one.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).ok()
}
