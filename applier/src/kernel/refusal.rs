//! What the kernel says when it refuses.

use std::fmt;
use std::io;

use netlink_packet_core::{ErrorMessage, NlasIterator};
use nix::errno::Errno;

/// `NLMSGERR_ATTR_MSG`: the kernel's own words.
const ATTRIBUTE_MESSAGE: u16 = 1;
/// The request's header comes before the attributes.
const HEADER: usize = 16;

/// The kernel's refusal of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its number.
    pub errno: Errno,
    /// Its words, where it has some.
    pub words: Option<String>,
}

impl Refusal {
    /// Of a netlink answer; none where that is an acknowledgement.
    pub(super) fn of(error: &ErrorMessage) -> Option<Self> {
        let errno = Errno::from_raw(error.code?.get().abs());
        let attributes = error.header.get(HEADER..).unwrap_or_default();
        let words = NlasIterator::new(attributes)
            .flatten()
            .find_map(|attribute| {
                let text = attribute.value().strip_suffix(b"\0")?;
                (attribute.kind() == ATTRIBUTE_MESSAGE)
                    .then(|| String::from_utf8_lossy(text).into_owned())
            });
        Some(Self { errno, words })
    }

    /// Of a file below `/proc/sys`.
    pub(super) fn of_file(error: &io::Error) -> Self {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        Self { errno, words: None }
    }

    pub(super) fn connection_lost() -> Self {
        Self {
            errno: Errno::ENOTCONN,
            words: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.words {
            Some(words) => write!(f, "{} ({words})", self.errno.desc()),
            None => f.write_str(self.errno.desc()),
        }
    }
}
