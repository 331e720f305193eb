//! Idempotency keys whose requests are running: a second request with one of them waits for nothing and is refused. Those that
//! were answered are the store's.

use crate::{Engine, EngineError};
use mediaflow_core::{ErrorCode, TenantId};

impl Engine {
    pub(crate) fn check_idempotency_key(&self, key: Option<&str>) -> Result<(), EngineError> {
        match key {
            Some(key) if key.is_empty() || key.len() > 255 => Err(EngineError::new(
                ErrorCode::RequestInvalid,
                "`Idempotency-Key` must have 1 to 255 bytes",
            )),
            _ => Ok(()),
        }
    }

    /// From now until the answer is dropped no other request of this process may have the key.
    ///
    /// # Errors
    /// `conflict.running` while another one has it.
    pub(crate) fn begin_key(
        &self,
        tenant: TenantId,
        key: Option<&str>,
    ) -> Result<Option<RunningKey<'_>>, EngineError> {
        self.check_idempotency_key(key)?;
        let Some(key) = key else { return Ok(None) };
        let entry = (tenant, key.to_owned());
        let mut running = self
            .running_keys
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !running.insert(entry.clone()) {
            let message = "a request with this Idempotency-Key is still running";
            return Err(EngineError::new(ErrorCode::ConflictRunning, message));
        }
        Ok(Some(RunningKey {
            engine: self,
            entry,
        }))
    }
}

/// An idempotency key whose request is being answered.
pub(crate) struct RunningKey<'a> {
    engine: &'a Engine,
    entry: (TenantId, String),
}

impl Drop for RunningKey<'_> {
    fn drop(&mut self) {
        let mut running = self
            .engine
            .running_keys
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        running.remove(&self.entry);
    }
}
