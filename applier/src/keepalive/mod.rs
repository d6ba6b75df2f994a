//! Finds out whether each line works, and keeps the kernel's view of it true (how-to 2.4).
//!
//! ```text
//!   kernel's events ──► devices ──► watch (one per line) ──► verdicts ──► reconcile ──► kernel
//!                          │          ▲        │
//!                          │          │ ARP    │ schedule, state machine
//!   routes, rules ─────────┴──────────┼────────┴─► pace: when the kernel is looked at again
//!                                  gateway
//! ```
//!
//! What decides is pure and knows no clock: `line` (the state machine), `schedule` (when a probe
//! is due or missed), `pace` (when to reconcile), `devices` (what a device allows), `arp` and
//! `beyond` with `echo`, `syn` and `query` (frames).

mod arp;
mod beyond;
mod counts;
mod devices;
mod echo;
mod error;
mod events;
mod filter;
mod ip;
mod line;
mod memory;
mod neighbour;
mod pace;
mod pass;
mod port;
mod probe;
mod query;
mod readable;
mod release;
mod schedule;
mod syn;
mod tables;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use rtnetlink::LinkUnspec;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tracing::{debug, error, info, warn};

pub use error::Error;

use crate::config::{self, Config};
use crate::kept::Undescribed;
use crate::kernel::{Kernel, try_packet_socket};
use crate::reconcile;
use crate::resolve::{Lack, Resolved, resolve};
use crate::status::Status;
use crate::verdicts::{Verdict, Verdicts};
use counts::Tally;
use devices::Devices;
use events::{Batch, Events};
use line::{Line, Moment, Policy, State};
pub use memory::Memory;
use pace::Pace;
use release::{Freed, Releases};
use tables::Tables;
use watch::{Circumstances, News, Watch, What};

/// How often what is counted is left for others.
pub const COUNTED_EVERY: Duration = Duration::from_secs(10);

/// Whether the lines may be probed, before anything is changed for them.
///
/// # Errors
///
/// [`Error::Forbidden`] where packet sockets may not be opened, as [`run`] would end with.
pub fn may_probe(config: &Config) -> Result<(), Error> {
    match (try_packet_socket(), config.lines.first()) {
        (Err(errno @ (Errno::EPERM | Errno::EACCES)), Some(line)) => Err(Error::Forbidden {
            line: line.name.clone(),
            source: errno.into(),
        }),
        _ => Ok(()),
    }
}

/// Watches the lines of `config` until SIGTERM or SIGINT, and leaves the kernel as it is then.
///
/// What it counts is left in the runtime folder every [`COUNTED_EVERY`], and all metrics in the file
/// `metrics`, if one is named. SIGHUP calls `reload`; what it refuses is said, and the configuration stays. Must run within a
/// tokio runtime with I/O and time; one thread is enough.
///
/// # Errors
///
/// When a permission is missing. What the kernel refuses later on is logged and tried again.
pub async fn run<E: Display>(
    memory: Memory,
    config: Config,
    metrics: Option<PathBuf>,
    mut reload: impl FnMut() -> Result<Config, E>,
) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(Error::Signals)?;
    let (mut keepalive, mut news) = Keepalive::start(memory, config, metrics).await?;
    let mut events = Events::open().map_err(Error::Events)?;
    let mut tables = Tables::open().map_err(Error::Events)?;
    // After the events are listened to, so that no change falls between.
    keepalive.read_devices().await?;
    info!(lines = keepalive.config.lines.len(), "watching");
    for (interface, index) in keepalive.indices() {
        if index.is_none() {
            keepalive.say_missing(&interface);
        }
    }
    let mut counted = tokio::time::interval(COUNTED_EVERY);
    counted.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = keepalive
            .due()
            .map(|moment| (keepalive.clock + moment).into());
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => keepalive.reload(reload()).await,
            batch = events.next() => keepalive.events(batch.map_err(Error::Events)?).await?,
            touched = tables.touched() => {
                touched.map_err(Error::Events)?;
                keepalive.pace.want_soon(keepalive.moment());
            }
            Some(first) = news.recv() => {
                keepalive.news(first).await?;
                while let Ok(more) = news.try_recv() {
                    keepalive.news(more).await?;
                }
                keepalive.memory.write();
            }
            () = watch::until(due) => {}
            _ = counted.tick() => {
                keepalive.leave_counts().await;
                keepalive.compare_settings().await;
            }
        }
        if keepalive.pace.is_due(keepalive.moment()) {
            keepalive.pass().await;
        }
        keepalive.set_free();
    }
    notify(&[NotifyState::Stopping]);
    info!("ending; the kernel stays as it is");
    Ok(())
}

