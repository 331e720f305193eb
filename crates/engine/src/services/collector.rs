//! Deletes bytes that nothing refers to: first the row is condemned, then the bytes go, then the row.
//! Bytes that never got a row (an attempt that was killed) go once nobody can still write them.

use super::Round;
use crate::{Engine, EngineError};
use async_trait::async_trait;
use mediaflow_blob::{BlobError, BlobKey, Blobs};
use mediaflow_core::{TaskId, UploadId};
use mediaflow_store::Upkeep;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(super) const PAUSE: Duration = Duration::from_secs(5);
const LIMIT: u32 = 200;

const SHARDS: u32 = 256;

/// Keys that the store is asked about at once. A shard may have many more.
const KEYS_MAX: usize = 1000;

/// Bytes without a row may belong to an upload that is being recorded at this moment, however short the grace:
/// none takes this long, and none of this process can be older than the process.
const RECORDING_MAX: Duration = Duration::from_secs(600);

/// Counts the shards whose files were compared with rows: one each round, all of them every 256 rounds.
static SHARDS_SEEN: AtomicU32 = AtomicU32::new(0);

/// Where bytes lie that may have to go.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// Removes the bytes. Removing what is gone is no error.
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError>;

    /// Keys in one of the 256 shards that were written longer than `age` ago.
    async fn older_than(&self, shard: u8, age: Duration) -> Result<Vec<BlobKey>, BlobError>;
}

#[async_trait]
impl Shelf for Blobs {
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.collect(key).await
    }

    async fn older_than(&self, shard: u8, age: Duration) -> Result<Vec<BlobKey>, BlobError> {
        Self::older_than(self, shard, age).await
    }
}

pub(super) async fn round(engine: Arc<Engine>) -> Result<Round, EngineError> {
    let grace = Duration::from_secs(engine.parts.retention.unreferenced_s);
    let (store, blobs) = (engine.store(), engine.blobs());
    let condemned = delete_condemned(&**store, blobs, grace).await?;
    let seen = SHARDS_SEEN.fetch_add(1, Ordering::Relaxed);
    let recording_max = match engine.is_shared() {
        true => RECORDING_MAX,
        false => RECORDING_MAX.min(engine.started.elapsed()),
    };
    let age = grace.max(recording_max);
    delete_strays(&**store, blobs, (seen % SHARDS) as u8, age).await?;
    // A process that was killed may have left bytes anywhere: the first look at everything makes no pauses.
    if seen < SHARDS {
        return Ok(Round::More);
    }
    Ok(Round::of(condemned, LIMIT))
}

/// Deletes bytes, then rows, of blobs that nothing has referred to for longer than `grace`. Answers how many.
///
/// # Errors
/// When store or bytes do not answer; what was condemned stays so, and comes first the next time.
pub async fn delete_condemned<S: Upkeep + ?Sized>(
    store: &S,
    shelf: &impl Shelf,
    grace: Duration,
) -> Result<usize, EngineError> {
    let condemned = store.condemn(grace, LIMIT).await?;
    for blob in &condemned {
        shelf.delete(&key(&blob.key)?).await?;
        store.forget(blob.id).await?;
    }
    Ok(condemned.len())
}

/// Deletes bytes of a shard that have no row and are older than `age`, which must be longer than any upload takes to
/// be recorded. What a running attempt wrote stays.
///
/// # Errors
/// When store or bytes do not answer.
pub async fn delete_strays<S: Upkeep + ?Sized>(
    store: &S,
    shelf: &impl Shelf,
    shard: u8,
    age: Duration,
) -> Result<(), EngineError> {
    for some in shelf.older_than(shard, age).await?.chunks(KEYS_MAX) {
        delete_strays_of(store, shelf, some).await?;
    }
    Ok(())
}

async fn delete_strays_of<S: Upkeep + ?Sized>(
    store: &S,
    shelf: &impl Shelf,
    old: &[BlobKey],
) -> Result<(), EngineError> {
    let names: Vec<String> = old.iter().map(|k| k.as_str().to_owned()).collect();
    // In this order: an upload that is finished between the two questions has its row by the second.
    let uploads: Vec<UploadId> = old
        .iter()
        .filter_map(|k| k.upload().map(UploadId))
        .collect();
    let open = store.open_among(&uploads).await?;
    let known = store.known_keys(&names).await?;
    let known: HashSet<&str> = known.iter().map(String::as_str).collect();
    for stray in old.iter().filter(|k| !known.contains(k.as_str())) {
        if stray
            .upload()
            .is_some_and(|id| open.contains(&UploadId(id)))
        {
            continue;
        }
        if let Some((task, fence)) = stray.attempt()
            && store.is_leased(TaskId(task), fence).await?
        {
            continue;
        }
        tracing::info!(key = %stray, "deleting bytes that no row refers to");
        shelf.delete(stray).await?;
    }
    Ok(())
}

fn key(text: &str) -> Result<BlobKey, EngineError> {
    Ok(text.parse::<BlobKey>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEnvironment;
    use mediaflow_core::{Sha256, TenantId};
    use mediaflow_store::{Environment as _, Intake as _, NewBlob, SqliteStore};
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    /// Keys of one shard, in the order in which they are listed.
    struct Keys(Vec<BlobKey>, Mutex<BTreeSet<BlobKey>>);

    #[async_trait]
    impl Shelf for Keys {
        async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
            assert!(self.1.lock().unwrap().insert(key.clone()), "deleted twice");
            Ok(())
        }

        async fn older_than(&self, _: u8, _: Duration) -> Result<Vec<BlobKey>, BlobError> {
            Ok(self.0.clone())
        }
    }

    #[tokio::test]
    async fn of_many_bytes_those_without_a_row_go_and_no_others() {
        let env = SystemEnvironment;
        let store = SqliteStore::open_in_memory(Arc::new(env)).unwrap();
        let keys = (0..KEYS_MAX * 5 / 2).map(|_| BlobKey::original(env.id()));
        let keys: Vec<BlobKey> = keys.collect();
        let known = [0, KEYS_MAX - 1, KEYS_MAX, KEYS_MAX * 2 + 7];
        for at in known {
            let blob = NewBlob {
                sha256: Sha256::of(keys[at].as_str().as_bytes()),
                bytes: 1,
                key: keys[at].as_str().to_owned(),
            };
            let name = at.to_string();
            let pinned = store.pin(TenantId::DEFAULT, &name, blob).await;
            pinned.unwrap();
        }
        let shelf = Keys(keys.clone(), Mutex::default());
        delete_strays(&store, &shelf, 0, Duration::ZERO)
            .await
            .unwrap();
        let mut expected: BTreeSet<BlobKey> = keys.iter().cloned().collect();
        for at in known {
            expected.remove(&keys[at]);
        }
        assert_eq!(*shelf.1.lock().unwrap(), expected);
    }
}
