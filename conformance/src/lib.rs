//! Judges a router with several Internet lines by its packets.
