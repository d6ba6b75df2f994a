//! The environment that every applier gets: the how-to's own abbreviations.

use std::path::Path;

use ipnet::Ipv4Net;
use multiwan::config::{Config, Established, Spread, Target};

/// The contract's variables for this configuration, in its order. What the configuration does
/// not say (the address of a dynamic line) has none.
#[must_use]
pub fn environment(config: &Config, path: &Path) -> Vec<(String, String)> {
    let mut variables = Variables::default();
    variables.set("MULTIWAN_CONFIG", path.display());
    if let Some(lan) = config.lans.first() {
        variables.set("IFI", &lan.interface);
        variables.set("IPI", lan.address.addr());
        variables.set("NMI", lan.address.prefix_len());
        variables.set("NWI", lan.address.network());
    }
    variables.set("NLINES", config.lines.len());
    for (i, line) in (1..).zip(&config.lines) {
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                variables.set(&format!("{name}{i}"), value);
            }
        };
        let of = |read: fn(Ipv4Net) -> String| line.address.map(read);
        set("IFE", Some(line.interface.clone()));
        set("IPE", of(|net| net.addr().to_string()));
        set("NWE", of(|net| net.network().to_string()));
        set("NME", of(|net| net.prefix_len().to_string()));
        let broadcast = line.broadcast.or(line.address.map(|net| net.broadcast()));
        set("BRD", broadcast.map(|address| address.to_string()));
        set("GWE", line.gateway.map(|address| address.to_string()));
        set("WEIGHT", Some(line.weight.to_string()));
    }
    variables.set("SPREAD", spread(config.spread));
    variables.set("ESTABLISHED", established(config.established));
    let keepalive = &config.keepalive;
    variables.set("KEEPALIVE_MS", keepalive.interval.as_millis());
    variables.set("FAILURES", keepalive.failures);
    variables.set("SUCCESSES", keepalive.successes);
    let echo = keepalive.targets.iter().filter_map(|target| match target {
        Target::Echo(address) => Some(address.to_string()),
        Target::Tcp(_) | Target::Dns(_) => None,
    });
    let targets: Vec<String> = echo.collect();
    variables.set("TARGETS", targets.join(" "));
    variables.0
}

#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn set(&mut self, name: &str, value: impl ToString) {
        self.0.push((name.to_owned(), value.to_string()));
    }
}

fn spread(spread: Spread) -> &'static str {
    match spread {
        Spread::Pair => "pair",
        Spread::Connection => "connection",
    }
}

fn established(established: Established) -> &'static str {
    match established {
        Established::Prohibit => "prohibit",
        Established::Reset => "reset",
        Established::Release => "release",
    }
}