struct Keepalive {
    config: Config,
    /// As the kernel was last seen.
    now: Resolved,
    clock: Instant,
    devices: Devices,
    watches: BTreeMap<String, Watch>,
    news: mpsc::UnboundedSender<News>,
    memory: Memory,
    pace: Pace,
    /// What the kernel was last made to hold.
    held: Option<(Verdicts, Resolved)>,
    /// When it was last said that somebody else had changed that.
    said_drifted: Option<Moment>,
    /// Addresses that were taken away, and that was said.
    said_taken: BTreeSet<Undescribed>,
    releases: Releases,
    kernel: Kernel,
    netlink: rtnetlink::Handle,
    tally: Tally,
    /// Where metrics are left for others to collect.
    metrics: Option<PathBuf>,
    ready: bool,
}

impl Keepalive {
    async fn start(
        mut memory: Memory,
        config: Config,
        metrics: Option<PathBuf>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<News>), Error> {
        memory.keep(&config);
        memory.write();
        let (connection, netlink, _) = rtnetlink::new_connection().map_err(Error::Events)?;
        tokio::spawn(connection);
        let (news, receiver) = mpsc::unbounded_channel();
        let keepalive = Self {
            now: resolve(&config, &Default::default(), &Default::default()),
            config,
            clock: Instant::now(),
            devices: Devices::default(),
            watches: BTreeMap::new(),
            news,
            memory,
            pace: Pace::default(),
            held: None,
            said_drifted: None,
            said_taken: BTreeSet::new(),
            releases: Releases::default(),
            kernel: Kernel::open()?,
            netlink,
            tally: Tally::default(),
            metrics,
            ready: false,
        };
        Ok((keepalive, receiver))
    }

    fn moment(&self) -> Moment {
        self.clock.elapsed()
    }

    /// When something is to be done that nobody's event tells.
    fn due(&self) -> Option<Moment> {
        let due = self.pace.due().into_iter().chain(self.releases.due());
        due.min()
    }

    /// Reads all devices anew, and looks at the rest of the kernel too.
    async fn read_devices(&mut self) -> Result<(), Error> {
        let mut devices = Devices::default();
        let mut links = self.netlink.link().get().execute();
        while let Some(link) = links.try_next().await? {
            devices.take(&RouteNetlinkMessage::NewLink(link));
        }
        self.devices = devices;
        self.look().await?;
        self.pace.want_soon(self.moment());
        Ok(())
    }

    /// Finds out what each line has now, and tells its watcher.
    async fn look(&mut self) -> Result<crate::state::State, crate::error::Error> {
        let (found, now) = reconcile::look(&mut self.kernel, &self.config).await?;
        for (line, before) in now.config.lines.iter().zip(&self.now.config.lines) {
            if !line.dynamic || line == before {
                continue;
            }
            let lost = now.lacking.get(&line.name) == Some(&Lack::Address);
            match line.address {
                Some(last) if lost => {
                    let last = last.addr();
                    info!(line = line.name, %last, "the line has no address any more");
                }
                Some(address) => {
                    let gateway = line.gateway.map(tracing::field::display);
                    info!(line = line.name, %address, gateway, "the line has this address now");
                }
                None => {}
            }
        }
        self.now = now;
        self.adapt();
        Ok(found)
    }

