//! The words for instructions that have no [`Statement`](super::Statement): what somebody else wrote, for a person to read.
//!
//! A statement that is not ours is several instructions, which hand values on in registers. They are followed here, so
//! that what is printed is `meta mark set ct mark` and no `<ct> <meta>`, much as `nft` would print it. What is in a
//! set is not known here: an anonymous one goes by the name that the kernel has for it. An instruction without a word
//! stands as `<name>`, which nft refuses: better than a rule without it.

mod form;
mod keys;

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter, Write},
};

use form::{Form, bits, four};
use keys::{conntrack_key, header, meta_key, routed};

use super::{
    extension,
    numbers::*,
    statement::{Unknown, Unreachable},
    wire::Nest,
};

/// `NFTA_DATA_VALUE`
const DATA_VALUE: u16 = 1;
/// `NFT_REG_VERDICT`, and the first of the registers of 16 bytes and of 4: the same place.
const VERDICT: u32 = 0;
const REGISTER: u32 = 1;
const REGISTER32: u32 = 8;

/// A run of instructions that follow each other.
pub(super) struct Foreign<'a>(pub &'a [&'a Unknown]);

impl Display for Foreign<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut registers = Registers::default();
        let mut words = Vec::new();
        for unknown in self.0 {
            match registers.run(&unknown.name, Nest::new(&unknown.attributes)) {
                Some(said) => words.extend(said),
                None => words.push(format!("<{}>", unknown.name)),
            }
        }
        // What was loaded and is used by nothing that has words.
        let unused = registers.0.into_values().filter(|held| !held.used);
        words.extend(unused.map(|held| held.value.text()));
        f.write_str(&words.join(" "))
    }
}

/// What a register holds.
enum Value {
    /// Something of the packet, by its name.
    Of(String, Form),
    Constant(Vec<u8>),
}

impl Value {
    fn text(&self) -> String {
        self.text_as(Form::Bytes)
    }

    /// A constant is read as what it is compared with, or put into.
    fn text_as(&self, form: Form) -> String {
        match self {
            Self::Of(name, _) => name.clone(),
            Self::Constant(bytes) => form.write(bytes),
        }
    }
}

struct Held {
    value: Value,
    /// Whether it has been compared; it may be again.
    used: bool,
}

#[derive(Default)]
struct Registers(BTreeMap<u32, Held>);

impl Registers {
    /// What an instruction does, once that can be told; nothing yet while it only loads. None where there is no word.
    fn run(&mut self, name: &str, data: Nest<'_>) -> Option<Option<String>> {
        let said = match name {
            "meta" if data.get(meta::SREG).is_some() => {
                let (key, form) = meta_key(data.u32(meta::KEY)?)?;
                let value = self.take(data.u32(meta::SREG)?)?.text_as(form);
                format!("meta {key} set {value}")
            }
            "ct" if data.get(ct::SREG).is_some() => {
                let (key, form) = conntrack_key(data.u32(ct::KEY)?)?;
                let value = self.take(data.u32(ct::SREG)?)?.text_as(form);
                format!("ct {key} set {value}")
            }
            "meta" | "ct" | "payload" | "rt" | "fib" | "numgen" | "hash" | "immediate"
            | "bitwise" | "byteorder" => {
                let value = self.value(name, data)?;
                self.put(data, name, value)?;
                return Some(None);
            }
            "cmp" => {
                let value = self.look(data.u32(cmp::SREG)?)?;
                let operator = ["", "!= ", "< ", "<= ", "> ", ">= "]
                    .get(data.u32(cmp::OP)? as usize)
                    .copied()?;
                compared(value, operator, constant(data, cmp::DATA)?)
            }
            "range" => {
                let value = self.look(data.u32(range::SREG)?)?;
                let ends = [range::FROM, range::TO].map(|end| constant(data, end));
                let [Some(from), Some(to)] = ends else {
                    return None;
                };
                let form = form_of(value);
                let not = if data.u32(range::OP)? == 1 { "!= " } else { "" };
                let ends = format!("{}-{}", form.write(from), form.write(to));
                format!("{} {not}{ends}", value.text())
            }
            "lookup" => {
                let value = self.take(data.u32(lookup::SREG)?)?.text();
                let set = data.string(lookup::SET)?;
                match data.u32(lookup::DREG) {
                    Some(VERDICT) => format!("{value} vmap @{set}"),
                    Some(register) => {
                        let found = Value::Of(format!("{value} map @{set}"), Form::Bytes);
                        self.hold(register, found);
                        return Some(None);
                    }
                    None if data.u32(lookup::FLAGS) == Some(lookup::INVERSE) => {
                        format!("{value} != @{set}")
                    }
                    None => format!("{value} @{set}"),
                }
            }
            "nat" => self.nat(data)?,
            "masq" => {
                let ports = self.ports(data, masq::PROTO_MIN, masq::PROTO_MAX)?;
                format!("masquerade{ports}{}", nat_flags(data, masq::FLAGS))
            }
            "redir" => {
                let ports = self.ports(data, redir::PROTO_MIN, redir::PROTO_MAX)?;
                format!("redirect{ports}{}", nat_flags(data, redir::FLAGS))
            }
            "limit" => limited(data)?,
            "log" => logged(data),
            "reject" => rejected(data)?,
            "queue" => format!("queue num {}", data.u16(queue::NUMBER)?),
            "notrack" => name.to_owned(),
            "match" | "target" => extension::text(name, data)?,
            _ => return None,
        };
        Some(Some(said))
    }

