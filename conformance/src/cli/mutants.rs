//! `mutants`: every applier of the suite's own, judged.

use std::io::Write;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Instant;

use glob::Pattern;
use indicatif::{ProgressBar, ProgressStyle};

use super::outputs::Output;
use super::people::People;
use super::run::features;
use super::{Error, Mutants};
use crate::bundle::Keep;
use crate::clause::{Clause, Feature};
use crate::configuration::Configuration;
use crate::fixtures::{self, Fixture, Kind};
use crate::job::{Job, Message, Subject};
use crate::judgement::Status;
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
        Some(programs) if programs.is_stdout() => Box::new(People::new(anstream::stderr())),
        _ => Box::new(People::new(anstream::stdout())),
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
    let interrupted = stop.why().map(Why::exit_status);
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
    for (pattern, asked) in patterns.iter().zip(&asked.applier) {
        if !appliers
            .iter()
            .any(|fixture| pattern.matches(&fixture.name))
        {
            return Err(Error::NoApplier {
                asked: asked.clone(),
                known: appliers.into_iter().map(|fixture| fixture.name).collect(),
            });
        }
    }
    appliers.retain(wanted);
    if !appliers.iter().any(about) {
        let mistake = |fixture: &Fixture| {
            let caught_by = fixture.header.caught_by.join(", ");
            format!("{}, which is caught by {caught_by}", fixture.name)
        };
        return Err(Error::OtherMistake {
            mistakes: appliers.iter().map(mistake).collect(),
        });
    }
    appliers.retain(about);
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
    let stops: Vec<Stop> = plans.iter().map(|_| stop.branch()).collect();
    let mut verdicts: Vec<Verdicts> = plans.iter().map(Verdicts::new).collect();
    let mut rows: Vec<Option<Row>> = vec![None; plans.len()];
    let stop_of = |index: usize| &stops[order[index].0];
    runner::run(&jobs, at_once, stop_of, |index, message| {
        let Message::Finished { record, hopeless } = message else {
            return;
        };
        let (owner, clause) = order[index];
        // What ended as others of its applier were broken off.
        if rows[owner].is_some() {
            return;
        }
        bar.inc(1);
        verdicts[owner].add(clause, record);
        let hangs = hopeless.as_ref().filter(|hopeless| hopeless.with_any);
        let hangs = hangs.filter(|_| !verdicts[owner].any_passed());
        let hangs = hangs.map(|hopeless| &hopeless.what);
        if let Some(what) = hangs {
            // It would with each clause.
            stops[owner].ask(Why::Hopeless(what.clone()));
            bar.inc(verdicts[owner].left());
        }
        if hangs.is_some() || verdicts[owner].left() == 0 {
            let row = verdicts[owner].row(&plans[owner], hangs);
            let _ = bar.suspend(|| writeln!(to, "{}", matrix::line(&row, width)));
            rows[owner] = Some(row);
        }
    });
    bar.finish_and_clear();
    rows.into_iter().flatten().collect()
}

/// What the clauses of an applier have come to so far, in the order of its plan.
struct Verdicts(Vec<Option<Record>>);

impl Verdicts {
    fn new(plan: &Plan) -> Self {
        Verdicts(vec![None; plan.clauses.len()])
    }

    fn add(&mut self, clause: usize, record: &Record) {
        self.0[clause] = Some(record.clone());
    }

    fn any_passed(&self) -> bool {
        let mut judged = self.0.iter().flatten();
        judged.any(|record| record.status == Status::Passed)
    }

    /// How many are to come.
    fn left(&self) -> u64 {
        self.0.iter().filter(|record| record.is_none()).count() as u64
    }

    /// All of them; those to come are not judged, for what hangs.
    fn row(&self, plan: &Plan, hangs: Option<&String>) -> Row {
        let why = hangs.map_or("", String::as_str);
        let records = self.0.iter().zip(&plan.clauses);
        let record = |(record, (clause, with)): (&Option<Record>, &(&Clause, Configuration))| {
            let judged = record.clone();
            judged.unwrap_or_else(|| Record::not_judged(clause, &with.name, why))
        };
        Row {
            fixture: plan.applier.clone(),
            records: records.map(record).collect(),
            hangs: hangs.cloned(),
        }
    }
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
