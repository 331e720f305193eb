//! Taking uploads in.

use super::PostgresStore;
use super::rows::{id, sha};
use super::session::Session;
use crate::{Accept, Accepted, BlobRow, Idempotency, Intake, NewBlob, StoreError};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{AssetId, TenantId};

#[async_trait]
impl Intake for PostgresStore {
    async fn accept(&self, accept: Accept) -> Result<Accepted, StoreError> {
        let _ = accept;
        Err(StoreError::Database("not yet".into()))
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