    /// What an instruction loads.
    fn value(&mut self, name: &str, data: Nest<'_>) -> Option<Value> {
        let (text, form) = match name {
            "immediate" => return Some(Value::Constant(constant(data, immediate::DATA)?.to_vec())),
            // The value's bytes are turned round, its meaning is not.
            "byteorder" => {
                let value = self.take(data.u32(byteorder::SREG)?)?;
                return Some(match value {
                    Value::Of(name, Form::Mark | Form::Number) => Value::Of(name, Form::Network),
                    value => value,
                });
            }
            "meta" => {
                let (key, form) = meta_key(data.u32(meta::KEY)?)?;
                let word = match form {
                    // nft knows these without a word before them.
                    Form::Name | Form::Index => "",
                    _ => "meta ",
                };
                (format!("{word}{key}"), form)
            }
            "ct" => {
                let (key, form) = conntrack_key(data.u32(ct::KEY)?)?;
                let direction = match data.u8(ct::DIRECTION) {
                    Some(0) => "original ",
                    Some(1) => "reply ",
                    _ => "",
                };
                (format!("ct {direction}{key}"), form)
            }
            "payload" => header(data)?,
            "rt" => match data.u32(rt::KEY)? {
                rt::NEXTHOP4 => ("rt ip nexthop".to_owned(), Form::Address),
                rt::NEXTHOP6 => ("rt ip6 nexthop".to_owned(), Form::Address),
                rt::TCPMSS => ("rt mtu".to_owned(), Form::Network),
                _ => return None,
            },
            "fib" => routed(data)?,
            "numgen" => {
                let kind = match data.u32(numgen::TYPE)? {
                    0 => "inc",
                    _ => "random",
                };
                let of = format!("numgen {kind} mod {}", data.u32(numgen::MODULUS)?);
                (of + &offset(data, numgen::OFFSET), Form::Number)
            }
            "hash" => {
                let of = match data.u32(hash::SREG) {
                    Some(register) => format!("jhash {}", self.take(register)?.text()),
                    None => "symhash".to_owned(),
                };
                let of = format!("{of} mod {}", data.u32(hash::MODULUS)?);
                (of + &offset(data, hash::OFFSET), Form::Number)
            }
            "bitwise" => self.bitwise(data)?,
            _ => return None,
        };
        Some(Value::Of(text, form))
    }

