//! What happened, in order: a digest of all of it, and its end as text.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// Lines that are kept for whoever looks for the reason of a failure.
const KEPT: usize = 80;

/// A world's trace.
pub(crate) struct Trace {
    digest: u64,
    lines: VecDeque<String>,
    kept: usize,
}

impl Trace {
    pub(crate) fn new(whole: bool) -> Self {
        Self {
            digest: 0xcbf2_9ce4_8422_2325,
            lines: VecDeque::new(),
            kept: if whole { usize::MAX } else { KEPT },
        }
    }

    pub(crate) fn line(&mut self, at: i64, what: std::fmt::Arguments<'_>) {
        let mut line = match self.lines.len() >= self.kept {
            true => self.lines.pop_front().unwrap_or_default(),
            false => String::new(),
        };
        line.clear();
        // Writing into a string cannot fail.
        let _ = write!(line, "{at:>9} {what}");
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.lines.push_back(line);
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn end(self) -> Vec<String> {
        self.lines.into()
    }
}
