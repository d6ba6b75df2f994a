//! The thing under test: the shipped applier, or any executable, by the contract's section "Any
//! applier can be judged".
//!
//! It runs where the caller is, which in a worker is the router's network namespace: in a scratch
//! directory, without a terminal, with the how-to's abbreviations as its environment.
//!
//! An addition to the contract: a foreign applier finds the path of the shipped one in the variable
//! `MULTIWAN`, so that a deliberately broken one can be a changed `"$MULTIWAN" plan`.

mod environment;
mod find;
mod keepalive;

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use std::{env, fs, io};

use multiwan::config::Config;
use rustix::io::Errno;

pub use environment::environment;
pub use find::{FindError, find};
pub use keepalive::Keepalive;

use crate::clause::Feature;
use crate::fixtures;
use crate::job::{Claims, Subject};
use crate::mutant;
use crate::process::{self, MYSELF, Output};
use crate::session;

/// The exit status that says "I have none".
const NONE: i32 = 64;

/// The name by which this binary is the shipped applier.
const SHIPPED_NAME: &str = "multiwan";

/// Where embedded appliers are laid out, in the scratch directory.
const UNPACKED: &str = "appliers";

/// Why what is there and may be executed cannot be, for errors.
fn in_the_way(source: &io::Error) -> &'static str {
    match Errno::from_io_error(source) {
        Some(Errno::NOEXEC) => "; a script's first line says what runs it: `#!/bin/sh`",
        Some(Errno::NOENT) => {
            "; what its first line (`#!`) names is not there, maybe for a carriage return at its end"
        }
        _ => "",
    }
}

/// How long `apply`, `down` and `features` may take. They take milliseconds; this is for a
/// machine that stalls.
const LIMIT: Duration = Duration::from_secs(20);

/// An applier with the configuration that it is to apply.
#[derive(Debug)]
pub struct Applier {
    subject: Subject,
    config_path: PathBuf,
    environment: Vec<(String, String)>,
    scratch: PathBuf,
    features: Vec<Feature>,
    /// What its commands printed, but for its daemon's.
    said: Mutex<String>,
}

/// What an applier did against the contract.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started or awaited.
    #[error("`{command}` cannot be run: {source}{}", in_the_way(source))]
    Run {
        /// The command line.
        command: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// It ended otherwise than with 0.
    #[error("`{command}` {ending}")]
    Ended {
        /// The command line.
        command: String,
        /// How it ended.
        ending: String,
        /// The beginning and the end of what it printed.
        output: String,
    },
    /// It did not end.
    #[error("`{command}` still ran after {} s", LIMIT.as_secs())]
    Endless {
        /// The command line.
        command: String,
        /// The beginning and the end of what it printed.
        output: String,
    },
}

impl Error {
    /// Whether a command did not end.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        matches!(self, Error::Endless { .. })
    }

    /// The applier's output, where there is any.
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        match self {
            Error::Ended { output, .. } | Error::Endless { output, .. } => Some(output),
            Error::Run { .. } => None,
        }
        .map(String::as_str)
        .filter(|output| !output.is_empty())
    }
}

impl Applier {
    /// The subject with this configuration, which lies at `config_path`; it runs in `scratch`. It is
    /// not known to claim anything.
    #[must_use]
    pub fn new(subject: Subject, config: &Config, config_path: &Path, scratch: &Path) -> Self {
        Applier {
            subject,
            config_path: config_path.to_owned(),
            environment: environment(config, config_path),
            scratch: scratch.to_owned(),
            features: Vec::new(),
            said: Mutex::default(),
        }
    }

    /// The same, known to claim these.
    #[must_use]
    pub fn claiming(self, features: &[Feature]) -> Self {
        Applier {
            features: features.to_vec(),
            ..self
        }
    }

    /// What it is known to claim.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// From here on its environment is that of this configuration, which has taken the other's
    /// place in the file.
    pub fn reconfigure(&mut self, config: &Config) {
        self.environment = environment(config, &self.config_path);
    }

