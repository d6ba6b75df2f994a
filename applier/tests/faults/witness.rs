//! Faults at chosen steps.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use multiwan::difference::Step;
use multiwan::kernel::Witness;
use nix::errno::Errno;
use nix::sys::signal::{Signal, raise};

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The kernel refuses it.
    Refused(Errno),
    /// The kernel does it, and its answer is lost.
    Unanswered,
    /// It is the last that the process does.
    Killed,
}

/// Faults by the number of the step that they meet, those of an undoing counted on.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    at: BTreeMap<usize, Fault>,
    seen: Rc<Cell<usize>>,
}

impl Faults {
    pub(crate) fn at(faults: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        Self {
            at: faults.into_iter().collect(),
            seen: Rc::default(),
        }
    }

    /// How many steps were begun, to be asked when it is over.
    pub(crate) fn seen(&self) -> Rc<Cell<usize>> {
        self.seen.clone()
    }

    fn fault(&self, number: usize) -> Option<Fault> {
        self.at.get(&number).copied()
    }
}

impl Witness for Faults {
    fn before(&mut self, _: &Step) -> Result<(), Errno> {
        let number = self.seen.replace(self.seen.get() + 1);
        match self.fault(number) {
            Some(Fault::Refused(errno)) => Err(errno),
            _ => Ok(()),
        }
    }

    fn after(&mut self, _: &Step) -> Result<(), Errno> {
        match self.fault(self.seen.get() - 1) {
            Some(Fault::Unanswered) => Err(Errno::ENOBUFS),
            Some(Fault::Killed) => {
                raise(Signal::SIGKILL)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
