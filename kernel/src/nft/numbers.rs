//! The attributes of each instruction, by their numbers in `linux/netfilter/nf_tables.h` (`NFTA_*`).

pub(super) mod meta {
    pub(in crate::nft) const DREG: u16 = 1;
    pub(in crate::nft) const KEY: u16 = 2;
    pub(in crate::nft) const SREG: u16 = 3;
}

pub(super) mod ct {
    pub(in crate::nft) const DREG: u16 = 1;
    pub(in crate::nft) const KEY: u16 = 2;
    pub(in crate::nft) const DIRECTION: u16 = 3;
    pub(in crate::nft) const SREG: u16 = 4;
    /// Keys that libc has no names for.
    pub(in crate::nft) const ZONE: i32 = 17;
    pub(in crate::nft) const SRC_IP: i32 = 19;
    pub(in crate::nft) const DST_IP: i32 = 20;
}

pub(super) mod payload {
    pub(in crate::nft) const DREG: u16 = 1;
    pub(in crate::nft) const BASE: u16 = 2;
    pub(in crate::nft) const OFFSET: u16 = 3;
    pub(in crate::nft) const LEN: u16 = 4;
}

pub(super) mod rt {
    pub(in crate::nft) const DREG: u16 = 1;
    pub(in crate::nft) const KEY: u16 = 2;
    /// Keys.
    pub(in crate::nft) const NEXTHOP4: u32 = 1;
    pub(in crate::nft) const NEXTHOP6: u32 = 2;
    pub(in crate::nft) const TCPMSS: u32 = 3;
}

pub(super) mod fib {
    pub(in crate::nft) const DREG: u16 = 1;
    pub(in crate::nft) const RESULT: u16 = 2;
    pub(in crate::nft) const FLAGS: u16 = 3;
    /// Results.
    pub(in crate::nft) const OIF: u32 = 1;
    pub(in crate::nft) const OIFNAME: u32 = 2;
    pub(in crate::nft) const ADDRTYPE: u32 = 3;
}

pub(super) mod exthdr {
    pub(in crate::nft) const TYPE: u16 = 2;
    pub(in crate::nft) const OFFSET: u16 = 3;
    pub(in crate::nft) const LEN: u16 = 4;
    pub(in crate::nft) const FLAGS: u16 = 5;
    pub(in crate::nft) const OP: u16 = 6;
    pub(in crate::nft) const SREG: u16 = 7;
    /// `NFT_EXTHDR_OP_TCPOPT`.
    pub(in crate::nft) const OP_TCPOPT: u32 = 1;
    /// TCP option 2; its value comes after its kind and length.
    pub(in crate::nft) const MAXSEG: u8 = 2;
    pub(in crate::nft) const MAXSEG_OFFSET: u32 = 2;
}

pub(super) mod bitwise {
    pub(in crate::nft) const SREG: u16 = 1;
    pub(in crate::nft) const DREG: u16 = 2;
    pub(in crate::nft) const LEN: u16 = 3;
    pub(in crate::nft) const MASK: u16 = 4;
    pub(in crate::nft) const XOR: u16 = 5;
    /// 0, a mask and an exclusive or; kernels before 5.6 have no other and no attribute for it.
    pub(in crate::nft) const OP: u16 = 6;
    /// How far a shift goes.
    pub(in crate::nft) const DATA: u16 = 7;
    pub(in crate::nft) const MASK_XOR: u32 = 0;
    pub(in crate::nft) const LSHIFT: u32 = 1;
    pub(in crate::nft) const RSHIFT: u32 = 2;
}

pub(super) mod byteorder {
    pub(in crate::nft) const SREG: u16 = 1;
    pub(in crate::nft) const DREG: u16 = 2;
    pub(in crate::nft) const OP: u16 = 3;
    pub(in crate::nft) const LEN: u16 = 4;
    pub(in crate::nft) const SIZE: u16 = 5;
    pub(in crate::nft) const HTON: u32 = 1;
}

pub(super) mod cmp {
    pub(in crate::nft) const SREG: u16 = 1;
    pub(in crate::nft) const OP: u16 = 2;
    pub(in crate::nft) const DATA: u16 = 3;
}

pub(super) mod immediate {
    pub(in crate::nft) const DREG: u16 = 1;
    pub(in crate::nft) const DATA: u16 = 2;
}

