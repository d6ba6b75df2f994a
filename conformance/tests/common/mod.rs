//! What several files of tests need.

mod install;

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use install::install;
use tempfile::TempDir;

/// The suite.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_multiwan-conformance");

/// A shell script as the applier, with these cases for its commands, `apply) exit 1 ;;`, and none
/// of the others. It is gone with the folder.
pub(crate) fn applier(cases: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.sh");
    let text = format!("#!/bin/sh\ncase $1 in {cases} esac\nexit 64\n");
    install(&path, &text);
    (folder, path)
}

/// A pipe that an applier holds open: its end is read here, where the applier's process number is
/// not known.
pub(crate) struct Pipe {
    folder: TempDir,
}

impl Pipe {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("mkfifo")
            .arg(folder.path().join("alive"))
            .status();
        assert!(made.unwrap().success());
        Pipe { folder }
    }

    /// The shell's commands to hold it.
    pub(crate) fn hold(&self) -> String {
        let path = self.folder.path().join("alive");
        format!("exec 3>{}; echo up >&3", path.display())
    }

    /// Waits until it is held.
    pub(crate) fn held(self) -> Held {
        let mut alive = File::open(self.folder.path().join("alive")).unwrap();
        let mut said = [0; 3];
        alive.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"up\n");
        Held {
            alive,
            _folder: self.folder,
        }
    }
}

/// A pipe that was held.
pub(crate) struct Held {
    alive: File,
    _folder: TempDir,
}

impl Held {
    /// Who held it has ended by now, or does at once.
    pub(crate) fn expect_let_go(mut self) {
        let since = Instant::now();
        assert_eq!(self.alive.read_to_end(&mut Vec::new()).unwrap(), 0);
        let lived_on = since.elapsed();
        assert!(lived_on < Duration::from_secs(10), "for {lived_on:?}");
    }
}
