//! Read what the kernel holds, find the difference to what it should hold, make it.

use std::collections::BTreeSet;

use crate::absent::Absent;
use crate::config::{Config, Line};
use crate::difference::{
    Changes, Remembered, Step, Unfeasible, difference, difference_within, feasible,
};
use crate::error::Error;
use crate::kept::Undescribed;
use crate::kernel::{Alongside, Kernel};
use crate::record::{Content, Record, RecordError};
use crate::resolve::{Resolved, resolve};
use crate::state::{Address, GlobalSetting, Setting, State};
use crate::verdicts::{Verdict, Verdicts};

/// What is to be changed, or was, and what was left out of it.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// The steps.
    pub changes: Changes,
    /// What is described and has no interface.
    pub absent: Absent,
    /// Why what was changed could not be remembered, so that `down` will leave settings, addresses and
    /// links as they are.
    pub unremembered: Option<RecordError>,
    /// Routes of others that went with an address, and that the kernel does not take back.
    pub gone: Vec<Alongside>,
    /// Addresses that nobody has described, and that were taken away.
    pub taken: Vec<Undescribed>,
}

/// What becomes of LANs whose interfaces are not there. Lines without theirs are left out in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentLan {
    /// It is refused, and nothing is changed: nobody would set it up when it comes.
    Refused,
    /// It is left out: a keepalive sets it up when it comes.
    Awaited,
}

/// Makes the kernel hold what `config` describes, with the lines that `verdicts` calls dead, those whose
/// interfaces are not there, and dynamic ones without an address, left out. Nothing is written where
/// nothing differs.
///
/// # Errors
///
/// When something that must be there is not, or the kernel refuses a step; what was done until
/// then is undone, in reverse.
pub async fn reconcile(
    kernel: &mut Kernel,
    config: &Config,
    verdicts: &Verdicts,
    lans: AbsentLan,
) -> Result<Reconciled, Error> {
    let found = kernel.read().await?;
    let now = resolved(config, &found);
    let planned = compare(&now, verdicts, &found, lans)?;
    make(kernel, &now.config, &found, planned, None).await
}

/// What the kernel holds, and what each line has by that.
///
/// # Errors
///
/// When the kernel does not answer.
pub async fn look(kernel: &mut Kernel, config: &Config) -> Result<(State, Resolved), Error> {
    let found = kernel.read().await?;
    let now = resolved(config, &found);
    Ok((found, now))
}

/// What each line has now, whatever an earlier configuration has left on the cards of lines that are
/// dynamic now.
fn resolved(config: &Config, found: &State) -> Resolved {
    let content = Record::open().map(|record| record.content().clone());
    let content = content.unwrap_or_default();
    let left = left_over(config, found, &content);
    if left.is_empty() {
        return resolve(config, found, &content.gateways);
    }
    let mut found = found.clone();
    found.addresses.retain(|address| !left.contains(address));
    resolve(config, &found, &content.gateways)
}

/// As [`reconcile`] after a [`look`], but interfaces that somebody has taken down stay down, those
/// that are not there are waited for, and their lines get nothing: what a daemon does that is not
/// asked each time.
///
/// # Errors
///
/// As [`reconcile`].
pub async fn keep(
    kernel: &mut Kernel,
    found: &State,
    now: &Resolved,
    verdicts: &Verdicts,
) -> Result<Reconciled, Error> {
    let config = &now.config;
    let mut verdicts = now.verdicts(verdicts);
    let is_up = |interface: &String| found.links.get(interface).is_some_and(|link| link.up);
    for line in config.lines.iter().filter(|line| !is_up(&line.interface)) {
        verdicts.set(&line.name, Verdict::Dead);
    }
    let mut wanted = now.desired(&verdicts);
    wanted.links.retain(|interface, _| is_up(interface));
    let planned = Reconciled {
        changes: change(config, found, feasible(wanted, found)?),
        ..Reconciled::default()
    };
    make(kernel, config, found, planned, None).await
}

/// Whether a setting that is there is not as it should be: what no event tells, without reading all
/// routes of a large router.
///
/// # Errors
///
/// When the kernel does not answer.
pub async fn settings_differ(
    kernel: &mut Kernel,
    now: &Resolved,
    verdicts: &Verdicts,
) -> Result<bool, Error> {
    let (_, found) = kernel.read_settings().await?;
    let wanted = now.desired(&now.verdicts(verdicts)).settings;
    let differs = |(setting, value)| found.get(setting).is_some_and(|held| held != value);
    Ok(wanted.iter().any(differs))
}

