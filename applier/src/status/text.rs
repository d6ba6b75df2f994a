//! The status as a table for people.

use std::fmt;
use std::time::{Duration, SystemTime};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{Drift, LineStatus, Status};

/// As many of the changes are shown; `plan` has them all.
const CHANGES_SHOWN: usize = 5;

impl Status {
    /// The table for people, and what is to be said beside it.
    pub fn text(&self, now: SystemTime) -> impl fmt::Display {
        let mut text = table(&self.lines, now);
        text.push('\n');
        for line in self.lines.iter().filter(|line| line.state != "unwatched") {
            text.push_str(&format!("{}: {}\n", line.name, line.reason));
        }
        for lan in self.lans.iter().filter(|lan| lan.link != "up") {
            let fault = lan.link.replace('-', " ");
            text.push_str(&format!("LAN {}: {fault}\n", lan.interface));
        }
        match self.keepalive {
            Some(running) => {
                let pid = running.pid.map(|pid| format!(", process {pid}"));
                let pid = pid.unwrap_or_default();
                text.push_str(&format!("keepalive: runs{pid}\n"));
                for line in self.lines.iter().filter(|line| line.state == "unwatched") {
                    text.push_str(&format!(
                        "keepalive: does not know {}; send it SIGHUP to read the configuration \
                         again\n",
                        line.name
                    ));
                }
            }
            None => text.push_str(
                "keepalive: none runs here, so nobody sees a line die; `multiwan keepalive` \
                 watches them\n",
            ),
        }
        text.push_str(&self.drift.text());
        text
    }
}

fn table(lines: &[LineStatus], now: SystemTime) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "line", "state", "for", "share", "seen", "new", "address", "gateway", "card",
            "received", "sent",
        ]);
    for line in lines {
        table.add_row(row(line, now));
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if matches!(place, 3..=5 | 9..=10) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn row(line: &LineStatus, now: SystemTime) -> [String; 11] {
    let lasted = line
        .since
        .map(|since| since_then(now.duration_since(since).unwrap_or_default()));
    let addresses: Vec<_> = line.addresses.iter().map(ToString::to_string).collect();
    let card = match line.link {
        "up" => line.interface.clone(),
        fault => format!("{} ({})", line.interface, fault.replace('-', " ")),
    };
    let state = if line.backup {
        format!("{} (backup)", line.state)
    } else {
        line.state.clone()
    };
    [
        line.name.clone(),
        state,
        lasted.unwrap_or_else(none),
        percent(line.share.expected),
        line.share.seen.map_or_else(none, percent),
        line.share
            .new_connections
            .map_or_else(none, |count| count.to_string()),
        if addresses.is_empty() {
            none()
        } else {
            addresses.join(" ")
        },
        line.gateway
            .map_or_else(none, |gateway| gateway.to_string()),
        card,
        bytes(line.received.bytes),
        bytes(line.sent.bytes),
    ]
}

fn none() -> String {
    "-".to_owned()
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// To the second; where it is long, its two greatest units.
fn since_then(time: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
    let units: Vec<_> = text.split(' ').take(2).collect();
    units.join(" ")
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = count as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{size:.1} {}", UNITS[unit])
    }
}

impl Drift {
    fn text(&self) -> String {
        let mut text = match self.changes.len() {
            0 if self.drifted == Some(false) => "drift: none\n".to_owned(),
            0 => String::new(),
            count => {
                let changes = if count == 1 { "change" } else { "changes" };
                format!("drift: `multiwan apply` would make {count} {changes}:\n")
            }
        };
        for change in self.changes.iter().take(CHANGES_SHOWN) {
            let first = change.lines().next().unwrap_or_default();
            text.push_str(&format!("  {first}\n"));
        }
        if self.changes.len() > CHANGES_SHOWN {
            text.push_str("  …; `multiwan plan` prints all\n");
        }
        if let Some(unknown) = &self.unknown {
            text.push_str(&format!("drift: not compared: {unknown}\n"));
        }
        text
    }
}
