//! `mutants`: every applier of the suite's own against every clause.

use std::io::Write;
use std::time::Instant;

use glob::Pattern;
use indicatif::{ProgressBar, ProgressStyle};

use super::run::{at_once, is_stdout, open};
use super::{Error, Mutants};
use crate::bundle::Keep;
use crate::clause::Clause;
use crate::configuration::Configuration;
use crate::fixtures::{self, Fixture, Kind};
use crate::job::{Job, Message, Subject};
use crate::matrix::{self, Matrix, Row};
use crate::report::Record;
use crate::{runner, selection};

/// Judges them, reports, and says the exit status.
pub(super) fn mutants(asked: &Mutants) -> Result<u8, Error> {
    let plan = plan(asked)?;
    let appliers = appliers(asked, &plan)?;
    let seed = asked
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let programs = asked.json.as_deref().map(open).transpose()?;
    let mut people: Box<dyn Write> = match asked.json.as_deref() {
        Some(path) if is_stdout(path) => Box::new(anstream::stderr()),
        _ => Box::new(anstream::stdout()),
    };

    let level = selection::level(&plan);
    let jobs: Vec<Job> = appliers
        .iter()
        .flat_map(|applier| {
            plan.iter()
                .map(move |(clause, with)| (applier, clause, with))
        })
        .map(|(applier, clause, with)| Job {
            clause: clause.id.to_owned(),
            configuration: with.name.clone(),
            toml: with.toml.clone(),
            subject: applier.subject.clone(),
            seed,
            level,
            keep: Keep::Nothing,
            pause: false,
        })
        .collect();
    let mode = runner::doctor()?;
    let since = Instant::now();
    let rows = judge(appliers, &jobs, at_once(asked.jobs), &mut *people);
    let matrix = Matrix {
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        mode,
        seed,
        duration: since.elapsed(),
        rows,
    };
    matrix::summary(&matrix, &mut *people)?;
    if let Some(mut programs) = programs {
        matrix::write_json(&matrix, &mut *programs)?;
    }
    Ok(matrix.exit_status(asked.strict))
}

type Plan = Vec<(&'static Clause, Configuration)>;

/// The clauses with the first of their configurations, or with all.
fn plan(asked: &Mutants) -> Result<Plan, Error> {
    let mut plan = selection::plan(&selection::select(&asked.only)?, &[]);
    if !asked.full {
        plan.dedup_by_key(|(clause, _)| clause.id);
    }
    Ok(plan)
}

/// The appliers asked for, correct ones first, as many of the broken ones as a selected clause is
/// about.
fn appliers(asked: &Mutants, plan: &Plan) -> Result<Vec<Fixture>, Error> {
    let pattern = |glob: &String| {
        Pattern::new(glob).map_err(|error| Error::Pattern {
            asked: glob.clone(),
            reason: error.msg,
        })
    };
    let patterns: Vec<Pattern> = asked
        .applier
        .iter()
        .map(pattern)
        .collect::<Result<_, _>>()?;
    let mut appliers = vec![Fixture {
        name: Subject::Shipped.name().to_owned(),
        kind: Kind::Correct,
        subject: Subject::Shipped,
        header: fixtures::Header::default(),
    }];
    for kind in [Kind::Correct, Kind::Broken] {
        appliers.extend(fixtures::all(kind).map_err(crate::applier::FindError::Fixtures)?);
    }
    let wanted = |fixture: &Fixture| {
        patterns.is_empty()
            || patterns
                .iter()
                .any(|pattern| pattern.matches(&fixture.name))
    };
    let about = |fixture: &Fixture| {
        let named = &fixture.header.caught_by;
        let planned = |id: &String| plan.iter().any(|(clause, _)| clause.id == *id);
        asked.only.is_empty() || fixture.kind != Kind::Broken || named.iter().any(planned)
    };
    appliers.retain(|fixture| wanted(fixture) && about(fixture));
    if appliers.is_empty() {
        return Err(Error::NoApplier);
    }
    Ok(appliers)
}

/// Runs the jobs, which are as many for each applier in its order, and tells of each applier as it
/// is done.
fn judge(appliers: Vec<Fixture>, jobs: &[Job], at_once: usize, to: &mut dyn Write) -> Vec<Row> {
    let each = jobs.len() / appliers.len();
    let width = appliers.iter().map(|applier| applier.name.len()).max();
    let width = width.unwrap_or(0);
    let bar = ProgressBar::new(jobs.len() as u64);
    let style = "{elapsed:>4} {wide_bar} {pos} of {len}";
    bar.set_style(ProgressStyle::with_template(style).expect("a template of ours"));
    let mut verdicts: Vec<Vec<Option<Record>>> = vec![vec![None; each]; appliers.len()];
    let mut rows: Vec<Option<Row>> = vec![None; appliers.len()];
    runner::run(jobs, at_once, |index, message| {
        let Message::Finished { record } = message else {
            return;
        };
        bar.inc(1);
        let (applier, clause) = (index / each, index % each);
        verdicts[applier][clause] = Some(Record::clone(record));
        if verdicts[applier].iter().all(Option::is_some) {
            let row = Row {
                fixture: appliers[applier].clone(),
                records: verdicts[applier].drain(..).flatten().collect(),
            };
            // A reader that has gone away is noticed by the report itself.
            bar.suspend(|| drop(writeln!(to, "{}", matrix::line(&row, width))));
            rows[applier] = Some(row);
        }
    });
    bar.finish_and_clear();
    rows.into_iter().flatten().collect()
}
