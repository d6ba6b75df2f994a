//! What is kept of a clause that failed or could not be judged: a folder with the frames on the
//! router's cables, what its kernel held, what the applier said, and the command that repeats it.
//!
//! The state is taken while the lab still stands, into the worker's scratch directory; only once
//! the verdict is known it is copied to where it stays. The only program that is started for it is
//! `nft`, where it is there.

mod devices;
mod kernel;
mod nftables;
mod sysctl;

pub(crate) use kernel::rule_line;

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use multiwan_lab::Lab;
use multiwan_lab::traffic::Traffic;
use serde::{Deserialize, Serialize};

use crate::applier::Keepalive;
use crate::context::Context;
use crate::report::Record;

/// How many frames of each cable are kept, the last ones: some 700 kB each.
pub const FRAMES: usize = 4096;

/// Where what is kept goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Nowhere.
    #[default]
    Nothing,
    /// Into a folder of the clause's name in this one, which is made if need be.
    In(PathBuf),
    /// Into a new folder of its own in this one, for temporary files.
    Temporary(PathBuf),
}

/// Takes down what the router is like now, if that is wanted; then lets somebody look, if that is.
pub fn take(
    cx: &mut Context,
    lab: &mut Lab,
    traffic: Option<&Traffic>,
    daemon: Option<&mut Keepalive>,
) {
    if let Some(folder) = cx.evidence.folder().map(Path::to_owned) {
        // What cannot be kept takes nothing from the verdict; the file says so.
        let _ = fs::create_dir_all(&folder);
        let write = |name: &str, text: String| drop(fs::write(folder.join(name), text));
        for (name, text) in kernel::describe(lab.router()) {
            write(name, text);
        }
        write("sysctl.txt", sysctl::describe());
        write("applier.txt", said(cx, daemon));
        for recording in traffic.iter().flat_map(|traffic| traffic.recordings()) {
            let path = folder.join(format!("{}.pcapng", recording.device()));
            let file = File::create(&path).map(BufWriter::new);
            let written = file.and_then(|file| recording.write_pcapng(file));
            if let Err(error) = written {
                write("pcapng-error.txt", format!("{}: {error}\n", path.display()));
            }
        }
    }
    cx.evidence.pause(lab);
}

/// All that the applier printed, command by command.
fn said(cx: &Context, daemon: Option<&mut Keepalive>) -> String {
    let mut said = cx.applier.said();
    if let Some(daemon) = daemon {
        said.push_str(&format!(
            "$ {}\n{}\n",
            daemon.command(),
            daemon.all_output()
        ));
        if let Some((_, error)) = daemon.early_end() {
            said.push_str(&format!("({error})\n"));
        }
    }
    said
}

/// Keeps what was taken of a clause that went wrong, if anything could be, with the record and how to
/// repeat it; the record then says where, or why not.
pub fn keep(
    keep: &Keep,
    taken: Option<&Path>,
    record: &mut Record,
    configuration: &str,
    repeat: &str,
) {
    match store(keep, taken, record, configuration, repeat) {
        Ok(folder) => record.kept = folder,
        Err(error) => {
            let detail = record.detail.get_or_insert_default();
            detail.push_str(&format!("\nnothing could be kept: {error}"));
        }
    }
}

/// Puts it where it stays; the folder.
fn store(
    keep: &Keep,
    taken: Option<&Path>,
    record: &Record,
    configuration: &str,
    repeat: &str,
) -> io::Result<Option<PathBuf>> {
    let name = name(record);
    let folder = match keep {
        Keep::Nothing => return Ok(None),
        Keep::In(parent) => {
            fs::create_dir_all(parent)?;
            unused(parent, &name)?
        }
        Keep::Temporary(parent) => tempfile::Builder::new()
            .prefix(&format!("multiwan-{name}-"))
            .tempdir_in(parent)?
            .keep(),
    };
    for entry in taken.map(fs::read_dir).into_iter().flatten().flatten() {
        let entry = entry?;
        fs::copy(entry.path(), folder.join(entry.file_name()))?;
    }
    fs::write(folder.join("multiwan.toml"), configuration)?;
    fs::write(folder.join("repeat.txt"), format!("{repeat}\n"))?;
    fs::write(
        folder.join("record.json"),
        serde_json::to_string_pretty(record).map_err(io::Error::from)? + "\n",
    )?;
    fs::write(folder.join("events.txt"), events(record))?;
    Ok(Some(folder))
}

/// What happened, in order; the verdict last.
fn events(record: &Record) -> String {
    let reason = record.reason.as_deref().unwrap_or_default();
    let detail = record.detail.as_deref().unwrap_or_default();
    format!("{detail}\n\n{} {}: {reason}\n", record.id, record.status)
}

/// `dead.carrier-two-lines`; of a configuration's path only the file's name.
fn name(record: &Record) -> String {
    let stem = Path::new(&record.config).file_stem();
    let config = stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    format!("{}-{config}", record.id)
        .chars()
        .map(plain)
        .collect()
}

/// A folder of this name, or of this name and a number, that was not there yet.
fn unused(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let numbered = (2..).map(|number| format!("{name}.{number}"));
    for name in std::iter::once(name.to_owned()).chain(numbered) {
        let folder = parent.join(name);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| folder),
        }
    }
    unreachable!("there is always a larger number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clause::Kind;
    use crate::judgement::Status;
    use crate::report::tests::record;

    #[test]
    fn what_was_taken_is_copied_and_no_earlier_folder_is_touched() {
        let scratch = tempfile::tempdir().unwrap();
        let taken = scratch.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("rules.txt"), "0: from all\n").unwrap();
        let mut record = record("a.b", Kind::Behaviour, Status::Failed);
        record.config = "/etc/my lines.toml".to_owned();
        let keep = Keep::In(scratch.path().join("kept/here"));
        let store = || {
            store(
                &keep,
                Some(&taken),
                &record,
                "[lan]\n",
                "multiwan-conformance run",
            )
        };
        let first = store().unwrap().unwrap();
        assert!(first.ends_with("kept/here/a.b-my_lines"), "{first:?}");
        for (file, content) in [
            ("rules.txt", "0: from all\n"),
            ("multiwan.toml", "[lan]\n"),
            ("repeat.txt", "multiwan-conformance run\n"),
        ] {
            assert_eq!(fs::read_to_string(first.join(file)).unwrap(), content);
        }
        assert!(first.join("record.json").exists() && first.join("events.txt").exists());
        let second = store().unwrap().unwrap();
        assert!(second.ends_with("a.b-my_lines.2"), "{second:?}");
    }
}
