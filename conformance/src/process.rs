//! Child processes: their output kept, their end awaited no longer than a deadline.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::visible::visible;

/// This binary, also when the file has been replaced meanwhile.
pub const MYSELF: &str = "/proc/self/exe";

/// How much of a process's output is kept for a report, in bytes from its end; and as much from its
/// beginning, where that may be what tells.
const TAIL: u64 = 8 * 1024;

/// A file without a name that collects what processes write. A pipe would fill up, and would
/// stay open as long as any of their children lives. A clone is the same file.
#[derive(Debug, Clone)]
pub struct Output(Arc<File>);

impl Output {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn new() -> io::Result<Self> {
        let file = File::from(memfd_create("output", MemfdFlags::CLOEXEC)?);
        Ok(Output(Arc::new(file)))
    }

    /// For a child's standard output or error; both may share it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn stdio(&self) -> io::Result<Stdio> {
        Ok(self.0.try_clone()?.into())
    }

    /// The end of what was written so far, [made visible](visible()), without touching where the
    /// next write goes.
    #[must_use]
    pub fn tail(&self) -> String {
        self.last(TAIL)
    }

    /// The beginning and the end of what was written so far, made visible too, in whole lines where
    /// something between is left out: the first of many errors may be what the others come of.
    #[must_use]
    pub fn ends(&self) -> String {
        let length = self.length();
        if length <= 2 * TAIL {
            return self.last(2 * TAIL);
        }
        let (head, tail) = (self.read(0, TAIL), self.last(TAIL));
        let head = head.rsplit_once('\n').map_or(&*head, |(whole, _)| whole);
        let tail = tail.split_once('\n').map_or(&*tail, |(_, whole)| whole);
        let between = length - (head.len() + tail.len()) as u64;
        format!("{head}\n({between} bytes between)\n{tail}")
    }

    /// All that was written so far, or the last mebibyte of it, made visible too.
    #[must_use]
    pub fn all(&self) -> String {
        self.last(1 << 20)
    }

    fn length(&self) -> u64 {
        self.0.metadata().map_or(0, |metadata| metadata.len())
    }

    fn last(&self, bytes: u64) -> String {
        let length = self.length();
        self.read(length.saturating_sub(bytes), bytes.min(length))
    }

    fn read(&self, start: u64, length: u64) -> String {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        match self.0.read_exact_at(&mut bytes, start) {
            Ok(()) => visible(String::from_utf8_lossy(&bytes).trim()).into_owned(),
            Err(error) => format!("(its output cannot be read: {error})"),
        }
    }
}

/// Waits for a child's end; none when it still runs after `limit`.
///
/// # Errors
///
/// What the kernel says.
pub fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    if let Some(status) = child.try_wait()? {
        return Ok(Some(status));
    }
    let handle = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return child.try_wait(),
            Ok(_) => return child.wait().map(Some),
            Err(rustix::io::Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Watches for a child's end from a thread of its own; joined, which waits for that end, it says when
/// it was.
///
/// # Errors
///
/// What the kernel says.
pub fn end_of(child: &Child) -> io::Result<JoinHandle<Instant>> {
    let handle = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    Ok(thread::spawn(move || {
        // Whatever else there is to say of it, the caller's own wait says.
        while let Err(rustix::io::Errno::INTR) =
            poll(&mut [PollFd::new(&handle, PollFlags::IN)], None)
        {}
        Instant::now()
    }))
}

/// How a process ended, in words: `ended with 3`, `was killed by signal 9`.
#[must_use]
pub fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn output_of_both_kinds_is_kept_in_order_and_read_while_it_grows() {
        let output = Output::new().unwrap();
        for text in ["one", "two"] {
            let status = Command::new("sh")
                .args(["-c", "echo $0; echo $0 again >&2", text])
                .stdout(output.stdio().unwrap())
                .stderr(output.stdio().unwrap())
                .status()
                .unwrap();
            assert!(status.success());
            assert!(output.tail().ends_with("again"));
        }
        assert_eq!(output.tail(), "one\none again\ntwo\ntwo again");
    }

    #[test]
    fn of_a_long_output_the_first_and_the_last_lines_are_told() {
        let said = |lines: u32| {
            let output = Output::new().unwrap();
            let status = Command::new("seq")
                .arg(lines.to_string())
                .stdout(output.stdio().unwrap())
                .status()
                .unwrap();
            assert!(status.success());
            output.ends()
        };
        assert!(!said(3000).contains("between"));
        let told = said(100_000);
        assert!(told.starts_with("1\n2\n"), "{told}");
        assert!(told.ends_with("\n99999\n100000"), "{told}");
        assert!(told.contains(" bytes between)\n"), "{told}");
        let mut lines = told.lines().filter(|line| !line.contains("between"));
        assert!(lines.all(|line| {
            line.parse::<u32>()
                .is_ok_and(|line| !(2000..=98_000).contains(&line))
        }));
    }

    #[test]
    fn what_a_terminal_would_obey_is_only_told() {
        let output = Output::new().unwrap();
        let status = Command::new("printf")
            .arg(r"\033]0;title\007\377\n")
            .stdout(output.stdio().unwrap())
            .status()
            .unwrap();
        assert!(status.success());
        for told in [output.tail(), output.all()] {
            assert_eq!(told, "\\u{1b}]0;title\\u{7}\u{fffd}");
        }
    }

    #[test]
    fn a_wait_ends_with_the_child_or_the_limit() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(
            wait(&mut child, Duration::from_millis(20))
                .unwrap()
                .is_none()
        );
        child.kill().unwrap();
        let status = wait(&mut child, Duration::from_secs(10)).unwrap().unwrap();
        assert_eq!(ending(status), "was killed by signal 9");
    }
}
