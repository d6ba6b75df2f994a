//! `mutants`: every applier of the suite's own, judged.

use std::io::Write;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Instant;

use glob::Pattern;
use indicatif::{ProgressBar, ProgressStyle};

use super::outputs::Output;
use super::run::features;
use super::{Error, Mutants};
use crate::bundle::Keep;
use crate::clause::{Clause, Feature};
use crate::configuration::Configuration;
use crate::fixtures::{self, Fixture, Kind};
use crate::job::{Job, Message, Subject};
use crate::matrix::{self, Matrix, Row};
use crate::report::Record;
use crate::stop::{Stop, Why};
use crate::{clauses, runner, selection};

/// More for each core than of clauses that hold: with broken appliers they mostly wait for what does
/// not come. All of it together keeps a core busy for 0.25 s a clause, of 1.6 s that it takes.
const PER_CORE: usize = 6;

/// However many cores there are.
const AT_MOST: usize = 24;

/// Judges them, reports, and says the exit status.
pub(super) fn mutants(asked: &Mutants) -> Result<u8, Error> {
    let mut plans = plans(asked)?;
    let seed = asked
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let programs = asked.json.as_deref().map(Output::find).transpose()?;
    let mut people: Box<dyn Write> = match &programs {
        Some(programs) if programs.is_stdout() => Box::new(anstream::stderr()),
        _ => Box::new(anstream::stdout()),
    };
    let stop = Stop::on_signals()?;
    let mode = runner::doctor(&stop)?;
    for plan in &mut plans {
        if let Some((_, with)) = plan.clauses.first() {
            plan.features = features(&plan.applier.subject, with, &stop)?;
        }
    }
    let since = Instant::now();
    let at_once = at_once(asked.jobs);
    let rows = judge(&plans, seed, at_once, &stop, &mut *people);
    let matrix = Matrix {
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        mode,
        seed,
        duration: since.elapsed(),
        stopped: stop.why().map(ToString::to_string),
        left: plans.len() - rows.len(),
        rows,
    };
    matrix::summary(&matrix, &mut *people)?;
    if let Some(programs) = programs {
        programs.write(|to| matrix::write_json(&matrix, to))?;
    }
    let interrupted = stop.why().and_then(Why::exit_status);
    Ok(interrupted.unwrap_or_else(|| matrix.exit_status(asked.strict)))
}

fn at_once(asked: Option<NonZeroUsize>) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    asked.map_or((PER_CORE * cores).min(AT_MOST), usize::from)
}

