//! The appliers of `fixtures/appliers/`: correct ones, broken ones that make one mistake each, and
//! the how-to's commands as they stand.
//!
//! They are files, scripts or [mutants](crate::mutant), in the folder that the environment names,
//! beside this binary, or in the source tree; else those that are embedded in this binary.

mod header;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use include_dir::{Dir, File, include_dir};

pub use header::Header;

use crate::job::Subject;

/// Where the fixtures are, if neither beside the binary nor in the source tree.
const VARIABLE: &str = "MULTIWAN_FIXTURES";

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../fixtures/appliers");

/// What an applier is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is right, and passes.
    Correct,
    /// It makes a mistake, and is caught.
    Broken,
    /// It is what somebody has written, and is judged as it is.
    Verbatim,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Correct, Kind::Broken, Kind::Verbatim];

    /// The folder they are in.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Kind::Correct => "correct",
            Kind::Broken => "broken",
            Kind::Verbatim => "verbatim",
        }
    }
}

/// An applier of the suite's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixture {
    /// Its file's name without the end.
    pub name: String,
    /// What it is kept for.
    pub kind: Kind,
    /// What is judged.
    pub subject: Subject,
    /// What its file says of it.
    pub header: Header,
}

/// All of a kind, by name.
///
/// # Errors
///
/// If a file cannot be read.
pub fn all(kind: Kind) -> io::Result<Vec<Fixture>> {
    let mut fixtures = match folder() {
        Some(folder) => on_disk(&folder.join(kind.folder()), kind)?,
        None => embedded(kind),
    };
    fixtures.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(fixtures)
}

/// The first folder of appliers that is there; none if only the embedded ones are.
fn folder() -> Option<PathBuf> {
    let beside = || Some(env::current_exe().ok()?.parent()?.join("fixtures"));
    let source = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let named = env::var_os(VARIABLE).map(PathBuf::from);
    let there = |folder: &PathBuf| folder.join("appliers").is_dir();
    let found = named
        .or_else(|| beside().filter(there))
        .or_else(|| Some(source()).filter(there))?;
    Some(found.join("appliers"))
}

fn on_disk(folder: &Path, kind: Kind) -> io::Result<Vec<Fixture>> {
    let mut fixtures = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(fixtures),
        entries => entries?,
    };
    for entry in entries {
        let path = fs::canonicalize(entry?.path())?;
        let text = fs::read_to_string(&path)?;
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        fixtures.push(Fixture {
            name: name.to_owned(),
            kind,
            subject: subject(name, &path, &text),
            header: Header::of(&text),
        });
    }
    Ok(fixtures)
}

/// A file's subject: a mutant if it is TOML, else a program.
#[must_use]
pub fn subject(name: &str, path: &Path, text: &str) -> Subject {
    let name = name.to_owned();
    if path.extension().is_some_and(|end| end == "toml") {
        let toml = text.to_owned();
        Subject::Mutant { name, toml }
    } else {
        let path = path.to_owned();
        Subject::Foreign { name, path }
    }
}

fn embedded(kind: Kind) -> Vec<Fixture> {
    let fixture = |file: &File<'_>| {
        let (name, text) = (file.path().file_stem()?.to_str()?, file.contents_utf8()?);
        let subject = match subject(name, file.path(), text) {
            Subject::Foreign { name, path } => Subject::Embedded { name, path },
            mutant => mutant,
        };
        Some(Fixture {
            name: name.to_owned(),
            kind,
            subject,
            header: Header::of(text),
        })
    };
    let folder = EMBEDDED.get_dir(kind.folder());
    let files = folder.into_iter().flat_map(Dir::files);
    files.filter_map(fixture).collect()
}

/// Lays out all embedded appliers in a folder, to be executed there.
///
/// # Errors
///
/// If they cannot be written.
pub fn unpack(folder: &Path) -> io::Result<()> {
    EMBEDDED.extract(folder)?;
    for file in Kind::ALL
        .iter()
        .filter_map(|kind| EMBEDDED.get_dir(kind.folder()))
        .flat_map(Dir::files)
    {
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.join(file.path()), executable)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_ones_are_those_of_the_source_tree() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/appliers");
        let unpacked = tempfile::tempdir().unwrap();
        unpack(unpacked.path()).unwrap();
        for kind in Kind::ALL {
            let mut there = on_disk(&source.join(kind.folder()), kind).unwrap();
            let mut inside = embedded(kind);
            there.sort_by(|one, other| one.name.cmp(&other.name));
            inside.sort_by(|one, other| one.name.cmp(&other.name));
            let about = |fixtures: &[Fixture]| -> Vec<(String, Header)> {
                let each = fixtures.iter();
                each.map(|fixture| (fixture.name.clone(), fixture.header.clone()))
                    .collect()
            };
            let names = |fixtures: &[Fixture]| -> Vec<String> {
                fixtures
                    .iter()
                    .map(|fixture| fixture.name.clone())
                    .collect()
            };
            assert_eq!(names(&there), names(&inside));
            assert!(about(&there) == about(&inside), "{kind:?}: other headers");
            let twice = inside.windows(2).find(|two| two[0].name == two[1].name);
            assert!(twice.is_none(), "two are called so: {twice:?}");
            for fixture in inside {
                if let Subject::Embedded { path, .. } = fixture.subject {
                    let mode = fs::metadata(unpacked.path().join(path)).unwrap();
                    assert_eq!(mode.permissions().mode() & 0o777, 0o755);
                }
            }
        }
    }
}
