//! `run`: from what is asked to the exit status.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;
use std::time::Instant;

use super::{Error, Run};
use crate::applier;
use crate::clause::Clause;
use crate::configuration::Configuration;
use crate::job::{Job, Subject};
use crate::report::progress::Progress;
use crate::report::{Report, json, terminal};
use crate::{runner, selection};

/// Judges, reports, and says the exit status.
pub(super) fn run(asked: &Run) -> Result<u8, Error> {
    let subject = applier::find(&asked.applier)?;
    let given = asked
        .configs
        .iter()
        .map(|name| Configuration::find(name))
        .collect::<Result<Vec<_>, _>>()?;
    let plan = selection::plan(&selection::select(&asked.only)?, &given);
    if plan.is_empty() {
        return Err(Error::Nothing(asked.configs.join(", ")));
    }
    let seed = asked
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let jobs = jobs(plan, &subject, seed);
    let mut people: Box<dyn Write> = match asked.json.as_deref() {
        Some(path) if is_stdout(path) => Box::new(anstream::stderr()),
        _ => Box::new(anstream::stdout()),
    };
    let programs = asked.json.as_deref().map(open).transpose()?;

    let mode = runner::doctor()?;
    let since = Instant::now();
    let mut progress = Progress::new(&jobs, &mut *people);
    let clauses = runner::run(&jobs, at_once(asked.jobs), |index, message| {
        progress.show(index, message);
    });
    progress.end();

    let report = Report {
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        applier: subject.name().to_owned(),
        foreign: subject.is_foreign(),
        mode,
        seed,
        duration: since.elapsed(),
        clauses,
    };
    terminal::summary(&report, &mut *people)?;
    if let Some(mut programs) = programs {
        json::write(&report, &mut *programs)?;
    }
    Ok(report.exit_status(asked.strict))
}

fn jobs(plan: Vec<(&'static Clause, Configuration)>, subject: &Subject, seed: u64) -> Vec<Job> {
    let level = selection::level(&plan);
    let job = |(clause, with): (&Clause, Configuration)| Job {
        clause: clause.id.to_owned(),
        configuration: with.name,
        toml: with.toml,
        subject: subject.clone(),
        seed,
        level,
    };
    plan.into_iter().map(job).collect()
}

/// Two for each core, as clauses mostly wait; and eight at most, as all labs of a machine share one
/// neighbour table, in which each has some fifty entries of 500.
pub(super) fn at_once(asked: Option<NonZeroUsize>) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    asked.map_or((2 * cores).min(8), usize::from)
}

pub(super) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Opened before the run, so that a wrong path does not cost one.
pub(super) fn open(path: &Path) -> Result<Box<dyn Write>, Error> {
    if is_stdout(path) {
        return Ok(Box::new(io::stdout()));
    }
    let file = File::create(path).map_err(|source| Error::Output {
        path: path.to_owned(),
        source,
    })?;
    Ok(Box::new(file))
}
