//! Taking uploads in: those that arrive together are recorded together.

use super::begin::{Beginning, begin};
use super::blobs::adopt;
use super::changes::{Changes, values};
use super::frozen::{freeze, make_tenant};
use super::queue::Done;
use super::rows::{clamp, get, id, sha, to_json};
use super::session::{self, Repeat, Session};
use super::{Core, PostgresStore, flush};
use crate::{Accept, Accepted, BlobRow, Idempotency, Intake, NewBlob, StoreError};
use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mediaflow_core::{AssetId, AssetState, EventDraft, EventType, Sha256, TenantId};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// An upload that waits for its transaction, under the name that it will have.
pub(super) struct Upload {
    asset: AssetId,
    accept: Accept,
    frozen: (Sha256, Sha256),
}

#[async_trait]
impl Intake for PostgresStore {
    async fn accept(&self, accept: Accept) -> Result<Accepted, StoreError> {
        make_tenant(&self.core, accept.tenant).await?;
        let frozen = freeze(&self.core, &accept.recipe, &accept.settings).await?;
        let asset = AssetId(self.core.env.id());
        let upload = Upload {
            asset,
            accept,
            frozen,
        };
        self.core.uploads.run(upload).await
    }

    async fn repeated(
        &self,
        tenant: TenantId,
        key: &Idempotency,
    ) -> Result<Option<AssetId>, StoreError> {
        self.read(move |s, _| first_answer(s, tenant, key).boxed())
            .await
    }

    async fn pin(&self, tenant: TenantId, pin: &str, blob: NewBlob) -> Result<BlobRow, StoreError> {
        self.pin_blob(tenant, pin, &blob).await
    }

    async fn pinned(&self, tenant: TenantId, pin: &str) -> Result<Option<BlobRow>, StoreError> {
        self.pinned_blob(tenant, pin).await
    }
}

async fn first_answer(
    s: &Session,
    tenant: TenantId,
    key: &Idempotency,
) -> Result<Option<AssetId>, StoreError> {
    let sql = "SELECT digest, asset FROM idempotency WHERE tenant = $1 AND key = $2";
    match s.maybe(sql, &[&tenant.0, &key.key]).await? {
        None => Ok(None),
        Some(row) if sha(&row, "digest")? == key.digest => Ok(Some(id(&row, "asset")?)),
        Some(_) => Err(StoreError::IdempotencyMismatch),
    }
}

/// Records uploads in one transaction. It is not repeated once it may have been committed: only the client's key tells
/// a repetition from another upload.
pub(super) fn take_all<'a>(
    core: &'a Arc<Core>,
    uploads: &'a [Upload],
) -> BoxFuture<'a, Result<Vec<Done<Accepted>>, StoreError>> {
    session::write_often(core, Repeat::BeforeCommit, move |s, _| {
        take_in(s, uploads).boxed()
    })
    .boxed()
}

const KEYS: &str = "INSERT INTO idempotency (tenant, key, digest, asset, created_at)
     SELECT w.*, $5 FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[]) w
     ON CONFLICT (tenant, key) DO NOTHING RETURNING asset";
const KEY_OF_BLOB: &str = "SELECT EXISTS (SELECT 1 FROM blobs WHERE key = $1) AS is_known";
const ASSET: &str = "INSERT INTO assets (id, tenant, state, generation, kind, original, original_sha256, original_bytes,
            media_type, filename, width, height, fact_pixels, fact_frames, fact_bytes, title, tags, metadata,
            visibility, watermark, focus, correlation_id, published, in_review, created_at, updated_at)
     VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
             $24, $24)";
const TAGS: &str = "INSERT INTO tags (tenant, tag, created_at, asset) SELECT $1, w.tag, $3, $4 FROM unnest($2::text[]) w (tag)
     ON CONFLICT DO NOTHING";

async fn take_in(s: &mut Session, uploads: &[Upload]) -> Result<Vec<Done<Accepted>>, StoreError> {
    s.phase.may_take_in()?;
    let mut done = overtaken(s, uploads).await?;
    reserve(s, uploads, &mut done).boxed().await?;
    let new = uploads.iter().zip(&done).filter(|(_, done)| done.is_none());
    let originals: Vec<_> = new
        .map(|(u, _)| (u.accept.tenant, &u.accept.original))
        .collect();
    let adopted = adopt(s, &originals).boxed().await?;
    let mut changes = Changes::new(s);
    for (upload, done) in uploads.iter().zip(&mut done) {
        if done.is_some() {
            continue;
        }
        let key = (upload.accept.tenant, upload.accept.original.sha256);
        let original = adopted.get(&key).expect("adopting answers every blob");
        *done = Some(Done::Answer(Ok(record(&mut changes, upload, original))));
    }
    flush::flush(s, changes, &mut []).boxed().await?;
    let finished = uploads
        .iter()
        .zip(&done)
        .filter_map(|(u, done)| match done {
            Some(Done::Answer(Ok(accepted))) => {
                Some((u.accept.upload?, accepted, u.accept.original.bytes))
            }
            _ => None,
        });
    super::uploads::finish(s, &finished.collect::<Vec<_>>()).await?;
    let counted = uploads
        .iter()
        .zip(&done)
        .filter_map(|(u, done)| match done {
            Some(Done::Answer(Ok(accepted))) if !accepted.repeated => {
                Some((u.accept.counted?, u.accept.original.bytes))
            }
            _ => None,
        });
    super::limits::count(s, &counted.collect::<Vec<_>>()).await?;
    let done = done.into_iter();
    Ok(done
        .map(|d| d.expect("every upload was answered"))
        .collect())
}

