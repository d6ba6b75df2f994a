//! The kernel's instructions, and how netlink carries them (`linux/netfilter/nf_tables.h`).
//!
//! A rule is a list of them. All of ours work on register 1, as those of `nft` do: a value is loaded, masked, compared
//! or stored.

use super::{
    numbers::*,
    statement::{Counter, Reject, Test, Unknown, Unreachable, Verdict},
    wire::{Attributes, Nest},
};

/// `NFT_REG_VERDICT` and `NFT_REG_1`.
const VERDICT: u32 = 0;
const REGISTER: u32 = 1;

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    Load(Load),
    Bitwise {
        mask: Vec<u8>,
        xor: Vec<u8>,
    },
    /// Of the register's first two bytes, to network byte order.
    Swap16,
    Compare(Test, Vec<u8>),
    Immediate(Vec<u8>),
    Store(Store),
    Counter(Counter),
    SourceNat,
    DestinationNat,
    Masquerade,
    Verdict(Verdict),
    Reject(Reject),
    Other(Unknown),
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Meta(u32),
    Conntrack { key: u32, direction: Option<u8> },
    Payload { base: u32, offset: u32, length: u32 },
    Route(u32),
    Fib { result: u32, flags: u32 },
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Meta(u32),
    Conntrack(u32),
    /// The segment size option of a SYN, two bytes.
    SegmentSize,
}

impl Expression {
    /// Appends it to a rule's list.
    pub(super) fn write(&self, list: &mut Attributes) {
        list.nest(NFTA_LIST_ELEM, |element| {
            element.string(NFTA_EXPR_NAME, self.name());
            element.nest(NFTA_EXPR_DATA, |data| self.write_data(data));
        });
    }

    /// Reads an element of a rule's list.
    pub(super) fn read(element: Nest<'_>) -> Self {
        let name = element.string(NFTA_EXPR_NAME).unwrap_or_default();
        let data = element.nest(NFTA_EXPR_DATA).unwrap_or(Nest::new(&[]));
        Self::read_data(name, data).unwrap_or_else(|| {
            Self::Other(Unknown {
                name: name.to_owned(),
                attributes: data.as_bytes().to_owned(),
            })
        })
    }