    fn bitwise(&mut self, data: Nest<'_>) -> Option<(String, Form)> {
        let value = self.take(data.u32(bitwise::SREG)?)?;
        let (mut text, form) = (value.text(), form_of(&value));
        match data.u32(bitwise::OP).unwrap_or(0) {
            bitwise::MASK_XOR => {
                let mask = constant(data, bitwise::MASK)?;
                let xor = constant(data, bitwise::XOR)?;
                if mask.iter().any(|byte| *byte != 0xff) {
                    let _ = write!(text, " & {}", bits(form, mask));
                }
                if xor.iter().any(|byte| *byte != 0) {
                    // What the mask has cleared is set, anything else is turned over.
                    let set = mask.iter().zip(xor).all(|(mask, xor)| mask & xor == 0);
                    let operator = if set { '|' } else { '^' };
                    let _ = write!(text, " {operator} {}", bits(form, xor));
                }
            }
            shift @ (bitwise::LSHIFT | bitwise::RSHIFT) => {
                let by = u32::from_ne_bytes(four(constant(data, bitwise::DATA)?)?);
                let operator = ["<<", ">>"][usize::from(shift == bitwise::RSHIFT)];
                let _ = write!(text, " {operator} {by}");
            }
            _ => return None,
        }
        Some((text, form))
    }

    fn nat(&mut self, data: Nest<'_>) -> Option<String> {
        // From the last register to the first: taking one takes those behind it.
        let ports = self.ports(data, nat::REG_PROTO_MIN, nat::REG_PROTO_MAX)?;
        let addresses = self.span(data, nat::REG_ADDR_MIN, nat::REG_ADDR_MAX, Form::Address)?;
        let kind = match data.u32(nat::TYPE)? {
            nat::SOURCE => "snat",
            _ => "dnat",
        };
        let to = match (addresses, ports.as_str()) {
            (Some(addresses), "") => format!(" to {addresses}"),
            (Some(addresses), ports) => {
                format!(" to {addresses}{}", ports.trim_start_matches(" to "))
            }
            (None, ports) => ports.to_owned(),
        };
        Some(format!("{kind}{to}{}", nat_flags(data, nat::FLAGS)))
    }

    /// ` to :8080`, or nothing where no port is given.
    fn ports(&mut self, data: Nest<'_>, first: u16, last: u16) -> Option<String> {
        let ports = self.span(data, first, last, Form::Network)?;
        Some(ports.map_or_else(String::new, |ports| format!(" to :{ports}")))
    }

    /// The values of the registers that two attributes name, as `first-last`.
    fn span(
        &mut self,
        data: Nest<'_>,
        first: u16,
        last: u16,
        form: Form,
    ) -> Option<Option<String>> {
        let Some(register) = data.u32(first) else {
            return Some(None);
        };
        let last = match data.u32(last) {
            Some(last) if last != register => Some(self.take(last)?.text_as(form)),
            _ => None,
        };
        let first = self.take(register)?.text_as(form);
        Some(Some(match last {
            Some(last) if last != first => format!("{first}-{last}"),
            _ => first,
        }))
    }

    fn put(&mut self, data: Nest<'_>, name: &str, value: Value) -> Option<()> {
        let kind = match name {
            "meta" => meta::DREG,
            "ct" => ct::DREG,
            "payload" => payload::DREG,
            "rt" => rt::DREG,
            "fib" => fib::DREG,
            "numgen" => numgen::DREG,
            "hash" => hash::DREG,
            "immediate" => immediate::DREG,
            "bitwise" => bitwise::DREG,
            _ => byteorder::DREG,
        };
        self.hold(data.u32(kind)?, value);
        Some(())
    }

    fn hold(&mut self, register: u32, value: Value) {
        let held = Held { value, used: false };
        self.0.insert(place(register), held);
    }

    /// What a register holds, and goes on holding: the two ends of a range are two comparisons.
    fn look(&mut self, register: u32) -> Option<&Value> {
        let held = self.0.get_mut(&place(register))?;
        held.used = true;
        Some(&held.value)
    }

