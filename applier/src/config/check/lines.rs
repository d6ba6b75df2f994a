//! All lines: their numbers, and their weights in smallest terms.

use std::collections::BTreeMap;

use toml::Spanned;

use super::beside::{beside_lan, beside_line};
use super::keep::apart;
use super::line::line;
use super::{Checked, refuse};
use crate::config::error::Complaint;
use crate::config::{Lan, Line, MOST_LINES, file, number};

/// The largest weight that ip(8), and kernels before 6.12, can give a nexthop.
const LARGEST_WEIGHT: u64 = 256;

pub(super) fn lines(
    file: &file::File,
    lans: &[Lan],
    previous: &BTreeMap<String, u8>,
) -> Checked<Vec<Line>> {
    let written: Vec<&file::Line> = file.line.iter().map(Spanned::get_ref).collect();
    if written.is_empty() {
        return Err(Complaint::new(
            0..0,
            "there is no line; write one [[line]] for each",
        ));
    }
    let mut lines: Vec<Line> = Vec::new();
    for raw in &written {
        let line = line(raw)?;
        for lan in lans {
            beside_lan(raw, &line, lan)?;
        }
        for other in &lines {
            beside_line(raw, &line, other)?;
        }
        lines.push(line);
    }
    let wanted = lines.iter().zip(&written).map(|(line, raw)| {
        (
            line.name.as_str(),
            raw.number.is_some().then_some(line.number),
        )
    });
    let Some(numbers) = number::numbers(wanted, previous, MOST_LINES) else {
        return refuse(
            &written[usize::from(MOST_LINES).min(written.len() - 1)].name,
            format!(
                "this is line {}; {MOST_LINES} is the most there can be",
                written.len()
            ),
        );
    };
    for (line, number) in lines.iter_mut().zip(numbers) {
        line.number = number;
    }
    apart(&written, &lines, lans)?;
    reduce(&written, &mut lines)?;
    Ok(lines)
}

/// Brings the weights to their smallest terms: 400 and 100 are 4 and 1 (how-to 2.3.3).
fn reduce(written: &[&file::Line], lines: &mut [Line]) -> Checked<()> {
    let common = lines
        .iter()
        .fold(0, |common, line| gcd(common, u64::from(line.weight)));
    for (line, raw) in lines.iter_mut().zip(written) {
        let reduced = u64::from(line.weight) / common;
        if let Some(weight) = &raw.weight
            && reduced > LARGEST_WEIGHT
        {
            return refuse(
                weight,
                format!(
                    "weight {reduced} in smallest terms is more than {LARGEST_WEIGHT}, the most that \
                     ip(8) and kernels before 6.12 take; write smaller numbers of nearly that ratio"
                ),
            );
        }
        line.weight = u16::try_from(reduced).unwrap_or(u16::MAX);
    }
    Ok(())
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
