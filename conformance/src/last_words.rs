//! The orchestrator's word to a worker that takes too long: to say what it has, and end.
//!
//! A worker judges one clause, so there is one such word for the whole process.

use std::sync::OnceLock;

use crate::judgement::Trouble;

static ASKED_FOR: OnceLock<String> = OnceLock::new();

/// Asks for them, and says why.
pub(crate) fn ask_for(why: String) {
    // The first reason is the reason.
    let _ = ASKED_FOR.set(why);
}

/// An error as soon as they are asked for.
///
/// # Errors
///
/// With why.
pub(crate) fn heed() -> Result<(), Trouble> {
    match ASKED_FOR.get() {
        Some(why) => Err(Trouble::Lab(why.clone())),
        None => Ok(()),
    }
}
