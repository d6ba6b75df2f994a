//! The few system calls that make a sandbox, between fork and exec or in a process of one thread.
//!
//! Nothing here allocates, locks or unwinds: after a fork of a process with threads only
//! async-signal-safe calls are allowed (`signal-safety(7)`).
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::RawFd;
use std::ptr;

use super::Stage;

/// What to do, worked out before the fork.
pub(super) struct Plan {
    /// The uid and gid maps of a new user namespace, `"0 UID 1\n"`; none where it is not needed.
    pub(super) maps: Option<(Vec<u8>, Vec<u8>)>,
    /// Where a stage that failed is reported, as two bytes: its number and the errno.
    pub(super) report: RawFd,
    /// The process to die with; none where the sandbox is to outlive the caller's parent.
    pub(super) parent: Option<libc::pid_t>,
}

/// Moves the calling process to namespaces of its own and goes on in a child of a child: the
/// middle one is process 1 of the new process namespace, which reaps orphans, heeds SIGTERM and
/// SIGINT, and takes everything with it when it ends.
///
/// Returns in the innermost process, or with an error where it got to. The calling process waits
/// and ends with the same status.
pub(super) fn isolate(plan: &Plan) -> io::Result<()> {
    let mut flags = libc::CLONE_NEWNET
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC;
    if plan.maps.is_some() {
        flags |= libc::CLONE_NEWUSER;
    }
    // SAFETY: plain system calls on values, and on strings that end in NUL and outlive them.
    unsafe {
        stage(plan, Stage::Unshare, libc::unshare(flags))?;
        if let Some((uids, gids)) = &plan.maps {
            // Kernels and containers that already forbid setgroups have no such file.
            let _ = write_file(c"/proc/self/setgroups", b"deny");
            stage(plan, Stage::Map, write_file(c"/proc/self/uid_map", uids))?;
            stage(plan, Stage::Map, write_file(c"/proc/self/gid_map", gids))?;
        }
        if let Some(parent) = plan.parent {
            // After unshare, which forgets it; and the parent may be gone by now.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() != parent {
                libc::_exit(128 + libc::SIGKILL);
            }
        }
        // Process 1 has no parent that it can see. This pipe tells it whether there still is one.
        let mut alive = [0; 2];
        stage(
            plan,
            Stage::Fork,
            libc::pipe2(alive.as_mut_ptr(), libc::O_CLOEXEC),
        )?;
        let init = libc::fork();
        stage(plan, Stage::Fork, init)?;
        if init > 0 {
            libc::dup2(alive[1], 3);
            libc::close_range(4, u32::MAX, 0);
            libc::_exit(status_of(init));
        }
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::close(alive[1]);
        let mut outlived = libc::pollfd {
            fd: alive[0],
            events: 0,
            revents: 0,
        };
        if libc::poll(&raw mut outlived, 1, 0) != 0 {
            libc::_exit(128 + libc::SIGKILL);
        }
        libc::close(alive[0]);
        mounts(plan)?;
        let body = libc::fork();
        stage(plan, Stage::Fork, body)?;
        if body > 0 {
            init_until_end_of(body);
        }
    }
    Ok(())
}

/// Fresh views of /proc, /sys and /run, as far as this place allows, and no way to the machine's settings.
///
/// SAFETY: called between fork and exec or with one thread.
unsafe fn mounts(plan: &Plan) -> io::Result<()> {
    // SAFETY: the strings end in NUL, and null is allowed where mount(2) ignores an argument.
    unsafe {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        let done = libc::mount(
            ptr::null(),
            c"/".as_ptr(),
            ptr::null(),
            private,
            ptr::null(),
        );
        stage(plan, Stage::Mount, done)?;
        // Masked containers refuse these: then /proc and /sys show what they showed before, and
        // nothing in the lab depends on more.
        let safe = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        let fresh = |kind: &CStr, place: &CStr, flags| {
            libc::mount(
                kind.as_ptr(),
                place.as_ptr(),
                kind.as_ptr(),
                flags,
                ptr::null(),
            )
        };
        fresh(c"proc", c"/proc", safe);
        fresh(c"sysfs", c"/sys", safe);
        fresh(c"tmpfs", c"/run", libc::MS_NOSUID | libc::MS_NODEV);
        if plan.maps.is_none() {
            let writable = libc::MS_REMOUNT | libc::MS_BIND | safe;
            let place = c"/proc/sys".as_ptr();
            libc::mount(ptr::null(), place, ptr::null(), writable, ptr::null());
        }
        protect_machine_settings(plan);
    }
    Ok(())
}

