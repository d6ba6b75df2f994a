//! A router, its modems, an Internet and many clients in network namespaces.
#![deny(unsafe_code)]

pub mod sandbox;
