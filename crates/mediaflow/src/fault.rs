//! Why a command ends without success: one sentence for a person and an exit code for scripts.

use std::fmt;
use std::process::ExitCode;

/// The end of a command that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Fault {
    /// 1: what was asked did not succeed. 2: it could not even begin (usage, configuration, no server).
    code: u8,
    /// One clear sentence; empty when everything was said already.
    message: String,
}

impl Fault {
    /// The work was done and did not succeed.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self {
            code: 1,
            message: message.to_string(),
        }
    }

    /// The work could not begin.
    pub(crate) fn unusable(message: impl fmt::Display) -> Self {
        Self {
            code: 2,
            message: message.to_string(),
        }
    }

    /// The same, and what else is to be known.
    pub(crate) fn and(self, more: impl fmt::Display) -> Self {
        Self {
            message: format!("{}; {more}", self.message),
            ..self
        }
    }

    /// Its sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Says what is to be said on standard error.
    pub(crate) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            eprintln!("mediaflow: {}", self.message);
        }
        ExitCode::from(self.code)
    }
}