    /// Tells each watcher what its line is now; begins and ends watches where lines came or went.
    fn adapt(&mut self) {
        self.watches
            .retain(|name, _| self.config.lines.iter().any(|line| line.name == *name));
        let needed = self.memory.none_is_up();
        for line in &self.now.config.lines {
            let lack = self.now.lacking.get(&line.name).copied();
            let circumstances = Circumstances {
                keepalive: self.config.keepalive.clone(),
                outlook: self.devices.outlook(line, lack),
                needed,
            };
            if let Some(watch) = self.watches.get(&line.name) {
                watch.adapt(circumstances);
                continue;
            }
            let state = self.memory.state(&line.name);
            let policy = Policy::from(&self.config.keepalive);
            let machine = Line::new(policy, self.clock.elapsed(), state);
            let (counts, news) = (self.tally.of(&line.name), self.news.clone());
            let name = line.name.clone();
            let watch = Watch::begin(name, machine, self.clock, circumstances, counts, news);
            self.watches.insert(line.name.clone(), watch);
        }
    }

    async fn events(&mut self, batch: Batch) -> Result<(), Error> {
        if batch.overrun {
            info!("some of the kernel's events were lost; reading everything again");
            return self.read_devices().await;
        }
        let before = self.indices();
        let mut concerned = false;
        for message in &batch.messages {
            if let Some((index, address)) = events::failed_neighbour(message) {
                self.hint(index, address);
            }
            let before = self.uses(self.devices.concerned_by(message));
            let index = self.devices.take(message);
            concerned |= before || self.uses(index);
            concerned |= events::concerns_tables(message, &self.config.kernel);
            concerned |= self.is_dynamic() && events::concerns_default(message);
        }
        for (interface, index) in self.indices() {
            let before = before.get(&interface).copied().flatten();
            match index {
                Some(index) if before != Some(index) => self.set_up(&interface).await,
                None if before.is_some() => self.say_missing(&interface),
                _ => {}
            }
        }
        if concerned || batch.settings {
            self.adapt();
            self.pace.want_soon(self.moment());
        }
        Ok(())
    }

    /// The kernel got no answer from this neighbour: whose gateway it is, that line is asked at once. No
    /// more, since a half-dead modem's own ARP revives what the kernel knows of it.
    fn hint(&self, index: u32, neighbour: Ipv4Addr) {
        let concerned = |line: &&config::Line| {
            line.gateway == Some(neighbour) && self.devices.index(&line.interface) == Some(index)
        };
        for line in self.config.lines.iter().filter(concerned) {
            if let Some(watch) = self.watches.get(&line.name) {
                watch.doubt();
            }
        }
    }

    /// The interfaces of lines and LANs, and the index of each device that is there.
    fn indices(&self) -> BTreeMap<String, Option<u32>> {
        let interfaces = interfaces(&self.config).into_iter();
        interfaces
            .map(|interface| (interface.to_owned(), self.devices.index(interface)))
            .collect()
    }

    /// Of a line that has no device, its state tells.
    fn say_missing(&self, interface: &str) {
        if self
            .config
            .lans
            .iter()
            .any(|lan| lan.interface == interface)
        {
            warn!(interface, "the LAN's device is not there; waiting for it");
        }
    }

    /// Whether lines take their addresses and gateways from the kernel.
    fn is_dynamic(&self) -> bool {
        self.config.lines.iter().any(|line| line.dynamic)
    }

    /// Sets a device up that has just appeared, or that is new in the configuration, as `apply` would
    /// have; one that the administrator set down stays down.
    async fn set_up(&self, interface: &str) {
        let Some(index) = self.devices.index(interface) else {
            return;
        };
        if self.devices.is_up(index) {
            return;
        }
        let up = LinkUnspec::new_with_index(index).up().build();
        match self.netlink.link().set(up).execute().await {
            Ok(()) => info!(interface, "the device was down; set it up"),
            // It went away again, most likely; its line stays dead.
            Err(error) => warn!(interface, %error, "the device is down; cannot set it up"),
        }
    }

    /// Whether the configuration names this device.
    fn uses(&self, index: Option<u32>) -> bool {
        let Some(name) = index.and_then(|index| self.devices.name(index)) else {
            return false;
        };
        interfaces(&self.config).contains(name)
    }

