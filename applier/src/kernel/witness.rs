//! A look at each change of the kernel as it is made.

use std::fmt;

use nix::errno::Errno;

use super::{Kernel, Refusal};
use crate::difference::Step;
use crate::error::Error;

/// Sees each step before and after it is done, and can refuse it in the kernel's place: what is
/// left of a change that ends in its middle is tested with one. There is none in a router.
pub trait Witness: fmt::Debug {
    /// The step is about to be done; with an error it is not, as if the kernel had refused it.
    ///
    /// # Errors
    ///
    /// What the kernel is to say.
    fn before(&mut self, step: &Step) -> Result<(), Errno>;

    /// The kernel has done it; with an error the caller does not learn that.
    ///
    /// # Errors
    ///
    /// What the kernel is to say.
    fn after(&mut self, step: &Step) -> Result<(), Errno>;
}

impl Kernel {
    /// Lets a witness see every step from here on.
    pub fn witnessed_by(&mut self, witness: impl Witness + 'static) {
        self.witness = Some(Box::new(witness));
    }

    /// Does one step.
    ///
    /// What is to be taken away may have gone already: the kernel removes addresses and routes
    /// with what they depend on.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub async fn execute(&mut self, step: &Step) -> Result<(), Error> {
        let refused = |errno| Error::Refused {
            step: Box::new(step.clone()),
            refusal: Refusal { errno, words: None },
        };
        if let Some(witness) = &mut self.witness {
            witness.before(step).map_err(refused)?;
        }
        self.perform(step).await?;
        match &mut self.witness {
            Some(witness) => witness.after(step).map_err(refused),
            None => Ok(()),
        }
    }
}
