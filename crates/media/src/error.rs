//! The one error of this crate: a stable code, a text for people, and whether trying again can help.

use std::io;

/// Whether the same call could succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input or the request is at fault: the same bytes will fail again.
    Permanent,
    /// The machine was at fault (a full disk, a failed spawn): try again.
    Transient,
    /// A child process died or a decoder panicked.
    Crash,
}

/// Why a piece of media could not be read or made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct MediaError {
    /// Stable machine-readable code, one of those in `docs/reference/error-codes.md`:
    /// `input.corrupt`, `input.unsupported`, `input.empty`, `limit.pixels`, `limit.frames`,
    /// `limit.memory`, `limit.metadata`, `limit.duration`, `limit.frame_rate`, `limit.streams`, `limit.channels`,
    /// `limit.sample_rate`, `limit.packets`, `limit.output`, `limit.storage`,
    /// `timeout`, `cancelled`, `decoder.crashed`, `encoder.failed`, `sandbox.unavailable`, `internal`.
    pub code: &'static str,
    /// What happened, for the person who uploaded the file. Never contains paths of ours.
    pub message: String,
    /// Whether a retry makes sense.
    pub kind: ErrorKind,
}

impl MediaError {
    /// The bytes are not what they claim to be, end early, or contradict themselves.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self {
            code: "input.corrupt",
            message: message.into(),
            kind: ErrorKind::Permanent,
        }
    }

    /// There are no bytes at all.
    pub fn empty() -> Self {
        Self {
            code: "input.empty",
            message: "the file is empty".into(),
            kind: ErrorKind::Permanent,
        }
    }

    /// The bytes are well formed, but of a format or a feature that is not handled.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self {
            code: "input.unsupported",
            message: message.into(),
            kind: ErrorKind::Permanent,
        }
    }

    /// A limit of the configuration was exceeded; `code` names it (`limit.pixels`, ...).
    pub fn limit(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            kind: ErrorKind::Permanent,
        }
    }

    /// The disk that this machine works on is full, which is not the file's fault.
    pub(crate) fn full() -> Self {
        Self {
            code: "limit.storage",
            message: "the worker's disk is full".into(),
            kind: ErrorKind::Transient,
        }
    }

    /// A file of ours could not be written or read; `what` says so, for people.
    pub(crate) fn scratch(what: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::full(),
            _ => Self {
                code: "internal",
                message: format!("{what}: {error}"),
                kind: ErrorKind::Transient,
            },
        }
    }

    /// A decoder panicked or its process died.
    pub fn crash(message: impl Into<String>) -> Self {
        Self {
            code: "decoder.crashed",
            message: message.into(),
            kind: ErrorKind::Crash,
        }
    }

    /// An encoder refused pixels that it should have taken: a bug of ours, or no memory.
    pub fn encoder(message: impl Into<String>) -> Self {
        Self {
            code: "encoder.failed",
            message: message.into(),
            kind: ErrorKind::Transient,
        }
    }
}
