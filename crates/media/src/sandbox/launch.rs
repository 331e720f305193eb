//! Starts a program by a child that borrows our memory until it execs, as `posix_spawn` does.
//!
//! A plain fork copies the page tables of a server that may hold gigabytes of pixels, and stops
//! its other threads meanwhile: hundreds of milliseconds for each photo on a busy machine. Here
//! nothing is copied (`CLONE_VM`), and the spawning thread alone stands still until the child has
//! its own memory (`CLONE_VFORK`).
//!
//! So until then the child may not allocate, lock, or let a signal handler of ours run: it makes
//! system calls on values that were prepared before, and leaves its error where its parent looks.
#![allow(unsafe_code)] // the standard library has no way to confine a child without a full fork

use std::ffi::{CString, OsString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use std::{io, mem, ptr};

use rustix::process::Pid;

use super::confine::Confinement;

/// What a child needs between clone and exec, measured generously, in bytes.
const STACK_BYTES: usize = 256 << 10;
/// Signals are numbered from 1 to this.
const SIGNALS: c_int = 64;
/// The whole environment. One heap for all threads: each further one reserves 64 MiB of address
/// space, which is what the memory limit counts.
const ENVIRONMENT: [&std::ffi::CStr; 1] = [c"MALLOC_ARENA_MAX=1"];

/// A program about to be started.
pub(super) struct Launch {
    program: CString,
    arguments: Vec<CString>,
    folder: CString,
    streams: [OwnedFd; 3],
    confinement: Confinement,
}

/// A started program, not yet waited for.
pub(super) struct Started {
    pub(super) pid: Pid,
    /// Readable once the process has ended.
    pub(super) pidfd: OwnedFd,
}

impl Started {
    /// Waits for its end. Gives how it ended and the CPU time of all its threads.
    ///
    /// # Errors
    /// When it is not there to be waited for.
    pub(super) fn reap(&self) -> io::Result<(ExitStatus, Duration)> {
        let mut status = 0;
        // SAFETY: it is plain numbers, for which zero is a value.
        let mut usage: libc::rusage = unsafe { mem::zeroed() };
        let pid = self.pid.as_raw_nonzero().get();
        // SAFETY: both pointers are to values of ours that the kernel fills.
        while unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
        let cpu = time(usage.ru_utime) + time(usage.ru_stime);
        Ok((ExitStatus::from_raw(status), cpu))
    }
}

/// What parent and child share. The child reads all and writes `error`.
struct Shared<'a> {
    program: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    folder: *const c_char,
    streams: [c_int; 3],
    confinement: &'a mut Confinement,
    error: c_int,
}

impl Launch {
    /// Prepares `program` with its standard streams, to be started in `folder`.
    ///
    /// # Errors
    /// When a name contains a zero byte.
    pub(super) fn new(
        program: &Path,
        args: &[OsString],
        folder: &Path,
        streams: [OwnedFd; 3],
        confinement: Confinement,
    ) -> io::Result<Self> {
        let arguments = [program.as_os_str()]
            .into_iter()
            .chain(args.iter().map(OsString::as_os_str))
            .map(|arg| CString::new(arg.as_bytes()))
            .collect::<Result<_, _>>()?;
        let program = CString::new(program.as_os_str().as_bytes())?;
        let folder = CString::new(folder.as_os_str().as_bytes())?;
        Ok(Self {
            program,
            arguments,
            folder,
            streams,
            confinement,
        })
    }

    /// Starts it. The calling thread becomes the one whose death ends the child.
    ///
    /// # Errors
    /// Whatever the first system call that failed says, up to exec itself.
    pub(super) fn start(mut self) -> io::Result<Started> {
        let ended = |strings: &mut dyn Iterator<Item = *const c_char>| -> Vec<*const c_char> {
            strings.chain([ptr::null()]).collect()
        };
        let arguments = ended(&mut self.arguments.iter().map(|arg| arg.as_ptr()));
        let environment = ended(&mut ENVIRONMENT.iter().map(|variable| variable.as_ptr()));
        let mut shared = Shared {
            program: self.program.as_ptr(),
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            folder: self.folder.as_ptr(),
            streams: self.streams.each_ref().map(AsRawFd::as_raw_fd),
            confinement: &mut self.confinement,
            error: 0,
        };
        let mut stack = vec![0u128; STACK_BYTES / size_of::<u128>()];
        let mut pidfd: c_int = -1;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;

        // SAFETY: `shared`, what it points to and the stack outlive the child's use of them, as
        // this thread goes on only after the child's exec or exit. The stack grows downwards from
        // its aligned end. Signals are blocked from before the child exists, so that no handler
        // runs in it, until it has none any more.
        let pid = unsafe {
            let mut all: libc::sigset_t = mem::zeroed();
            let mut before: libc::sigset_t = mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            let pid = libc::clone(
                child,
                stack.as_mut_ptr_range().end.cast(),
                flags,
                (&raw mut shared).cast(),
                &raw mut pidfd,
            );
            let error = io::Error::last_os_error();
            libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
            Pid::from_raw(pid).filter(|_| pid > 0).ok_or(error)?
        };
        // SAFETY: the kernel has just opened it for us.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        // SAFETY: the child wrote it, if at all, before this thread went on.
        match unsafe { (&raw const shared.error).read_volatile() } {
            0 => Ok(Started { pid, pidfd }),
            error => {
                rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())?;
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }
}

/// The child's whole life in our memory.
extern "C" fn child(shared: *mut c_void) -> c_int {
    // SAFETY: the parent passed a pointer to a `Shared` and stands still.
    let shared = unsafe { &mut *shared.cast::<Shared<'_>>() };
    let error = prepare(shared).err().unwrap_or_else(|| {
        // SAFETY: the strings end with a zero, the arrays with a null pointer.
        unsafe { libc::execve(shared.program, shared.arguments, shared.environment) };
        io::Error::last_os_error()
    });
    shared.error = error.raw_os_error().unwrap_or(libc::EINVAL);
    // SAFETY: ends this process without running anything of its parent's.
    unsafe { libc::_exit(127) }
}

fn prepare(shared: &mut Shared<'_>) -> io::Result<()> {
    let check = |result: c_int| {
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    };
    // SAFETY: system calls on integers and on pointers that are valid while the parent waits. The
    // handlers, descriptors, folder and group that they change are the child's own.
    unsafe {
        // Two of the numbers are libc's own and refused; SIGKILL and SIGSTOP have no handler.
        for signal in 1..=SIGNALS {
            libc::signal(signal, libc::SIG_DFL);
        }
        for (stream, target) in shared.streams.iter().zip(0..) {
            check(libc::dup2(*stream, target))?;
        }
        check(libc::setpgid(0, 0))?;
        check(libc::chdir(shared.folder))?;
        shared.confinement.enter()?;
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&mut none);
        check(libc::pthread_sigmask(
            libc::SIG_SETMASK,
            &none,
            ptr::null_mut(),
        ))
    }
}