    async fn news(&mut self, news: News) -> Result<(), Error> {
        let News { line, what } = news;
        let (change, neighbour) = match what {
            What::Changed(change, neighbour) => (change, neighbour),
            What::Answers => {
                if self.memory.answers(&line) {
                    self.memory.write();
                }
                return Ok(());
            }
            What::Forbidden(source) => return Err(Error::Forbidden { line, source }),
        };
        let lasted = humantime::format_duration(line::rounded(change.lasted));
        match change.to {
            State::Dead => {
                warn!(line, from = %change.from, to = %change.to, %lasted, "{}", change.reason);
            }
            _ => info!(line, from = %change.from, to = %change.to, %lasted, "{}", change.reason),
        }
        if !self.memory.change(&line, &change) {
            return Ok(());
        }
        self.tally.verdict_changed(&line);
        // It may have been the last that was up, or is the first.
        self.adapt();
        self.memory.count(&self.tally.counted());
        if change.to.verdict() == Verdict::Up
            && let Some(neighbour) = neighbour
        {
            match neighbour::mend(&self.netlink, neighbour).await {
                Ok(true) => debug!(line, "mended the kernel's entry for the gateway"),
                Ok(false) => {}
                Err(error) => warn!(line, %error, "cannot mend the kernel's entry for the gateway"),
            }
        }
        self.pace.want_now(self.moment());
        Ok(())
    }

    /// Leaves what was counted where `status` and collectors of metrics find it.
    async fn leave_counts(&mut self) {
        let counted = self.tally.counted();
        self.memory.count(&counted);
        let Some(path) = &self.metrics else {
            return;
        };
        let left = match self
            .kernel
            .look(Some(self.memory.running()), Some(counted))
            .await
        {
            Ok(seen) => left_whole(path, &Status::of(&self.config, &seen).metrics()),
            Err(error) => Err(io::Error::other(error.to_string())),
        };
        if let Err(error) = left {
            warn!(path = %path.display(), %error, "cannot leave the metrics");
        }
    }

    async fn reload<E: Display>(&mut self, read: Result<Config, E>) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            notify(&[NotifyState::Reloading, now]);
        }
        match read {
            Ok(config) => {
                info!(lines = config.lines.len(), "read the configuration again");
                self.memory.keep(&config);
                self.memory.write();
                let old = std::mem::replace(&mut self.config, config);
                for interface in interfaces(&self.config).difference(&interfaces(&old)) {
                    self.set_up(interface).await;
                }
                if let Err(error) = self.look().await {
                    warn!("{error}");
                }
                self.pace.want_now(self.moment());
            }
            Err(error) => {
                error!("{error}");
                error!("the configuration stays as it was");
            }
        }
        notify(&[NotifyState::Ready]);
    }

    /// Sets dead lines' connections free whose time it is, beside the probes: there may be many.
    fn set_free(&mut self) {
        for line in self.releases.take(self.moment()) {
            if let Some(freed) = Freed::of(&self.config, &line) {
                tokio::task::spawn_blocking(move || set_free(&line, &freed));
            }
        }
    }
}

/// Those of lines and LANs.
fn interfaces(config: &Config) -> BTreeSet<&str> {
    let lans = config.lans.iter().map(|lan| &lan.interface);
    let lines = config.lines.iter().map(|line| &line.interface);
    lans.chain(lines).map(String::as_str).collect()
}

fn set_free(line: &str, freed: &Freed) {
    match freed.forget() {
        Ok(0) => debug!(line, "no connection is to be set free"),
        Ok(connections) => info!(line, connections, "set connections free for other lines"),
        Err(error) => warn!(line, %error, "cannot set connections free for other lines"),
    }
}

/// Written whole or not at all: a collector sees the old content or the new.
fn left_whole(path: &Path, content: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    std::fs::write(&temporary, content)?;
    std::fs::rename(&temporary, path)
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "cannot tell the service manager");
    }
}
