//! Tokens for one upload each.

use super::SqliteStore;
use super::rows::{id, sha, time};
use crate::{NewToken, StoreError, TokenRecord, Tokens};
use async_trait::async_trait;
use mediaflow_core::{KeyId, Timestamp, TokenId, UploadId};
use rusqlite::{OptionalExtension, Row, params};
use std::time::Duration;
use uuid::Uuid;

#[async_trait]
impl Tokens for SqliteStore {
    async fn add_token(&self, new: NewToken) -> Result<Timestamp, StoreError> {
        self.write(move |s| {
            s.phase.may_take_in()?;
            let until = s.now.after(new.kept);
            let key = new.key.map_or(Uuid::nil(), |key| key.0);
            s.conn
                .prepare_cached(
                    "INSERT INTO upload_tokens (id, tenant, key, secret_sha256, terms, created_at, expires_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    new.id.as_bytes(),
                    new.tenant.as_bytes(),
                    key.as_bytes(),
                    new.secret_sha256.0,
                    new.terms,
                    s.now.0,
                    until.0
                ])?;
            Ok(until)
        })
        .await
    }

    async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        let now = self.env.now();
        self.read(move |conn, _| {
            let sql = "SELECT * FROM upload_tokens WHERE id = ?1 AND expires_at > ?2";
            let mut statement = conn.prepare_cached(sql)?;
            let found = statement.query_row(params![id.as_bytes(), now.0], record);
            Ok(found.optional()?)
        })
        .await
    }

    async fn hold_token(&self, id: TokenId) -> Result<bool, StoreError> {
        self.write(move |s| {
            let held = s
                .conn
                .prepare_cached(
                    "UPDATE upload_tokens SET held_at = ?2 WHERE id = ?1 AND held_at IS NULL AND expires_at > ?2",
                )?
                .execute(params![id.as_bytes(), s.now.0])?;
            Ok(held > 0)
        })
        .await
    }

    async fn release_token(&self, id: TokenId) -> Result<(), StoreError> {
        self.write(move |s| {
            s.conn
                .prepare_cached(
                    "UPDATE upload_tokens SET held_at = NULL WHERE id = ?1 AND upload IS NULL",
                )?
                .execute([id.as_bytes()])?;
            Ok(())
        })
        .await
    }

    async fn spend_token(
        &self,
        id: TokenId,
        upload: UploadId,
        kept: Duration,
    ) -> Result<(), StoreError> {
        self.write(move |s| {
            s.conn
                .prepare_cached(
                    "UPDATE upload_tokens SET upload = ?2, expires_at = max(expires_at, ?3) WHERE id = ?1 AND upload IS NULL",
                )?
                .execute(params![
                    id.as_bytes(),
                    upload.as_bytes(),
                    s.now.after(kept).0
                ])?;
            Ok(())
        })
        .await
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<TokenRecord> {
    let key: KeyId = id(row, "key")?;
    let upload: Option<[u8; 16]> = row.get("upload")?;
    Ok(TokenRecord {
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        key: (!key.0.is_nil()).then_some(key),
        secret_sha256: sha(row, "secret_sha256")?,
        terms: row.get("terms")?,
        upload: upload.map(|upload| UploadId(Uuid::from_bytes(upload))),
        is_held: row.get::<_, Option<i64>>("held_at")?.is_some(),
        expires_at: time(row, "expires_at")?,
    })
}