/// What the kernel is to hold by what is described, where that is read back.
type Goal<'a> = (&'a Config, &'a Verdicts, AbsentLan);

/// Does what is planned, or nothing of it. Where that is not remembered, `down` leaves settings, and
/// says so.
async fn make(
    kernel: &mut Kernel,
    config: &Config,
    found: &State,
    mut planned: Reconciled,
    read_back: Option<Goal<'_>>,
) -> Result<Reconciled, Error> {
    let changes = &planned.changes;
    if changes.is_empty() {
        // Where that fails, the next change says so.
        let _ = Record::open().and_then(|mut record| record.renew_gateways(config));
        return Ok(planned);
    }
    writable(kernel, changes)?;
    let (mut record, mut unremembered) = match Record::open() {
        Ok(record) => (Some(record), None),
        Err(wrong) => (None, Some(wrong)),
    };
    let before = record.as_ref().map(|record| record.content().clone());
    let known = before.clone().unwrap_or_default();
    let ours = known.tables_in(found, Some(config));
    let led = kernel.alongside(changes.steps(), &ours).await?;
    if let Some(record) = &mut record {
        unremembered = record.remember(config, found, changes, &led).err();
    }
    let mut done = all_or_none(kernel, changes.steps()).await;
    planned.gone = bring_back(kernel, led.clone()).await;
    if let (Ok(()), Some(goal)) = (&done, read_back) {
        done = held(kernel, changes, goal).await;
        if done.is_err() {
            bring_back(kernel, led.clone()).await;
        }
    }
    if let (Some(record), Some(before)) = (&mut record, before) {
        let _ = match &done {
            Ok(()) => {
                let went = known.went_with(&led, &planned.gone);
                record.settle(config, found, changes, went)
            }
            // What is left is found by the next change, or by `down`.
            Err(Error::HalfDone { .. }) => Ok(()),
            Err(_) => record.put(before),
        };
    }
    planned.unremembered = unremembered;
    planned.taken = Undescribed::taken(&planned.changes, config, &known.addresses);
    done.map(|()| planned)
}

/// Whether the kernel holds what these changes say; else they are taken back.
async fn held(
    kernel: &mut Kernel,
    changes: &Changes,
    (config, verdicts, lans): Goal<'_>,
) -> Result<(), Error> {
    let cause = match plan(kernel, config, verdicts, lans).await {
        Ok(left) => match changes.not_held(&left.changes) {
            None => return Ok(()),
            Some(step) => Error::NotHeld(Box::new(step.clone())),
        },
        Err(unknown) => unknown,
    };
    Err(undo(kernel, changes.steps(), cause).await)
}

/// Puts back what went with an address and can be without it, or with the address that was put back;
/// gives the rest.
pub(crate) async fn bring_back(kernel: &mut Kernel, led: Vec<Alongside>) -> Vec<Alongside> {
    // The kernel has answered just before: without an answer now, nothing is known to be gone.
    kernel.put_back(led).await.unwrap_or_default()
}

/// The steps to what is wanted, and away from what was put there, also by a change that was cut off,
/// and is no longer described.
fn change(config: &Config, found: &State, mut wanted: State) -> Changes {
    let Ok(record) = Record::open() else {
        return difference(found, &wanted);
    };
    let content = record.content();
    let forwarding = Setting::Global(GlobalSetting::Forwarding);
    let forwards = wanted.settings.contains_key(&forwarding);
    for (setting, value) in &found.settings {
        // What came with forwarding goes with it.
        let comes_with_it = forwards && setting.set_by_forwarding(0).is_some();
        if !wanted.settings.contains_key(setting)
            && !comes_with_it
            && let Some(before) = content.before(setting, *value)
        {
            wanted.settings.insert(setting.clone(), before);
        }
    }
    let remembered = Remembered {
        tables: content.tables.clone(),
        addresses: left_over(config, found, content),
    };
    difference_within(&remembered, found, &wanted)
}

