//! Text for people, who may go away before it ends, as in `run | head`: the run goes on, for its
//! files and its exit status, and nothing is said of it.

use std::io::{self, Write};

/// A stream that takes all that is written to it, also when nobody reads it any more.
pub(super) struct People<W> {
    to: W,
    gone: bool,
}

impl<W: Write> People<W> {
    pub(super) fn new(to: W) -> Self {
        People { to, gone: false }
    }

    /// `told`, where that is only that nobody reads any more, as if all was well.
    fn heed<T>(&mut self, told: io::Result<T>, done: T) -> io::Result<T> {
        match told {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(done)
            }
            told => told,
        }
    }
}

impl<W: Write> Write for People<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gone {
            return Ok(bytes.len());
        }
        let written = self.to.write(bytes);
        self.heed(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gone {
            return Ok(());
        }
        let flushed = self.to.flush();
        self.heed(flushed, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It has room for so many bytes, and then says this.
    struct Full(usize, io::ErrorKind);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken > 0 {
                Ok(taken)
            } else {
                Err(self.1.into())
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is() {
        let mut people = People::new(Full(3, io::ErrorKind::BrokenPipe));
        people.write_all(b"twelve words").unwrap();
        people.write_all(b"and more").unwrap();
        assert!(people.gone);
        let mut people = People::new(Full(3, io::ErrorKind::StorageFull));
        assert!(people.write_all(b"twelve words").is_err());
    }
}
