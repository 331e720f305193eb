//! Blob rows: adopted once per tenant and digest, and set aside when a reference to them goes.
//!
//! Whoever is about to refer to a row holds it against the collector, which looks for references only after it has
//! locked the row for itself.

use super::Session;
use super::rows::{blob, clamp, id};
use crate::{BlobRow, NewBlob, StoreError};
use mediaflow_core::{BlobId, Sha256, TenantId};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Live rows by what they are found by.
pub(super) type Adopted = HashMap<(TenantId, Sha256), BlobRow>;

const LIVE: &str = "SELECT b.tenant, b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
     FROM blobs b JOIN unnest($1::uuid[], $2::bytea[]) w (tenant, sha256) ON b.tenant = w.tenant AND b.sha256 = w.sha256
     WHERE b.condemned_at IS NULL ORDER BY b.id FOR KEY SHARE OF b";
const MAKE: &str = "INSERT INTO blobs (id, tenant, sha256, bytes, key, created_at)
     SELECT w.id, w.tenant, w.sha256, w.bytes, w.key, $6
     FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bigint[], $5::text[]) w (id, tenant, sha256, bytes, key)
     ON CONFLICT (tenant, sha256) WHERE condemned_at IS NULL DO NOTHING
     RETURNING tenant, id AS blob_id, sha256 AS blob_sha256, bytes AS blob_bytes, key AS blob_key";

/// The live row of each of these bytes, made where there is none. A condemned row is as good as gone.
pub(super) async fn adopt(
    s: &Session,
    new: &[(TenantId, &NewBlob)],
) -> Result<Adopted, StoreError> {
    // In one order everywhere: two that make the same rows wait for each other.
    let mut wanted: BTreeMap<(TenantId, Sha256), &NewBlob> = BTreeMap::new();
    for (tenant, blob) in new {
        wanted.entry((*tenant, blob.sha256)).or_insert(blob);
    }
    let mut adopted = Adopted::new();
    while !wanted.is_empty() {
        let tenants: Vec<Uuid> = wanted.keys().map(|(tenant, _)| tenant.0).collect();
        let digests: Vec<&[u8]> = wanted.keys().map(|(_, sha256)| &sha256.0[..]).collect();
        let found = s.query(LIVE, &[&tenants, &digests]).await?;
        take(&mut adopted, &mut wanted, found)?;
        if wanted.is_empty() {
            break;
        }
        let ids: Vec<Uuid> = wanted.iter().map(|_| s.core.env.id()).collect();
        let tenants: Vec<Uuid> = wanted.keys().map(|(tenant, _)| tenant.0).collect();
        let digests: Vec<&[u8]> = wanted.keys().map(|(_, sha256)| &sha256.0[..]).collect();
        let bytes: Vec<i64> = wanted.values().map(|b| clamp(b.bytes)).collect();
        let keys: Vec<&str> = wanted.values().map(|b| b.key.as_str()).collect();
        let made = s
            .query(MAKE, &[&ids, &tenants, &digests, &bytes, &keys, &s.now.0])
            .await?;
        // What somebody else made meanwhile is found in the next round.
        take(&mut adopted, &mut wanted, made)?;
    }
    Ok(adopted)
}

fn take(
    adopted: &mut Adopted,
    wanted: &mut BTreeMap<(TenantId, Sha256), &NewBlob>,
    rows: Vec<tokio_postgres::Row>,
) -> Result<(), StoreError> {
    for row in rows {
        let (tenant, blob) = (id(&row, "tenant")?, blob(&row)?);
        wanted.remove(&(tenant, blob.sha256));
        adopted.insert((tenant, blob.sha256), blob);
    }
    Ok(())
}

/// References to these rows are gone; perhaps they were the last.
pub(super) async fn orphan(s: &Session, blobs: &[BlobId]) -> Result<(), StoreError> {
    if blobs.is_empty() {
        return Ok(());
    }
    let mut ids: Vec<Uuid> = blobs.iter().map(|blob| blob.0).collect();
    ids.sort_unstable();
    ids.dedup();
    s.execute(
        "INSERT INTO orphans SELECT blob, $2 FROM unnest($1::uuid[]) w (blob)
         ON CONFLICT (blob) DO UPDATE SET since = excluded.since",
        &[&ids, &s.now.0],
    )
    .await?;
    Ok(())
}
