//! Where reports go: files that hold a whole report or what they held before.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Error;
use super::people::People;

/// A place for a report, found fit before the run so that a wrong path does not cost one.
#[derive(Debug)]
pub(super) struct Output {
    /// As it was given.
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Stdout,
    /// A file that is written anew beside this one and put in its place.
    Beside(PathBuf),
    /// What cannot be replaced: a device, a pipe, a file in a folder that is not ours.
    Open(File),
}

impl Output {
    /// Finds out whether a report can be written there; nothing is.
    pub(super) fn find(path: &Path) -> Result<Self, Error> {
        let place = place(path).map_err(|source| Error::Output {
            path: path.to_owned(),
            source,
        })?;
        Ok(Output {
            path: path.to_owned(),
            place,
        })
    }

    /// Whether both are one file, of which the second report would be all that is left.
    pub(super) fn is_same(&self, other: &Output) -> bool {
        match (&self.place, &other.place) {
            (Place::Beside(one), Place::Beside(two)) => real(one) == real(two),
            _ => false,
        }
    }

    /// Whether it is standard output.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Stdout)
    }

    /// Writes a whole report.
    pub(super) fn write(
        self,
        report: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        let written = match self.place {
            Place::Stdout => {
                return report(&mut People::new(io::stdout())).map_err(Error::Print);
            }
            Place::Beside(path) => replace(&path, report),
            Place::Open(file) => fill(file, report),
        };
        written.map_err(|source| Error::Output {
            path: self.path,
            source,
        })
    }
}

fn place(path: &Path) -> io::Result<Place> {
    if path == Path::new("-") {
        return Ok(Place::Stdout);
    }
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tempfile::tempfile_in(folder(path))?;
            Ok(Place::Beside(path.to_owned()))
        }
        Err(error) => Err(error),
        Ok(there) => {
            let file = OpenOptions::new().write(true).open(path)?;
            Ok(match replaceable(path) {
                Some(path) if there.is_file() => Place::Beside(path),
                _ => Place::Open(file),
            })
        }
    }
}

/// The file itself, if another can take its place: what a link leads to, not the link, and not what
/// some process has open and is named by its descriptor.
fn replaceable(path: &Path) -> Option<PathBuf> {
    if ["/dev", "/proc"].iter().any(|top| path.starts_with(top)) {
        return None;
    }
    let path = fs::canonicalize(path).ok()?;
    tempfile::tempfile_in(folder(&path)).ok()?;
    Some(path)
}

/// By the real name of its folder: the file itself may not be there yet.
fn real(path: &Path) -> Option<PathBuf> {
    Some(fs::canonicalize(folder(path)).ok()?.join(path.file_name()?))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Writes a new file and gives it the name of the old one, and its permissions.
fn replace(path: &Path, report: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // The user's mask takes away what it does of any new file.
    let usual = Permissions::from_mode(0o666);
    let new = tempfile::Builder::new()
        .permissions(usual)
        .tempfile_in(folder(path))?;
    if let Ok(old) = fs::metadata(path) {
        new.as_file().set_permissions(old.permissions())?;
    }
    let mut to = BufWriter::new(new);
    report(&mut to)?;
    let new = to.into_inner().map_err(io::IntoInnerError::into_error)?;
    new.persist(path).map_err(|refused| refused.error)?;
    Ok(())
}

/// Writes an open file from its beginning on.
fn fill(file: File, report: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    let mut to = BufWriter::new(file);
    report(&mut to)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) -> Result<(), Error> {
        Output::find(path)?.write(|to| to.write_all(text.as_bytes()))
    }

    #[test]
    fn a_file_is_replaced_by_a_whole_one_and_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        write(&path, "one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let output = Output::find(&link).unwrap();
        let refused = output.write(|to| {
            to.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert!(refused.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        write(&link, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert!(link.is_symlink());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o604);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "nothing else is left"
        );
    }

    #[test]
    fn a_wrong_path_is_found_out_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = folder.path().join("no/such");
        assert!(matches!(Output::find(&wrong), Err(Error::Output { .. })));
        assert!(Output::find(folder.path()).is_err(), "a folder is no file");
        Output::find(&folder.path().join("new")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_file_by_two_names_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let find = |path: &str| Output::find(&folder.path().join(path)).unwrap();
        fs::write(folder.path().join("there"), "").unwrap();
        std::os::unix::fs::symlink("there", folder.path().join("link")).unwrap();
        assert!(find("new").is_same(&find("./new")));
        assert!(find("link").is_same(&find("there")));
        assert!(!find("new").is_same(&find("there")));
        let device = || Output::find(Path::new("/dev/null")).unwrap();
        assert!(!device().is_same(&device()), "it keeps neither");
    }

    #[test]
    fn a_device_is_written_and_stays_one() {
        use std::os::unix::fs::FileTypeExt as _;
        write(Path::new("/dev/null"), "gone").unwrap();
        assert!(
            fs::metadata("/dev/null")
                .unwrap()
                .file_type()
                .is_char_device()
        );
    }

    #[test]
    fn what_is_open_is_written_and_not_replaced() {
        use std::io::{Read as _, Seek as _};
        use std::os::fd::AsRawFd as _;
        let mut open = tempfile::tempfile().unwrap();
        write(
            Path::new(&format!("/proc/self/fd/{}", open.as_raw_fd())),
            "whole",
        )
        .unwrap();
        let mut held = String::new();
        open.rewind().unwrap();
        open.read_to_string(&mut held).unwrap();
        assert_eq!(held, "whole");
    }
}
