//! Blobs that are kept under a name, whatever refers to them.

use super::blobs::{adopt, orphan};
use super::rows::{blob, id};
use super::{PostgresStore, Repeat, Session};
use crate::{BlobRow, NewBlob, StoreError};
use futures_util::FutureExt;
use mediaflow_core::{BlobId, TenantId};

impl PostgresStore {
    pub(super) async fn pin_blob(
        &self,
        tenant: TenantId,
        pin: &str,
        new: &NewBlob,
    ) -> Result<BlobRow, StoreError> {
        self.write(Repeat::Always, move |s, _| set(s, tenant, pin, new).boxed())
            .await
    }

    pub(super) async fn pinned_blob(
        &self,
        tenant: TenantId,
        pin: &str,
    ) -> Result<Option<BlobRow>, StoreError> {
        self.read(move |s, _| get(s, tenant, pin).boxed()).await
    }
}

async fn get(s: &Session, tenant: TenantId, pin: &str) -> Result<Option<BlobRow>, StoreError> {
    let sql =
        "SELECT b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
         FROM pins p JOIN blobs b ON b.id = p.blob WHERE p.tenant = $1 AND p.name = $2";
    let row = s.maybe(sql, &[&tenant.0, &pin]).await?;
    row.as_ref().map(blob).transpose()
}

async fn set(
    s: &Session,
    tenant: TenantId,
    pin: &str,
    new: &NewBlob,
) -> Result<BlobRow, StoreError> {
    let before = s
        .maybe(
            "SELECT blob FROM pins WHERE tenant = $1 AND name = $2 FOR UPDATE",
            &[&tenant.0, &pin],
        )
        .await?;
    let adopted = adopt(s, &[(tenant, new)]).await?;
    let row = adopted
        .into_values()
        .next()
        .expect("one was asked for, and adopting answers all");
    s.execute(
        "INSERT INTO pins VALUES ($1, $2, $3) ON CONFLICT (tenant, name) DO UPDATE SET blob = excluded.blob",
        &[&tenant.0, &pin, &row.id.0],
    )
    .await?;
    if let Some(before) = before {
        let before: BlobId = id(&before, "blob")?;
        if before != row.id {
            orphan(s, &[before]).await?;
        }
    }
    Ok(row)
}