    /// The kernel's name for it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Load(Load::Meta(_)) | Self::Store(Store::Meta(_)) => "meta",
            Self::Load(Load::Conntrack { .. }) | Self::Store(Store::Conntrack(_)) => "ct",
            Self::Load(Load::Payload { .. }) => "payload",
            Self::Load(Load::Route(_)) => "rt",
            Self::Load(Load::Fib { .. }) => "fib",
            Self::Store(Store::SegmentSize) => "exthdr",
            Self::Bitwise { .. } => "bitwise",
            Self::Swap16 => "byteorder",
            Self::Compare(..) => "cmp",
            Self::Immediate(_) | Self::Verdict(_) => "immediate",
            Self::Counter(_) => "counter",
            Self::SourceNat | Self::DestinationNat => "nat",
            Self::Masquerade => "masq",
            Self::Reject(_) => "reject",
            Self::Other(unknown) => &unknown.name,
        }
    }

    /// The same as something without a name here.
    pub(super) fn into_unknown(self) -> Unknown {
        let mut data = Attributes::new();
        self.write_data(&mut data);
        Unknown {
            name: self.name().to_owned(),
            attributes: data.into_bytes(),
        }
    }

    fn write_data(&self, data: &mut Attributes) {
        match self {
            Self::Load(Load::Meta(key)) => {
                data.u32(meta::KEY, *key);
                data.u32(meta::DREG, REGISTER);
            }
            Self::Load(Load::Conntrack { key, direction }) => {
                data.u32(ct::KEY, *key);
                data.u32(ct::DREG, REGISTER);
                if let Some(direction) = direction {
                    data.bytes(ct::DIRECTION, &[*direction]);
                }
            }
            Self::Load(Load::Payload {
                base,
                offset,
                length,
            }) => {
                data.u32(payload::DREG, REGISTER);
                data.u32(payload::BASE, *base);
                data.u32(payload::OFFSET, *offset);
                data.u32(payload::LEN, *length);
            }
            Self::Load(Load::Route(key)) => {
                data.u32(rt::KEY, *key);
                data.u32(rt::DREG, REGISTER);
            }
            Self::Load(Load::Fib { result, flags }) => {
                data.u32(fib::DREG, REGISTER);
                data.u32(fib::RESULT, *result);
                data.u32(fib::FLAGS, *flags);
            }
            Self::Store(Store::Meta(key)) => {
                data.u32(meta::KEY, *key);
                data.u32(meta::SREG, REGISTER);
            }
            Self::Store(Store::Conntrack(key)) => {
                data.u32(ct::KEY, *key);
                data.u32(ct::SREG, REGISTER);
            }
            Self::Store(Store::SegmentSize) => {
                data.u32(exthdr::SREG, REGISTER);
                data.bytes(exthdr::TYPE, &[exthdr::MAXSEG]);
                data.u32(exthdr::OFFSET, exthdr::MAXSEG_OFFSET);
                data.u32(exthdr::LEN, 2);
                data.u32(exthdr::OP, exthdr::OP_TCPOPT);
            }
            Self::Bitwise { mask, xor } => {
                data.u32(bitwise::SREG, REGISTER);
                data.u32(bitwise::DREG, REGISTER);
                data.u32(bitwise::LEN, mask.len() as u32);
                data.nest(bitwise::MASK, |value| value.bytes(NFTA_DATA_VALUE, mask));
                data.nest(bitwise::XOR, |value| value.bytes(NFTA_DATA_VALUE, xor));
            }
            Self::Swap16 => {
                data.u32(byteorder::SREG, REGISTER);
                data.u32(byteorder::DREG, REGISTER);
                data.u32(byteorder::OP, byteorder::HTON);
                data.u32(byteorder::LEN, 2);
                data.u32(byteorder::SIZE, 2);
            }
            Self::Compare(test, value) => {
                data.u32(cmp::SREG, REGISTER);
                data.u32(cmp::OP, matches!(test, Test::IsNot).into());
                data.nest(cmp::DATA, |data| data.bytes(NFTA_DATA_VALUE, value));
            }
            Self::Immediate(value) => {
                data.u32(immediate::DREG, REGISTER);
                data.nest(immediate::DATA, |data| data.bytes(NFTA_DATA_VALUE, value));
            }
            Self::Verdict(verdict) => {
                data.u32(immediate::DREG, VERDICT);
                data.nest(immediate::DATA, |data| {
                    data.nest(NFTA_DATA_VERDICT, |data| write_verdict(verdict, data));
                });
            }
            // A counter begins at 0, whatever it had counted when it was read.
            Self::Counter(_) | Self::Masquerade => {}
            Self::SourceNat | Self::DestinationNat => {
                let kind = match self {
                    Self::SourceNat => nat::SOURCE,
                    _ => nat::DESTINATION,
                };
                data.u32(nat::TYPE, kind);
                data.u32(nat::FAMILY, libc::NFPROTO_IPV4 as u32);
                data.u32(nat::REG_ADDR_MIN, REGISTER);
            }
            Self::Reject(Reject::TcpReset) => data.u32(reject::TYPE, reject::TCP_RESET),
            Self::Reject(Reject::Icmp(reason)) => {
                data.u32(reject::TYPE, reject::ICMP_UNREACH);
                data.bytes(reject::ICMP_CODE, &[reason.code()]);
            }
            Self::Other(unknown) => data.raw(&unknown.attributes),
        }
    }

    /// None for everything that would not be written by [`write_data`](Self::write_data): another register, another
    /// operation, an option that we have no word for.
    fn read_data(name: &str, data: Nest<'_>) -> Option<Self> {
        let register = |kind| (data.u32(kind)? == REGISTER).then_some(());
        let value = |kind| data.nest(kind)?.get(NFTA_DATA_VALUE).map(<[u8]>::to_vec);
        let only = |kinds: &[u16]| data.only(kinds).then_some(());
        let expression = match name {
            "meta" if data.get(meta::SREG).is_some() => {
                register(meta::SREG)?;
                Self::Store(Store::Meta(data.u32(meta::KEY)?))
            }
            "meta" => {
                register(meta::DREG)?;
                Self::Load(Load::Meta(data.u32(meta::KEY)?))
            }
            "ct" if data.get(ct::SREG).is_some() => {
                register(ct::SREG)?;
                only(&[ct::KEY, ct::SREG])?;
                Self::Store(Store::Conntrack(data.u32(ct::KEY)?))
            }
            "ct" => {
                register(ct::DREG)?;
                Self::Load(Load::Conntrack {
                    key: data.u32(ct::KEY)?,
                    direction: data.u8(ct::DIRECTION),
                })
            }
            "payload" => {
                register(payload::DREG)?;
                Self::Load(Load::Payload {
                    base: data.u32(payload::BASE)?,
                    offset: data.u32(payload::OFFSET)?,
                    length: data.u32(payload::LEN)?,
                })
            }
            "rt" => {
                register(rt::DREG)?;
                Self::Load(Load::Route(data.u32(rt::KEY)?))
            }
            "fib" => {
                register(fib::DREG)?;
                Self::Load(Load::Fib {
                    result: data.u32(fib::RESULT)?,
                    flags: data.u32(fib::FLAGS)?,
                })
            }
            "exthdr" => {
                register(exthdr::SREG)?;
                let option = (
                    data.u8(exthdr::TYPE)?,
                    data.u32(exthdr::OFFSET)?,
                    data.u32(exthdr::LEN)?,
                );
                let ours = option == (exthdr::MAXSEG, exthdr::MAXSEG_OFFSET, 2)
                    && data.u32(exthdr::OP) == Some(exthdr::OP_TCPOPT)
                    && data.u32(exthdr::FLAGS).unwrap_or(0) == 0;
                ours.then_some(Self::Store(Store::SegmentSize))?
            }
            "bitwise" => {
                register(bitwise::SREG)?;
                register(bitwise::DREG)?;
                (data.u32(bitwise::OP).unwrap_or(0) == 0).then_some(())?;
                Self::Bitwise {
                    mask: value(bitwise::MASK)?,
                    xor: value(bitwise::XOR)?,
                }
            }
            "byteorder" => {
                register(byteorder::SREG)?;
                register(byteorder::DREG)?;
                let swap =
                    [byteorder::OP, byteorder::LEN, byteorder::SIZE].map(|kind| data.u32(kind));
                (swap == [Some(byteorder::HTON), Some(2), Some(2)]).then_some(Self::Swap16)?
            }
            "cmp" => {
                register(cmp::SREG)?;
                let test = match data.u32(cmp::OP)? {
                    0 => Test::Is,
                    1 => Test::IsNot,
                    _ => return None,
                };
                Self::Compare(test, value(cmp::DATA)?)
            }
            "immediate" if data.u32(immediate::DREG) == Some(VERDICT) => Self::Verdict(
                read_verdict(data.nest(immediate::DATA)?.nest(NFTA_DATA_VERDICT)?)?,
            ),
            "immediate" => {
                register(immediate::DREG)?;
                Self::Immediate(value(immediate::DATA)?)
            }
            "counter" => Self::Counter(Counter {
                packets: data.u64(counter::PACKETS).unwrap_or(0),
                bytes: data.u64(counter::BYTES).unwrap_or(0),
            }),
            "nat" => {
                only(&[
                    nat::TYPE,
                    nat::FAMILY,
                    nat::REG_ADDR_MIN,
                    nat::REG_ADDR_MAX,
                    nat::FLAGS,
                ])?;
                register(nat::REG_ADDR_MIN)?;
                let ours = data.u32(nat::FLAGS).unwrap_or(0) & !nat::MAP_IPS == 0
                    && data.u32(nat::FAMILY) == Some(libc::NFPROTO_IPV4 as u32)
                    && data
                        .u32(nat::REG_ADDR_MAX)
                        .is_none_or(|register| register == REGISTER);
                match data.u32(nat::TYPE)? {
                    nat::SOURCE if ours => Self::SourceNat,
                    nat::DESTINATION if ours => Self::DestinationNat,
                    _ => None?,
                }
            }
            "masq" => {
                only(&[])?;
                Self::Masquerade
            }
            "reject" => match data.u32(reject::TYPE)? {
                reject::TCP_RESET => Self::Reject(Reject::TcpReset),
                reject::ICMP_UNREACH => Self::Reject(Reject::Icmp(Unreachable::from_code(
                    data.u8(reject::ICMP_CODE)?,
                )?)),
                _ => return None,
            },
            _ => return None,
        };
        Some(expression)
    }
}

fn write_verdict(verdict: &Verdict, data: &mut Attributes) {
    let (code, chain) = match verdict {
        Verdict::Drop => (0, None),
        Verdict::Accept => (1, None),
        Verdict::Jump(chain) => (libc::NFT_JUMP, Some(chain)),
        Verdict::Goto(chain) => (libc::NFT_GOTO, Some(chain)),
        Verdict::Return => (libc::NFT_RETURN, None),
    };
    data.u32(NFTA_VERDICT_CODE, code as u32);
    if let Some(chain) = chain {
        data.string(NFTA_VERDICT_CHAIN, chain);
    }
}

fn read_verdict(data: Nest<'_>) -> Option<Verdict> {
    let chain = || data.string(NFTA_VERDICT_CHAIN).map(str::to_owned);
    Some(match data.u32(NFTA_VERDICT_CODE)? as i32 {
        0 => Verdict::Drop,
        1 => Verdict::Accept,
        libc::NFT_JUMP => Verdict::Jump(chain()?),
        libc::NFT_GOTO => Verdict::Goto(chain()?),
        libc::NFT_RETURN => Verdict::Return,
        _ => return None,
    })
}
