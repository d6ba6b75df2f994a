//! What `apply` found and put, so that `down` can restore the one and remove the other, and a line
//! keeps its number.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::difference::{Changes, Step};
use crate::gateways::Gateways;
use crate::kernel::Alongside;
use crate::runtime::{Directory, RECORD as FILE};
use crate::state::{
    Address, DeviceSetting, GlobalSetting, Route, Rule, Setting, State, TABLE_MAIN,
};

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
    /// Addresses that were there on a line's interface, left over from an earlier set-up, and had
    /// to go.
    pub removed: BTreeSet<Address>,
    /// Routes of others that went with an address, and that the kernel did not take back.
    #[serde(default)]
    pub went: Vec<Alongside>,
    /// Tables that were filled.
    pub tables: BTreeSet<u32>,
    /// Default routes that were in those tables before.
    pub routes: Vec<Route>,
    /// The lines' numbers by their names.
    pub numbers: BTreeMap<String, u8>,
    /// The gateways that dynamic lines had last.
    #[serde(default)]
    pub gateways: Gateways,
}

/// A setting that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overwritten {
    /// Which, by its path below `/proc/sys`.
    pub setting: String,
    /// What it said before multiwan changed it for the first time.
    pub found: u32,
    /// What multiwan set it to: several values while it is being changed from one to another.
    pub put: BTreeSet<u32>,
}

/// Why what is remembered is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// `/proc` does not tell which network namespace this is.
    #[error("cannot tell which network namespace this is: {0}")]
    Namespace(io::Error),
    /// The record is there and cannot be read.
    #[error("the record of what was there before cannot be read ({source}): {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system call returned.
        source: io::Error,
    },
    /// The record is not what was written there.
    #[error("the record of what was there before is broken ({source}): {}", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The record cannot be written.
    #[error("the record of it cannot be written ({source}): {}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system call returned.
        source: io::Error,
    },
}

/// A record that was of no use.
#[derive(Debug)]
pub struct PutAside {
    /// Why.
    pub wrong: RecordError,
    /// Where it is now; none where it could not be moved, and so nothing can be remembered.
    pub kept_as: Option<PathBuf>,
}

impl Record {
    /// The record of this network namespace; an empty one where there is none.
    ///
    /// # Errors
    ///
    /// When `/proc` does not tell which namespace this is, or the file cannot be read or understood.
    pub fn open() -> Result<Self, RecordError> {
        let directory = Directory::of_this_namespace().map_err(RecordError::Namespace)?;
        let content = Content::read(&directory)?;
        Ok(Self { directory, content })
    }

    /// Puts a record that cannot be read or understood aside, so that things are remembered again.
    pub fn put_broken_aside(directory: &Directory) -> Option<PutAside> {
        let wrong = Content::read(directory).err()?;
        let path = directory.path().join(FILE);
        let aside = path.with_extension("json.broken");
        let moved = std::fs::rename(&path, &aside);
        Some(PutAside {
            wrong,
            kept_as: moved.is_ok().then_some(aside),
        })
    }

    /// What is remembered.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Whether nothing is remembered, because nothing was applied or nothing could be written.
    pub fn is_empty(&self) -> bool {
        self.content == Content::default()
    }

    /// Remembers what `changes` are about to overwrite and put, what was `found`, and the routes of
    /// others that they may take along, before they are made. Killed in the middle, some of it may not
    /// be done yet and some of what was there before not gone: both are remembered until
    /// [`settle`](Self::settle).
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or written.
    pub fn remember(
        &mut self,
        config: &Config,
        found: &State,
        changes: &Changes,
        led: &[Alongside],
    ) -> Result<(), RecordError> {
        let during = self.content.during(config, found, changes);
        let went = self.content.went_with(led, led);
        self.put(Content { went, ..during })
    }

    /// Forgets what `changes`, which are made, have taken away; `went` are the routes of others that
    /// are not there for that.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written.
    pub fn settle(
        &mut self,
        config: &Config,
        found: &State,
        changes: &Changes,
        went: Vec<Alongside>,
    ) -> Result<(), RecordError> {
        let after = self.content.after(config, found, changes);
        self.put(Content { went, ..after })
    }

    /// Remembers the gateways that the lines have now, beside what else is remembered; nothing where
    /// nothing is.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written.
    pub fn renew_gateways(&mut self, config: &Config) -> Result<(), RecordError> {
        if self.is_empty() {
            return Ok(());
        }
        let gateways = self.content.gateways.renewed(config);
        self.put(Content {
            gateways,
            ..self.content.clone()
        })
    }

