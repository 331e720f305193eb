//! Starts a job, reads what it prints, and never leaves without its process being gone.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeReader, Read, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::confine::Confinement;
use super::launch::{Launch, Started};
use super::{Job, Posture, spawner, verdict};
use crate::{ErrorKind, MediaError};

/// How much of the end of standard error is kept, in bytes.
const STDERR_TAIL: usize = 4096;
/// How long a process may take to end after SIGTERM, or after it closed its output.
const GRACE: Duration = Duration::from_millis(250);
/// A larger pipe costs fewer turns between the two processes. An unprivileged user gets this much.
const PIPE_BYTES: usize = 1 << 20;

/// A process that ended by itself.
#[derive(Debug)]
pub struct Finished<T> {
    /// Its exit code; 0 means success.
    pub code: i32,
    /// The last 4 KiB that it wrote to standard error. Not for strangers' eyes: an input can make
    /// a program write anything there.
    pub stderr: String,
    /// What the reader made of its output.
    pub output: T,
}

impl Job {
    /// Runs the job on the calling thread until its process is gone. `read` gets its standard
    /// output while it runs; when it returns, the output is closed and the process should end.
    ///
    /// # Errors
    /// - `timeout` (counted as a crash) past the limit of wall or CPU time,
    /// - `limit.memory`, `limit.output` when a limit ended it,
    /// - `decoder.crashed` when a signal ended it,
    /// - `sandbox.unavailable` when the job requires what this machine does not have,
    /// - `internal` when it could not be started,
    /// - otherwise what `read` returns.
    pub fn run<T>(
        self,
        read: impl FnOnce(&mut Stdout) -> Result<T, MediaError>,
    ) -> Result<Finished<T>, MediaError> {
        let finished = self.attempt(read);
        if let Err(error) = &finished {
            verdict::counted(error);
        }
        finished
    }

    fn attempt<T>(
        mut self,
        read: impl FnOnce(&mut Stdout) -> Result<T, MediaError>,
    ) -> Result<Finished<T>, MediaError> {
        let confinement = Confinement::prepare(&self, Posture::probe())?;
        let deadline = Instant::now() + self.limits.wall;
        let mut running = self
            .start(confinement, deadline)
            .map_err(|e| self.cannot_run(&e))?;

        let output = read(&mut running.output);
        running.output.close();
        let patience = match &output {
            Err(_) if running.output.ended => deadline.min(Instant::now() + GRACE),
            Err(_) => Instant::now(),
            Ok(_) => deadline,
        };
        let exited = running.wait_until(patience);
        let late = Instant::now() >= deadline && !exited;
        if late {
            running.ask_to_end();
        }
        let (status, cpu) = running.end().map_err(|e| self.cannot_run(&e))?;
        let cpu_spent = exited && cpu.as_secs() >= self.limits.cpu_seconds;
        let stderr = running.output.stderr_tail();

        if late {
            return Err(verdict::of_deadline(self.name, self.limits.wall));
        }
        // A reader that gave up makes its process die of a closed pipe: then its reason counts.
        let on_its_own = output.is_ok() || running.output.ended;
        if exited
            && on_its_own
            && let Some(error) = verdict::of_end(self.name, status, &stderr, cpu_spent)
        {
            return Err(error);
        }
        Ok(Finished {
            code: status.code().unwrap_or(-1),
            stderr,
            output: output?,
        })
    }

    fn start(&mut self, confinement: Confinement, deadline: Instant) -> io::Result<Running> {
        let stdin = match self.stdin.take() {
            Some(file) => file,
            None => File::open("/dev/null")?,
        };
        let (stdout, child_stdout) = pipe()?;
        let (stderr, child_stderr) = pipe()?;
        let _ = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE_BYTES);
        let streams = [stdin.into(), child_stdout.into(), child_stderr.into()];
        let folder = self.scratch.as_deref().unwrap_or(Path::new("/"));
        let launch = Launch::new(&self.program, &self.args, folder, streams, confinement)?;
        let process = spawner::spawn(launch)?;
        let output = Stdout {
            pid: process.pid,
            stdout: Some(stdout),
            stderr: Some(stderr),
            tail: Vec::new(),
            deadline,
            ended: false,
        };
        Ok(Running {
            process,
            output,
            spent: self.spent.take(),
            reaped: false,
        })
    }

    fn cannot_run(&self, error: &io::Error) -> MediaError {
        let program = self
            .program
            .file_name()
            .unwrap_or(OsStr::new("?"))
            .to_string_lossy();
        MediaError {
            code: "internal",
            message: format!("{} ({program}) could not be run: {error}", self.name),
            kind: ErrorKind::Transient,
        }
    }
}

/// The standard output of a running job, which stops giving at the job's deadline.
///
/// Reading also takes in standard error, so that a program never waits for somebody to read it.
pub struct Stdout {
    pid: Pid,
    stdout: Option<PipeReader>,
    stderr: Option<PipeReader>,
    tail: Vec<u8>,
    deadline: Instant,
    ended: bool,
}

