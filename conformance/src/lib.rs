//! Judges a router with several Internet lines by its packets.
//!
//! A [`clause::Clause`] is one promise of the how-to with a function that judges it. The way of a
//! run: [`cli`] reads what is asked, [`selection`] makes the list of jobs (clause ×
//! configuration), [`runner`] starts one [`worker`] process for each, which enters a
//! sandbox of its own, hands the clause a [`context::Context`] and sends the
//! [`judgement::Judgement`] back, and [`report`] tells it.
#![forbid(unsafe_code)]

pub mod applier;
pub mod bundle;
pub mod carried;
pub mod claims;
pub mod clause;
pub mod clauses;
pub mod cli;
pub mod configuration;
pub mod context;
pub mod events;
pub mod evidence;
pub mod fixtures;
pub mod forecast;
pub mod job;
pub mod judge;
pub mod judgement;
mod last_words;
pub mod matrix;
pub mod mutant;
pub mod pause;
pub mod process;
pub mod report;
pub mod runner;
pub mod scene;
pub mod selection;
pub mod session;
pub mod stop;
pub mod timeline;
pub mod visible;
pub mod worker;