pub(super) mod counter {
    pub(in crate::nft) const BYTES: u16 = 1;
    pub(in crate::nft) const PACKETS: u16 = 2;
}

pub(super) mod nat {
    pub(in crate::nft) const TYPE: u16 = 1;
    pub(in crate::nft) const FAMILY: u16 = 2;
    pub(in crate::nft) const REG_ADDR_MIN: u16 = 3;
    pub(in crate::nft) const REG_ADDR_MAX: u16 = 4;
    pub(in crate::nft) const REG_PROTO_MIN: u16 = 5;
    pub(in crate::nft) const REG_PROTO_MAX: u16 = 6;
    pub(in crate::nft) const FLAGS: u16 = 7;
    pub(in crate::nft) const SOURCE: u32 = 0;
    pub(in crate::nft) const DESTINATION: u32 = 1;
    /// `NF_NAT_RANGE_MAP_IPS`: the kernel's own note that there is an address.
    pub(in crate::nft) const MAP_IPS: u32 = 1;
}

pub(super) mod reject {
    pub(in crate::nft) const TYPE: u16 = 1;
    pub(in crate::nft) const ICMP_CODE: u16 = 2;
    pub(in crate::nft) const ICMP_UNREACH: u32 = 0;
    pub(in crate::nft) const TCP_RESET: u32 = 1;
    pub(in crate::nft) const ICMPX_UNREACH: u32 = 2;
}

pub(super) mod masq {
    pub(in crate::nft) const FLAGS: u16 = 1;
    pub(in crate::nft) const PROTO_MIN: u16 = 2;
    pub(in crate::nft) const PROTO_MAX: u16 = 3;
}

pub(super) mod redir {
    pub(in crate::nft) const PROTO_MIN: u16 = 1;
    pub(in crate::nft) const PROTO_MAX: u16 = 2;
    pub(in crate::nft) const FLAGS: u16 = 3;
}

pub(super) mod range {
    pub(in crate::nft) const SREG: u16 = 1;
    pub(in crate::nft) const OP: u16 = 2;
    pub(in crate::nft) const FROM: u16 = 3;
    pub(in crate::nft) const TO: u16 = 4;
}

pub(super) mod lookup {
    pub(in crate::nft) const SET: u16 = 1;
    pub(in crate::nft) const SREG: u16 = 2;
    pub(in crate::nft) const DREG: u16 = 3;
    pub(in crate::nft) const FLAGS: u16 = 5;
    /// `NFT_LOOKUP_F_INV`
    pub(in crate::nft) const INVERSE: u32 = 1;
}

pub(super) mod numgen {
    pub(in crate::nft) const DREG: u16 = 1;
    pub(in crate::nft) const MODULUS: u16 = 2;
    pub(in crate::nft) const TYPE: u16 = 3;
    pub(in crate::nft) const OFFSET: u16 = 4;
}

pub(super) mod hash {
    pub(in crate::nft) const SREG: u16 = 1;
    pub(in crate::nft) const DREG: u16 = 2;
    pub(in crate::nft) const MODULUS: u16 = 4;
    pub(in crate::nft) const OFFSET: u16 = 6;
}

pub(super) mod limit {
    pub(in crate::nft) const RATE: u16 = 1;
    pub(in crate::nft) const UNIT: u16 = 2;
    pub(in crate::nft) const BURST: u16 = 3;
    pub(in crate::nft) const TYPE: u16 = 4;
    pub(in crate::nft) const FLAGS: u16 = 5;
    /// `NFT_LIMIT_PKT_BYTES`
    pub(in crate::nft) const BYTES: u32 = 1;
    /// `NFT_LIMIT_F_INV`
    pub(in crate::nft) const INVERSE: u32 = 1;
}

pub(super) mod log {
    pub(in crate::nft) const GROUP: u16 = 1;
    pub(in crate::nft) const PREFIX: u16 = 2;
}

pub(super) mod queue {
    pub(in crate::nft) const NUMBER: u16 = 1;
}

/// An extension of iptables, as `iptables-nft` puts it there.
pub(super) mod target {
    pub(in crate::nft) const NAME: u16 = 1;
    pub(in crate::nft) const REVISION: u16 = 2;
    pub(in crate::nft) const INFO: u16 = 3;
}
