//! System calls on processes that the standard library leaves out. Linux only.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Makes the process that `command` starts die (SIGKILL) with the *thread* that starts it: start it
/// from the main thread.
pub fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let before_exec = move || {
        // SAFETY: plain system calls, allowed between fork and exec.
        let (set, now) = unsafe {
            (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong), libc::getppid())
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        if now.cast_unsigned() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH)); // it died before the call
        }
        Ok(())
    };
    // SAFETY: the closure neither allocates nor takes a lock.
    unsafe { command.pre_exec(before_exec) };
}

/// Sends a signal to one process; signal 0 only asks whether it exists.
///
/// # Errors
/// When there is no such process, or it belongs to another user.
pub fn kill(pid: u32, signal: i32) -> io::Result<()> {
    send(process_id(pid)?, signal)
}

/// Sends a signal to every process of the group that `leader` founded.
///
/// # Errors
/// When there is no such group, or all of it belongs to another user.
pub fn kill_group(leader: u32, signal: i32) -> io::Result<()> {
    send(-process_id(leader)?, signal)
}

/// Ends this process at once with an exit status, without destructors or exit handlers: those of C++
/// libraries wait for threads that may hang in a collective.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: it does not return, and nothing of this process is used again.
    unsafe { libc::_exit(code) }
}

/// Has freed memory kept by this process, up to 256 MB, rather than given back and asked for again:
/// for work that frees and allocates megabytes many times a second. Without effect where the C library
/// is not GNU's.
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it only sets parameters of the allocator, which does so under its lock.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 20);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20); // the most that is allowed
    }
}

/// The time that cores have spent on this process so far, all of its threads, the system's work
/// for it included.
pub fn cpu_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the system fills the struct in; zeros are a valid one, too, should it not.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    [usage.ru_utime, usage.ru_stime]
        .map(|time| {
            let micros = Duration::from_micros(time.tv_usec.cast_unsigned());
            Duration::from_secs(time.tv_sec.cast_unsigned()) + micros
        })
        .iter()
        .sum()
}

/// Refuses the numbers that `kill(2)` takes for "my group", "everyone" and groups.
fn process_id(pid: u32) -> io::Result<libc::pid_t> {
    match libc::pid_t::try_from(pid) {
        Ok(id) if id > 1 => Ok(id),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{pid} is no process"))),
    }
}

fn send(target: libc::pid_t, signal: i32) -> io::Result<()> {
    // SAFETY: a plain system call.
    match unsafe { libc::kill(target, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
