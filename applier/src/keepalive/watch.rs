//! The task that watches one line: it asks, hears, and tells each change of state.

use std::future;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;
use tracing::{debug, warn};

use super::counts::Counts;
use super::devices::Outlook;
use super::line::{Change, Input, Line, Moment, Policy, Silence, State};
use super::neighbour::Neighbour;
use super::probe::{Asked, Heard, Prober};
use super::schedule::Schedule;
use crate::config::Keepalive;
use crate::verdicts::Verdict;

/// What a watcher must know and others find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Circumstances {
    /// How the line is probed and judged.
    pub(super) keepalive: Keepalive,
    /// What its device allows.
    pub(super) outlook: Outlook,
    /// Whether no line is up, so that one that answers is used at once.
    pub(super) needed: bool,
}

/// What a watcher tells.
#[derive(Debug)]
pub(super) struct News {
    /// The line's name.
    pub(super) line: String,
    /// What happened to it.
    pub(super) what: What,
}

/// What happened to a line.
#[derive(Debug)]
pub(super) enum What {
    /// Its state changed; with the gateway that answered, where one did.
    Changed(Change, Option<Neighbour>),
    /// It has answered for the first time.
    Answers,
    /// It cannot be probed, and never will.
    Forbidden(io::Error),
}

/// A line under watch; dropping it ends that.
#[derive(Debug)]
pub(super) struct Watch {
    circumstances: watch::Sender<Circumstances>,
    doubt: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Watches a line from now on.
    pub(super) fn begin(
        name: String,
        line: Line,
        clock: Instant,
        circumstances: Circumstances,
        counts: Counts,
        news: mpsc::UnboundedSender<News>,
    ) -> Self {
        let now = circumstances.clone();
        let (sender, receiver) = watch::channel(circumstances);
        let doubt = Arc::new(Notify::new());
        let watcher = Watcher {
            name,
            line,
            schedule: schedule(&now.keepalive),
            clock,
            now,
            circumstances: receiver,
            doubt: Arc::clone(&doubt),
            prober: None,
            gateway_heard: false,
            asked: Moment::ZERO,
            unable: None,
            has_answered: false,
            counts,
            news,
        };
        Self {
            circumstances: sender,
            doubt,
            task: tokio::spawn(watcher.watch()),
        }
    }

