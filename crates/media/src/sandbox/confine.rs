//! What a child does to itself before it execs.
//!
//! The code in [`Confinement::enter`] runs while parent and child share their memory (see
//! [`super::launch`]). So nothing there allocates or locks; everything is prepared before, and the
//! child makes system calls only.
#![allow(unsafe_code)] // confinement has no safe interface

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use seccompiler::{BpfProgram, apply_filter};

use super::{Job, Posture, SandboxMode, files, syscalls};
use crate::{ErrorKind, MediaError};

/// Everything that is applied to one child, ready to be used without allocating.
pub(super) struct Confinement {
    parent: libc::pid_t,
    limits: [(libc::__rlimit_resource_t, u64, u64); 6],
    nice: libc::c_int,
    landlock: Option<OwnedFd>,
    filters: Option<Filters>,
}

/// The two seccomp programs, of which the second is completed in the process it is for.
pub(super) struct Filters {
    deny_list: BpfProgram,
    guard: BpfProgram,
}

impl Confinement {
    /// Prepares what `job` gets on a machine of this `posture`.
    ///
    /// # Errors
    /// `sandbox.unavailable` when the job requires more than the machine has; `internal` when the
    /// program or one of the job's files is not there.
    pub(super) fn prepare(job: &Job, posture: &Posture) -> Result<Self, MediaError> {
        if job.mode == SandboxMode::Require && !posture.complete() {
            return Err(unavailable(format!(
                "{} may only run sandboxed, but {posture}",
                job.name
            )));
        }
        let wanted = job.mode != SandboxMode::Off;
        let landlock = if wanted && posture.landlock_abi.is_some() {
            files::rules_for(job)
                .map_err(|e| MediaError {
                    code: "internal",
                    message: format!("{} could not be given its files: {e}", job.name),
                    kind: ErrorKind::Transient,
                })?
                .into()
        } else {
            None
        };
        let filters = if wanted && posture.seccomp {
            Some(
                Filters::compile()
                    .map_err(|e| unavailable(format!("no system call filter: {e}")))?,
            )
        } else {
            None
        };
        let l = &job.limits;
        Ok(Self {
            parent: rustix::process::getpid().as_raw_nonzero().get(),
            limits: [
                (libc::RLIMIT_CORE, 0, 0),
                // The soft limit sends SIGXCPU, which says why; the hard one kills.
                (libc::RLIMIT_CPU, l.cpu_seconds, l.cpu_seconds + 1),
                (libc::RLIMIT_AS, l.memory_bytes, l.memory_bytes),
                (libc::RLIMIT_FSIZE, l.file_bytes, l.file_bytes),
                (libc::RLIMIT_NOFILE, l.open_files, l.open_files),
                (libc::RLIMIT_MEMLOCK, 0, 0),
            ],
            nice: l.nice.into(),
            landlock,
            filters,
        })
    }

    /// Confines the calling process for good. Only system calls; see the module.
    ///
    /// # Errors
    /// What the first of them that failed says.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        for (resource, soft, hard) in self.limits {
            lower(resource, soft, hard)?;
        }
        // SAFETY: plain system calls on integers.
        unsafe {
            // Giving way cannot fail but where it has ended already.
            libc::nice(self.nice);
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
            // The parent may have died before that call; then nobody will ever send the signal.
            if libc::getppid() != self.parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            // Ours are closed on exec anyway; a C library's may not be. Without the call (before
            // Linux 5.11) that second line is missing, which is no reason to run nothing.
            libc::syscall(
                libc::SYS_close_range,
                3,
                u32::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
        }
        no_new_privileges()?;
        drop_capabilities()?;
        if let Some(ruleset) = &self.landlock {
            let call = libc::SYS_landlock_restrict_self;
            // SAFETY: the descriptor is a ruleset and open.
            check(unsafe { libc::syscall(call, ruleset.as_raw_fd(), 0) } as i32)?;
        }
        if let Some(filters) = &mut self.filters {
            filters.apply()?;
        }
        Ok(())
    }
}

impl Filters {
    /// Translates the rules for this architecture.
    ///
    /// # Errors
    /// When seccompiler does not know the architecture.
    pub(super) fn compile() -> Result<Self, seccompiler::BackendError> {
        Ok(Self {
            deny_list: syscalls::deny_list()?,
            guard: syscalls::guard(),
        })
    }

    /// Applies both to the calling thread, for good.
    ///
    /// # Errors
    /// What the kernel says; `EPERM` inside containers that forbid it.
    pub(super) fn apply(&mut self) -> io::Result<()> {
        // SAFETY: always succeeds.
        self.guard[syscalls::OWN_PID].k = unsafe { libc::getpid() } as u32;
        for program in [&self.guard, &self.deny_list] {
            apply_filter(program).map_err(|e| match e {
                seccompiler::Error::Prctl(e) | seccompiler::Error::Seccomp(e) => e,
                _ => io::Error::from_raw_os_error(libc::EINVAL),
            })?;
        }
        Ok(())
    }
}

/// Lowers a limit; one that is lower already stays, as only root could raise it.
fn lower(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live value of the right type.
    unsafe {
        check(libc::getrlimit(resource, &mut limit))?;
        limit.rlim_max = limit.rlim_max.min(hard);
        limit.rlim_cur = soft.min(limit.rlim_max);
        check(libc::setrlimit(resource, &limit))
    }
}

fn no_new_privileges() -> io::Result<()> {
    // SAFETY: a plain system call on integers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// Gives up all capabilities. Together with `no_new_privs` exec does not return them, not even to
/// root, which is then a user like any other who owns many files.
fn drop_capabilities() -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let none = [0u32; 6];
    // SAFETY: both have the layout of the kernel's structures of that version.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) } as i32)
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn unavailable(message: String) -> MediaError {
    MediaError {
        code: "sandbox.unavailable",
        message,
        kind: ErrorKind::Transient,
    }
}
