//! `[[pin]]`.

use super::{TWO_LINES, read, refused, with};

#[test]
fn pins() {
    let pin = |pin: &str| format!("{TWO_LINES}\n[[pin]]\n{pin}");
    read(&pin(
        "to = \"192.0.2.128/25\"\nprotocol = 47\nline = \"dsl1\"",
    ));
    refused(
        &pin("to = \"192.0.2.53\"\nline = \"dsl3\""),
        "lines.toml:24:8: there is no line dsl3; write one of dsl1, dsl2",
    );
    refused(
        &pin("to = \"192.0.2.53\"\nport = 53\nline = \"dsl1\""),
        "lines.toml:24:8: a port needs protocol = \"tcp\" or \"udp\" beside it",
    );
    refused(
        &pin("to = \"0.0.0.0/0\"\nline = \"dsl1\""),
        "lines.toml:23:6: 0.0.0.0/0 is every address there is; write a smaller network, or leave it \
         out",
    );
    refused(
        &pin("from = \"192.0.2.1/0\"\nprotocol = \"tcp\"\nline = \"dsl1\""),
        "lines.toml:23:8: 0.0.0.0/0 is every address there is; write a smaller network, or leave it \
         out",
    );
    refused(
        &pin("line = \"dsl1\""),
        "lines.toml:22:1: this pin matches everything; write what goes by the line: to, from, \
         protocol, port",
    );
    refused(
        &pin("protocol = \"tpc\"\nline = \"dsl1\""),
        "lines.toml:23:12: this is no protocol; write \"tcp\", \"udp\", \"icmp\" or a number from 1 \
         to 255",
    );
}

#[test]
fn pins_need_room_behind_the_lines() {
    let pinned = |number: u8, kernel: &str| {
        let line = format!("number = {number}\ngateway   = \"198.51.100.1\"");
        let lines = with("gateway   = \"198.51.100.1\"", &line);
        format!("{lines}\n[[pin]]\nto = \"192.0.2.53\"\nline = \"dsl2\"\n[kernel]\n{kernel}")
    };
    read(&pinned(20, ""));
    refused(
        &pinned(21, ""),
        "lines.toml:23:1: pins need a priority between those of the lines and balance_table 222, \
         and line dsl1 has number 21 and so 221; write a smaller number, or balance_table = 223 \
         under [kernel]",
    );
    read(&pinned(21, "balance_table = 223"));
    refused(
        &pinned(2, "first_table = 250\nbalance_table = 252"),
        "lines.toml:28:17: pins need a priority between those of the lines and balance_table 252, \
         and line dsl1 has number 2 and so 251; write a smaller number, or balance_table = 256 \
         under [kernel]",
    );
    // Without pins there is room for all.
    read(&with(
        "gateway   = \"198.51.100.1\"",
        "number = 21\ngateway   = \"198.51.100.1\"",
    ));
}
