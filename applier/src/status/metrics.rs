//! The status as metrics in Prometheus's text format, for node_exporter's textfile collector.

use std::time::SystemTime;

use prometheus::core::{AtomicF64, AtomicU64, Collector, GenericCounterVec, GenericGaugeVec};
use prometheus::{Opts, Registry, TextEncoder};

use super::{LineStatus, Status};

/// The states a line can be in.
const STATES: [&str; 5] = ["up", "suspect", "dead", "returning", "unwatched"];

impl Status {
    /// All metrics as text.
    pub fn metrics(&self) -> String {
        let registry = Registry::new();
        let page = Page {
            registry: &registry,
        };
        page.whole(self);
        page.lines(&self.lines);
        // Neither writing to a string nor a duplicate can fail here: the names are constants.
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap_or_default()
    }
}

struct Page<'a> {
    registry: &'a Registry,
}

type Values<T> = Vec<(Vec<String>, T)>;

impl Page<'_> {
    fn whole(&self, status: &Status) {
        let running = f64::from(u8::from(status.keepalive.is_some()));
        self.gauge(
            "multiwan_keepalive_running",
            "Whether a keepalive watches the lines.",
            &[],
            vec![(vec![], running)],
        );
        // None where it is not known.
        let drifted = status.drift.drifted.into_iter();
        let drifted = drifted.map(|drifted| (vec![], f64::from(u8::from(drifted))));
        self.gauge(
            "multiwan_drifted",
            "Whether the kernel holds something else than what is described.",
            &[],
            drifted.collect(),
        );
        if let Some(counted) = &status.counted {
            self.counter(
                "multiwan_reconciles_total",
                "Times the keepalive compared the kernel with what it should hold.",
                &[],
                vec![(vec![], counted.reconciles)],
            );
            self.counter(
                "multiwan_reconcile_failures_total",
                "Times that failed; it is tried again each time.",
                &[],
                vec![(vec![], counted.reconcile_failures)],
            );
        }
    }

    fn lines(&self, lines: &[LineStatus]) {
        let each = |value: &dyn Fn(&LineStatus) -> Option<f64>| -> Values<f64> {
            let of = |line: &LineStatus| Some((vec![line.name.clone()], value(line)?));
            lines.iter().filter_map(of).collect()
        };
        let count = |value: &dyn Fn(&LineStatus) -> Option<u64>| -> Values<u64> {
            let of = |line: &LineStatus| Some((vec![line.name.clone()], value(line)?));
            lines.iter().filter_map(of).collect()
        };
        const LINE: &[&str] = &["line"];
        let states = lines.iter().flat_map(|line| {
            STATES.map(|state| {
                let labels = vec![line.name.clone(), state.to_owned()];
                (labels, f64::from(u8::from(line.state == state)))
            })
        });
        self.gauge(
            "multiwan_line_state",
            "1 for the state that the line is in, 0 for the others.",
            &["line", "state"],
            states.collect(),
        );
        self.gauge(
            "multiwan_line_state_since_seconds",
            "When the line entered its state, in seconds since 1970.",
            LINE,
            each(&|line| Some(seconds(line.since?))),
        );
        self.gauge(
            "multiwan_line_carrier",
            "Whether the line's interface is up and has a carrier.",
            LINE,
            each(&|line| Some(f64::from(u8::from(line.link == "up")))),
        );
        self.gauge(
            "multiwan_line_share_expected",
            "The line's share of new connections by the weights of the lines in use, 0 to 1.",
            LINE,
            each(&|line| Some(line.share.expected)),
        );
        self.counter(
            "multiwan_line_new_connections_total",
            "Connections that left by the line, since the table of nftables was put there.",
            LINE,
            count(&|line| line.share.new_connections),
        );
        self.counter(
            "multiwan_line_incoming_connections_total",
            "Connections that came in by the line, since the table of nftables was put there.",
            LINE,
            count(&|line| line.incoming_connections),
        );
        self.counter(
            "multiwan_line_received_bytes_total",
            "Bytes that the line's interface received; lines on one card share it.",
            LINE,
            count(&|line| Some(line.received.bytes)),
        );
        self.counter(
            "multiwan_line_received_packets_total",
            "Packets that the line's interface received.",
            LINE,
            count(&|line| Some(line.received.packets)),
        );
        self.counter(
            "multiwan_line_sent_bytes_total",
            "Bytes that the line's interface sent; lines on one card share it.",
            LINE,
            count(&|line| Some(line.sent.bytes)),
        );
        self.counter(
            "multiwan_line_sent_packets_total",
            "Packets that the line's interface sent.",
            LINE,
            count(&|line| Some(line.sent.packets)),
        );
        self.counter(
            "multiwan_line_verdict_changes_total",
            "Times the line was taken out of use or back into it, since the keepalive started.",
            LINE,
            count(&|line| Some(line.probes?.verdict_changes)),
        );
        self.counter(
            "multiwan_line_probes_sent_total",
            "Probes sent on the line since the keepalive started.",
            LINE,
            count(&|line| Some(line.probes?.sent)),
        );
        self.counter(
            "multiwan_line_probes_missed_total",
            "Probes that were not answered in time.",
            LINE,
            count(&|line| Some(line.probes?.missed)),
        );
        self.gauge(
            "multiwan_line_round_trip_seconds",
            "From the last answered probe to its answer.",
            LINE,
            each(&|line| Some(line.probes?.round_trip_ms? / 1000.0)),
        );
    }

    fn gauge(&self, name: &str, help: &str, labels: &[&str], values: Values<f64>) {
        let Ok(family) = GenericGaugeVec::<AtomicF64>::new(Opts::new(name, help), labels) else {
            return;
        };
        for (labels, value) in values {
            family.with_label_values(&labels).set(value);
        }
        self.register(family);
    }

    fn counter(&self, name: &str, help: &str, labels: &[&str], values: Values<u64>) {
        let Ok(family) = GenericCounterVec::<AtomicU64>::new(Opts::new(name, help), labels) else {
            return;
        };
        for (labels, value) in values {
            family.with_label_values(&labels).inc_by(value);
        }
        self.register(family);
    }

    fn register(&self, family: impl Collector + 'static) {
        let _ = self.registry.register(Box::new(family));
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
