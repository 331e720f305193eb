//! What is run, what it may touch and how much of the machine it may use.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens where the kernel or a container withholds Landlock or seccomp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxMode {
    /// Refuse to run anything (`sandbox.unavailable`).
    #[default]
    Require,
    /// Use what there is. [`super::Posture`] tells the operator what is missing.
    Prefer,
    /// Use neither. Limits, the empty environment and the dropped capabilities stay.
    Off,
}

/// What one process may use before it is ended.
///
/// There is no limit on the number of processes: seccomp lets the program start none, and
/// `RLIMIT_NPROC` would count our own threads, as it counts all that the user runs.
#[derive(Debug, Clone, Copy)]
pub struct ProcessLimits {
    /// Time from start to exit, after which the code is `timeout`.
    pub wall: Duration,
    /// CPU time of all its threads, in seconds; also `timeout`.
    pub cpu_seconds: u64,
    /// Address space in bytes: heap, stacks, libraries and mapped files together (`limit.memory`).
    pub memory_bytes: u64,
    /// Largest single file it may write, in bytes (`limit.output`). Pipes are not files.
    pub file_bytes: u64,
    /// Most open files at once.
    pub open_files: u64,
    /// How far it gives way to other processes: 0, as its parent, to 19.
    pub nice: u8,
}

/// One run of one program.
#[derive(Debug)]
pub struct Job {
    /// How people call it, for error messages: "the image decoder".
    pub name: &'static str,
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// What it reads as standard input; nothing when absent. Whoever gives a pipe feeds it on another thread than the one
    /// that reads the output.
    pub stdin: Option<File>,
    /// Files and folders that it may read, besides itself and the system's libraries.
    pub readable: Vec<PathBuf>,
    /// The one folder that it may write; it starts in it, else in `/`.
    pub scratch: Option<PathBuf>,
    /// How much it may use.
    pub limits: ProcessLimits,
    /// What happens without a sandbox.
    pub mode: SandboxMode,
    /// Where its CPU time is added, in nanoseconds, however it ends.
    pub spent: Option<Arc<AtomicU64>>,
}
