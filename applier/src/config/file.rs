//! The file as it is written: TOML tables, every value with its place in the text.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::{Established, Spread};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) spread: Spread,
    #[serde(default)]
    pub(super) established: Established,
    pub(super) release_after: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) lan: OneOrMany<Lan>,
    #[serde(default)]
    pub(super) line: Vec<Spanned<Line>>,
    #[serde(default)]
    pub(super) keepalive: Keepalive,
    #[serde(default)]
    pub(super) pin: Vec<Spanned<Pin>>,
    #[serde(default)]
    pub(super) kernel: Kernel,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lan {
    pub(super) interface: Spanned<String>,
    pub(super) address: Spanned<String>,
    #[serde(default)]
    pub(super) networks: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) name: Spanned<String>,
    pub(super) interface: Spanned<String>,
    pub(super) address: Spanned<String>,
    pub(super) broadcast: Option<Spanned<String>>,
    pub(super) gateway: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) onlink: bool,
    #[serde(default)]
    pub(super) keep: Vec<Spanned<String>>,
    pub(super) weight: Option<Spanned<i64>>,
    pub(super) number: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) backup: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keepalive {
    pub(super) interval: Option<Spanned<String>>,
    pub(super) timeout: Option<Spanned<String>>,
    pub(super) failures: Option<Spanned<i64>>,
    pub(super) successes: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) targets: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    pub(super) to: Option<Spanned<String>>,
    pub(super) from: Option<Spanned<String>>,
    pub(super) protocol: Option<Spanned<Protocol>>,
    pub(super) port: Option<Spanned<i64>>,
    pub(super) line: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"tcp\", \"udp\", \"icmp\" or a number from 1 to 255"
)]
pub(super) enum Protocol {
    Number(i64),
    Name(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kernel {
    pub(super) main_priority: Option<Spanned<i64>>,
    pub(super) first_table: Option<Spanned<i64>>,
    pub(super) balance_table: Option<Spanned<i64>>,
    pub(super) mark_mask: Option<Spanned<Mask>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a mask such as \"0x3f00\"")]
pub(super) enum Mask {
    Number(i64),
    Text(String),
}

/// `[lan]` or `[[lan]]`.
#[derive(Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<Spanned<T>>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrManyVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table, or an array of tables")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let one = T::deserialize(MapAccessDeserializer::new(map))?;
                Ok(OneOrMany(vec![Spanned::new(0..0, one)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut many: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = many.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMany(all))
            }
        }

        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}
