//! Finding assets: one index leads, the other conditions filter, a keyset pages.
//!
//! Each search is planned with its values. For a rare word the word index leads and what it finds is sorted; a frequent one is
//! looked for among the newest assets, where it is met soon.

use super::rows::{get, id};
use super::session::Params;
use super::{Session, record, words};
use crate::query::{Arg, Query, cut, decode, during, narrow, page_size};
use crate::record::words;
use crate::{AssetPage, Search, StoreError};
use mediaflow_core::{AssetId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The last item of a page.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    at: i64,
    id: AssetId,
}

/// The statement of a search that is known to find something.
pub(super) fn statement(
    tenant: TenantId,
    search: &Search,
    words: Option<String>,
    size: usize,
) -> Result<Query, StoreError> {
    let own = || Arg::Id(tenant.0);
    let by_words = words.is_some();
    let (at, asset);
    let mut query;
    if let Some(words) = words {
        (at, asset) = ("w.created_at", "w.asset");
        query = Query::new(
            "SELECT w.asset AS id, w.created_at FROM asset_words w JOIN assets a ON a.id = w.asset
             WHERE w.words @@ ?::text::tsquery AND w.tenant = ?",
            [Arg::Text(words), own()],
        );
    } else if let Some(tag) = &search.tag {
        (at, asset) = ("g.created_at", "g.asset");
        query = Query::new(
            "SELECT g.asset AS id, g.created_at FROM tags g JOIN assets a ON a.id = g.asset
             WHERE g.tenant = ? AND g.tag = ?",
            [own(), Arg::Text(tag.clone())],
        );
    } else {
        (at, asset) = ("a.created_at", "a.id");
        query = Query::new(
            "SELECT a.id, a.created_at FROM assets a WHERE a.tenant = ?",
            [own()],
        );
    }
    narrow(&mut query, search, "a.in_review");
    if let (Some(tag), true) = (&search.tag, by_words) {
        query.and(
            "EXISTS (SELECT 1 FROM tags g WHERE g.tenant = ? AND g.tag = ?
                     AND g.created_at = w.created_at AND g.asset = w.asset)",
            [own(), Arg::Text(tag.clone())],
        );
    }
    during(&mut query, search, at);
    if let Some(cursor) = search.cursor.as_deref() {
        let cursor: Cursor = decode(cursor)?;
        let last = [Arg::Number(cursor.at), Arg::Id(cursor.id.0)];
        query.and(&format!("({at}, {asset}) < (?, ?)"), last);
    }
    Ok(query.page(&format!("{at} DESC, {asset} DESC"), size))
}

/// A page of assets, newest first.
pub(super) async fn page(
    s: &Session,
    tenant: TenantId,
    search: &Search,
) -> Result<AssetPage, StoreError> {
    let size = page_size(search.limit)?;
    let text = search.text.as_deref().filter(|t| !t.trim().is_empty());
    let words = match text.map(words::expression) {
        Some(None) => {
            return Ok(AssetPage {
                items: Vec::new(),
                next_cursor: None,
            });
        }
        words => words.flatten(),
    };
    let rows = s.list(&statement(tenant, search, words, size)?).await?;
    let cursors = rows.iter().map(|row| {
        Ok(Cursor {
            at: get(row, "created_at")?,
            id: id(row, "id")?,
        })
    });
    let mut found = cursors.collect::<Result<Vec<_>, StoreError>>()?;
    let next_cursor = cut(&mut found, size, Clone::clone);
    let ids: Vec<_> = found.iter().map(|c| c.id).collect();
    Ok(AssetPage {
        items: record::assets(s, &ids).await?,
        next_cursor,
    })
}

/// What an asset is found by, as its user says it.
pub(super) struct Entry<'a> {
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    pub(super) created_at: Timestamp,
    pub(super) title: Option<&'a str>,
    pub(super) filename: Option<&'a str>,
    pub(super) tags: &'a [String],
}

const WORDS: &str = "INSERT INTO asset_words (asset, tenant, created_at, said)
     SELECT w.asset, w.tenant, w.created_at, w.said::tsvector
     FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[]) w (asset, tenant, created_at, said)
     ON CONFLICT (asset) DO UPDATE SET said = excluded.said";
const TAGS: &str = "INSERT INTO tags (tenant, tag, created_at, asset)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::uuid[]) ON CONFLICT DO NOTHING";
/// Has an asset `$1` found by what inspection found, as [`words::vector`] writes it.
pub(super) const FOUND: &str = "UPDATE asset_words SET found = $2::text::tsvector WHERE asset = $1";

/// Makes assets findable that were not.
pub(super) async fn index(s: &Session, entries: &[Entry<'_>]) -> Result<(), StoreError> {
    let assets: Vec<Uuid> = entries.iter().map(|e| e.asset.0).collect();
    let tenants: Vec<Uuid> = entries.iter().map(|e| e.tenant.0).collect();
    let times: Vec<i64> = entries.iter().map(|e| e.created_at.0).collect();
    let texts = entries
        .iter()
        .map(|e| words(e.title, e.filename, e.tags, None));
    let said: Vec<String> = texts.map(|text| words::vector(&text)).collect();
    let mut tags = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        for tag in entry.tags {
            tags.0.push(entry.tenant.0);
            tags.1.push(tag.as_str());
            tags.2.push(entry.created_at.0);
            tags.3.push(entry.asset.0);
        }
    }
    let words: (&str, Params<'_>) = (WORDS, &[&assets, &tenants, &times, &said]);
    let tags: (&str, Params<'_>) = (TAGS, &[&tags.0, &tags.1, &tags.2, &tags.3]);
    s.all(&[words, tags]).await?;
    Ok(())
}

/// Makes an asset findable by what its user says now.
pub(super) async fn index_again(s: &Session, entry: Entry<'_>) -> Result<(), StoreError> {
    let sql = "DELETE FROM tags WHERE asset = $1 AND tag <> ALL($2)";
    s.execute(sql, &[&entry.asset.0, &entry.tags]).await?;
    index(s, &[entry]).await
}

/// Makes an asset unfindable by words and tags.
pub(super) async fn forget(s: &Session, asset: AssetId) -> Result<(), StoreError> {
    let asset: Params<'_> = &[&asset.0];
    s.all(&[
        ("DELETE FROM asset_words WHERE asset = $1", asset),
        ("DELETE FROM tags WHERE asset = $1", asset),
    ])
    .await?;
    Ok(())
}
