//! A router, its modems, an Internet and many clients in network namespaces.
