//! The numbers that are shared with the rest of the system.

use toml::Spanned;

use super::Checked;
use crate::config::error::Complaint;
use crate::config::{Kernel, Line, file, value};

pub(super) fn kernel(raw: &file::Kernel, lines: &[Line]) -> Checked<Kernel> {
    let default = Kernel::default();
    let priority = |value: &Option<Spanned<i64>>, what, least, default| match value {
        Some(value) => value::number(value, what, least..32766),
        None => Ok(default),
    };
    let kernel = Kernel {
        // Two are asked before it.
        main_priority: priority(
            &raw.main_priority,
            "main_priority",
            3,
            default.main_priority,
        )?,
        first_table: priority(&raw.first_table, "first_table", 1, default.first_table)?,
        balance_table: priority(
            &raw.balance_table,
            "balance_table",
            1,
            default.balance_table,
        )?,
        mark_mask: match &raw.mark_mask {
            Some(mask) => value::mask(mask)?,
            None => default.mark_mask,
        },
    };
    let place = |value: &Option<Spanned<i64>>| value.as_ref().map_or(0..0, Spanned::span);
    let highest = lines.iter().map(|line| line.number).max().unwrap_or(1);
    let last = kernel.table(highest);
    if let Some(line) = lines
        .iter()
        .find(|line| reserved(kernel.table(line.number)))
    {
        return Err(Complaint::new(
            place(&raw.first_table),
            format!(
                "line {}'s table {} is the kernel's own (253 to 255); write another first_table",
                line.name,
                kernel.table(line.number)
            ),
        ));
    }
    if reserved(kernel.balance_table) {
        return Err(Complaint::new(
            place(&raw.balance_table),
            "tables 253 to 255 are the kernel's own; write another balance_table",
        ));
    }
    if kernel.main_priority >= kernel.first_table {
        return Err(Complaint::new(
            place(if raw.main_priority.is_some() {
                &raw.main_priority
            } else {
                &raw.first_table
            }),
            format!(
                "table main at priority {} would come after the lines' rules, from {} on; write a \
                 smaller main_priority",
                kernel.main_priority, kernel.first_table
            ),
        ));
    }
    if last >= kernel.balance_table {
        return Err(Complaint::new(
            place(if raw.balance_table.is_some() {
                &raw.balance_table
            } else {
                &raw.first_table
            }),
            format!(
                "the lines' tables and priorities reach {last}, so that balance_table {} would not \
                 come after them; write {} or more",
                kernel.balance_table,
                last + 1
            ),
        ));
    }
    let most = kernel.mark_mask >> kernel.mark_mask.trailing_zeros();
    if u32::from(highest) > most {
        return Err(Complaint::new(
            raw.mark_mask.as_ref().map_or(0..0, Spanned::span),
            format!(
                "mark_mask {:#x} has room for {most} lines, and number {highest} is in use; write \
                 more bits, as in \"0x3f00\"",
                kernel.mark_mask
            ),
        ));
    }
    Ok(kernel)
}

/// Pins are asked for between the lines and the balance table: at a line's own priority, those that
/// are described before it would be asked for before its mark, and take over connections that run.
pub(super) fn room_for_pins(file: &file::File, kernel: &Kernel, lines: &[Line]) -> Checked<()> {
    let (Some(pin), Some(last)) = (file.pin.first(), lines.iter().max_by_key(|l| l.number)) else {
        return Ok(());
    };
    let pins = kernel.pins_priority();
    if kernel.table(last.number) < pins {
        return Ok(());
    }
    let written = [&file.kernel.balance_table, &file.kernel.first_table];
    let place = written.into_iter().flatten().map(Spanned::span).next();
    let behind = kernel.balance_table + 1;
    let free = if reserved(behind) { 256 } else { behind };
    Err(Complaint::new(
        place.unwrap_or_else(|| pin.span()),
        format!(
            "pins need a priority between those of the lines and balance_table {}, and line {} has \
             number {} and so {pins}; write a smaller number, or balance_table = {} under [kernel]",
            kernel.balance_table, last.name, last.number, free
        ),
    ))
}

/// The kernel's own tables: default, main and local.
fn reserved(table: u32) -> bool {
    (253..=255).contains(&table)
}
