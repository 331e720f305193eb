//! Of the requests of this process for one upload only the newest goes on, and not before the one before it has stopped.

use mediaflow_core::UploadId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

/// Uploads that requests of this process are at.
#[derive(Debug, Default)]
pub(crate) struct Growing(Arc<Mutex<HashMap<UploadId, Slot>>>);

#[derive(Debug, Default)]
struct Slot {
    turn: Arc<tokio::sync::Mutex<()>>,
    newest: CancellationToken,
    wanted: usize,
}

/// The turn to add to an upload.
#[derive(Debug)]
pub(crate) struct Held {
    growing: Arc<Mutex<HashMap<UploadId, Slot>>>,
    id: UploadId,
    /// Somebody newer wants it.
    pub(crate) stop: CancellationToken,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Growing {
    /// Tells whoever has it to stop, and waits for that.
    pub(crate) async fn hold(&self, id: UploadId) -> Held {
        let stop = CancellationToken::new();
        let turn = {
            let mut slots = lock(&self.0);
            let slot = slots.entry(id).or_default();
            std::mem::replace(&mut slot.newest, stop.clone()).cancel();
            slot.wanted += 1;
            Arc::clone(&slot.turn)
        };
        let mut held = Held {
            growing: Arc::clone(&self.0),
            id,
            stop,
            turn: None,
        };
        held.turn = Some(turn.lock_owned().await);
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut slots = lock(&self.growing);
        drop(self.turn.take());
        if let Some(slot) = slots.get_mut(&self.id) {
            slot.wanted -= 1;
            if slot.wanted == 0 {
                slots.remove(&self.id);
            }
        }
    }
}

fn lock(slots: &Mutex<HashMap<UploadId, Slot>>) -> MutexGuard<'_, HashMap<UploadId, Slot>> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}
