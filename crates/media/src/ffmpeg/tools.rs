//! Which ffmpeg, with what limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::sandbox::SandboxMode;
use crate::video::plan::VideoCodec;
use crate::{ErrorKind, MediaError};

/// What one run of ffmpeg may use.
#[derive(Debug, Clone, Copy)]
pub struct FfmpegLimits {
    /// Longest run from start to end (`timeout`). Callers scale it to the work.
    pub wall: Duration,
    /// Longest time without progress: no further output time, frame or byte (`timeout`).
    pub stall: Duration,
    /// CPU time of all threads together, in seconds (`timeout`).
    pub cpu_seconds: u64,
    /// Address space in bytes (`limit.memory`). Encoding 1080p with four threads takes about 1.5 GB.
    pub memory_bytes: u64,
    /// Largest single file it may write, in bytes (`limit.output`).
    pub file_bytes: u64,
    /// Largest picture that is decoded, in pixels (`limit.pixels`).
    pub pixels_max: u64,
    /// How far it gives way to other processes: 0, as its parent, to 19.
    pub nice: u8,
}

impl Default for FfmpegLimits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(3600),
            stall: Duration::from_secs(60),
            cpu_seconds: 4 * 3600,
            memory_bytes: 6 << 30,
            file_bytes: 16 << 30,
            pixels_max: 8192 * 4320,
            nice: 0,
        }
    }
}

/// A usable ffmpeg with its ffprobe. Cheap to clone; clones differ in limits, threads, cancelling
/// and who pays.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    pub(super) ffmpeg: PathBuf,
    pub(super) ffprobe: PathBuf,
    pub(super) mode: SandboxMode,
    pub(super) limits: FfmpegLimits,
    version: Arc<str>,
    codecs: Arc<[VideoCodec]>,
    threads: u32,
    cancelled: Option<Arc<AtomicBool>>,
    pub(super) spent: Option<Arc<AtomicU64>>,
}

impl Ffmpeg {
    /// Finds ffmpeg in `folder`, or else on the `PATH`, and asks for its version.
    ///
    /// # Errors
    /// `internal` when there is none or it does not run; `sandbox.unavailable`.
    pub fn find(
        folder: Option<&Path>,
        mode: SandboxMode,
        limits: FfmpegLimits,
    ) -> Result<Self, MediaError> {
        let located = |name: &str| {
            locate(name, folder).ok_or_else(|| MediaError {
                code: "internal",
                message: format!("{name} was not found; install ffmpeg 5.1 or newer"),
                kind: ErrorKind::Transient,
            })
        };
        let mut tools = Self {
            ffmpeg: located("ffmpeg")?,
            ffprobe: located("ffprobe")?,
            mode,
            limits,
            version: "".into(),
            codecs: Arc::new([]),
            threads: 0,
            cancelled: None,
            spent: None,
        };
        tools.version = tools.ask_version()?.into();
        tools.codecs = tools.ask_codecs()?.into();
        Ok(tools)
    }

    /// The version that ffmpeg prints, as in `5.1.9-0+deb12u1`. Chunks of one stream must come
    /// from the same one.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What its build can encode pictures in.
    pub fn codecs(&self) -> &[VideoCodec] {
        &self.codecs
    }

    /// Whether it runs sandboxed.
    pub fn sandbox(&self) -> SandboxMode {
        self.mode
    }

    /// What each run may use.
    pub fn limits(&self) -> &FfmpegLimits {
        &self.limits
    }

    /// The same with other limits.
    pub fn with_limits(mut self, limits: FfmpegLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with a number of threads for decoders and encoders; 0 means one per core.
    pub fn with_threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// The same, ending within half a second of `flag` becoming true, with the code `cancelled`.
    pub fn cancelled_by(mut self, flag: Arc<AtomicBool>) -> Self {
        self.cancelled = Some(flag);
        self
    }

    /// The same, adding the CPU time of each run to `spent`, in nanoseconds.
    pub fn charged_to(mut self, spent: Arc<AtomicU64>) -> Self {
        self.spent = Some(spent);
        self
    }

    /// Threads for decoders and encoders.
    pub(crate) fn threads(&self) -> u32 {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            n => n,
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

fn locate(name: &str, folder: Option<&Path>) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = match folder {
        Some(folder) => vec![folder.to_owned()],
        None => std::env::split_paths(&std::env::var_os("PATH")?).collect(),
    };
    folders
        .iter()
        .filter_map(|folder| folder.join(name).canonicalize().ok())
        .find(|path| path.is_file())
}
