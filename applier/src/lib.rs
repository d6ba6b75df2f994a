//! Several independent Internet lines on one stock Linux router.
#![forbid(unsafe_code)]

pub mod absent;
pub mod check;
pub mod clashes;
pub mod cli;
pub mod config;
pub mod desired;
pub mod difference;
pub mod down;
pub mod error;
pub mod gateways;
pub mod import;
pub mod keepalive;
pub mod kept;
pub mod kernel;
pub mod reconcile;
pub mod record;
pub mod resolve;
pub mod runtime;
pub mod state;
pub mod status;
pub mod verdicts;
