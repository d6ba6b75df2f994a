//! The contract's JSON object.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use multiwan::config;
use serde::Serialize;

use super::{Counts, Record, Report};
use crate::configuration::Configuration;

/// Keys are added, never renamed; a reader that needs more than that looks here.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    kernel: &'a str,
    applier: &'a str,
    mode: &'a str,
    seed: u64,
    duration_ms: u128,
    #[serde(flatten)]
    counts: Counts,
    /// A foreign applier's layout clauses, which are not in the counts above.
    layout_apart: Counts,
    /// Why the run was stopped before all clauses were judged.
    stopped: Option<&'a str>,
    configs: Vec<Config<'a>>,
    clauses: &'a [Record],
}

/// A configuration, as far as it says what the lab looks like.
#[derive(Serialize)]
struct Config<'a> {
    name: &'a str,
    lines: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    number: u8,
    interface: &'a str,
    address: Option<Ipv4Net>,
    gateway: Option<Ipv4Addr>,
    weight: u16,
    backup: bool,
}

impl<'a> Config<'a> {
    fn new(configuration: &'a Configuration) -> Self {
        let line = |line: &'a config::Line| Line {
            name: &line.name,
            number: line.number,
            interface: &line.interface,
            address: line.address,
            gateway: line.gateway,
            weight: line.weight,
            backup: line.backup,
        };
        Self {
            name: &configuration.name,
            lines: configuration.config.lines.iter().map(line).collect(),
        }
    }
}

/// Writes the report and a line's end.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let object = Object {
        schema: SCHEMA,
        kernel: &report.kernel,
        applier: &report.applier,
        mode: &report.mode,
        seed: report.seed,
        duration_ms: report.duration.as_millis(),
        counts: report.counts(),
        layout_apart: report.layout_apart(),
        stopped: report.stopped.as_deref(),
        configs: report.configs.iter().map(Config::new).collect(),
        clauses: &report.clauses,
    };
    serde_json::to_writer_pretty(&mut *to, &object)?;
    writeln!(to)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use crate::clause::Kind;
    use crate::judgement::Status;
    use crate::report::tests::report;

    fn keys(value: &serde_json::Value) -> Vec<&str> {
        value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn keys_are_the_contract_s_in_its_order() {
        let report = report(false, &[(Kind::Behaviour, Status::Passed)]);
        let mut written = Vec::new();
        super::write(&report, &mut written).unwrap();
        let object: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(
            keys(&object),
            [
                "schema",
                "kernel",
                "applier",
                "mode",
                "seed",
                "duration_ms",
                "passed",
                "failed",
                "skipped",
                "inconclusive",
                "layout_apart",
                "stopped",
                "configs",
                "clauses"
            ]
        );
        let clause = &object["clauses"][0];
        assert_eq!(
            keys(clause),
            [
                "id",
                "kind",
                "status",
                "config",
                "reason",
                "how_to",
                "duration_ms",
                "measured",
                "detail",
                "shares",
                "timelines",
                "kept",
                "fits"
            ]
        );
        assert_eq!(
            (&clause["kind"], &clause["status"]),
            (&"behaviour".into(), &"passed".into())
        );
        assert!(clause["reason"].is_null());
        assert_eq!(keys(&clause["measured"]), ["line1", "p"]);
    }
}
