//! Deletes bytes that nothing refers to: first the row is condemned, then the bytes go, then the row.
//! Bytes that never got a row (an attempt that was killed) go once nobody can still write them.

use super::Round;
use crate::{Engine, EngineError};
use mediaflow_blob::{BlobKey, Blobs};
use mediaflow_core::TaskId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(super) const PAUSE: Duration = Duration::from_secs(5);
const LIMIT: u32 = 200;

const SHARDS: u32 = 256;

/// Bytes without a row may belong to an upload that is being recorded at this moment, however short the grace:
/// none takes this long, and none of this process can be older than the process.
const RECORDING_MAX: Duration = Duration::from_secs(600);

/// Counts the shards whose files were compared with rows: one each round, all of them every 256 rounds.
static SHARDS_SEEN: AtomicU32 = AtomicU32::new(0);

pub(super) async fn round(engine: Arc<Engine>) -> Result<Round, EngineError> {
    let grace = Duration::from_secs(engine.parts.retention.unreferenced_s);
    let condemned = engine.store().condemn(grace, LIMIT).await?;
    for blob in &condemned {
        engine.blobs().collect(&key(&blob.key)?).await?;
        engine.store().forget(blob.id).await?;
    }
    let seen = SHARDS_SEEN.fetch_add(1, Ordering::Relaxed);
    delete_strays(&engine, (seen % SHARDS) as u8, grace).await?;
    // A process that was killed may have left bytes anywhere: the first look at everything makes no pauses.
    if seen < SHARDS {
        return Ok(Round::More);
    }
    Ok(Round::of(condemned.len(), LIMIT))
}

async fn delete_strays(
    engine: &Arc<Engine>,
    shard: u8,
    grace: Duration,
) -> Result<(), EngineError> {
    let recording_max = match engine.blobs() {
        Blobs::Folder(_) => RECORDING_MAX.min(engine.started.elapsed()),
        // Other processes write there too.
        Blobs::Objects(_) => RECORDING_MAX,
    };
    let old = engine
        .blobs()
        .older_than(shard, grace.max(recording_max))
        .await?;
    let names: Vec<String> = old.iter().map(|k| k.as_str().to_owned()).collect();
    let known = engine.store().known_keys(&names).await?;
    for stray in old
        .iter()
        .filter(|k| !known.iter().any(|n| n == k.as_str()))
    {
        if let Some((task, fence)) = stray.attempt()
            && engine.store().is_leased(TaskId(task), fence).await?
        {
            continue;
        }
        tracing::info!(key = %stray, "deleting bytes that no row refers to");
        engine.blobs().collect(stray).await?;
    }
    Ok(())
}

fn key(text: &str) -> Result<BlobKey, EngineError> {
    Ok(text.parse::<BlobKey>()?)
}
