//! The words that assets are found by, kept in line with their rows.

use super::Session;
use super::rows::{get, id, json};
use super::words::vector;
use crate::StoreError;
use crate::record::words;
use mediaflow_core::AssetId;
use tokio_postgres::Row;
use uuid::Uuid;

pub(super) const READ_WORDS: &str = "SELECT id, title, filename, tags, search_text FROM assets WHERE id = ANY($1) AND state <> 'deleted'";
pub(super) const WRITE_WORDS: &str = "INSERT INTO asset_words (asset, tenant, created_at, words)
     SELECT a.id, a.tenant, a.created_at, w.words::tsvector
     FROM unnest($1::uuid[], $2::text[]) w (id, words) JOIN assets a ON a.id = w.id
     ON CONFLICT (asset) DO UPDATE SET words = excluded.words";

/// Brings the word index in line with the rows of these assets.
pub(super) async fn index(s: &Session, assets: &[AssetId]) -> Result<(), StoreError> {
    if assets.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = assets.iter().map(|asset| asset.0).collect();
    let (found, texts) = texts(&s.query(READ_WORDS, &[&ids]).await?)?;
    s.execute(WRITE_WORDS, &[&found, &texts]).await?;
    Ok(())
}

/// Assets and the words of each.
pub(super) fn texts(rows: &[Row]) -> Result<(Vec<Uuid>, Vec<String>), StoreError> {
    let (mut found, mut texts): (Vec<Uuid>, Vec<String>) = (Vec::new(), Vec::new());
    for row in rows {
        let tags: Vec<String> = json(row, "tags")?;
        found.push(id(row, "id")?);
        let title = get(row, "title")?;
        let text = words(
            title,
            get(row, "filename")?,
            &tags,
            get(row, "search_text")?,
        );
        texts.push(vector(&text));
    }
    Ok((found, texts))
}
