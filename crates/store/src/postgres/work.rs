//! Verbs of workers: claim, stay alive, report.

use super::report::Reported;
use super::rows::{blob, get, named, number, sha};
use super::{PostgresStore, Repeat, Session, claim, session};
use crate::{
    BlobRow, Capacity, Claimed, Lease, RenditionRecord, Report, Reusable, StoreError, Work,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::operation::Format;
use mediaflow_core::{AssetId, Sha256, TenantId};
use std::time::Duration;
use tokio_postgres::Row;

#[async_trait]
impl Work for PostgresStore {
    async fn claim(
        &self,
        request: uuid::Uuid,
        capacity: &Capacity,
    ) -> Result<Vec<Claimed>, StoreError> {
        session::write_often(&self.core, Repeat::Always, move |s, _| {
            claim::claim(s, request, capacity).boxed()
        })
        .await
    }

    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, StoreError> {
        self.write(Repeat::Always, move |s, _| {
            let until = s.now.after(lease).0;
            claim::extend(s, leases, until).boxed()
        })
        .await
    }

    async fn report(
        &self,
        lease: Lease,
        report: Report,
        offer: Option<&Capacity>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let offer = offer.cloned();
        let reported = Reported {
            lease,
            report,
            offer,
        };
        self.core.reports.run(reported).await
    }

    async fn reusable(
        &self,
        tenant: TenantId,
        derivations: &[Sha256],
    ) -> Result<Vec<(Sha256, Reusable)>, StoreError> {
        self.read(move |s, _| find_reusable(s, tenant, derivations).boxed())
            .await
    }

    async fn recorded(
        &self,
        asset: AssetId,
        generation: u32,
    ) -> Result<Vec<(RenditionRecord, BlobRow)>, StoreError> {
        self.read(move |s, _| find_recorded(s, asset, generation).boxed())
            .await
    }
}

const REUSABLE: &str =
    "SELECT w.derivation, f.* FROM unnest($2::bytea[]) w (derivation) CROSS JOIN LATERAL (
        SELECT r.format, r.width, r.height, r.animated,
               b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
        FROM renditions r JOIN assets a ON a.id = r.asset JOIN blobs b ON b.id = r.blob
        WHERE r.tenant = $1 AND r.derivation = w.derivation AND b.condemned_at IS NULL
          AND a.state NOT IN ('rejected', 'deleted') LIMIT 1) f";
const RECORDED: &str =
    "SELECT r.generation, r.profile, r.format, r.width, r.height, r.animated, r.derivation,
            b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
     FROM renditions r JOIN blobs b ON b.id = r.blob
     WHERE r.asset = $1 AND r.generation = $2 ORDER BY r.profile, r.format";

async fn find_reusable(
    s: &Session,
    tenant: TenantId,
    derivations: &[Sha256],
) -> Result<Vec<(Sha256, Reusable)>, StoreError> {
    let digests: Vec<&[u8]> = derivations.iter().map(|d| &d.0[..]).collect();
    let rows = s.query(REUSABLE, &[&tenant.0, &digests]).await?;
    let found = rows.iter().map(|row| {
        let reusable = Reusable {
            blob: blob(row)?,
            dimensions: dimensions(row)?,
            animated: get(row, "animated")?,
            format: named(row, "format", Format::parse)?,
        };
        Ok((sha(row, "derivation")?, reusable))
    });
    found.collect()
}

async fn find_recorded(
    s: &Session,
    asset: AssetId,
    generation: u32,
) -> Result<Vec<(RenditionRecord, BlobRow)>, StoreError> {
    let rows = s
        .query(RECORDED, &[&asset.0, &i64::from(generation)])
        .await?;
    rows.iter()
        .map(|row| Ok((rendition(row)?, blob(row)?)))
        .collect()
}

/// The rendition in a row of `renditions` joined with its blob.
pub(super) fn rendition(row: &Row) -> Result<RenditionRecord, StoreError> {
    Ok(RenditionRecord {
        generation: number(row, "generation")?,
        profile: get(row, "profile")?,
        format: named(row, "format", Format::parse)?,
        dimensions: dimensions(row)?,
        animated: get(row, "animated")?,
        derivation: sha(row, "derivation")?,
        bytes: number(row, "blob_bytes")?,
        sha256: sha(row, "blob_sha256")?,
    })
}

/// Width and height in a row; zeros where there is nothing to see.
fn dimensions(row: &Row) -> Result<Option<(u32, u32)>, StoreError> {
    let found: (u32, u32) = (number(row, "width")?, number(row, "height")?);
    Ok(Some(found).filter(|found| *found != (0, 0)))
}
