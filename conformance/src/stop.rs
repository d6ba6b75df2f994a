//! The end of a run before all of its jobs are done.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

/// Why a run ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Somebody wants it to.
    Signal(i32),
    /// The applier does what each clause would meet with.
    Hopeless(String),
}

impl Why {
    /// The exit status of the run: of who was ended by a signal, as shells say it, or of a failed
    /// clause, whichever it was that was judged last.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Why::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            Why::Hopeless(_) => 1,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Signal(signal) => {
                write!(
                    f,
                    "interrupted by {}",
                    signal_name(*signal).unwrap_or("a signal")
                )
            }
            Why::Hopeless(what) => f.write_str(what),
        }
    }
}

/// Asks a run to end. A clone asks the same run.
#[derive(Debug, Clone)]
pub struct Stop {
    why: Arc<OnceLock<Why>>,
    /// Nothing is ever sent: that it is gone is heard by all who listen.
    hold: Arc<Mutex<Option<Sender<Infallible>>>>,
    gone: Receiver<Infallible>,
    /// Those that end with it.
    branches: Arc<Mutex<Vec<Stop>>>,
}

impl Stop {
    /// For a run that goes on.
    #[must_use]
    pub fn new() -> Self {
        let (hold, gone) = bounded(0);
        Stop {
            why: Arc::default(),
            hold: Arc::new(Mutex::new(Some(hold))),
            gone,
            branches: Arc::default(),
        }
    }

    /// For a part of the run: it ends with the run, or alone.
    #[must_use]
    pub fn branch(&self) -> Self {
        let branch = Self::new();
        let mut branches = self.branches.lock().expect("no holder panics");
        branches.push(branch.clone());
        // Who asks meanwhile finds it in the list, or was here first.
        if let Some(why) = self.why() {
            branch.ask(why.clone());
        }
        branch
    }

    /// For a run that SIGINT and SIGTERM end. A second one ends this process at once.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to tell of them.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::new();
        let once = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // They are done in this order: the first signal finds the flag not set.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&once))?;
            flag::register(signal, Arc::clone(&once))?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let asked = stop.clone();
        thread::spawn(move || {
            for signal in signals.forever() {
                asked.ask(Why::Signal(signal));
            }
        });
        Ok(stop)
    }

    /// Asks for the end. Only the first reason counts.
    pub fn ask(&self, why: Why) {
        // Whoever finds the sender gone finds the reason.
        let _ = self.why.set(why.clone());
        self.hold.lock().expect("no holder panics").take();
        for branch in &*self.branches.lock().expect("no holder panics") {
            branch.ask(why.clone());
        }
    }

    /// Why the run is to end, if it is.
    #[must_use]
    pub fn why(&self) -> Option<&Why> {
        self.why.get()
    }

    /// Disconnected when the run is to end.
    pub(crate) fn asked(&self) -> &Receiver<Infallible> {
        &self.gone
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_ends_alone_or_with_the_run() {
        let run = Stop::new();
        let [one, other] = [run.branch(), run.branch()];
        let hangs = Why::Hopeless("it hangs".to_owned());
        one.ask(hangs.clone());
        assert_eq!((run.why(), other.why()), (None, None));
        run.ask(Why::Signal(SIGINT));
        assert_eq!(one.why(), Some(&hangs));
        assert_eq!(other.why(), Some(&Why::Signal(SIGINT)));
        assert!(other.asked().recv().is_err());
        assert_eq!(run.branch().why(), Some(&Why::Signal(SIGINT)));
    }

    #[test]
    fn all_clones_hear_of_the_first_reason() {
        let stop = Stop::new();
        let other = stop.clone();
        let listening =
            thread::spawn(move || (other.asked().recv().is_err(), other.why().cloned()));
        assert_eq!(stop.why(), None);
        stop.ask(Why::Signal(SIGTERM));
        stop.ask(Why::Signal(SIGINT));
        assert_eq!(
            listening.join().unwrap(),
            (true, Some(Why::Signal(SIGTERM)))
        );
        let why = stop.why().unwrap();
        assert_eq!(
            (why.to_string(), why.exit_status()),
            ("interrupted by SIGTERM".into(), 143)
        );
    }
}
