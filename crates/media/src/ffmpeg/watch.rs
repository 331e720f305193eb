//! Output of a running ffmpeg, read by somebody who notices when nothing comes any more.

use std::io;
use std::time::{Duration, Instant};

use super::Ffmpeg;
use crate::sandbox::Stdout;
use crate::{ErrorKind, MediaError};

/// How often a silent process is looked at.
const GLANCE: Duration = Duration::from_millis(400);
/// Bytes that a process may move between two glances without having done anything.
const REPORTED: u64 = 4096;

/// Standard output in which each byte counts as progress.
pub(crate) struct Watched<'a> {
    tools: &'a Ffmpeg,
    stdout: &'a mut Stdout,
    moved: Instant,
    /// What the process had read and written when it was last looked at.
    bytes_moved: u64,
    /// Whether bytes are progress; with progress reports only their contents are.
    any_byte: bool,
}

impl<'a> Watched<'a> {
    pub(super) fn new(tools: &'a Ffmpeg, stdout: &'a mut Stdout) -> Self {
        Self {
            tools,
            stdout,
            moved: Instant::now(),
            bytes_moved: 0,
            any_byte: true,
        }
    }

    /// The next bytes, none at the end.
    ///
    /// # Errors
    /// `timeout` when nothing moved for the limit's time; `cancelled`.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, MediaError> {
        loop {
            if self.tools.is_cancelled() {
                return Err(cancelled());
            }
            match self.stdout.read_within(buffer, GLANCE) {
                Ok(read) => {
                    if self.any_byte {
                        self.moved = Instant::now();
                    }
                    return Ok(read);
                }
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                    if self.stdout.is_late() {
                        let wall = self.tools.limits().wall.as_secs();
                        return Err(late(format!("ffmpeg was not done after {wall} s")));
                    }
                    self.check_progress()?;
                }
                Err(e) => return Err(MediaError::crash(format!("its output ended: {e}"))),
            }
        }
    }

    /// Whoever decodes towards the first wanted picture reads and says nothing for a while: that is no standstill.
    fn check_progress(&mut self) -> Result<(), MediaError> {
        let before = std::mem::replace(&mut self.bytes_moved, self.stdout.bytes_moved());
        // Reports of no progress are written too, a few hundred bytes at a time.
        if self.bytes_moved.saturating_sub(before) > REPORTED {
            self.moved = Instant::now();
        }
        let stall = self.tools.limits().stall;
        if self.moved.elapsed() > stall {
            let seconds = stall.as_secs();
            return Err(late(format!("ffmpeg made no progress for {seconds} s")));
        }
        Ok(())
    }

    /// Fills the whole buffer: true, or false at the end of the output before its first byte.
    ///
    /// # Errors
    /// As [`Self::read`]; `input.corrupt` when the output ends in the middle.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, MediaError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(MediaError::corrupt("the picture ends early")),
                n => filled += n,
            }
        }
        Ok(true)
    }

    /// Everything, up to a limit.
    ///
    /// # Errors
    /// As [`Self::read`]; `limit.metadata` beyond `bytes_max`.
    pub(crate) fn collect(&mut self, bytes_max: u64) -> Result<Vec<u8>, MediaError> {
        let mut all = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(all),
                n => all.extend_from_slice(&buffer[..n]),
            }
            if all.len() as u64 > bytes_max {
                let message = format!("its description takes more than {bytes_max} bytes");
                return Err(MediaError::limit("limit.metadata", message));
            }
        }
    }

    /// Calls `each` with every line, without its end.
    ///
    /// # Errors
    /// As [`Self::read`], and the first that `each` returns.
    pub(crate) fn lines(
        &mut self,
        mut each: impl FnMut(&str) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        const LINE_BYTES_MAX: usize = 1 << 20;
        let mut pending: Vec<u8> = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = self.read(&mut buffer)?;
            if read == 0 {
                return match pending.is_empty() {
                    true => Ok(()),
                    false => each(&String::from_utf8_lossy(&pending)),
                };
            }
            let mut rest = &buffer[..read];
            while let Some(end) = memchr::memchr(b'\n', rest) {
                pending.extend_from_slice(&rest[..end]);
                each(&String::from_utf8_lossy(&pending))?;
                pending.clear();
                rest = &rest[end + 1..];
            }
            pending.extend_from_slice(rest);
            if pending.len() > LINE_BYTES_MAX {
                return Err(MediaError::limit("limit.metadata", "a line without end"));
            }
        }
    }
}

/// The reports of `-progress`: a report that says the same as the one before is no progress.
pub(super) struct Progress<'a> {
    output: Watched<'a>,
    last: [String; 3],
}

impl<'a> Progress<'a> {
    pub(super) fn new(tools: &'a Ffmpeg, stdout: &'a mut Stdout) -> Self {
        let mut output = Watched::new(tools, stdout);
        output.any_byte = false;
        Self {
            output,
            last: Default::default(),
        }
    }

    /// Reads all reports until the end.
    pub(super) fn follow(mut self) -> Result<(), MediaError> {
        const COUNTERS: [&str; 3] = ["frame", "out_time_us", "total_size"];
        let mut buffer = vec![0; 16 << 10];
        let mut pending = Vec::new();
        loop {
            let read = self.output.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            pending.extend_from_slice(&buffer[..read]);
            while let Some(end) = memchr::memchr(b'\n', &pending) {
                let line: Vec<u8> = pending.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                let Some((name, value)) = line.trim().split_once('=') else {
                    continue;
                };
                let counter = COUNTERS.iter().position(|counter| *counter == name);
                if let Some(index) = counter.filter(|&index| self.last[index] != value) {
                    value.clone_into(&mut self.last[index]);
                    self.output.moved = Instant::now();
                }
            }
            // A process that reports the same for ever is not silent, so nobody else would notice.
            self.output.check_progress()?;
        }
    }
}

fn late(message: String) -> MediaError {
    MediaError {
        code: "timeout",
        message,
        kind: ErrorKind::Crash,
    }
}

fn cancelled() -> MediaError {
    MediaError {
        code: "cancelled",
        message: "the work is not wanted any more".into(),
        kind: ErrorKind::Transient,
    }
}
