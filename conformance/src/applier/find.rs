//! Which applier `--applier` means.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::job::Subject;

/// Where the fixtures are, if neither beside the binary nor in the source tree.
const VARIABLE: &str = "MULTIWAN_FIXTURES";

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
    #[error("the applier {path}: {source}")]
    Missing {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It is no program.
    #[error("the applier {path} is not an executable file; try `chmod +x {path}`")]
    NotExecutable {
        /// The path.
        path: PathBuf,
    },
}

/// The subject of this name: `multiwan` is the shipped one, a name with a slash a path, any other
/// a file in `appliers/correct` or `appliers/broken` of the fixtures.
///
/// # Errors
///
/// If there is none, or it cannot be executed.
pub fn find(name: &str) -> Result<Subject, FindError> {
    if name == "multiwan" {
        return Ok(Subject::Shipped);
    }
    let path = if name.contains('/') {
        PathBuf::from(name)
    } else {
        fixture(name)?
    };
    let path = fs::canonicalize(&path).map_err(|source| FindError::Missing {
        path: path.clone(),
        source,
    })?;
    let metadata = fs::metadata(&path).map_err(|source| FindError::Missing {
        path: path.clone(),
        source,
    })?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(FindError::NotExecutable { path });
    }
    Ok(Subject::Foreign {
        name: name.to_owned(),
        path,
    })
}

fn fixture(name: &str) -> Result<PathBuf, FindError> {
    let all: Vec<PathBuf> = folders().iter().flat_map(|folder| files(folder)).collect();
    let called = |path: &&PathBuf| path.file_stem().is_some_and(|stem| stem == name);
    all.iter().find(called).cloned().ok_or_else(|| {
        let known = all
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
        FindError::Unknown {
            name: name.to_owned(),
            known: known.collect(),
        }
    })
}

/// The folders of appliers in the first place that has fixtures.
fn folders() -> [PathBuf; 2] {
    let beside = env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join("fixtures")));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let fixtures = env::var_os(VARIABLE)
        .map(PathBuf::from)
        .or_else(|| beside.filter(|folder| folder.is_dir()))
        .unwrap_or(source);
    ["correct", "broken"].map(|kind| fixtures.join("appliers").join(kind))
}

/// The folder's files by name; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}
