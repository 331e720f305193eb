//! Finding assets: one index leads, the other conditions filter, a keyset pages.
//!
//! Each search is planned with its values. What few assets have is found by the word index and sorted; what many have is looked
//! for among the newest, where it is met soon.

use super::rows::{get, id};
use super::session::Params;
use super::{Session, record, words};
use crate::query::{Arg, Query, cut, decode, during, narrow, page_size};
use crate::{AssetPage, Search, StoreError};
use mediaflow_core::{AssetId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// The last item of a page.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    at: i64,
    id: AssetId,
}

/// Most assets that words are sorted by time for.
const FEW: i64 = 5000;

/// Words to look for.
pub(super) struct Wanted {
    /// As [`words::expression`] writes them.
    pub(super) query: String,
    /// Whether at most [`FEW`] assets have them.
    pub(super) is_rare: bool,
}

/// The statement of a search that is known to find something.
pub(super) fn statement(
    tenant: TenantId,
    search: &Search,
    words: Option<Wanted>,
    size: usize,
) -> Result<Query, StoreError> {
    let own = || Arg::Id(tenant.0);
    let by_words = words.is_some();
    let (at, asset);
    let mut query;
    if let Some(words) = words {
        (at, asset) = ("w.created_at", "w.asset");
        let sql = match words.is_rare {
            true => {
                "SELECT w.asset AS id, w.created_at FROM with_words(?, ?::text::tsquery, ?) w
                 JOIN assets a ON a.id = w.asset WHERE true"
            }
            // The condition is one that the word index cannot answer.
            false => {
                "SELECT w.asset AS id, w.created_at FROM asset_words w JOIN assets a ON a.id = w.asset
                 WHERE w.tenant = ? AND (w.words || '') @@ ?::text::tsquery"
            }
        };
        query = Query::new(sql, [own(), Arg::Text(words.query)]);
        if words.is_rare {
            query.args.push(Arg::Number(FEW));
        }
    } else if let Some(tag) = &search.tag {
        (at, asset) = ("g.created_at", "g.asset");
        query = Query::new(
            "SELECT g.asset AS id, g.created_at FROM tags g JOIN assets a ON a.id = g.asset
             WHERE g.tenant = ? AND g.tag = ?",
            [own(), Arg::Text(tag.clone())],
        );
    } else if let Some(code) = &search.code {
        // As many as failed so: they are sorted.
        (at, asset) = ("a.created_at", "a.id");
        query = Query::new(
            "SELECT a.id, a.created_at FROM (
                SELECT DISTINCT asset FROM tasks WHERE tenant = ? AND error_code = ?) f
             JOIN assets a ON a.id = f.asset WHERE a.tenant = ?",
            [own(), Arg::Text(code.clone()), own()],
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
        Some(Some(query)) => Some(wanted(s, tenant, query).await?),
        None => None,
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

async fn wanted(s: &Session, tenant: TenantId, query: String) -> Result<Wanted, StoreError> {
    let sql = "SELECT count(*) AS found FROM with_words($1, $2::text::tsquery, $3)";
    let found: i64 = get(
        &s.one(sql, &[&tenant.0, &query, &(FEW + 1)]).await?,
        "found",
    )?;
    Ok(Wanted {
        query,
        is_rare: found <= FEW,
    })
}

/// Has an asset found by these tags and no others.
pub(super) async fn set_tags(
    s: &Session,
    (tenant, asset, created_at): (TenantId, AssetId, Timestamp),
    tags: &[String],
) -> Result<(), StoreError> {
    let stale: Params<'_> = &[&asset.0, &tags];
    let new: Params<'_> = &[&asset.0, &tags, &tenant.0, &created_at.0];
    s.all(&[
        (
            "DELETE FROM tags WHERE asset = $1 AND tag <> ALL($2)",
            stale,
        ),
        (
            "INSERT INTO tags (tenant, tag, created_at, asset)
             SELECT $3, w.tag, $4, $1 FROM unnest($2::text[]) w (tag) ON CONFLICT DO NOTHING",
            new,
        ),
    ])
    .await?;
    Ok(())
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
