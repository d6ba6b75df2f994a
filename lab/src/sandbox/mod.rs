//! The sandbox: user, network, mount and process namespaces that the lab lives and dies in.
//!
//! Entering needs no root. It must happen while the process has one thread, so a binary calls
//! [`enter`] first thing in `main`, and a test calls [`test()`], which runs it anew in a process of
//! its own. The sandbox's own network namespace is the router; nothing in it has a link to the
//! outside, and when its first process ends the kernel takes back all there was.

mod sys;
mod unavailable;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Output, Stdio};

use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, getpid, getppid, pipe2};

pub use unavailable::{Stage, Unavailable};

/// Where the inner process finds the inode of the network namespace that it must not be in.
const OUTER: &str = "MULTIWAN_LAB_OUTER_NETNS";

/// The proof that this process is in a sandbox: all that changes network state asks for it.
#[derive(Debug)]
pub struct Sandbox {
    mode: Mode,
}

/// How much of the kernel's settings a sandbox can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All that a network namespace has.
    Full,
    /// `/proc/sys` is read-only, as in many containers: what needs it cannot be judged.
    Limited,
}

impl Mode {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Limited => "limited",
        }
    }
}

impl Sandbox {
    /// How much of the kernel's settings can be changed here.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The sandbox that this process was started in.
    fn entered(outer: u64) -> Result<Self, Unavailable> {
        let open = |source| Unavailable {
            stage: Stage::Open,
            source,
            seccomp: false,
        };
        // The environment can say anything; that this is what process 1 started cannot be made up.
        let first = getpid().as_raw() == 2 && getppid().as_raw() == 1;
        if !first || network_namespace().map_err(open)? == outer {
            return Err(open(io::Error::other(
                "this process is not in a sandbox of its own",
            )));
        }
        raise_descriptor_limit().map_err(|error| open(error.into()))?;
        let writable = File::options()
            .write(true)
            .open("/proc/sys/net/ipv4/ip_forward")
            .is_ok();
        Ok(Self {
            mode: if writable { Mode::Full } else { Mode::Limited },
        })
    }
}

/// Enters a sandbox and goes on in it as another process; the calling one waits, and ends with
/// the same exit status.
///
/// # Errors
///
/// Says what was refused and what to do about it. [`Stage::Unshare`] with `EINVAL` means that
/// the process has several threads already.
pub fn enter() -> Result<Sandbox, Unavailable> {
    let outer = network_namespace().map_err(opening)?;
    let (mut reader, writer) = report_pipe()?;
    match sys::isolate(&plan(&writer, None)) {
        Ok(()) => Sandbox::entered(outer),
        Err(source) => {
            drop(writer);
            Err(unavailable(&mut reader, source))
        }
    }
}

/// Runs the body of a test in a sandbox of its own, alone or beside others.
///
/// Called from a `#[test]` function, of any harness that understands `--exact NAME`: the outer
/// call starts this binary again for the one test, and the inner one runs the body. Attributes
/// that judge a panic (`#[should_panic]`) do not see the inner one.
///
/// # Panics
///
/// When the body does, or when no sandbox can be entered.
pub fn test(body: impl FnOnce(&Sandbox)) {
    if let Ok(outer) = std::env::var(OUTER) {
        let outer = outer.parse().expect("an inode");
        let sandbox = Sandbox::entered(outer).unwrap_or_else(|why| panic!("{why}"));
        return body(&sandbox);
    }
    let thread = std::thread::current();
    let name = thread.name().expect("a test's thread has its name");
    let mut command = Command::new("/proc/self/exe");
    command.args([
        "--exact",
        name,
        "--nocapture",
        "--include-ignored",
        "--test-threads=1",
    ]);
    let output = in_sandbox(command).unwrap_or_else(|why| panic!("{why}"));
    // Through the macros, so that the harness shows it with this test and only when it fails.
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "{name} failed in its sandbox: {}",
        output.status
    );
}

/// Runs a command in a sandbox of its own and waits for it; what it printed.
///
/// # Errors
///
/// Says what was refused and what to do about it.
pub fn in_sandbox(mut command: Command) -> Result<Output, Unavailable> {
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn(command)?.wait_with_output().map_err(opening)
}

/// Starts a command in a sandbox of its own, which dies with the calling thread.
///
/// # Errors
///
/// Says what was refused and what to do about it.
pub fn spawn(mut command: Command) -> Result<Child, Unavailable> {
    let outer = network_namespace().map_err(opening)?;
    let (mut reader, writer) = report_pipe()?;
    let parent = Some(getpid().as_raw());
    sys::isolate_before_exec(&mut command, plan(&writer, parent));
    let child = command.env(OUTER, outer.to_string()).spawn();
    // The command keeps its end of the pipe for as long as it might be started again.
    drop((command, writer));
    child.map_err(|source| unavailable(&mut reader, source))
}

/// Decides about a user namespace: none where this process may do without and one would make the
/// kernel's settings read-only for good, as the container's mounts are locked in it.
fn plan(report: &OwnedFd, parent: Option<i32>) -> sys::Plan {
    let maps = || {
        let (uid, gid) = (Uid::effective(), Gid::effective());
        (
            format!("0 {uid} 1\n").into_bytes(),
            format!("0 {gid} 1\n").into_bytes(),
        )
    };
    let capable = has_capabilities(&[CAP_NET_ADMIN, CAP_SYS_ADMIN]);
    let without = capable && (read_only("/proc/sys/net") || !user_namespace_allowed());
    sys::Plan {
        maps: (!without).then(maps),
        report: report.as_raw_fd(),
        parent,
    }
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;

fn has_capabilities(wanted: &[u32]) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = line
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    wanted
        .iter()
        .all(|capability| effective & (1 << capability) != 0)
}

fn read_only(path: &str) -> bool {
    use nix::sys::statvfs::{FsFlags, statvfs};
    statvfs(path).is_ok_and(|at| at.flags().contains(FsFlags::ST_RDONLY))
}

/// Whether the kernel's settings let this user make a user namespace.
fn user_namespace_allowed() -> bool {
    let limit = fs::read_to_string("/proc/sys/user/max_user_namespaces");
    let none = limit.is_ok_and(|limit| limit.trim() == "0");
    let clone = fs::read_to_string("/proc/sys/kernel/unprivileged_userns_clone");
    let forbidden = clone.is_ok_and(|allowed| allowed.trim() == "0") && !Uid::effective().is_root();
    !none && !forbidden
}

fn network_namespace() -> io::Result<u64> {
    Ok(fs::metadata("/proc/thread-self/ns/net")?.ino())
}

fn raise_descriptor_limit() -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)
}

fn report_pipe() -> Result<(File, OwnedFd), Unavailable> {
    let (reader, writer) =
        pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|error| opening(error.into()))?;
    Ok((File::from(reader), writer))
}

fn opening(source: io::Error) -> Unavailable {
    Unavailable {
        stage: Stage::Open,
        source,
        seccomp: false,
    }
}

fn unavailable(report: &mut File, source: io::Error) -> Unavailable {
    let mut stage = [0; 2];
    let source = match report.read_exact(&mut stage) {
        Ok(()) => io::Error::from_raw_os_error(i32::from(stage[1])),
        Err(_) => source,
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let seccomp = status
        .lines()
        .any(|line| line.starts_with("Seccomp:") && line.ends_with('2'));
    Unavailable {
        stage: Stage::from_number(stage[0]),
        source,
        seccomp,
    }
}