    /// Makes it say what it said before, when what it says was taken back.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written.
    pub fn put(&mut self, content: Content) -> Result<(), RecordError> {
        if content == self.content {
            return Ok(());
        }
        let written = serde_json::to_vec_pretty(&content)
            .map_err(io::Error::from)
            .and_then(|text| {
                self.directory.create()?;
                self.directory.write(FILE, &text)
            });
        written.map_err(|source| RecordError::Unwritable {
            path: self.directory.path().join(FILE),
            source,
        })?;
        self.content = content;
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

/// Whether there is no file, nor a folder for one.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

impl Content {
    /// What is remembered there; nothing where there is no record.
    fn read(directory: &Directory) -> Result<Self, RecordError> {
        let path = directory.path().join(FILE);
        match std::fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|source| RecordError::Broken { path, source })
            }
            Err(error) if is_absent(&error) => Ok(Self::default()),
            Err(source) => Err(RecordError::Unreadable { path, source }),
        }
    }

    /// What a setting that is not described any more said before, where multiwan put there what it
    /// says now. Not what was only needed for a change: `down` restores that.
    pub(crate) fn before(&self, setting: &Setting, value: u32) -> Option<u32> {
        let stays = matches!(
            setting,
            Setting::Device(_, DeviceSetting::PromoteSecondaries)
        );
        let path = setting.path();
        let known = self.settings.iter().find(|known| known.setting == path)?;
        let put = known.put.iter().any(|&put| setting.holds(value, put));
        (put && !stays).then_some(known.found)
    }

    /// The tables that are multiwan's, as far as it is remembered, asked for by its rules, or described.
    pub(crate) fn tables_in(&self, found: &State, config: Option<&Config>) -> BTreeSet<u32> {
        let ours = found.rules.iter().filter(|rule| rule.is_ours());
        let asked_for = ours.map(|rule| rule.table);
        let described = config.into_iter().flat_map(Config::tables);
        let remembered = self.tables.iter().copied();
        remembered
            .chain(asked_for)
            .chain(described)
            .filter(|table| *table != TABLE_MAIN)
            .collect()
    }

    /// The routes of others that went with addresses, with those `gone` of the ones that were `led` by
    /// such now.
    pub(crate) fn went_with(&self, led: &[Alongside], gone: &[Alongside]) -> Vec<Alongside> {
        let before = self.went.iter().filter(|route| !led.contains(route));
        before.chain(gone).cloned().collect()
    }

    fn during(&self, config: &Config, found: &State, changes: &Changes) -> Self {
        let mut during = self.clone();
        for step in changes.steps() {
            match step {
                Step::Set { setting, from, to } => {
                    during.overwrite(setting, *from, *to);
                    if *setting == Setting::Global(GlobalSetting::Forwarding) {
                        during.overwrite_by_forwarding(found, *to);
                    }
                }
                Step::Link {
                    interface,
                    up: true,
                } => {
                    during.links.insert(interface.clone());
                }
                Step::AddAddress(address) if !self.removed.contains(address) => {
                    during.addresses.insert(address.clone());
                }
                Step::RemoveAddress(address) if !self.addresses.contains(address) => {
                    during.removed.replace(address.clone());
                }
                _ => {}
            }
        }
        for table in config.tables() {
            // A rule of multiwan's tells that it was multiwan who filled it, and forgot.
            let filled = |rule: &Rule| rule.is_ours() && rule.table == table;
            if during.tables.insert(table) && !found.rules.iter().any(filled) {
                let there = found.routes.iter().filter(|route| route.table == table);
                during.routes.extend(there.cloned());
            }
        }
        let numbers = config.lines.iter().map(|l| (l.name.clone(), l.number));
        during.numbers.extend(numbers);
        during.gateways = self.gateways.renewed(config);
        during
    }

    fn after(&self, config: &Config, found: &State, changes: &Changes) -> Self {
        let mut after = self.clone();
        for step in changes.steps() {
            match step {
                Step::Set { setting, to, .. } => {
                    after.put_alone(setting, *to);
                    if *setting == Setting::Global(GlobalSetting::Forwarding) {
                        after.put_alone_by_forwarding(found, *to);
                    }
                }
                Step::RemoveAddress(address) => {
                    after.addresses.remove(address);
                }
                Step::AddAddress(address) => {
                    after.removed.remove(address);
                }
                _ => {}
            }
        }
        after.tables = config.tables().collect();
        let described = |name: &String, _: &mut u8| config.lines.iter().any(|l| l.name == *name);
        after.numbers.retain(described);
        after
    }

    fn overwrite(&mut self, setting: &Setting, found: u32, put: u32) {
        let path = setting.path();
        match self.settings.iter_mut().find(|known| known.setting == path) {
            Some(known) => {
                known.put.insert(put);
            }
            None => self.settings.push(Overwritten {
                setting: path,
                found,
                put: BTreeSet::from([put]),
            }),
        }
    }

    /// Of what a setting was set to, only the last is left.
    fn put_alone(&mut self, setting: &Setting, put: u32) {
        let path = setting.path();
        if let Some(known) = self.settings.iter_mut().find(|k| k.setting == path) {
            known.put = BTreeSet::from([put]);
        }
    }

    fn put_alone_by_forwarding(&mut self, found: &State, forwards: u32) {
        for setting in found.settings.keys() {
            if let Some(put) = setting.set_by_forwarding(forwards) {
                self.put_alone(setting, put);
            }
        }
    }

    fn overwrite_by_forwarding(&mut self, found: &State, forwards: u32) {
        for (setting, &value) in &found.settings {
            if let Some(put) = setting.set_by_forwarding(forwards) {
                self.overwrite(setting, value, put);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is read after an update, in the middle of a router's life.
    #[test]
    fn what_an_earlier_one_has_left_is_understood() {
        let left = r#"{"settings": [], "links": ["eth1"], "addresses": [], "removed": [{"interface": "eth1",
            "address": "198.51.100.50/24", "broadcast": "198.51.100.255", "rank": 3}], "tables": [201],
            "routes": [], "numbers": {}}"#;
        let content: Content = serde_json::from_str(left).unwrap();
        let address = Address::new("eth1", "198.51.100.50/24".parse().unwrap());
        assert_eq!(content.removed, [address.clone()].into());
        let first = content.removed.first().unwrap();
        assert_eq!(first.to_string(), address.to_string());
        assert_eq!(content.went, []);
    }
}
