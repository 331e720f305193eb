//! Looks at watched folders and takes what lies there; each folder on its own, so that a slow one holds up no other.

use super::duty::{Duty, ELSEWHERE};
use super::{Board, ServiceStatus};
use crate::Engine;
use crate::watch::Watch;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(super) const NAME: &str = "watcher";
/// How often it is asked whose turn it is.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn run(
    engine: Arc<Engine>,
    mut duty: Duty,
    board: Board,
    stop: CancellationToken,
) {
    loop {
        if duty.is_ours(&engine).await {
            work(&engine, &mut duty, &board, &stop).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ELSEWHERE) => {}
        }
    }
}

/// Until it is somebody else's turn.
async fn work(engine: &Arc<Engine>, duty: &mut Duty, board: &Board, stop: &CancellationToken) {
    let ours = stop.child_token();
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
    while duty.is_ours(engine).await && !folders.is_empty() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(PAUSE) => {}
            Some(ended) = folders.join_next() => {
                if let Err(error) = ended {
                    // The others go on; all begin again together.
                    tracing::error!(%error, "looking at a watched folder ended badly");
                    break;
                }
            }
        }
    }
    ours.cancel();
    while folders.join_next().await.is_some() {}
}
