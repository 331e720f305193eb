//! What is shown while files are sent: a line for each that is under way, and one for all of them.

use super::files::{Files, Input};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is tested by every run")
}

/// A line for one file: bytes, rate, and the time that is left.
pub(in crate::commands) fn bar() -> ProgressBar {
    let template = "{prefix:.bold} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    ProgressBar::no_length().with_style(style(template))
}

/// The line for all files. What there is to send is counted while it is sent, so at the beginning more is still being found.
#[derive(Clone)]
pub(super) struct Overall {
    lines: MultiProgress,
    bar: ProgressBar,
    found: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
}

impl Overall {
    /// Begins to count. Hidden by itself where standard error is no terminal.
    pub(super) fn begin(inputs: &[PathBuf]) -> Self {
        let overall = Self::over(MultiProgress::new());
        if !overall.lines.is_hidden() {
            let (counting, inputs) = (overall.clone(), inputs.to_vec());
            // It ends with the process, wherever it is then.
            std::thread::spawn(move || counting.count(Files::new(inputs)));
        }
        overall
    }

    fn over(lines: MultiProgress) -> Self {
        let template = "{msg:.bold} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let bar = ProgressBar::new(0).with_style(style(template));
        Self {
            bar: lines.add(bar),
            lines,
            found: Arc::default(),
            ended: Arc::default(),
        }
    }

    fn count(&self, files: Files) {
        for input in files {
            let bytes = match input {
                Ok(Input::File(path)) => std::fs::metadata(path).map_or(0, |about| about.len()),
                Ok(Input::StandardInput) | Err(_) => 0,
            };
            self.found.fetch_add(1, Ordering::Relaxed);
            self.bar.inc_length(bytes);
        }
        self.say();
    }

    fn say(&self) {
        let number = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let ended = number(&self.ended);
        let found = number(&self.found).max(ended);
        self.bar.set_message(format!("{ended} of {found} files"));
    }

    /// A line for one more file, above this one.
    pub(super) fn file(&self) -> Progress {
        Progress {
            bar: self.lines.insert_before(&self.bar, bar()),
            overall: self.bar.clone(),
        }
    }

    /// One has ended, whatever became of it.
    pub(super) fn ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.say();
    }

    /// Does something while no line is shown.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.lines.suspend(print)
    }

    /// Nothing is shown from now on.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// One file's line, and its part of the line for all.
#[derive(Clone)]
pub(super) struct Progress {
    pub(super) bar: ProgressBar,
    overall: ProgressBar,
}

impl Progress {
    /// More bytes were sent.
    pub(super) fn sent(&self, bytes: u64) {
        self.bar.inc(bytes);
        self.overall.inc(bytes);
    }

    /// So many bytes are there, whatever was sent.
    pub(super) fn stands_at(&self, bytes: u64) {
        let before = self.bar.position();
        self.bar.set_position(bytes);
        match bytes.checked_sub(before) {
            Some(more) => self.overall.inc(more),
            None => self.overall.dec(before - bytes),
        }
        // What was there already says nothing of how fast this goes.
        self.bar.reset_eta();
        self.overall.reset_eta();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::ProgressDrawTarget;

    #[test]
    fn all_files_are_counted_and_what_is_sent_again_is_not_counted_twice() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("a.jpg"), [0; 300]).unwrap();
        std::fs::write(folder.path().join("in/b.jpg"), [0; 200]).unwrap();
        let hidden = ProgressDrawTarget::hidden();
        let overall = Overall::over(MultiProgress::with_draw_target(hidden));
        let inputs = vec![folder.path().to_owned(), folder.path().join("missing")];
        overall.count(Files::new(inputs));
        assert_eq!(overall.bar.length(), Some(500));
        assert_eq!(overall.bar.message(), "0 of 3 files");
        let (one, other) = (overall.file(), overall.file());
        one.sent(200);
        other.sent(50);
        assert_eq!(overall.bar.position(), 250);
        // It broke: the server has less than was sent, then the connection holds.
        one.stands_at(120);
        assert_eq!(overall.bar.position(), 170);
        one.sent(180);
        other.stands_at(200);
        overall.ended();
        assert_eq!((one.bar.position(), overall.bar.position()), (300, 500));
        assert_eq!(overall.bar.message(), "1 of 3 files");
    }
}
