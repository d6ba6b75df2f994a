//! `multiwan check`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use super::{File, LACKING};
use crate::check::{Finding, Level, findings};
use crate::config::ConfigError;
use crate::error::Error;
use crate::kernel::Kernel;

/// What was found, as JSON; keys are added, never renamed.
#[derive(serde::Serialize)]
struct Checked<'a> {
    schema: u32,
    missing: usize,
    findings: &'a [Finding],
}

/// Says what is there, what is missing and what to do; [`LACKING`] where something needed is
/// missing.
///
/// Without a file at the place that nobody named, the kernel alone is looked at.
pub(super) async fn check(file: &File, json: bool) -> Result<ExitCode, Error> {
    let config = match file.load() {
        Ok(config) => Some(config),
        Err(ConfigError::Unreadable { .. }) if file.is_absent_default() => None,
        Err(error) => return Err(error.into()),
    };
    let facts = Kernel::open()?.facts().await?;
    let mut found = findings(config.as_ref(), &facts);
    if config.is_none() {
        let what = file.path.display().to_string();
        found.push(Finding {
            level: Level::Note,
            what,
            says: "there is no such file; the lines were not looked at".to_owned(),
        });
    }
    let missing = found
        .iter()
        .filter(|one| one.level == Level::Missing)
        .count();
    let text = if json {
        let object = Checked {
            schema: 1,
            missing,
            findings: &found,
        };
        let mut text = serde_json::to_string_pretty(&object).unwrap_or_default();
        text.push('\n');
        text
    } else {
        text(&found, missing)
    };
    // A reader that has seen enough (`| head`) is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if missing == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(LACKING)
    })
}

fn text(found: &[Finding], missing: usize) -> String {
    let mut text = String::new();
    for one in found {
        let _ = writeln!(text, "{one}");
    }
    let warnings = found
        .iter()
        .filter(|one| one.level == Level::Warning)
        .count();
    let _ = match (missing, warnings) {
        (0, 0) => writeln!(text, "nothing is missing"),
        (0, _) => writeln!(text, "nothing is missing; {warnings} to look at"),
        (_, 0) => writeln!(text, "{missing} missing"),
        _ => writeln!(text, "{missing} missing; {warnings} to look at"),
    };
    text
}
