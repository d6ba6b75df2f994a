//! Finds out whether each line works, and keeps the kernel's view of it true (how-to 2.4).

mod line;
mod schedule;
