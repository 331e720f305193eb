//! Captions as readers see them, and as people give and take them.

use super::blobs::adopt;
use super::changes::Changes;
use super::flush::flush;
use super::live::{self, Live};
use super::rows::{get, id, number, sha};
use super::shown::{of_shown, shown};
use super::{PostgresStore, Repeat, Session};
use crate::captions::{GIVEN, may_have_captions, one_of_each_name};
use crate::paths::{Paths, add_captions, add_masters};
use crate::{Captioning, CaptionsRecord, NewCaptions, StoreError};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{AssetId, BlobId, EventDraft, EventType, TenantId, Visibility};
use serde_json::json;
use tokio_postgres::Row;

#[async_trait]
impl Captioning for PostgresStore {
    async fn captions(&self, asset: AssetId) -> Result<Vec<CaptionsRecord>, StoreError> {
        self.read(move |s, _| visible(s, asset).boxed()).await
    }

    async fn give_captions(
        &self,
        tenant: TenantId,
        asset: AssetId,
        new: NewCaptions,
    ) -> Result<(), StoreError> {
        let new = &new;
        self.write(Repeat::Always, move |s, _| {
            give(s, tenant, asset, new).boxed()
        })
        .await
    }

    async fn take_captions(
        &self,
        tenant: TenantId,
        asset: AssetId,
        name: &str,
    ) -> Result<(), StoreError> {
        self.write(Repeat::BeforeCommit, move |s, _| {
            take(s, tenant, asset, name).boxed()
        })
        .await
    }
}

const VISIBLE: &str = of_shown!(
    "SELECT s.*, c.name, c.language, c.label, b.sha256, b.bytes, b.key
     FROM s LEFT JOIN captions c ON s.shows AND c.asset = s.asset AND c.generation IN (0, s.generation)
          LEFT JOIN blobs b ON b.id = c.blob ORDER BY c.generation"
);
const OF_GENERATION: &str = "SELECT c.name, c.language, c.label, b.sha256, b.bytes, b.key
     FROM captions c JOIN blobs b ON b.id = c.blob
     WHERE c.asset = $1 AND c.generation IN (0, $2) ORDER BY c.generation";

/// What readers see; given ones before found ones of the same name.
async fn visible(s: &Session, asset: AssetId) -> Result<Vec<CaptionsRecord>, StoreError> {
    let rows = s.query(VISIBLE, &[&asset.0]).await?;
    let Some(shown) = shown(&rows)? else {
        return Ok(Vec::new());
    };
    let named = rows
        .iter()
        .filter(|row| matches!(get(row, "name"), Ok(Some::<&str>(_))));
    let found = named.map(|row| captions(row, shown.visibility));
    Ok(one_of_each_name(found.collect::<Result<_, _>>()?))
}

/// What a generation's readers see, with nothing said about who they are.
pub(super) async fn of_generation(
    s: &Session,
    asset: AssetId,
    generation: u32,
) -> Result<Vec<CaptionsRecord>, StoreError> {
    let rows = s
        .query(OF_GENERATION, &[&asset.0, &i64::from(generation)])
        .await?;
    let found = rows.iter().map(|row| captions(row, Visibility::Private));
    Ok(one_of_each_name(found.collect::<Result<_, _>>()?))
}

fn captions(row: &Row, visibility: Visibility) -> Result<CaptionsRecord, StoreError> {
    Ok(CaptionsRecord {
        name: get(row, "name")?,
        language: get(row, "language")?,
        label: get(row, "label")?,
        sha256: sha(row, "sha256")?,
        bytes: number(row, "bytes")?,
        key: get(row, "key")?,
        visibility,
    })
}

async fn give(
    s: &mut Session,
    tenant: TenantId,
    asset: AssetId,
    new: &NewCaptions,
) -> Result<(), StoreError> {
    let mut live = open(s, tenant, asset).await?;
    let mut changes = Changes::new(s);
    let paths = changing(s, &live, &new.name).await?;
    let adopted = adopt(s, &[(tenant, &new.blob)]).await?;
    let blob = &adopted[&(tenant, new.blob.sha256)];
    let before = remove(s, asset, &new.name).await?;
    s.execute(
        "INSERT INTO captions VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &asset.0,
            &i64::from(GIVEN),
            &new.name,
            &new.language,
            &new.label,
            &blob.id.0,
        ],
    )
    .await?;
    changes
        .orphans
        .extend(before.filter(|before| *before != blob.id));
    changes.purges.push((asset, paths));
    let data =
        json!({ "name": new.name, "language": new.language, "sha256": blob.sha256.to_string() });
    live.record(
        &mut changes,
        &EventDraft::new(EventType::CaptionsGiven, data),
    );
    flush(s, changes, &mut [&mut live]).await
}

async fn take(
    s: &mut Session,
    tenant: TenantId,
    asset: AssetId,
    name: &str,
) -> Result<(), StoreError> {
    let mut live = open(s, tenant, asset).await?;
    let mut changes = Changes::new(s);
    let paths = changing(s, &live, name).await?;
    let before = remove(s, asset, name).await?;
    changes
        .orphans
        .push(before.ok_or(StoreError::CaptionsNotFound)?);
    changes.purges.push((asset, paths));
    let data = json!({ "name": name });
    live.record(
        &mut changes,
        &EventDraft::new(EventType::CaptionsRemoved, data),
    );
    flush(s, changes, &mut [&mut live]).await
}

/// Removes a given row and answers whose bytes lost a reference.
async fn remove(s: &Session, asset: AssetId, name: &str) -> Result<Option<BlobId>, StoreError> {
    let sql =
        "DELETE FROM captions WHERE asset = $1 AND generation = $2 AND name = $3 RETURNING blob";
    let row = s.maybe(sql, &[&asset.0, &i64::from(GIVEN), &name]).await?;
    row.map(|row| id(&row, "blob")).transpose()
}

/// An asset that can have captions.
async fn open(s: &Session, tenant: TenantId, asset: AssetId) -> Result<Live, StoreError> {
    let live = live::of(s, tenant, asset).await?;
    may_have_captions(live.state, live.run.recipe.kind)?;
    Ok(live)
}

/// The paths whose content changes with the captions of this name.
async fn changing(s: &Session, live: &Live, name: &str) -> Result<Paths, StoreError> {
    let mut paths = Paths::new();
    let now = visible(s, live.asset).await?;
    if let Some(old) = now.iter().find(|c| c.name == name) {
        add_captions(&mut paths, live.asset, name, old.sha256);
    }
    let captions = of_generation(s, live.asset, live.published).await?;
    add_masters(&mut paths, live.asset, live.published, &captions);
    Ok(paths)
}
