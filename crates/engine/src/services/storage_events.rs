//! Takes the objects that storage events tell of, and reads the queues that tell it. A message is deleted when all of its objects are
//! assets, or are refused for good.

use super::duty::Duty;
use super::{Board, ServiceStatus};
use crate::storage_events::StorageSource;
use crate::{Engine, EngineError};
use futures_util::{StreamExt as _, stream};
use mediaflow_broker::{BrokerError, Inbox, Letter};
use mediaflow_core::{ErrorCode, TenantId, UploadId};
use mediaflow_store::StoreError;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(super) const NAME: &str = "storage_events";
const PAUSE: Duration = Duration::from_secs(1);
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);
/// Objects of one bucket that are copied at the same time.
const PARALLEL: usize = 4;
const DUE: u32 = 32;
/// While its objects are copied a message is held for so long again and again.
const HELD_S: u32 = 120;
/// After this time it is given back, and found done the next time.
const HELD_MAX: Duration = Duration::from_secs(600);
/// A message that nobody understands is given back so often, for the case that the queue has somewhere to put such ones.
const TIMES_MAX: u32 = 5;
const AGAIN_S: u32 = 30;

pub(super) async fn run(engine: Arc<Engine>, duty: Duty, board: Board, stop: CancellationToken) {
    let begin = |ours: &CancellationToken| begin(&engine, &board, ours);
    duty.run(&engine, &stop, begin).await;
}

/// Reads and copies until `ours` is cancelled. Whatever is cut off then is begun again by who has the next turn.
fn begin(engine: &Arc<Engine>, board: &Board, ours: &CancellationToken) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    for index in 0..engine.storage_sources().len() {
        let (own, board, over) = (Arc::clone(engine), board.clone(), ours.clone());
        loops.spawn(async move {
            let taking = take(&own, &own.storage_sources()[index], &board);
            over.run_until_cancelled(taking).await;
        });
        if engine.storage_sources()[index].inbox.is_some() {
            let (own, over) = (Arc::clone(engine), ours.clone());
            loops.spawn(async move {
                let listening = listen(&own, &own.storage_sources()[index]);
                over.run_until_cancelled(listening).await;
            });
        }
    }
    loops
}

/// Copies what is due.
async fn take(engine: &Engine, source: &StorageSource, board: &Board) {
    loop {
        let round = take_due(engine, source).await;
        let error = round
            .as_ref()
            .err()
            .map(|error| format!("{}: {error}", source.config.name));
        if let Err(error) = &round {
            tracing::warn!(service = NAME, %error, reason = ?error.reason, "a round failed");
        }
        let at = engine.environment().now();
        board.write(NAME, ServiceStatus { at, error });
        let pause = match round {
            Ok(0) => PAUSE,
            // What somebody else is at stays due.
            Ok(_) => PAUSE / 20,
            Err(_) => TROUBLE_PAUSE,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = source.recorded.notified() => {}
        }
    }
}

async fn take_due(engine: &Engine, source: &StorageSource) -> Result<usize, EngineError> {
    let due = engine.due_events(source, DUE).await?;
    let count = due.len();
    let taking = due
        .into_iter()
        .map(|import| async move { engine.take_object(source, &import).await });
    let mut taking = stream::iter(taking).buffer_unordered(PARALLEL);
    while let Some(taken) = taking.next().await {
        taken?;
    }
    Ok(count)
}

/// Reads messages.
async fn listen(engine: &Arc<Engine>, source: &StorageSource) {
    let Some(inbox) = &source.inbox else { return };
    loop {
        match inbox.receive().await {
            Ok(letters) if letters.is_empty() => tokio::time::sleep(PAUSE / 5).await,
            Ok(letters) => {
                let handling = letters
                    .iter()
                    .map(|letter| handle(engine, source, inbox, letter));
                futures_util::future::join_all(handling).await;
            }
            Err(error) => {
                tracing::warn!(source = source.config.name, %error, "the queue of storage events cannot be read");
                tokio::time::sleep(TROUBLE_PAUSE).await;
            }
        }
    }
}

async fn handle(engine: &Engine, source: &StorageSource, inbox: &Inbox, letter: &Letter) {
    let name = &source.config.name;
    let done = match engine.record_events(source, &letter.body).await {
        Ok(recorded) => {
            let ids = recorded.iter().map(|import| (import.tenant, import.id));
            settled(engine, inbox, letter, ids.collect()).await
        }
        Err(error) if error.code == ErrorCode::RequestInvalid => {
            tracing::warn!(source = name, %error, times = letter.times, "a message is no storage event");
            Ok(letter.times >= TIMES_MAX)
        }
        Err(error) => {
            tracing::warn!(source = name, %error, "a storage event could not be recorded; it comes again");
            Ok(false)
        }
    };
    let answered = match done {
        Ok(true) => inbox.delete(letter).await,
        Ok(false) => inbox.hold(letter, AGAIN_S).await,
        Err(error) => Err(error),
    };
    if let Err(error) = answered {
        tracing::warn!(source = name, %error, "a message could not be answered; it comes again");
    }
}

/// Waits until all have ended; whether they have.
async fn settled(
    engine: &Engine,
    inbox: &Inbox,
    letter: &Letter,
    mut open: Vec<(TenantId, UploadId)>,
) -> Result<bool, BrokerError> {
    let (began, mut held) = (Instant::now(), Instant::now());
    loop {
        let mut left = Vec::new();
        for (tenant, id) in open {
            match engine.store().import(tenant, id).await {
                Ok(import) if import.due_at.is_none() => {}
                // It was so old that it was forgotten; the message begins it anew.
                Err(StoreError::ImportNotFound) => return Ok(false),
                Ok(_) | Err(_) => left.push((tenant, id)),
            }
        }
        if left.is_empty() {
            return Ok(true);
        }
        if began.elapsed() > HELD_MAX {
            return Ok(false);
        }
        if held.elapsed() > Duration::from_secs(u64::from(HELD_S) / 3) {
            inbox.hold(letter, HELD_S).await?;
            held = Instant::now();
        }
        open = left;
        tokio::time::sleep(PAUSE / 4).await;
    }
}
