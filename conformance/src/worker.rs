//! A worker: judges one clause with one configuration in a sandbox of its own, or asks the applier
//! there what it claims.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Instant;

use multiwan::config::Config;
use multiwan_lab::sandbox::{self, Mode, Sandbox};
use tempfile::TempDir;

use crate::applier::{self, Applier};
use crate::bundle::{self, Keep};
use crate::clause::{Clause, Feature, Need};
use crate::clauses;
use crate::context::{Context, Deadlines, rng};
use crate::events::Events;
use crate::evidence::{Evidence, Pause};
use crate::job::{Hopeless, Job, Message, Question, Subject, Task};
use crate::judgement::{Judgement, Trouble};
use crate::last_words;
use crate::report::Record;
use crate::timeline::Timeline;

/// The hidden argument that asks for a worker; its task as JSON follows. Without one it only
/// tries whether a sandbox can be entered.
pub const ARGUMENT: &str = "__worker";

/// Enters a sandbox, which must come before anything that starts a thread, and does the task.
#[must_use]
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let sandbox = match sandbox::enter() {
        Ok(sandbox) => sandbox,
        Err(why) => {
            send(&Message::Unavailable {
                why: why.to_string(),
            });
            return ExitCode::from(3);
        }
    };
    send(&Message::Started {
        mode: sandbox.mode().name().to_owned(),
    });
    let Some(task) = arguments.next() else {
        return ExitCode::SUCCESS;
    };
    let (leave, go_on) = mpsc::channel();
    thread::spawn(move || heed_the_orchestrator(&leave));
    match serde_json::from_slice::<Task>(task.as_encoded_bytes()) {
        Ok(Task::Judge(job)) => {
            let pause = job.pause.then_some(Pause { send, go_on });
            send(&record(&job, sandbox, pause));
            ExitCode::SUCCESS
        }
        Ok(Task::Ask(question)) => {
            send(&claims(&question));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("not a task: {error}");
            ExitCode::from(2)
        }
    }
}

/// Asks the applier, and says what it answers.
fn claims(question: &Question) -> Message {
    let asked = scratch().and_then(|scratch| {
        let Question {
            subject,
            configuration,
            toml,
        } = question;
        let (applier, ..) = lay_out(subject, configuration, toml, scratch.path())?;
        Ok(applier.claims()?)
    });
    match asked {
        Ok(claims) => Message::Claims(claims),
        Err(trouble) => Message::Unfit {
            why: match trouble {
                Trouble::Applier(applier::Error::Ended { .. }) => {
                    format!("{trouble}; by `exit 64` a script says that it has no such command")
                }
                _ => trouble.to_string(),
            },
            output: trouble.detail().unwrap_or_default().to_owned(),
        },
    }
}

/// The orchestrator holds the other end of standard input and writes nothing but an empty line for
/// each pause that is over, and why it has been enough: its end is the orchestrator's, however that
/// came. The parent death signal alone would not do: one that is asked for after the parent's death
/// never comes.
fn heed_the_orchestrator(leave: &Sender<()>) {
    for line in io::stdin().lines().map_while(Result::ok) {
        if line.is_empty() {
            // Nobody waits for it when no lab is held.
            let _ = leave.send(());
        } else {
            last_words::ask_for(line);
        }
    }
    std::process::exit(1);
}

/// One line to the orchestrator. Without it there is nobody to work for.
fn send(message: &Message) {
    let mut line = serde_json::to_vec(message).expect("messages are plain data");
    line.push(b'\n');
    if io::stdout().write_all(&line).is_err() {
        std::process::exit(1);
    }
}

/// The job's verdict with all that the report tells of it.
fn record(job: &Job, sandbox: Sandbox, pause: Option<Pause>) -> Message {
    let clause = clauses::find(&job.clause).expect("the orchestrator has the same clauses");
    let since = Instant::now();
    let mut told = Told::default();
    let scratch = scratch();
    let judged = match &scratch {
        Ok(scratch) => judge(clause, job, sandbox, scratch.path(), pause, &mut told),
        Err(trouble) => Err(Trouble::Lab(trouble.to_string())),
    };
    let (judgement, output, hopeless) = match judged {
        Ok(judgement) => (judgement, None, None),
        Err(trouble) => (
            trouble.judgement(),
            trouble.detail().map(str::to_owned),
            hopeless(&trouble),
        ),
    };
    let bad = judgement.is_bad();
    let detail = bad.then(|| {
        let lines = told.events.into_iter().chain(output);
        lines.collect::<Vec<_>>().join("\n")
    });
    let mut record =
        Record::new(clause, &job.configuration, judgement, since.elapsed()).with_detail(detail);
    record.timelines = told.timelines;
    if let (true, Ok(scratch)) = (bad, &scratch) {
        let taken = scratch.path().join(KEPT);
        bundle::keep(
            &job.keep,
            Some(&taken),
            &mut record,
            &job.toml,
            &job.repeat(),
        );
    }
    Message::Finished {
        record: Box::new(record),
        hopeless,
    }
}

