//! Runs a program on untrusted input so that a bug in it harms nobody: no root, no daemon, no
//! container needed. It knows no media and no format, only processes.
//!
//! A [`Job`] starts with empty surroundings: no environment, no inherited file but its standard
//! streams, no capability, limits on memory, CPU and time. Landlock then leaves it the files that
//! the job names, seccomp takes away sockets, further processes, signals to others and whatever
//! else Landlock does not rule. All of it is applied to the child before its exec by the
//! kernel's own means, which also work for a user without any privilege.
//!
//! Linux 5.11 or newer is expected (`pidfd`, `close_range`); Landlock came with 5.13.

mod confine;
mod files;
mod job;
mod launch;
mod posture;
mod run;
mod spawner;
mod syscalls;
mod verdict;

pub use job::{Job, ProcessLimits, SandboxMode};
pub use posture::Posture;
pub use run::{Finished, Stdout};
pub use verdict::refusals;
