//! A failed lab that is held: how to enter it, and until when.

use std::io::{self, Write};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, select};

use crate::evidence;
use crate::job::Namespace;
use crate::stop::Stop;

/// The command that runs a shell, or what is put in its place, in a host of a held lab: by the
/// worker's process, without root where the worker has a user namespace of this user's own.
#[must_use]
pub fn enter(worker: u32, user: u64, host: &Namespace) -> String {
    let user = if user == evidence::user_namespace() {
        String::new()
    } else {
        format!(" --preserve-credentials --user=/proc/{worker}/ns/user")
    };
    // The worker may see another /proc than we do: its paths are those below its own root.
    let path = host.path.display();
    format!("nsenter{user} --net=/proc/{worker}/root{path}")
}

/// Waits for a line or the end of standard input, or until the run is to end, and lets the worker go
/// on. How long that took.
pub(crate) fn until_enter(worker: &mut Child, stop: &Stop) -> io::Result<Duration> {
    let since = Instant::now();
    let (sender, entered) = bounded(1);
    // It is left behind when the run ends, and ends with this process.
    thread::spawn(move || sender.send(io::stdin().read_line(&mut String::new())));
    select! {
        recv(stop.asked()) -> _ => (),
        recv(entered) -> line => {
            line.map_err(io::Error::other)??;
        }
    }
    if let Some(leave) = &mut worker.stdin {
        leave.write_all(b"\n")?;
    }
    Ok(since.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_is_entered_only_if_it_is_another() {
        let host = Namespace {
            host: "router".to_owned(),
            path: "/proc/2/fd/7".into(),
        };
        let ours = evidence::user_namespace();
        assert_eq!(
            enter(41, ours, &host),
            "nsenter --net=/proc/41/root/proc/2/fd/7"
        );
        assert_eq!(
            enter(41, ours + 1, &host),
            "nsenter --preserve-credentials --user=/proc/41/ns/user --net=/proc/41/root/proc/2/fd/7"
        );
    }
}
