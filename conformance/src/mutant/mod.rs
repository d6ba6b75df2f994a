//! Mutants: the shipped applier with one mistake, described as edits of what it would put there.
//!
//! A mutant is a file of `fixtures/appliers/broken/`. Its edits are regular expressions over the lines
//! that `multiwan plan` prints, a line for each thing:
//!
//! ```text
//! ip link set dev eth1 up
//! ip address add 198.51.100.2/24 brd 198.51.100.255 dev eth1
//! sysctl -w net.ipv4.ip_forward=1
//! ip rule add prio 222 table 222 protocol 222
//! ip route add prohibit default proto static metric 1 table 201
//! nft add chain ip multiwan source_nat { type nat hook postrouting priority srcnat; policy accept; }
//! nft add rule ip multiwan source_nat oifname "eth1" ip saddr 192.0.2.0/24 snat to 198.51.100.2
//! ```
//!
//! This binary then runs as the applier, commands, keepalive and all, with these lines read back as
//! what should be there: no shell and no `ip` is needed, and the keepalive keeps to the mistake.

mod draft;
mod flush;
mod parse;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use multiwan::config::{Config, ConfigError};
use multiwan::desired;
use multiwan::state::State;
use multiwan::verdicts::Verdicts;
use regex::Regex;
use serde::Deserialize;

use crate::applier::environment;
use flush::Flush;

/// The hidden argument that asks for it; the mutant's path and the applier's command follow.
pub const ARGUMENT: &str = "__mutant";

/// "I have none", by the contract.
const NONE: u8 = 64;

/// Wrong usage.
const USAGE: u8 = 2;

/// A mutant's file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Edits of what should be there, in order.
    #[serde(default)]
    edit: Vec<Edit>,
    /// Edits of the lines of the described configuration before it is read, in order.
    #[serde(default)]
    config: Vec<Edit>,
    /// Whether it has one.
    #[serde(default = "yes")]
    keepalive: bool,
    /// Whether it has the applier's last resort, which drops what would leave with another line's
    /// source or on another line's connection. Few routers have one, and it hides mistakes.
    #[serde(default = "yes")]
    last_resort: bool,
    /// Whether all of connection tracking is flushed before each change of the routes.
    #[serde(default)]
    flush: bool,
    /// What it claims; none for what the shipped applier does.
    features: Option<String>,
}

fn yes() -> bool {
    true
}

/// A change of every line that a regular expression matches. `{GWE1}` and the like stand for the
/// environment's values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// What is replaced.
    replace: String,
    /// By what, with `$1` for the first group: several lines with `\n`; nothing left of a line
    /// deletes it.
    with: String,
}

/// A mutant that is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Not a mutant's TOML.
    #[error("not a mutant: {0}")]
    Toml(#[from] toml::de::Error),
    /// The configuration it is to make the mistake in.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An edit that is no regular expression.
    #[error(transparent)]
    Pattern(#[from] regex::Error),
    /// An edit that leaves what cannot be read back.
    #[error("the edits leave `{line}`: {reason}")]
    Unreadable {
        /// The line.
        line: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Mutant {
    /// Reads a mutant's file.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(toml::from_str(text)?)
    }

    /// The configuration with the mutant's edits.
    fn config(&self, text: &str, variables: &[(String, String)]) -> Result<String, Error> {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for edit in compiled(&self.config, variables)? {
            let changed: Vec<String> = lines
                .iter()
                .flat_map(|line| edit.change(line).unwrap_or_else(|| vec![line.clone()]))
                .collect();
            lines = changed;
        }
        Ok(lines.join("\n") + "\n")
    }

    /// What makes the mistake in a state, tried on `whole`. An edit that finds nothing to change
    /// there is none: the mistake is not in every configuration.
    fn spoiler(
        &self,
        whole: State,
        variables: &[(String, String)],
    ) -> Result<impl Fn(State) -> State + Send + Sync + 'static, Error> {
        let edits = [
            compiled(&self.last_resort(variables), variables)?,
            compiled(&self.edit, variables)?,
        ]
        .concat();
        draft::edited(whole, &edits)?;
        let flush = self.flush.then(Flush::default);
        Ok(move |state| {
            let state = draft::edited(state, &edits);
            let state = state.expect("what the whole state can, its parts can");
            if let Some(flush) = &flush {
                flush.heed(&state);
            }
            state
        })
    }

    /// The edits that take the last resort away, but for what would leave with a LAN's source.
    fn last_resort(&self, variables: &[(String, String)]) -> Vec<Edit> {
        let networks = variables.iter().filter(|(name, _)| name.starts_with("NWE"));
        let tests = networks
            .map(|(name, _)| format!("ip saddr {{{name}}}/"))
            .chain(["ct mark ".to_owned()]);
        let delete = |test| Edit {
            replace: format!("^nft add rule ip multiwan own_source_only .*{test}.*"),
            with: String::new(),
        };
        let all: Vec<Edit> = tests.map(delete).collect();
        if self.last_resort { Vec::new() } else { all }
    }
}

/// An edit ready for use.
#[derive(Debug, Clone)]
struct Compiled {
    pattern: Regex,
    with: String,
}

impl Compiled {
    /// The lines that this one becomes; none if it does not match.
    fn change(&self, line: &str) -> Option<Vec<String>> {
        self.pattern.is_match(line).then(|| {
            let changed = self.pattern.replace_all(line, &self.with);
            let lines = changed.lines().filter(|line| !line.trim().is_empty());
            lines.map(str::to_owned).collect()
        })
    }
}

fn compiled(edits: &[Edit], variables: &[(String, String)]) -> Result<Vec<Compiled>, Error> {
    let filled = |text: &str, as_it_is: fn(&str) -> String| {
        variables
            .iter()
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), &as_it_is(value))
            })
    };
    let compile = |edit: &Edit| {
        Ok(Compiled {
            pattern: Regex::new(&filled(&edit.replace, regex::escape))?,
            with: filled(&edit.with, str::to_owned),
        })
    };
    edits.iter().map(compile).collect()
}

/// Does one of the applier's commands with the mistake.
#[must_use]
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(path), Some(verb)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(USAGE);
    };
    match run(Path::new(&path), &verb) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("{}: {error}", Path::new(&path).display());
            ExitCode::from(USAGE)
        }
    }
}

fn run(path: &Path, verb: &OsStr) -> Result<ExitCode, Error> {
    let mutant = Mutant::parse(&read(path)?)?;
    if verb == "keepalive" && !mutant.keepalive {
        return Ok(ExitCode::from(NONE));
    }
    if let ("features", Some(features)) = (&*verb.to_string_lossy(), &mutant.features) {
        println!("{features}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut arguments = vec!["multiwan".into(), verb.to_owned()];
    if verb != "features" {
        let described = PathBuf::from(env::var_os("MULTIWAN_CONFIG").unwrap_or_default());
        let text = read(&described)?;
        let config = Config::parse(&text, &described.to_string_lossy())?;
        let variables = environment(&config, &described);
        let text = mutant.config(&text, &variables)?;
        let mistaken = path.with_extension("config");
        fs::write(&mistaken, &text).map_err(|source| Error::File {
            path: mistaken.clone(),
            source,
        })?;
        let config = Config::parse(&text, &mistaken.to_string_lossy())?;
        let whole = desired::desired(&config, &Verdicts::default());
        desired::spoil(mutant.spoiler(whole, &variables)?);
        arguments.extend(["-c".into(), mistaken.into_os_string()]);
    }
    Ok(multiwan::cli::main(arguments))
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