/// Leaves no setting to be written but those below `net`, which a network namespace has of its own,
/// and below `user`, where a user namespace has them: the others are the whole machine's, and root
/// here may be root there. Where this is refused, as in masked containers, they stay as that place
/// has them.
///
/// SAFETY: as of [`mounts`].
unsafe fn protect_machine_settings(plan: &Plan) {
    // SAFETY: the strings end in NUL, and null is allowed where mount(2) ignores an argument.
    unsafe {
        let again = |place: &CStr| {
            let (place, none) = (place.as_ptr(), ptr::null());
            libc::mount(place, place, none, libc::MS_BIND, ptr::null())
        };
        // A mount of its own for what stays writable must stand before the rest is not.
        if again(c"/proc/sys") < 0 || again(c"/proc/sys/net") < 0 {
            return;
        }
        if plan.maps.is_some() {
            again(c"/proc/sys/user");
        }
        let read_only = libc::MS_REMOUNT
            | libc::MS_BIND
            | libc::MS_RDONLY
            | libc::MS_NOSUID
            | libc::MS_NODEV
            | libc::MS_NOEXEC;
        let place = c"/proc/sys".as_ptr();
        libc::mount(ptr::null(), place, ptr::null(), read_only, ptr::null());
    }
}

/// Process 1: reaps until `body` ends, then ends with its status and takes all others along.
///
/// SAFETY: called in a process of one thread.
unsafe fn init_until_end_of(body: libc::pid_t) -> ! {
    extern "C" fn end(signal: libc::c_int) {
        // SAFETY: _exit is async-signal-safe, and the kernel ends the whole process namespace.
        unsafe { libc::_exit(128 + signal) }
    }
    // SAFETY: the handler only calls _exit; the other calls are on values.
    unsafe {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::signal(signal, end as *const () as libc::sighandler_t);
        }
        libc::close_range(3, u32::MAX, 0);
        libc::_exit(status_of(body))
    }
}

/// Waits for a child, reaping others; its exit status as a shell would say it.
///
/// SAFETY: called in a process of one thread.
unsafe fn status_of(child: libc::pid_t) -> libc::c_int {
    loop {
        let mut status = 0;
        // SAFETY: the status is a valid place to write to.
        let ended = unsafe { libc::waitpid(-1, &raw mut status, 0) };
        if ended == child {
            return if libc::WIFEXITED(status) {
                libc::WEXITSTATUS(status)
            } else {
                128 + libc::WTERMSIG(status)
            };
        }
        if ended < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return 125;
        }
    }
}

/// Writes a whole file of /proc at once; below 0 with errno set where that fails.
///
/// SAFETY: called between fork and exec or with one thread.
unsafe fn write_file(path: &CStr, content: &[u8]) -> libc::c_int {
    // SAFETY: the path ends in NUL, and the content's length is given.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file < 0 {
            return -1;
        }
        let written = libc::write(file, content.as_ptr().cast(), content.len());
        let error = *libc::__errno_location();
        libc::close(file);
        *libc::__errno_location() = error;
        if written < 0 { -1 } else { 0 }
    }
}

/// Reports a stage that failed.
fn stage(plan: &Plan, stage: Stage, result: libc::c_int) -> io::Result<()> {
    if result >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    let report = [stage as u8, error.raw_os_error().unwrap_or_default() as u8];
    // SAFETY: two bytes are written from an array of two.
    unsafe { libc::write(plan.report, report.as_ptr().cast(), report.len()) };
    Err(error)
}

/// Makes `command` start in a sandbox: [`isolate`] runs between fork and exec.
pub(super) fn isolate_before_exec(command: &mut std::process::Command, plan: Plan) {
    use std::os::unix::process::CommandExt;
    // SAFETY: `isolate` is written for the time between fork and exec.
    unsafe { command.pre_exec(move || isolate(&plan)) };
}
