//! Which applier `--applier` means.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::fixtures::{self, Kind};
use crate::job::Subject;
use crate::mutant;

/// An applier that cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No fixture has this name.
    #[error(
        "no applier is called `{name}`; give `multiwan`, a path with a slash, or one of: {}",
        known.join(", ")
    )]
    Unknown {
        /// As it was given.
        name: String,
        /// The fixtures' names.
        known: Vec<String>,
    },
    /// There is no such file.
    #[error("the applier {path}: {source}", path = path.display())]
    Missing {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It is no program.
    #[error(
        "the applier {path} is not an executable file; try `chmod +x {path}`",
        path = path.display()
    )]
    NotExecutable {
        /// The path.
        path: PathBuf,
    },
    /// It is a folder.
    #[error("the applier {path} is a folder; give the program in it", path = path.display())]
    Folder {
        /// The path.
        path: PathBuf,
    },
    /// Its name ends as a mutant's, and it is none.
    #[error("the applier {path}: {source}", path = path.display())]
    Mutant {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        source: mutant::Error,
    },
    /// The fixtures cannot be read.
    #[error("the suite's own appliers: {0}")]
    Fixtures(#[source] io::Error),
}

/// The subject of this name: `multiwan` is the shipped one, a name with a slash a path, any other
/// one of the [fixtures].
///
/// # Errors
///
/// If there is none, or it cannot be executed.
pub fn find(name: &str) -> Result<Subject, FindError> {
    if name == "multiwan" {
        return Ok(Subject::Shipped);
    }
    if name.contains('/') {
        return program(name);
    }
    let mut known = Vec::new();
    for kind in Kind::ALL {
        for fixture in fixtures::all(kind).map_err(FindError::Fixtures)? {
            if fixture.name == name {
                return Ok(fixture.subject);
            }
            known.push(fixture.name);
        }
    }
    let name = name.to_owned();
    Err(FindError::Unknown { name, known })
}

fn program(name: &str) -> Result<Subject, FindError> {
    let missing = |source| FindError::Missing {
        path: PathBuf::from(name),
        source,
    };
    let path = fs::canonicalize(Path::new(name)).map_err(missing)?;
    if path.extension().is_some_and(|end| end == "toml") {
        let text = fs::read_to_string(&path).map_err(missing)?;
        mutant::Mutant::parse(&text).map_err(|source| FindError::Mutant {
            path: path.clone(),
            source,
        })?;
        return Ok(fixtures::subject(name, &path, &text));
    }
    let metadata = fs::metadata(&path).map_err(missing)?;
    if metadata.is_dir() {
        return Err(FindError::Folder { path });
    }
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(FindError::NotExecutable { path });
    }
    Ok(Subject::Foreign {
        name: name.to_owned(),
        path,
    })
}
