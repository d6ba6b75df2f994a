//! The router's settings.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// What a network namespace has of its own and routing and NAT depend on.
const FOLDERS: [&str; 3] = [
    "/proc/sys/net/ipv4",
    "/proc/sys/net/netfilter",
    "/proc/sys/net/core",
];

/// Every setting as `net.ipv4.ip_forward = 1`, a line each, sorted.
pub(super) fn describe() -> String {
    let mut lines = Vec::new();
    for folder in FOLDERS {
        add(Path::new(folder), &mut lines);
    }
    lines.sort();
    lines.into_iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

fn add(folder: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            add(&path, lines);
        } else if let Ok(value) = fs::read_to_string(&path) {
            // Some are only for writing, and some are only for root of the machine.
            let name = path.strip_prefix("/proc/sys").unwrap_or(&path);
            let name = name.to_string_lossy().replace('/', ".");
            let value = value.trim().replace(['\t', '\n'], " ");
            lines.push(format!("{name} = {value}"));
        }
    }
}
