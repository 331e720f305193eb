//! Looks at watched folders and takes what lies there; each folder on its own, so that a slow one holds up no other.

use super::duty::Duty;
use super::{Board, ServiceStatus};
use crate::Engine;
use crate::watch::Watch;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(super) const NAME: &str = "watcher";

pub(super) async fn run(engine: Arc<Engine>, duty: Duty, board: Board, stop: CancellationToken) {
    let begin = |ours: &CancellationToken| begin(&engine, &board, ours);
    duty.run(&engine, &stop, begin).await;
}

/// Looks at every folder until `ours` is cancelled.
fn begin(engine: &Arc<Engine>, board: &Board, ours: &CancellationToken) -> JoinSet<()> {
    let errors = Arc::<Mutex<BTreeMap<String, String>>>::default();
    let mut folders = JoinSet::new();
    for config in &engine.parts.watches {
        let (watch, name) = (Watch::new(config), config.name.clone());
        let (engine, board, errors) = (Arc::clone(engine), board.clone(), Arc::clone(&errors));
        let said = {
            let engine = Arc::clone(&engine);
            move |error: Option<String>| {
                let mut errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
                match error {
                    Some(error) => drop(errors.insert(name.clone(), error)),
                    None => drop(errors.remove(&name)),
                }
                let error = errors.values().next().cloned();
                let at = engine.environment().now();
                board.write(NAME, ServiceStatus { at, error });
            }
        };
        folders.spawn(watch.run(engine, ours.clone(), said));
    }
    folders
}
