//! What `apply` found and put, so that `down` can restore the one and remove the other, and a line
//! keeps its number.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::difference::{Changes, Step};
use crate::runtime::Directory;
use crate::state::{Address, Route, Setting, State};

const FILE: &str = "record.json";

/// The record of one network namespace, in its runtime directory.
#[derive(Debug)]
pub struct Record {
    directory: Directory,
    content: Content,
}

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content {
    /// Settings, each with what was found and what was put there.
    pub settings: Vec<Overwritten>,
    /// Interfaces that were down.
    pub links: BTreeSet<String>,
    /// Addresses that were not there.
    pub addresses: BTreeSet<Address>,
    /// Tables that were filled.
    pub tables: BTreeSet<u32>,
    /// Default routes that were in those tables before.
    pub routes: Vec<Route>,
    /// The lines' numbers by their names.
    pub numbers: BTreeMap<String, u8>,
}

/// A setting that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overwritten {
    /// Which, by its path below `/proc/sys`.
    pub setting: String,
    /// What it said before multiwan changed it for the first time.
    pub found: u32,
    /// What multiwan set it to.
    pub put: u32,
}

impl Record {
    /// The record of this network namespace; an empty one where there is none.
    ///
    /// # Errors
    ///
    /// When `/proc` does not tell which namespace this is, or the file cannot be read.
    pub fn open() -> io::Result<Self> {
        let directory = Directory::of_this_namespace()?;
        let content = match std::fs::read(directory.path().join(FILE)) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { directory, content })
    }

    /// What is remembered.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Whether nothing is remembered, because nothing was applied or nothing could be written.
    pub fn is_empty(&self) -> bool {
        self.content == Content::default()
    }

    /// Remembers what `changes` are about to overwrite and put, and what was `found`, before they
    /// are made: killed in the middle, what was not done yet is found as it is recorded.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or written.
    pub fn remember(
        &mut self,
        config: &Config,
        found: &State,
        changes: &Changes,
    ) -> io::Result<()> {
        self.put(self.content.after(config, found, changes))
    }

    /// Makes it say what it said before, when what it says was taken back.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written.
    pub fn put(&mut self, content: Content) -> io::Result<()> {
        if content != self.content {
            self.directory.create()?;
            self.directory
                .write(FILE, &serde_json::to_vec_pretty(&content)?)?;
            self.content = content;
        }
        Ok(())
    }

    /// Forgets everything.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be removed.
    pub fn forget(self) -> io::Result<()> {
        match std::fs::remove_file(self.directory.path().join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Content {
    fn after(&self, config: &Config, found: &State, changes: &Changes) -> Self {
        let mut after = self.clone();
        for step in changes.steps() {
            match step {
                Step::Set { setting, from, to } => after.overwrite(setting, *from, *to),
                Step::Link {
                    interface,
                    up: true,
                } => {
                    after.links.insert(interface.clone());
                }
                Step::AddAddress(address) => {
                    after.addresses.insert(address.clone());
                }
                Step::RemoveAddress(address) => {
                    after.addresses.remove(address);
                }
                _ => {}
            }
        }
        for table in config.tables() {
            if after.tables.insert(table) {
                let there = found.routes.iter().filter(|route| route.table == table);
                after.routes.extend(there.cloned());
            }
        }
        after.numbers = config
            .lines
            .iter()
            .map(|l| (l.name.clone(), l.number))
            .collect();
        after
    }

    fn overwrite(&mut self, setting: &Setting, found: u32, put: u32) {
        let path = setting.path();
        match self.settings.iter_mut().find(|known| known.setting == path) {
            Some(known) => known.put = put,
            None => self.settings.push(Overwritten {
                setting: path,
                found,
                put,
            }),
        }
    }
}
