//! The described configurations that clauses run with: the suite's own, and files.

use std::{fs, io};

use multiwan::config::{Config, ConfigError};

/// A configuration of the suite's own, from `fixtures/configs/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// What `-c`, `list` and the report call it.
    pub name: &'static str,
    /// Its text.
    pub toml: &'static str,
}

/// Two lines of equal weight: the how-to's case.
pub const TWO_LINES: Builtin = Builtin {
    name: "two-lines",
    toml: include_str!("../../fixtures/configs/two-lines.toml"),
};

/// Two lines of weights 4 and 1: the how-to's second case.
pub const FOUR_TO_ONE: Builtin = Builtin {
    name: "four-to-one",
    toml: include_str!("../../fixtures/configs/four-to-one.toml"),
};

/// Two lines of equal weight, and a target beyond their gateways.
pub const TWO_LINES_TARGETS: Builtin = Builtin {
    name: "two-lines-targets",
    toml: include_str!("../../fixtures/configs/two-lines-targets.toml"),
};

/// Three lines of weights 3, 2 and 1.
pub const THREE_LINES: Builtin = Builtin {
    name: "three-lines",
    toml: include_str!("../../fixtures/configs/three-lines.toml"),
};

/// The same three, where a dead line's connections are released.
pub const THREE_LINES_RELEASE: Builtin = Builtin {
    name: "three-lines-release",
    toml: include_str!("../../fixtures/configs/three-lines-release.toml"),
};

/// Two lines, where a dead line's UDP is told for half a second, and then released.
pub const TWO_LINES_RELEASE_AFTER: Builtin = Builtin {
    name: "two-lines-release-after",
    toml: include_str!("../../fixtures/configs/two-lines-release-after.toml"),
};

/// Two lines, where a dead line's TCP is reset.
pub const TWO_LINES_RESET: Builtin = Builtin {
    name: "two-lines-reset",
    toml: include_str!("../../fixtures/configs/two-lines-reset.toml"),
};

/// As [`TWO_LINES`]; three missed answers make a line dead, and three in a row bring it back.
pub const TWO_LINES_PATIENT: Builtin = Builtin {
    name: "two-lines-patient",
    toml: include_str!("../../fixtures/configs/two-lines-patient.toml"),
};

/// Two lines, and a third that is for when they are dead.
pub const BACKUP: Builtin = Builtin {
    name: "backup",
    toml: include_str!("../../fixtures/configs/backup.toml"),
};

/// Weights 400 and 100, which are 4 and 1.
pub const FOUR_HUNDRED: Builtin = Builtin {
    name: "four-hundred-to-one-hundred",
    toml: include_str!("../../fixtures/configs/four-hundred-to-one-hundred.toml"),
};

/// Two lines of weights 11 and 45.
pub const ELEVEN_TO_FORTY_FIVE: Builtin = Builtin {
    name: "eleven-to-forty-five",
    toml: include_str!("../../fixtures/configs/eleven-to-forty-five.toml"),
};

/// Four lines of equal weight.
pub const FOUR_LINES: Builtin = Builtin {
    name: "four-lines",
    toml: include_str!("../../fixtures/configs/four-lines.toml"),
};

/// Five lines of weights 5, 4, 3, 2 and 1.
pub const FIVE_LINES: Builtin = Builtin {
    name: "five-lines",
    toml: include_str!("../../fixtures/configs/five-lines.toml"),
};

/// Six lines of weights 3, 3, 2, 2, 1 and 1.
pub const SIX_LINES: Builtin = Builtin {
    name: "six-lines",
    toml: include_str!("../../fixtures/configs/six-lines.toml"),
};

/// Seven lines of weights 4, and 1 for the others.
pub const SEVEN_LINES: Builtin = Builtin {
    name: "seven-lines",
    toml: include_str!("../../fixtures/configs/seven-lines.toml"),
};

/// Eight lines of weights 3, 2, and 1 for the others.
pub const EIGHT_LINES: Builtin = Builtin {
    name: "eight-lines",
    toml: include_str!("../../fixtures/configs/eight-lines.toml"),
};

