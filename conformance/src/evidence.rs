//! What a clause leaves behind beside its verdict.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use multiwan_lab::Lab;

use crate::job::{Message, Namespace};
use crate::timeline::Timeline;

/// Gathered while a clause is judged.
#[derive(Debug, Default)]
pub struct Evidence {
    /// New connections over time, one for each lab in which a line was broken.
    pub timelines: Vec<Timeline>,
    folder: Option<PathBuf>,
    pause: Option<Pause>,
}

/// How a failed lab is held until somebody has looked.
#[derive(Debug)]
pub struct Pause {
    /// Where it is said that the lab waits.
    pub send: fn(&Message),
    /// Each word is a leave to go on.
    pub go_on: Receiver<()>,
}

impl Evidence {
    /// Evidence whose folder, if it is wanted, lies in a scratch directory.
    #[must_use]
    pub fn new(folder: Option<PathBuf>, pause: Option<Pause>) -> Self {
        Evidence {
            timelines: Vec::new(),
            folder,
            pause,
        }
    }

    /// Whether anything is kept of a clause that goes wrong.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.folder.is_some()
    }

    /// Where it goes for the time being.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Says how each host can be entered, and waits for leave to go on; if that is wanted.
    pub fn pause(&self, lab: &Lab) {
        let Some(pause) = &self.pause else { return };
        let namespace = |host: &multiwan_lab::Host| {
            let path = host.netns().path().ok()?;
            Some(Namespace {
                host: host.name().to_owned(),
                path,
            })
        };
        (pause.send)(&Message::Paused {
            hosts: lab.hosts().filter_map(namespace).collect(),
            user: user_namespace(),
            worker: 0,
        });
        // An end of the line is a leave too: then the worker ends by itself.
        let _ = pause.go_on.recv();
    }
}

/// The inode of this process's user namespace; 0 where there are none.
#[must_use]
pub fn user_namespace() -> u64 {
    fs::metadata("/proc/self/ns/user").map_or(0, |metadata| metadata.ino())
}
