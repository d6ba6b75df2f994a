//! Reading from and writing to the kernel: the only part that is not a pure function.

use crate::error::Error;

/// An open way to the kernel of the current network namespace.
///
/// Must be made and used within a tokio runtime. One is enough for the life of a process.
#[derive(Debug)]
pub struct Kernel {
    #[expect(dead_code, reason = "read and write follow")]
    route: rtnetlink::Handle,
}

impl Kernel {
    /// Opens the sockets.
    ///
    /// # Errors
    ///
    /// When the kernel has no such socket or lets no more be opened.
    pub fn open() -> Result<Self, Error> {
        let (connection, route, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Self { route })
    }
}
