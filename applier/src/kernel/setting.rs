//! Global settings, which only `/proc/sys` has.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use crate::state::{GlobalSetting, Setting};

/// What a global setting says; none where this kernel has no such one.
pub(super) fn read_global(setting: GlobalSetting) -> io::Result<Option<u32>> {
    match std::fs::read_to_string(file(setting)) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn write_global(setting: GlobalSetting, value: u32) -> io::Result<()> {
    std::fs::write(file(setting), value.to_string())
}

/// Whether it could be written, without writing it.
pub(super) fn can_write_global(setting: GlobalSetting) -> io::Result<()> {
    OpenOptions::new().write(true).open(file(setting)).map(drop)
}

fn file(setting: GlobalSetting) -> PathBuf {
    Path::new("/proc/sys").join(Setting::Global(setting).path())
}