    /// Somebody else got no answer: a line that is up is asked at once.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Tells the watcher what is different now; nothing happens where nothing is.
    pub(super) fn adapt(&self, circumstances: Circumstances) {
        self.circumstances.send_if_modified(|held| {
            let differs = *held != circumstances;
            *held = circumstances;
            differs
        });
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watcher {
    name: String,
    line: Line,
    schedule: Schedule,
    clock: Instant,
    now: Circumstances,
    circumstances: watch::Receiver<Circumstances>,
    doubt: Arc<Notify>,
    prober: Option<Prober>,
    /// Since the last probe.
    gateway_heard: bool,
    /// When the last probe went out.
    asked: Moment,
    /// Why it could not be asked at last, as the kernel's error number; told once.
    unable: Option<i32>,
    has_answered: bool,
    counts: Counts,
    news: mpsc::UnboundedSender<News>,
}

impl Watcher {
    async fn watch(mut self) {
        self.look();
        loop {
            let wake = self
                .schedule
                .wake()
                .map(|moment| (self.clock + moment).into());
            tokio::select! {
                biased;
                changed = self.circumstances.changed() => match changed {
                    Ok(()) => self.adapt(),
                    Err(_) => return,
                },
                heard = hear(&mut self.prober) => self.heard(heard),
                () = self.doubt.notified() => self.doubted(),
                () = until(wake) => self.tick(),
            }
        }
    }

    fn moment(&self) -> Moment {
        self.clock.elapsed()
    }

    fn adapt(&mut self) {
        let found = self.circumstances.borrow_and_update().clone();
        if found.keepalive != self.now.keepalive {
            self.line.judge_by(Policy::from(&found.keepalive));
            self.schedule = schedule(&found.keepalive);
        }
        self.now = found;
        self.look();
    }

    /// Does what the device allows, and what the other lines ask for.
    fn look(&mut self) {
        let now = self.moment();
        match self.now.outlook {
            Outlook::Faulty(fault) => {
                self.schedule.stop();
                self.step(now, Input::Unusable(fault));
            }
            Outlook::Carries { .. } => {
                let same = match (&self.prober, self.whom()) {
                    (Some(prober), Some((index, asked))) => {
                        prober.asks(index, asked, &self.now.keepalive.targets)
                    }
                    (None, None) => true,
                    _ => false,
                };
                if !same && let Some(old) = self.prober.take() {
                    old.retire();
                }
                self.step(now, Input::Usable);
                if !same || !self.schedule.is_running() {
                    match self.line.state().verdict() {
                        Verdict::Dead => self.schedule.start_eagerly(now),
                        Verdict::Up => self.schedule.start(now),
                    }
                }
                self.tick();
            }
        }
        self.step(now, Input::Needed(self.now.needed));
    }

    /// Who is asked on the device with that index; none where the driver's word must do.
    fn whom(&self) -> Option<(u32, Asked)> {
        let Outlook::Carries { index, asked } = self.now.outlook else {
            return None;
        };
        let asked = asked.filter(|asked| match asked {
            Asked::Gateway(_) => true,
            Asked::OtherEnd(_) => !self.now.keepalive.targets.is_empty(),
        });
        Some((index, asked?))
    }

    fn doubted(&mut self) {
        if self.line.state() == State::Up {
            self.schedule.hurry(self.moment());
            self.tick();
        }
    }

    fn heard(&mut self, heard: io::Result<Heard>) {
        match heard {
            Ok(heard) => self.take(heard),
            Err(error) => self.lost(&error),
        }
    }

    /// The device went down or away under the socket, which the kernel tells by an event too, and may
    /// be there again with the same index: the next probe opens another.
    fn lost(&mut self, error: &io::Error) {
        debug!(line = self.name, %error, "cannot hear");
        if let Some(prober) = self.prober.take() {
            prober.retire();
        }
    }

    fn take(&mut self, heard: Heard) {
        let now = self.moment();
        match heard {
            Heard::Answer if self.schedule.answered() => {
                self.counts.answered(now.saturating_sub(self.asked));
                if !std::mem::replace(&mut self.has_answered, true) {
                    self.tell(What::Answers);
                }
                self.step(now, Input::Answered);
            }
            Heard::Gateway => self.gateway_heard = true,
            Heard::Answer | Heard::Sign if self.line.state() == State::Dead => {
                self.schedule.hurry(now);
            }
            Heard::Answer | Heard::Sign => {}
        }
    }

    /// What is due now. What was heard meanwhile comes first: after a stall of this process the
    /// answer waits beside the expired timer, and the line is not to blame.
    fn tick(&mut self) {
        while let Some(heard) = self.prober.as_mut().and_then(Prober::waiting) {
            self.heard(heard);
        }
        let now = self.moment();
        while self.schedule.take_missed(now) {
            self.missed(now);
        }
        if self.schedule.is_due(now) {
            self.ask(now);
        }
    }

    fn missed(&mut self, now: Moment) {
        self.counts.missed();
        let silence = self.whom().map(|(_, asked)| match asked {
            Asked::Gateway(question) if self.gateway_heard => Silence::Targets(question.gateway),
            Asked::Gateway(question) => Silence::Gateway(question.gateway),
            Asked::OtherEnd(_) => Silence::Beyond,
        });
        if let Some(silence) = silence {
            self.step(now, Input::Missed(silence));
        }
        if self.line.state().verdict() == Verdict::Up {
            self.schedule.hurry(now);
        }
    }

    fn ask(&mut self, now: Moment) {
        self.schedule.sent(now);
        self.gateway_heard = false;
        if let Outlook::Faulty(_) = self.now.outlook {
            return;
        }
        let Some((index, asked)) = self.whom() else {
            // Nobody to ask: the driver says that the device carries, and that is the answer.
            self.schedule.answered();
            self.step(now, Input::Answered);
            return;
        };
        if self.prober.is_none() {
            match Prober::open(index, asked, &self.now.keepalive.targets) {
                Ok(prober) => self.prober = Some(prober),
                Err(error) => return self.cannot_ask(error),
            }
        }
        self.unable = None;
        self.asked = now;
        self.counts.sent();
        let after_a_miss = self.line.state() != State::Up;
        let sent = self.prober.as_mut().map(|prober| prober.ask(after_a_miss));
        match sent {
            Some(Err(error)) if is_without_device(&error) => self.lost(&error),
            // As with a frame that gets lost, the missing answer tells.
            Some(Err(error)) => debug!(line = self.name, %error, "cannot send"),
            _ => {}
        }
    }

    /// There is no socket to ask by. No answer is none of the line's faults then: what was found last
    /// stays.
    fn cannot_ask(&mut self, error: io::Error) {
        self.schedule.withdraw();
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => self.tell(What::Forbidden(error)),
            // The kernel tells that by an event.
            _ if is_without_device(&error) => debug!(line = self.name, %error, "cannot ask"),
            errno if errno == self.unable => debug!(line = self.name, %error, "cannot ask"),
            errno => {
                self.unable = errno;
                warn!(line = self.name, %error, "cannot be probed; it stays what it was last found to be");
            }
        }
    }

    fn step(&mut self, now: Moment, input: Input) {
        if let Some(change) = self.line.step(now, input) {
            let neighbour = self.neighbour();
            self.tell(What::Changed(change, neighbour));
        }
    }

    fn neighbour(&self) -> Option<Neighbour> {
        let (index, Asked::Gateway(question)) = self.whom()? else {
            return None;
        };
        let hardware = self.prober.as_ref()?.gateway()?;
        Some(Neighbour {
            index,
            gateway: question.gateway,
            hardware,
        })
    }

    fn tell(&self, what: What) {
        // Nobody listens any more when the keepalive ends.
        let _ = self.news.send(News {
            line: self.name.clone(),
            what,
        });
    }
}

/// What the kernel says of a packet socket whose device went down or away.
fn is_without_device(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(errno, Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV))
}

fn schedule(keepalive: &Keepalive) -> Schedule {
    Schedule::new(keepalive.interval, keepalive.timeout)
}

async fn hear(prober: &mut Option<Prober>) -> io::Result<Heard> {
    match prober {
        Some(prober) => prober.heard().await,
        None => future::pending().await,
    }
}

/// Waits until then; for ever where there is no such moment.
pub(super) async fn until(wake: Option<tokio::time::Instant>) {
    match wake {
        Some(wake) => sleep_until(wake).await,
        None => future::pending().await,
    }
}