/// An applier, and by what it is judged.
struct Plan {
    applier: Fixture,
    clauses: Vec<(&'static Clause, Configuration)>,
    /// What it claims, once it has been asked.
    features: Vec<Feature>,
}

/// The appliers asked for, correct ones first, as many of the broken ones as a selected clause is
/// about.
fn plans(asked: &Mutants) -> Result<Vec<Plan>, Error> {
    let selected = selection::select(&asked.only)?;
    let patterns: Vec<Pattern> = asked
        .applier
        .iter()
        .map(|asked| pattern(asked))
        .collect::<Result<_, _>>()?;
    let wanted = |fixture: &Fixture| {
        patterns.is_empty()
            || patterns
                .iter()
                .any(|pattern| pattern.matches(&fixture.name))
    };
    let about = |fixture: &Fixture| {
        let named = |clause: &&Clause| fixture.header.caught_by.iter().any(|id| id == clause.id);
        asked.only.is_empty() || fixture.kind != Kind::Broken || selected.iter().any(named)
    };
    let mut appliers = vec![Fixture {
        name: Subject::Shipped.name().to_owned(),
        kind: Kind::Correct,
        subject: Subject::Shipped,
        header: fixtures::Header::default(),
    }];
    for kind in [Kind::Correct, Kind::Broken] {
        appliers.extend(fixtures::all(kind).map_err(crate::applier::FindError::Fixtures)?);
    }
    appliers.retain(|fixture| wanted(fixture) && about(fixture));
    if appliers.is_empty() {
        return Err(Error::NoApplier);
    }
    let plan = |applier| Plan {
        clauses: clauses_for(&applier, asked, &selected),
        applier,
        features: Vec::new(),
    };
    Ok(appliers.into_iter().map(plan).collect())
}

fn pattern(asked: &str) -> Result<Pattern, Error> {
    Pattern::new(asked).map_err(|error| Error::Pattern {
        asked: asked.to_owned(),
        reason: error.msg,
    })
}

/// What was asked for; else every clause for a correct applier, and for a broken one the core and
/// the clauses about its mistake.
fn clauses_for(
    applier: &Fixture,
    asked: &Mutants,
    selected: &[&'static Clause],
) -> Vec<(&'static Clause, Configuration)> {
    let every = asked.full || !asked.only.is_empty() || applier.kind != Kind::Broken;
    let about = |id: &str| applier.header.caught_by.iter().any(|about| about == id);
    let clauses: Vec<_> = selected
        .iter()
        .copied()
        .filter(|clause| every || clauses::is_core(clause.id) || about(clause.id))
        .collect();
    let mut plan = selection::plan(&clauses, &[]);
    if !asked.full {
        leave_one(&mut plan, &applier.header.with);
    }
    plan
}

/// Leaves one configuration to each clause: the first of these names, or else its first.
fn leave_one(plan: &mut Vec<(&'static Clause, Configuration)>, with: &[String]) {
    plan.dedup_by(|(clause, configuration), (kept, first)| {
        let same = clause.id == kept.id;
        if same && with.contains(&configuration.name) && !with.contains(&first.name) {
            std::mem::swap(configuration, first);
        }
        same
    });
}

/// Judges each, and tells of each as it is done: of those that all clauses judged before the run was
/// stopped.
fn judge(plans: &[Plan], seed: u64, at_once: usize, stop: &Stop, to: &mut dyn Write) -> Vec<Row> {
    let order = by_turns(plans);
    let levels: Vec<f64> = plans
        .iter()
        .map(|plan| selection::level(&plan.clauses))
        .collect();
    let job = |&(owner, clause): &(usize, usize)| {
        let plan = &plans[owner];
        let (clause, with) = &plan.clauses[clause];
        Job {
            clause: clause.id.to_owned(),
            configuration: with.name.clone(),
            toml: with.toml.clone(),
            subject: plan.applier.subject.clone(),
            features: plan.features.clone(),
            seed,
            level: levels[owner],
            keep: Keep::Nothing,
            pause: false,
        }
    };
    let jobs: Vec<Job> = order.iter().map(job).collect();
    let width = plans.iter().map(|plan| plan.applier.name.len()).max();
    let width = width.unwrap_or(0);
    let bar = ProgressBar::new(jobs.len() as u64);
    let style = "{elapsed:>4} {wide_bar} {pos} of {len}";
    bar.set_style(ProgressStyle::with_template(style).expect("a template of ours"));
    let mut verdicts: Vec<Vec<(usize, Record)>> = vec![Vec::new(); plans.len()];
    let mut rows: Vec<Option<Row>> = vec![None; plans.len()];
    runner::run(&jobs, at_once, stop, |index, message| {
        let Message::Finished { record, .. } = message else {
            return;
        };
        bar.inc(1);
        let (owner, _) = order[index];
        let Plan {
            applier, clauses, ..
        } = &plans[owner];
        verdicts[owner].push((index, Record::clone(record)));
        if verdicts[owner].len() == clauses.len() {
            verdicts[owner].sort_by_key(|&(index, _)| index);
            let row = Row {
                fixture: applier.clone(),
                records: verdicts[owner]
                    .drain(..)
                    .map(|(_, record)| record)
                    .collect(),
            };
            // A reader that has gone away is noticed by the report itself.
            bar.suspend(|| drop(writeln!(to, "{}", matrix::line(&row, width))));
            rows[owner] = Some(row);
        }
    });
    bar.finish_and_clear();
    rows.into_iter().flatten().collect()
}

/// Each applier's number with each of its clauses' numbers, in the order in which they are judged: the
/// correct ones' spread evenly over all. Their clauses keep the machine busy, the broken ones' leave
/// it idle, so that at any time there are some of both.
fn by_turns(plans: &[Plan]) -> Vec<(usize, usize)> {
    let of = |correct: bool| -> Vec<(usize, usize)> {
        let owners = plans.iter().enumerate();
        let owners = owners.filter(|(_, plan)| (plan.applier.kind == Kind::Correct) == correct);
        let each = owners.flat_map(|(owner, plan)| {
            let clauses = 0..plan.clauses.len();
            clauses.map(move |clause| (owner, clause))
        });
        each.collect()
    };
    let placed = |jobs: Vec<(usize, usize)>| {
        let all = jobs.len() as f64;
        let at = move |(place, job)| ((place as f64 + 0.5) / all, job);
        jobs.into_iter().enumerate().map(at).collect::<Vec<_>>()
    };
    let mut all = [placed(of(true)), placed(of(false))].concat();
    all.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    all.into_iter().map(|(_, job)| job).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kind: Kind, clauses: usize) -> Plan {
        let applier = Fixture {
            name: "mine".to_owned(),
            kind,
            subject: Subject::Shipped,
            header: fixtures::Header::default(),
        };
        let all: Vec<_> = clauses::all().take(clauses).collect();
        let mut clauses = selection::plan(&all, &[]);
        clauses.dedup_by_key(|(clause, _)| clause.id);
        Plan {
            applier,
            clauses,
            features: Vec::new(),
        }
    }

    #[test]
    fn each_clause_keeps_the_configuration_that_shows_a_mistake() {
        let all: Vec<_> = clauses::all().collect();
        let kept = |clause: &str, with: &[&str]| {
            let with: Vec<String> = with.iter().map(|name| (*name).to_owned()).collect();
            let mut plan = selection::plan(&all, &[]);
            leave_one(&mut plan, &with);
            assert_eq!(plan.len(), all.len());
            let mut found = plan.into_iter().filter(|(kept, _)| kept.id == clause);
            found.next().map(|(_, configuration)| configuration.name)
        };
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(kept("dead.all-lines", &[]), name("two-lines"));
        assert_eq!(
            kept("dead.all-lines", &["three-lines"]),
            name("three-lines")
        );
        assert_eq!(kept("dead.no-wait", &["three-lines"]), name("two-lines"));
    }

    #[test]
    fn correct_ones_are_spread_evenly_and_none_is_left_out() {
        let plans = [
            plan(Kind::Correct, 2),
            plan(Kind::Broken, 3),
            plan(Kind::Broken, 3),
        ];
        assert_eq!(
            by_turns(&plans),
            [
                (1, 0),
                (0, 0),
                (1, 1),
                (1, 2),
                (2, 0),
                (0, 1),
                (2, 1),
                (2, 2)
            ]
        );
    }
}
