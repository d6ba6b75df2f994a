//! `[kernel]`.

use super::{TWO_LINES, read, refused};

#[test]
fn shared_numbers() {
    let kernel = |kernel: &str| format!("{TWO_LINES}\n[kernel]\n{kernel}");
    read(&kernel("mark_mask = \"0x30000\""));
    refused(
        &kernel("mark_mask = \"0x3f10\""),
        "lines.toml:23:13: the mark mask must be one run of set bits, as in \"0x3f00\"",
    );
    refused(
        &kernel("mark_mask = \"0x100\""),
        "lines.toml:23:13: mark_mask 0x100 has room for 1 lines, and number 2 is in use; write more \
         bits, as in \"0x3f00\"",
    );
    refused(
        &kernel("first_table = 252\nbalance_table = 300"),
        "lines.toml:23:15: line dsl2's table 253 is the kernel's own (253 to 255); write another \
         first_table",
    );
    refused(
        &kernel("balance_table = 254"),
        "lines.toml:23:17: tables 253 to 255 are the kernel's own; write another balance_table",
    );
    refused(
        &kernel("balance_table = 202"),
        "lines.toml:23:17: the lines' tables and priorities reach 202, so that balance_table 202 \
         would not come after them; write 203 or more",
    );
    refused(
        &kernel("main_priority = 201"),
        "lines.toml:23:17: table main at priority 201 would come after the lines' rules, from 201 \
         on; write a smaller main_priority",
    );
    refused(
        &kernel("main_priority = 2"),
        "lines.toml:23:17: main_priority 2 is not between 3 and 32765",
    );
    refused(
        &kernel("first_table = 0"),
        "lines.toml:23:15: first_table 0 is not between 1 and 32765",
    );
}