/// A folder for this worker alone. The sandbox's own /run is gone with it, even after SIGKILL.
fn scratch() -> Result<TempDir, Trouble> {
    let made = tempfile::tempdir_in("/run").or_else(|_| tempfile::tempdir());
    made.map_err(|source| Trouble::System {
        doing: "making a scratch directory",
        source,
    })
}

/// Whether each other clause would come to the same.
fn hopeless(trouble: &Trouble) -> Option<Hopeless> {
    let (Trouble::Applier(error) | Trouble::Unapplied(error)) = trouble else {
        return None;
    };
    let with_any = error.is_endless();
    (with_any || matches!(trouble, Trouble::Unapplied(_))).then(|| Hopeless {
        what: error.to_string(),
        with_any,
    })
}

/// Below the scratch directory, what is kept if the clause goes wrong.
const KEPT: &str = "kept";

/// What a clause leaves behind, whether it comes to a judgement or not.
#[derive(Default)]
struct Told {
    events: Vec<String>,
    timelines: Vec<Timeline>,
}

/// The applier with its configuration as a file, in a scratch directory.
fn lay_out(
    subject: &Subject,
    configuration: &str,
    toml: &str,
    scratch: &Path,
) -> Result<(Applier, Config, PathBuf), Trouble> {
    let path = scratch.join("multiwan.toml");
    std::fs::write(&path, toml).map_err(|source| Trouble::System {
        doing: "writing the configuration",
        source,
    })?;
    let config =
        Config::parse(toml, configuration).expect("the orchestrator has read the same text");
    let applier = Applier::new(subject.clone(), &config, &path, scratch);
    Ok((applier, config, path))
}

/// Lays out applier and context, and calls the clause's function.
fn judge(
    clause: &Clause,
    job: &Job,
    sandbox: Sandbox,
    scratch: &Path,
    pause: Option<Pause>,
    told: &mut Told,
) -> Result<Judgement, Trouble> {
    let (applier, config, config_path) =
        lay_out(&job.subject, &job.configuration, &job.toml, scratch)?;
    let applier = applier.claiming(&job.features);
    let shipped = !applier.subject().is_foreign();
    let described = Feature::described_by(&config).map(Need::Claimed);
    let needs: Vec<Need> = clause.needs.iter().copied().chain(described).collect();
    if let Some(reason) = missing(&needs, sandbox.mode(), applier.features(), shipped) {
        return Ok(Judgement::skipped(reason));
    }
    let kept = (job.keep != Keep::Nothing).then(|| scratch.join(KEPT));
    let mut context = Context {
        sandbox,
        deadlines: Deadlines::of(&config.keepalive),
        config,
        pins: clause.pins(),
        config_path,
        applier,
        rng: rng(job.seed, clause.id, &job.toml),
        level: job.level,
        events: Events::new(send),
        evidence: Evidence::new(kept, pause),
    };
    let judged = (clause.judge)(&mut context);
    let events = context.events.kept();
    told.events.extend(events.iter().map(ToString::to_string));
    told.timelines = context.evidence.timelines;
    judged
}

const READ_ONLY: &str = "/proc/sys is read-only here; run the container with `podman run \
    --security-opt unmask=/proc/sys` or `docker run --security-opt systempaths=unconfined`";

const NO_TOKEN_BUCKET: &str = "this kernel has no token bucket; load its module by `modprobe sch_tbf` as \
    root";

/// The first need that is not met, as a reason.
fn missing(needs: &[Need], mode: Mode, claimed: &[Feature], shipped: bool) -> Option<String> {
    needs.iter().find_map(|need| match need {
        Need::Settings => (mode != Mode::Full).then(|| READ_ONLY.to_owned()),
        Need::Sysctl(path) => {
            let there = Path::new("/proc/sys").join(path).exists();
            let name = path.replace('/', ".");
            (!there).then(|| format!("this kernel has no {name}, or hides it here"))
        }
        Need::TokenBucket => match multiwan_lab::has_token_bucket() {
            Ok(there) => (!there).then(|| NO_TOKEN_BUCKET.to_owned()),
            Err(error) => Some(format!("whether lines can be limited: {error}")),
        },
        Need::Claimed(feature) => {
            (!claimed.contains(feature)).then(|| format!("not claimed: {feature}"))
        }
        Need::Shipped => (!shipped).then(|| "about the shipped applier only".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said() {
        let known = Need::Sysctl("kernel/ostype");
        let unknown = Need::Sysctl("net/ipv4/no_such");
        let pins = Need::Claimed(Feature::Pin);
        assert_eq!(
            missing(
                &[known, pins, Need::Settings],
                Mode::Full,
                &[Feature::Pin],
                false
            ),
            None
        );
        let reason = missing(&[known, unknown], Mode::Full, &[], true).unwrap();
        assert_eq!(
            reason,
            "this kernel has no net.ipv4.no_such, or hides it here"
        );
        assert_eq!(
            missing(&[pins], Mode::Full, &[], false).unwrap(),
            "not claimed: pin"
        );
        assert!(missing(&[Need::Settings], Mode::Limited, &[], true).is_some());
        assert!(missing(&[Need::Shipped], Mode::Full, &[], false).is_some());
    }
}