impl Stdout {
    /// Everything up to the end, or `limit.output` when that is more than `bytes_max`.
    ///
    /// # Errors
    /// `limit.output`; `decoder.crashed` when the output cannot be read on.
    pub fn collect(&mut self, bytes_max: u64) -> Result<Vec<u8>, MediaError> {
        let mut all = Vec::new();
        self.take(bytes_max + 1)
            .read_to_end(&mut all)
            .map_err(|e| MediaError::crash(format!("its output ended: {e}")))?;
        if all.len() as u64 > bytes_max {
            return Err(MediaError::limit(
                "limit.output",
                format!("more than {bytes_max} bytes"),
            ));
        }
        Ok(all)
    }

    /// Reads once, waiting for at most `patience`.
    ///
    /// # Errors
    /// `TimedOut` when nothing came, after which it can be tried again; [`Self::is_late`] tells
    /// whether that is worth while.
    pub fn read_within(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        let until = self.deadline.min(Instant::now() + patience);
        self.read_until(buffer, until)
    }

    /// How many bytes the process has read and written so far. It grows while a program works that prints nothing;
    /// always 0 where the kernel does not count.
    pub fn bytes_moved(&self) -> u64 {
        let path = format!("/proc/{}/io", self.pid.as_raw_nonzero());
        let counted = std::fs::read_to_string(path).unwrap_or_default();
        let value = |name| counted.lines().find_map(|line| line.strip_prefix(name));
        let bytes = |name| value(name).and_then(|n| n.trim().parse::<u64>().ok());
        bytes("rchar:").unwrap_or(0) + bytes("wchar:").unwrap_or(0)
    }

    /// Whether the job's time is over.
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn read_until(&mut self, buffer: &mut [u8], until: Instant) -> io::Result<usize> {
        loop {
            let Some(stdout) = &mut self.stdout else {
                return Ok(0);
            };
            let mut streams = vec![stdout.as_fd()];
            streams.extend(self.stderr.as_ref().map(AsFd::as_fd));
            let ready = readable(&streams, until)?;
            if ready.get(1) == Some(&true) {
                self.read_stderr();
            }
            if ready[0] {
                let n = self
                    .stdout
                    .as_mut()
                    .map_or(Ok(0), |stdout| stdout.read(buffer))?;
                self.ended |= n == 0 && !buffer.is_empty();
                return Ok(n);
            }
            if !ready.contains(&true) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    fn close(&mut self) {
        self.stdout = None;
    }

    /// Takes in what is there of standard error without waiting for more.
    fn drain_stderr(&mut self) {
        while let Some(stderr) = &self.stderr
            && readable(&[stderr.as_fd()], Instant::now()).is_ok_and(|ready| ready[0])
        {
            self.read_stderr();
        }
    }

    fn read_stderr(&mut self) {
        let Some(stderr) = &mut self.stderr else {
            return;
        };
        let mut chunk = [0; STDERR_TAIL];
        match stderr.read(&mut chunk) {
            Ok(0) => self.stderr = None,
            Ok(n) => {
                self.tail.extend_from_slice(&chunk[..n]);
                let surplus = self.tail.len().saturating_sub(STDERR_TAIL);
                self.tail.drain(..surplus);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.stderr = None,
        }
    }

    fn stderr_tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }
}

impl Read for Stdout {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_until(buffer, self.deadline)
    }
}

/// A process that is killed and reaped when this is dropped, whatever happens in between.
struct Running {
    process: Started,
    output: Stdout,
    spent: Option<Arc<AtomicU64>>,
    reaped: bool,
}

impl Running {
    /// Waits for the exit, reading standard error meanwhile. False when `until` came first.
    fn wait_until(&mut self, until: Instant) -> bool {
        loop {
            let mut streams = vec![self.process.pidfd.as_fd()];
            streams.extend(self.output.stderr.as_ref().map(AsFd::as_fd));
            match readable(&streams, until) {
                Ok(ready) if ready[0] => return true,
                Ok(ready) if ready.contains(&true) => self.output.read_stderr(),
                _ => return false,
            }
        }
    }

    fn ask_to_end(&mut self) {
        let _ = kill_process_group(self.process.pid, Signal::TERM);
        self.wait_until(Instant::now() + GRACE);
    }

    /// Kills what is left of the group, reaps the process and reads what it last said. Gives how
    /// it ended and its CPU time.
    fn end(&mut self) -> io::Result<(ExitStatus, Duration)> {
        // Until it is reaped, neither its number nor its group's can be anybody else's.
        let _ = kill_process_group(self.process.pid, Signal::KILL);
        let ended = self.process.reap()?;
        self.reaped = true;
        if let Some(spent) = &self.spent {
            let ns = u64::try_from(ended.1.as_nanos()).unwrap_or(u64::MAX);
            spent.fetch_add(ns, Ordering::Relaxed);
        }
        self.output.drain_stderr();
        Ok(ended)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.end();
        }
    }
}

/// Which of `streams` can be read (or have ended) by `until`; none when it comes first.
fn readable(streams: &[BorrowedFd<'_>], until: Instant) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> = streams
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) => return Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
