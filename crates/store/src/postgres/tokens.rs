//! Tokens for one upload each.

use super::rows::{get, id, maybe_time, sha, time};
use super::{PostgresStore, Repeat, Session};
use crate::{NewToken, StoreError, TokenRecord, Tokens};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{KeyId, Timestamp, TokenId, UploadId};
use std::time::Duration;
use tokio_postgres::Row;
use uuid::Uuid;

#[async_trait]
impl Tokens for PostgresStore {
    async fn add_token(&self, new: NewToken) -> Result<Timestamp, StoreError> {
        let new = &new;
        self.write(Repeat::Always, move |s, _| add(s, new).boxed())
            .await
    }

    async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        self.read(move |s, _| one(s, id).boxed()).await
    }

    async fn hold_token(&self, id: TokenId) -> Result<bool, StoreError> {
        // Not again after it may have been committed: then it would find itself there before.
        self.write(Repeat::BeforeCommit, move |s, _| hold(s, id).boxed())
            .await
    }

    async fn release_token(&self, id: TokenId) -> Result<(), StoreError> {
        self.write(Repeat::Always, move |s, _| release(s, id).boxed())
            .await
    }

    async fn spend_token(
        &self,
        id: TokenId,
        upload: UploadId,
        kept: Duration,
    ) -> Result<(), StoreError> {
        self.write(Repeat::Always, move |s, _| {
            spend(s, id, upload, kept).boxed()
        })
        .await
    }
}

async fn add(s: &Session, new: &NewToken) -> Result<Timestamp, StoreError> {
    s.phase.may_take_in()?;
    let until = s.now.after(new.kept);
    let key = new.key.map_or(Uuid::nil(), |key| key.0);
    s.execute(
        "INSERT INTO upload_tokens (id, tenant, key, secret_sha256, terms, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
        &[
            &new.id.0,
            &new.tenant.0,
            &key,
            &&new.secret_sha256.0[..],
            &new.terms,
            &s.now.0,
            &until.0,
        ],
    )
    .await?;
    Ok(until)
}

async fn one(s: &Session, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
    let sql = "SELECT * FROM upload_tokens WHERE id = $1";
    let row = s.maybe(sql, &[&id.0]).await?;
    let found = row.as_ref().map(record).transpose()?;
    Ok(found.filter(|found| found.expires_at > s.now))
}

async fn hold(s: &Session, id: TokenId) -> Result<bool, StoreError> {
    let sql = "UPDATE upload_tokens SET held_at = $2 WHERE id = $1 AND held_at IS NULL AND expires_at > $2";
    Ok(s.execute(sql, &[&id.0, &s.now.0]).await? > 0)
}

async fn release(s: &Session, id: TokenId) -> Result<(), StoreError> {
    let sql = "UPDATE upload_tokens SET held_at = NULL WHERE id = $1 AND upload IS NULL";
    s.execute(sql, &[&id.0]).await.map(drop)
}

async fn spend(
    s: &Session,
    id: TokenId,
    upload: UploadId,
    kept: Duration,
) -> Result<(), StoreError> {
    let sql = "UPDATE upload_tokens SET upload = $2, expires_at = greatest(expires_at, $3) WHERE id = $1 AND upload IS NULL";
    let until = s.now.after(kept).0;
    s.execute(sql, &[&id.0, &upload.0, &until]).await.map(drop)
}

fn record(row: &Row) -> Result<TokenRecord, StoreError> {
    let key: KeyId = id(row, "key")?;
    Ok(TokenRecord {
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        key: (!key.0.is_nil()).then_some(key),
        secret_sha256: sha(row, "secret_sha256")?,
        terms: get(row, "terms")?,
        upload: get::<Option<Uuid>>(row, "upload")?.map(UploadId),
        is_held: maybe_time(row, "held_at")?.is_some(),
        expires_at: time(row, "expires_at")?,
    })
}
