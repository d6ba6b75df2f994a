//! Several independent Internet lines on one stock Linux router.
#![forbid(unsafe_code)]

pub mod config;
