//! The tables of all families with their counters, as `nft` lists them, or as they are read here
//! where there is no such program.

use std::env;
use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use multiwan_kernel::nft::{Error, Netfilter};

use crate::process::{self, Output};

/// Reading a large rule set takes it well under a second.
const LIMIT: Duration = Duration::from_secs(5);

/// Where it is for an ordinary user too, whose shell does not look there.
const FOLDERS: &str = "/usr/sbin:/sbin:/usr/local/sbin";

pub(super) fn describe() -> String {
    match listed("nft") {
        Ok(text) => text,
        Err(error) if is_absent(&error) => {
            format!(
                "# as read by netlink, without what is in sets: there is no nft here\n{}",
                read()
            )
        }
        Err(error) => {
            format!(
                "# as read by netlink, without what is in sets: nft list ruleset {error}\n{}",
                read()
            )
        }
    }
}

/// Whether there is no such program in the folders that may be looked into: of one that may not, what
/// is asked for says that it is forbidden.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}

/// What `nft list ruleset` prints, its warnings too.
fn listed(program: &str) -> io::Result<String> {
    let output = Output::new()?;
    let path = env::var("PATH").unwrap_or_default();
    let mut child = Command::new(program)
        .args(["list", "ruleset"])
        .env("PATH", format!("{path}:{FOLDERS}"))
        .stdin(Stdio::null())
        .stdout(output.stdio()?)
        .stderr(output.stdio()?)
        .spawn()?;
    let Some(status) = process::wait(&mut child, LIMIT)? else {
        child.kill()?;
        child.wait()?;
        return Err(io::Error::other(format!(
            "did not end in {} s",
            LIMIT.as_secs()
        )));
    };
    if status.success() {
        Ok(output.all() + "\n")
    } else {
        let ending = process::ending(status);
        Err(io::Error::other(format!("{ending}: {}", output.tail())))
    }
}

fn read() -> String {
    let read = || {
        let mut netfilter = Netfilter::open()?;
        let mut text = String::new();
        for (family, name) in netfilter.tables()? {
            // One that cannot be read keeps no other from being shown.
            match netfilter.read(family, &name) {
                Ok(table) => text.extend(table.map(|table| table.to_string())),
                Err(error) => text.push_str(&format!("# table {family} {name}: {error}\n")),
            }
        }
        Ok::<_, Error>(text)
    };
    read().unwrap_or_else(|error| format!("({error})\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_or_is_not_there_is_told_apart() {
        assert!(is_absent(&listed("no-such-program").unwrap_err()));
        let failed = listed("ls").unwrap_err();
        assert!(!is_absent(&failed));
        let failed = failed.to_string();
        assert!(failed.starts_with("ended with 2: "), "{failed}");
    }
}
