//! What can go wrong with a broker, by what to do about it.

use thiserror::Error;

/// A broker refused or did not answer. Nothing is lost by that.
#[derive(Debug, Clone, Error)]
#[error("{broker}: {message}")]
pub struct BrokerError {
    broker: &'static str,
    message: String,
    transient: bool,
}

impl BrokerError {
    /// It may work in a moment: the network, a restart, an overload.
    pub(crate) fn transient(broker: &'static str, what: impl std::fmt::Display) -> Self {
        Self {
            broker,
            message: what.to_string(),
            transient: true,
        }
    }

    /// Somebody has to change something first: an address, a right, a setting.
    pub(crate) fn permanent(broker: &'static str, what: impl std::fmt::Display) -> Self {
        Self {
            transient: false,
            ..Self::transient(broker, what)
        }
    }

    /// Whether the same may work later without anybody's help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}