    /// What each of its commands printed so far, but for its daemon.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lock().expect("no command panics").clone()
    }

    /// Which one it is.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Configures the router.
    ///
    /// # Errors
    ///
    /// If it does not end with 0 in time.
    pub fn apply(&self) -> Result<(), Error> {
        self.done("apply").map(drop)
    }

    /// Removes what `apply` put there; false if it has no such command.
    ///
    /// # Errors
    ///
    /// If it ends neither with 0 nor with 64 in time.
    pub fn down(&self) -> Result<bool, Error> {
        Ok(self.done("down")?.is_some())
    }

    /// Asks it what it claims beyond what the how-to promises for fixed lines.
    ///
    /// # Errors
    ///
    /// If it ends neither with 0 nor with 64 in time.
    pub fn claims(&self) -> Result<Claims, Error> {
        if self.subject == Subject::Shipped {
            return Ok(Claims {
                features: Feature::ALL.to_vec(),
                unknown: Vec::new(),
            });
        }
        let printed = Output::new().map_err(|source| Error::Run {
            command: self.name("features"),
            source,
        })?;
        let known = self.done_printing("features", Some(&printed))?;
        let printed = known.map(|_| printed.tail()).unwrap_or_default();
        let mut claims = Claims::default();
        for word in printed.split_whitespace() {
            let called = |feature: &Feature| feature.word() == word;
            match Feature::ALL.into_iter().find(called) {
                Some(feature) => claims.features.push(feature),
                None => claims.unknown.push(word.to_owned()),
            }
        }
        Ok(claims)
    }

    /// Starts its daemon in a session of its own.
    ///
    /// # Errors
    ///
    /// If it cannot be started. That it has none, or ends early, comes out later.
    pub fn keepalive(&self) -> Result<Keepalive, Error> {
        let name = self.name("keepalive");
        let run = |source| Error::Run {
            command: name.clone(),
            source,
        };
        let output = Output::new().map_err(run)?;
        let (argv0, program) = self.program();
        let mut command = session::command(argv0, &program);
        self.prepare(&mut command, "keepalive", &output)
            .map_err(run)?;
        let child = command.spawn().map_err(run)?;
        Keepalive::new(name.clone(), child, output).map_err(run)
    }

    /// Runs one of its commands to the end; what it printed, or none if it has no such command,
    /// which `apply` must have.
    fn done(&self, verb: &str) -> Result<Option<String>, Error> {
        self.done_printing(verb, None)
    }

    /// As [`Applier::done`], with what goes to standard output apart from what goes to standard error.
    fn done_printing(&self, verb: &str, printed: Option<&Output>) -> Result<Option<String>, Error> {
        let command = self.name(verb);
        let run = |source| Error::Run {
            command: self.name(verb),
            source,
        };
        let output = Output::new().map_err(run)?;
        let (argv0, program) = self.program();
        let mut child = {
            use std::os::unix::process::CommandExt as _;
            let mut command = Command::new(program);
            command.arg0(argv0);
            self.prepare(&mut command, verb, &output).map_err(run)?;
            if let Some(printed) = printed {
                command.stdout(printed.stdio().map_err(run)?);
            }
            command.spawn().map_err(run)?
        };
        let ended = process::wait(&mut child, LIMIT).map_err(run)?;
        let said = || {
            let printed = printed.map(Output::ends).unwrap_or_default();
            let all = [printed, output.ends()];
            let all: Vec<String> = all.into_iter().filter(|text| !text.is_empty()).collect();
            all.join("\n")
        };
        let ending = ended.map_or_else(|| "still ran".to_owned(), process::ending);
        let told = format!("$ {command}\n{}\n({ending})\n", said());
        self.said.lock().expect("no command panics").push_str(&told);
        match ended {
            Some(status) if status.success() => Ok(Some(said())),
            Some(status) if status.code() == Some(NONE) && verb != "apply" => Ok(None),
            Some(status) => {
                let ending = process::ending(status);
                Err(Error::Ended {
                    command,
                    ending,
                    output: said(),
                })
            }
            None => {
                child.kill().and_then(|()| child.wait()).map_err(run)?;
                Err(Error::Endless {
                    command,
                    output: said(),
                })
            }
        }
    }

    /// The name that the program sees, and where it is.
    fn program(&self) -> (&str, PathBuf) {
        match &self.subject {
            Subject::Shipped => (SHIPPED_NAME, MYSELF.into()),
            Subject::Mutant { name, .. } => (name, MYSELF.into()),
            Subject::Foreign { path, .. } => (path.to_str().unwrap_or("applier"), path.clone()),
            Subject::Embedded { name, path } => (name, self.scratch.join(UNPACKED).join(path)),
        }
    }

    fn prepare(&self, command: &mut Command, verb: &str, output: &Output) -> io::Result<()> {
        if let Subject::Mutant { toml, .. } = &self.subject {
            let path = self.scratch.join("mutant.toml");
            // Its keepalive may be reading it: it is written once.
            if !path.exists() {
                fs::write(&path, toml)?;
            }
            command.arg(mutant::ARGUMENT).arg(path);
        }
        if let Subject::Embedded { .. } = &self.subject {
            let folder = self.scratch.join(UNPACKED);
            if !folder.exists() {
                fixtures::unpack(&folder)?;
            }
        }
        command.arg(verb);
        if self.subject == Subject::Shipped {
            command.arg("-c").arg(&self.config_path);
        }
        command
            .env_clear()
            .env("PATH", search_path())
            .env("LC_ALL", "C")
            .env("HOME", &self.scratch)
            .env("TMPDIR", &self.scratch)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.scratch)
            .stdin(Stdio::null())
            .stdout(output.stdio()?)
            .stderr(output.stdio()?);
        if self.subject.is_foreign() {
            command.env("MULTIWAN", self.shipped()?);
        }
        Ok(())
    }

    /// The path of the shipped applier: a link to this binary by its other name.
    fn shipped(&self) -> io::Result<PathBuf> {
        let link = self.scratch.join(SHIPPED_NAME);
        match symlink(env::current_exe()?, &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(link),
        }
    }

    fn name(&self, verb: &str) -> String {
        format!("{} {verb}", self.subject.name())
    }
}

/// The caller's search path with the places of `ip` and `nft`, which not every user's has.
fn search_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

#[cfg(test)]
mod tests;