/// The addresses that were put there for what is described no more. On the card of a line that is
/// dynamic now, one is left over once there is another: it may be what the client was given too.
fn left_over(config: &Config, found: &State, content: &Content) -> BTreeSet<Address> {
    let put = |address: &Address| content.addresses.contains(address);
    let others_there = |interface: &str| {
        let mut there = found.addresses.iter();
        there.any(|address| address.interface == interface && !put(address))
    };
    let kept = |address: &&Address| {
        let dynamic = |line: &Line| line.dynamic && line.interface == address.interface;
        config.lines.iter().any(dynamic) && !others_there(&address.interface)
    };
    let others = |address: &Address| config.lines.iter().any(|line| line.keeps(address));
    let addresses = content.addresses.iter();
    addresses
        .filter(|address| !kept(address) && !others(address))
        .cloned()
        .collect()
}

/// What [`reconcile`] would change now.
///
/// # Errors
///
/// When the kernel does not answer, or something that must be there is not.
pub async fn plan(
    kernel: &mut Kernel,
    config: &Config,
    verdicts: &Verdicts,
    lans: AbsentLan,
) -> Result<Reconciled, Error> {
    let found = kernel.read().await?;
    compare(&resolved(config, &found), verdicts, &found, lans)
}

fn compare(
    now: &Resolved,
    verdicts: &Verdicts,
    found: &State,
    lans: AbsentLan,
) -> Result<Reconciled, Error> {
    let config = &now.config;
    let absent = Absent::of(config, found);
    if let (AbsentLan::Refused, [lan, ..]) = (lans, absent.lans.as_slice()) {
        return Err(Error::NoLan(lan.clone()));
    }
    let lacking = |line: &&Line| !line.dynamic && now.lacking.contains_key(&line.name);
    if let Some(line) = config.lines.iter().find(lacking) {
        return Err(Unfeasible::NoGateway(line.name.clone()).into());
    }
    let mut wanted = now.desired(&absent.verdicts(now.verdicts(verdicts)));
    absent.leave_out_of(&mut wanted);
    let changes = change(config, found, feasible(wanted, found)?);
    Ok(Reconciled {
        changes,
        absent,
        ..Reconciled::default()
    })
}

/// Global settings are the ones that may turn out to be read-only: that is found out before
/// anything is changed.
fn writable(kernel: &Kernel, changes: &Changes) -> Result<(), Error> {
    changes.steps().iter().try_for_each(|step| match step {
        Step::Set { setting, .. } => kernel.can_set(setting),
        _ => Ok(()),
    })
}

/// Does all steps, or none: where one is refused, those before are taken back.
pub(crate) async fn all_or_none(kernel: &mut Kernel, steps: &[Step]) -> Result<(), Error> {
    for (at, step) in steps.iter().enumerate() {
        if let Err(cause) = kernel.execute(step).await {
            let done = at + usize::from(cause.outcome_is_unknown());
            return Err(undo(kernel, &steps[..done], cause).await);
        }
    }
    Ok(())
}

/// Takes back as much as can be, last step first.
pub(crate) async fn undo(kernel: &mut Kernel, done: &[Step], cause: Error) -> Error {
    let mut left = None;
    for step in done.iter().rev() {
        match kernel.execute(&step.inverse()).await {
            // It was not done in the first place.
            Err(error) if error.is_already_there() => {}
            Err(error) => {
                left.get_or_insert(error);
            }
            Ok(()) => {}
        }
    }
    match (cause, left) {
        // What was named first is left in any case.
        (cause @ Error::HalfDone { .. }, _) => cause,
        (cause, None) => cause,
        (cause, Some(left)) => Error::HalfDone {
            cause: Box::new(cause),
            left: Box::new(left),
        },
    }
}

/// As [`reconcile`], and reads back what was changed.
///
/// # Errors
///
/// As there, and when the kernel acknowledged a step and does not hold what it says; all is taken
/// back then.
pub async fn reconcile_and_read_back(
    kernel: &mut Kernel,
    config: &Config,
    verdicts: &Verdicts,
    lans: AbsentLan,
) -> Result<Reconciled, Error> {
    let found = kernel.read().await?;
    let now = resolved(config, &found);
    let planned = compare(&now, verdicts, &found, lans)?;
    let goal = (config, verdicts, lans);
    make(kernel, &now.config, &found, planned, Some(goal)).await
}
