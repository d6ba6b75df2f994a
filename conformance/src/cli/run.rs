//! `run`: from what is asked to the exit status.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::outputs::Output;
use super::people::People;
use super::{Error, Run, WARNING};
use crate::applier;
use crate::bundle::Keep;
use crate::clause::{Clause, Feature};
use crate::configuration::Configuration;
use crate::forecast::forecast;
use crate::job::{Claims, Job, Message, Question, Subject};
use crate::judgement::Status;
use crate::report::progress::Progress;
use crate::report::{Record, Report, html, json, junit, terminal};
use crate::selection::Misfit;
use crate::stop::{Stop, Why};
use crate::{clauses, runner, selection};

/// A run that takes so long is announced.
const LONG: Duration = Duration::from_secs(120);

/// Judges, reports, and says the exit status.
pub(super) fn run(asked: &Run) -> Result<u8, Error> {
    let subject = applier::find(&asked.applier)?;
    let given = asked
        .configs
        .iter()
        .map(|name| Configuration::find(name))
        .collect::<Result<Vec<_>, _>>()?;
    let selected = selection::select(&asked.only)?;
    let plan = selection::plan(&selected, &given);
    let misfits = selection::misfits(&selected, &given);
    let Some((_, first)) = plan.first() else {
        return Err(Error::Nothing(why_nothing(&asked.configs, &misfits)));
    };
    let seed = asked
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let keep = keep(asked)?;
    let at_once = if asked.pause_on_failure {
        1
    } else {
        at_once(asked.jobs)
    };
    let outputs = Outputs::find(asked)?;
    let mut people: Box<dyn Write> = if outputs.take_stdout {
        Box::new(People::new(anstream::stderr()))
    } else {
        Box::new(People::new(anstream::stdout()))
    };

    let stop = Stop::on_signals()?;
    let mode = runner::doctor(&stop)?;
    let features = features(&subject, first, &stop)?;
    let forecast = forecast(plan.iter().map(|(_, with)| with), at_once);
    if forecast >= LONG {
        let minutes = forecast.as_secs().div_ceil(60);
        writeln!(
            people,
            "This takes some {minutes} minutes: the clauses wait for deaths and returns, which take as long \
             as [keepalive] says."
        )?;
    }
    let jobs = jobs(
        &plan,
        &subject,
        &features,
        seed,
        &keep,
        asked.pause_on_failure,
    );
    let since = Instant::now();
    let mut progress = Progress::new(&jobs, &mut *people);
    let records = judge(&jobs, at_once, &stop, &mut progress);
    progress.end();

    let stopped = stop.why().map(ToString::to_string);
    let whole = records
        .into_iter()
        .zip(&plan)
        .map(|(record, (clause, with))| {
            let why = stopped.as_deref().unwrap_or_default();
            record.unwrap_or_else(|| Record::not_judged(clause, &with.name, why))
        });
    let clauses = with_misfits(whole.collect(), &misfits);
    let with = plan.iter().map(|(_, with)| with);
    let configs = unique(with.chain(misfits.iter().map(|misfit| &misfit.with)));
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
        stopped,
        configs,
        clauses,
    };
    terminal::summary(&report, &mut *people)?;
    outputs.write(&report)?;
    let stopped = stop.why().map(Why::exit_status);
    Ok(stopped.unwrap_or_else(|| report.exit_status(asked.strict)))
}

/// Does the jobs, and ends the run where the applier is not worth another clause before any has passed;
/// the records, with one that tells of that.
fn judge(
    jobs: &[Job],
    at_once: usize,
    stop: &Stop,
    progress: &mut Progress<'_>,
) -> Vec<Option<Record>> {
    let mut any_passed = false;
    let mut in_vain = vec![false; jobs.len()];
    let mut last = None;
    let hear = |index: usize, message: &Message| {
        if let Message::Finished { record, hopeless } = message {
            any_passed |= record.status == Status::Passed;
            in_vain[index] = hopeless.is_some();
            if last.is_some() && in_vain[index] {
                return;
            }
            // Of an applier that works otherwise it is the clause's own failure. What it cannot do with a
            // further configuration it may with the first, which the others come after.
            let with = &jobs[index].configuration;
            let told = hopeless
                .as_ref()
                .filter(|told| told.with_any || *with == jobs[0].configuration);
            if let (Some(told), false, None) = (told, any_passed, stop.why()) {
                last = Some(index);
                stop.ask(Why::Hopeless(told.what.clone()));
            }
        }
        progress.show(index, message);
    };
    let mut records = runner::run(jobs, at_once, |_| stop, hear);
    if last.is_some() {
        // What was judged beside it would tell the same again.
        for (index, record) in records.iter_mut().enumerate() {
            let again = record.take_if(|_| in_vain[index] && last != Some(index));
            if let Some(folder) = again.and_then(|record| record.kept) {
                let _ = fs::remove_dir_all(folder);
            }
        }
    }
    records
}