/// Answers those whose bytes arrived as something that somebody else has taken since.
async fn overtaken(
    s: &Session,
    uploads: &[Upload],
) -> Result<Vec<Option<Done<Accepted>>>, StoreError> {
    let arrived = uploads.iter().filter_map(|u| u.accept.upload);
    let held = super::uploads::held(s, &arrived.collect::<Vec<_>>()).await?;
    let overtaken = uploads.iter().map(|u| {
        let stale = u
            .accept
            .upload
            .filter(|upload| !held.contains(&(upload.id, upload.fence)));
        stale.map(|_| Done::Answer(Err(StoreError::StaleFence)))
    });
    Ok(overtaken.collect())
}

/// Takes the idempotency keys; answers those uploads that are not to be recorded.
async fn reserve(
    s: &Session,
    uploads: &[Upload],
    done: &mut [Option<Done<Accepted>>],
) -> Result<(), StoreError> {
    // In one order everywhere: two that take the same keys wait for each other.
    let mut keys: BTreeMap<(TenantId, &str), usize> = BTreeMap::new();
    for (at, upload) in uploads.iter().enumerate() {
        if let Some(key) = &upload.accept.idempotency
            && done[at].is_none()
        {
            let taken = keys.entry((upload.accept.tenant, &key.key)).or_insert(at);
            if *taken != at {
                done[at] = Some(Done::Later);
            }
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    let of = |at: &usize| {
        let key = uploads[*at].accept.idempotency.as_ref();
        (
            &uploads[*at],
            key.expect("only uploads with a key are here"),
        )
    };
    let tenants: Vec<Uuid> = keys.keys().map(|(tenant, _)| tenant.0).collect();
    let names: Vec<&str> = keys.keys().map(|(_, key)| *key).collect();
    let digests: Vec<&[u8]> = keys.values().map(|at| &of(at).1.digest.0[..]).collect();
    let assets: Vec<Uuid> = keys.values().map(|at| of(at).0.asset.0).collect();
    let rows = s
        .query(KEYS, &[&tenants, &names, &digests, &assets, &s.now.0])
        .await?;
    let mut taken = HashSet::new();
    for row in &rows {
        taken.insert(id::<AssetId>(row, "asset")?);
    }
    for at in keys.values() {
        let (upload, key) = of(at);
        if taken.contains(&upload.asset) {
            continue;
        }
        done[*at] = Some(Done::Answer(
            match first_answer(s, upload.accept.tenant, key).await {
                Ok(Some(asset)) => Ok(Accepted {
                    asset,
                    repeated: true,
                    surplus: !is_key_of(s, &upload.accept.original.key).await?,
                    wake: false,
                }),
                Ok(None) => Err(StoreError::Unavailable(
                    "the idempotency key expired at this moment".into(),
                )),
                Err(error @ StoreError::IdempotencyMismatch) => Err(error),
                Err(error) => return Err(error),
            },
        ));
    }
    Ok(())
}

async fn is_key_of(s: &Session, key: &str) -> Result<bool, StoreError> {
    get(&s.one(KEY_OF_BLOB, &[&key]).await?, "is_known")
}

fn record(changes: &mut Changes, upload: &Upload, original: &BlobRow) -> Accepted {
    let (asset, accept) = (upload.asset, &upload.accept);
    let data = json!({
        "filename": accept.filename, "media_type": accept.media_type,
        "bytes": original.bytes, "sha256": original.sha256,
        "recipe": accept.recipe.name, "generation": 1,
    });
    let beginning = Beginning {
        tenant: accept.tenant,
        asset,
        published: 0,
        partial: false,
        generation: 1,
        recipe: Arc::clone(&accept.recipe),
        settings: accept.settings.clone(),
        frozen: upload.frozen,
        watermark: accept.options.watermark,
        focus: accept.options.focus,
        facts: accept.facts,
        state: (AssetState::Uploaded, false),
        sequence: 0,
    };
    let released = changes.released.len();
    let first = EventDraft::new(EventType::AssetAccepted, data);
    let live = begin(changes, beginning, &first);
    let wake = changes.released.len() > released;
    let options = &accept.options;
    changes.call(
        ASSET,
        values![
            asset.0,
            accept.tenant.0,
            live.state.as_str(),
            accept.kind.as_str(),
            original.id.0,
            accept.original.sha256.0.to_vec(),
            clamp(accept.original.bytes),
            accept.media_type.clone(),
            accept.filename.clone(),
            accept.dimensions.map(|d| i64::from(d.0)),
            accept.dimensions.map(|d| i64::from(d.1)),
            clamp(accept.facts.pixels),
            clamp(accept.facts.frames),
            clamp(accept.facts.bytes),
            options.title.clone(),
            to_json(&options.tags),
            to_json(&options.metadata),
            options.visibility.as_str(),
            options.watermark,
            options.focus.as_ref().map(to_json),
            accept.correlation_id.clone(),
            i64::from(live.published),
            live.in_review,
            changes.now.0,
        ],
    );
    if !options.tags.is_empty() {
        let values = values![
            accept.tenant.0,
            options.tags.clone(),
            changes.now.0,
            asset.0
        ];
        changes.call(TAGS, values);
    }
    changes.reindexed.push(asset);
    Accepted {
        asset,
        repeated: false,
        surplus: original.key != accept.original.key,
        wake,
    }
}