    /// What a register and those behind it hold, which are empty then: a key of several parts is in several of them.
    fn take(&mut self, register: u32) -> Option<Value> {
        let mut held = self.0.split_off(&place(register)).into_values();
        let first = held.next()?.value;
        let rest: Vec<String> = held
            .filter(|held| !held.used)
            .map(|held| held.value.text())
            .collect();
        Some(if rest.is_empty() {
            first
        } else {
            let all = format!("{} . {}", first.text(), rest.join(" . "));
            Value::Of(all, Form::Bytes)
        })
    }
}

/// In registers of 4 bytes: one of 16 bytes is four of them.
fn place(register: u32) -> u32 {
    match register {
        REGISTER..REGISTER32 => 4 * (register - REGISTER),
        _ => register.saturating_sub(REGISTER32),
    }
}

fn constant<'a>(data: Nest<'a>, kind: u16) -> Option<&'a [u8]> {
    data.nest(kind)?.get(DATA_VALUE)
}

fn form_of(value: &Value) -> Form {
    match value {
        Value::Of(_, form) => *form,
        Value::Constant(_) => Form::Bytes,
    }
}

fn compared(value: &Value, operator: &str, with: &[u8]) -> String {
    let form = form_of(value);
    let text = value.text();
    // nft cannot do without the operator behind an expression.
    let operator = match operator {
        "" if text.contains(['&', '|', '^']) => "== ",
        operator => operator,
    };
    format!("{text} {operator}{}", form.write(with))
}

fn offset(data: Nest<'_>, kind: u16) -> String {
    match data.u32(kind) {
        None | Some(0) => String::new(),
        Some(offset) => format!(" offset {offset}"),
    }
}

fn nat_flags(data: Nest<'_>, kind: u16) -> String {
    let flags = data.u32(kind).unwrap_or(0);
    [(4, " random"), (8, " persistent"), (16, " fully-random")]
        .into_iter()
        .filter_map(|(bit, word)| (flags & bit != 0).then_some(word))
        .collect()
}

fn limited(data: Nest<'_>) -> Option<String> {
    let over = match data.u32(limit::FLAGS) {
        Some(limit::INVERSE) => "over ",
        _ => "",
    };
    let unit = match data.u64(limit::UNIT)? {
        1 => "second",
        60 => "minute",
        3600 => "hour",
        86_400 => "day",
        604_800 => "week",
        _ => return None,
    };
    let of = match data.u32(limit::TYPE) {
        Some(limit::BYTES) => "bytes",
        _ => "packets",
    };
    let rate = data.u64(limit::RATE)?;
    let rate = match of {
        "bytes" => format!("{rate} bytes/{unit}"),
        _ => format!("{rate}/{unit}"),
    };
    let burst = data.u32(limit::BURST).filter(|burst| *burst > 0);
    let burst = burst.map_or_else(String::new, |burst| format!(" burst {burst} {of}"));
    Some(format!("limit rate {over}{rate}{burst}"))
}

fn logged(data: Nest<'_>) -> String {
    let mut text = "log".to_owned();
    if let Some(prefix) = data.string(log::PREFIX) {
        let _ = write!(text, " prefix {prefix:?}");
    }
    if let Some(group) = data.u16(log::GROUP) {
        let _ = write!(text, " group {group}");
    }
    text
}

fn rejected(data: Nest<'_>) -> Option<String> {
    let code = data.u8(reject::ICMP_CODE).unwrap_or(0);
    Some(match data.u32(reject::TYPE)? {
        reject::TCP_RESET => "reject with tcp reset".to_owned(),
        reject::ICMP_UNREACH => match Unreachable::from_code(code) {
            Some(reason) => format!("reject with icmp {reason}"),
            None => format!("reject with icmp {code}"),
        },
        reject::ICMPX_UNREACH => {
            let names = [
                "no-route",
                "port-unreachable",
                "host-unreachable",
                "admin-prohibited",
            ];
            format!("reject with icmpx {}", names.get(usize::from(code))?)
        }
        _ => return None,
    })
}