/// What the applier claims. Words that the contract does not know are told once, and passed over:
/// a later contract may have them.
pub(super) fn features(
    subject: &Subject,
    with: &Configuration,
    stop: &Stop,
) -> Result<Vec<Feature>, Error> {
    if !subject.is_foreign() {
        return Ok(Feature::ALL.to_vec());
    }
    let question = Question {
        subject: subject.clone(),
        configuration: with.name.clone(),
        toml: with.toml.clone(),
    };
    let Claims { features, unknown } = runner::ask(question, stop)?;
    if !unknown.is_empty() {
        let known: Vec<&str> = Feature::ALL.into_iter().map(Feature::word).collect();
        let _ = writeln!(
            anstream::stderr(),
            "{WARNING}warning:{WARNING:#} `{} features` printed `{}`, which this suite does not know and \
             passes over; it knows {}",
            subject.name(),
            unknown.join("`, `"),
            known.join(" ")
        );
    }
    Ok(features)
}

fn jobs(
    plan: &[(&'static Clause, Configuration)],
    subject: &Subject,
    features: &[Feature],
    seed: u64,
    keep: &Keep,
    pause: bool,
) -> Vec<Job> {
    let level = selection::level(plan);
    let job = |(clause, with): &(&Clause, Configuration)| Job {
        clause: clause.id.to_owned(),
        configuration: with.name.clone(),
        toml: with.toml.clone(),
        subject: subject.clone(),
        features: features.to_vec(),
        seed,
        level,
        keep: keep.clone(),
        pause,
    };
    plan.iter().map(job).collect()
}

/// The configurations that no clause fits, and why, where that is the same for all clauses.
fn why_nothing(configs: &[String], misfits: &[Misfit]) -> String {
    let names = configs.join(", ");
    match misfits {
        [first, others @ ..] if others.iter().all(|other| other.why == first.why) => {
            format!("{names} ({})", first.why)
        }
        _ => names,
    }
}

/// All records in the order of the list of clauses.
fn with_misfits(mut records: Vec<Record>, misfits: &[Misfit]) -> Vec<Record> {
    records.extend(misfits.iter().map(Record::misfit));
    records.sort_by_key(|record| clauses::all().position(|clause| clause.id == record.id));
    records
}

/// Each once, in the order of their first appearance.
fn unique<'a>(with: impl Iterator<Item = &'a Configuration>) -> Vec<Configuration> {
    let mut unique: Vec<Configuration> = Vec::new();
    for one in with {
        if !unique.iter().any(|known| known.name == one.name) {
            unique.push(one.clone());
        }
    }
    unique
}

/// Where what is kept goes: not into what each lab's worker has a fresh one of.
fn keep(asked: &Run) -> Result<Keep, Error> {
    const FRESH: [&str; 3] = ["/run", "/proc", "/sys"];
    if asked.no_keep {
        return Ok(Keep::Nothing);
    }
    let given = asked.keep.clone();
    let path = given.clone().unwrap_or_else(env::temp_dir);
    let path = std::path::absolute(&path).map_err(|source| Error::Output { path, source })?;
    let real = path.ancestors().find_map(|path| path.canonicalize().ok());
    let real = real.unwrap_or_else(|| path.clone());
    if let Some(top) = FRESH.into_iter().find(|top| real.starts_with(top)) {
        return Err(Error::Keep { path, top });
    }
    Ok(match given {
        Some(_) => {
            can_be_kept_in(&path).map_err(|source| Error::Output {
                path: path.clone(),
                source,
            })?;
            Keep::In(path)
        }
        None => Keep::Temporary(path),
    })
}

/// Finds out whether there is, or can be, a folder of this path that can be written; none is made.
fn can_be_kept_in(path: &Path) -> io::Result<()> {
    let there = path
        .ancestors()
        .find(|path| path.symlink_metadata().is_ok());
    tempfile::tempfile_in(there.unwrap_or(path)).map(drop)
}

/// Two for each core, as clauses mostly wait; and eight at most.
fn at_once(asked: Option<NonZeroUsize>) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    asked.map_or((2 * cores).min(8), usize::from)
}

/// Writes a report in one of its forms.
type Form = fn(&Report, &mut dyn Write) -> io::Result<()>;

/// The files that the report goes to beside the terminal.
struct Outputs {
    files: Vec<(Form, Output)>,
    /// Whether one of them is standard output.
    take_stdout: bool,
}

impl Outputs {
    /// Finds them before the run, so that a wrong path does not cost one.
    fn find(asked: &Run) -> Result<Self, Error> {
        let forms: [(&Option<PathBuf>, Form); 3] = [
            (&asked.json, json::write),
            (&asked.junit, junit::write),
            (&asked.html, html::write),
        ];
        let mut outputs = Outputs {
            files: Vec::new(),
            take_stdout: false,
        };
        for (path, form) in forms {
            let Some(path) = path else { continue };
            let output = Output::find(path)?;
            if output.is_stdout() && std::mem::replace(&mut outputs.take_stdout, true) {
                return Err(Error::OneOutput);
            }
            if outputs
                .files
                .iter()
                .any(|(_, other)| other.is_same(&output))
            {
                return Err(Error::OneFile { path: path.clone() });
            }
            outputs.files.push((form, output));
        }
        Ok(outputs)
    }

    fn write(self, report: &Report) -> Result<(), Error> {
        self.files
            .into_iter()
            .try_for_each(|(form, output)| output.write(|to| form(report, to)))
    }
}
