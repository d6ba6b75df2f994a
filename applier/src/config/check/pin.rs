//! What must use one line.

use toml::Spanned;

use super::{Checked, refuse};
use crate::config::error::Complaint;
use crate::config::{Line, Pin, file, value};

/// The kernel takes no rule twice, and of two pins for the same the second would have nothing to do.
pub(super) fn pins(written: &[Spanned<file::Pin>], lines: &[Line]) -> Checked<Vec<Pin>> {
    let mut pins: Vec<Pin> = Vec::new();
    for raw in written {
        let pin = pin(raw, lines)?;
        let same = |other: &&Pin| {
            Pin {
                line: pin.line.clone(),
                ..(*other).clone()
            } == pin
        };
        if let Some(other) = pins.iter().find(same) {
            return Err(Complaint::new(
                raw.span(),
                format!(
                    "a pin before has the same for line {} already; leave one of them out",
                    other.line
                ),
            ));
        }
        pins.push(pin);
    }
    Ok(pins)
}

fn pin(raw: &Spanned<file::Pin>, lines: &[Line]) -> Checked<Pin> {
    let place = raw.span();
    let raw = raw.get_ref();
    let line = raw.line.get_ref();
    if !lines.iter().any(|known| known.name == *line) {
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        return refuse(
            &raw.line,
            format!("there is no line {line}; write one of {}", names.join(", ")),
        );
    }
    let network = |text: &Option<Spanned<String>>| {
        text.as_ref()
            .map(|text| value::prefix(text, "write it as \"192.0.2.0/24\" or \"192.0.2.1\""))
            .transpose()
            .map(|net| net.map(|net| net.trunc()))
    };
    let protocol = raw.protocol.as_ref().map(value::protocol).transpose()?;
    let port = match &raw.port {
        None => None,
        Some(port) if matches!(protocol, Some(6 | 17)) => {
            Some(value::number(port, "port", 1..65536)?)
        }
        Some(port) => return refuse(port, "a port needs protocol = \"tcp\" or \"udp\" beside it"),
    };
    let pin = Pin {
        to: network(&raw.to)?,
        from: network(&raw.from)?,
        protocol,
        port: port.and_then(|port| u16::try_from(port).ok()),
        line: line.clone(),
    };
    for (text, net) in [(&raw.to, pin.to), (&raw.from, pin.from)] {
        if let (Some(text), Some(net)) = (text, net)
            && net.prefix_len() == 0
        {
            return refuse(
                text,
                format!(
                    "{net} is every address there is; write a smaller network, or leave it out"
                ),
            );
        }
    }
    if pin.to.is_none() && pin.from.is_none() && pin.protocol.is_none() {
        return Err(Complaint::new(
            place,
            "this pin matches everything; write what goes by the line: to, from, protocol, port",
        ));
    }
    Ok(pin)
}