/// Two lines, over which one client's connections to one server are spread too.
pub const CONNECTION: Builtin = Builtin {
    name: "connection",
    toml: include_str!("../../fixtures/configs/connection.toml"),
};

/// Two lines, and traffic that must use one of them.
pub const PINS: Builtin = Builtin {
    name: "pins",
    toml: include_str!("../../fixtures/configs/pins.toml"),
};

/// Two lines whose addresses come from their providers.
pub const DYNAMIC: Builtin = Builtin {
    name: "dynamic",
    toml: include_str!("../../fixtures/configs/dynamic.toml"),
};

/// Two lines on one card of the router.
pub const SHARED_CARD: Builtin = Builtin {
    name: "shared-card",
    toml: include_str!("../../fixtures/configs/shared-card.toml"),
};

/// A line without ARP and gateway, and one with.
pub const POINT_TO_POINT: Builtin = Builtin {
    name: "point-to-point",
    toml: include_str!("../../fixtures/configs/point-to-point.toml"),
};

/// All of the suite's own.
pub const BUILTIN: &[Builtin] = &[
    TWO_LINES,
    FOUR_TO_ONE,
    TWO_LINES_TARGETS,
    FOUR_HUNDRED,
    ELEVEN_TO_FORTY_FIVE,
    FOUR_LINES,
    FIVE_LINES,
    SIX_LINES,
    SEVEN_LINES,
    EIGHT_LINES,
    CONNECTION,
    BACKUP,
    THREE_LINES,
    THREE_LINES_RELEASE,
    TWO_LINES_RELEASE_AFTER,
    TWO_LINES_RESET,
    TWO_LINES_PATIENT,
    PINS,
    DYNAMIC,
    SHARED_CARD,
    POINT_TO_POINT,
];

/// A configuration read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Its built-in name, or the path as it was given.
    pub name: String,
    /// Its text, which a worker writes into its scratch directory for the applier.
    pub toml: String,
    /// What it says.
    pub config: Config,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a file nor a name.
    #[error(
        "{name}: {source}; give a file, or the name of a configuration of the suite's own: {}",
        names()
    )]
    Read {
        /// As it was given.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// What it says is refused: where, and what to write instead.
    #[error(transparent)]
    Refused(#[from] ConfigError),
}

impl Configuration {
    /// The built-in one of this name, else the file.
    ///
    /// # Errors
    ///
    /// If there is neither, or the file is refused.
    pub fn find(name: &str) -> Result<Self, Error> {
        if let Some(builtin) = builtin(name) {
            return Ok(Self::builtin(builtin));
        }
        let toml = fs::read_to_string(name).map_err(|source| Error::Read {
            name: name.to_owned(),
            source,
        })?;
        let config = Config::parse(&toml, name)?;
        Ok(Configuration {
            name: name.to_owned(),
            toml,
            config,
        })
    }

    /// One of the suite's own.
    ///
    /// # Panics
    ///
    /// If the applier's library refuses it, which a test keeps from happening.
    #[must_use]
    pub fn builtin(builtin: &Builtin) -> Self {
        let Builtin { name, toml } = *builtin;
        let config = Config::parse(toml, name).expect("the suite's own configurations are right");
        Configuration {
            name: name.to_owned(),
            toml: toml.to_owned(),
            config,
        }
    }
}

/// Whether it is the name of a configuration of the suite's own, and no file's.
#[must_use]
pub fn is_builtin(name: &str) -> bool {
    builtin(name).is_some()
}

fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTIN.iter().find(|builtin| builtin.name == name)
}

fn names() -> String {
    BUILTIN
        .iter()
        .map(|builtin| builtin.name)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_s_own_are_right_and_are_found_by_name() {
        for builtin in BUILTIN {
            let found = Configuration::find(builtin.name).unwrap();
            assert_eq!(found, Configuration::builtin(builtin));
        }
    }

    #[test]
    fn what_is_neither_file_nor_name_is_told_the_names() {
        let error = Configuration::find("ten-lines").unwrap_err().to_string();
        assert!(
            error.contains("of the suite's own: two-lines, four-to-one"),
            "{error}"
        );
    }
}
