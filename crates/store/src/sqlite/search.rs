//! Finding assets: one index leads, the other conditions filter, a keyset pages.

use super::record;
use super::rows::{id, json, named};
use super::writer::Session;
use crate::frozen::Frozen;
use crate::query::{Arg, Query, cut, decode, during, narrow, page_size};
use crate::record::words;
use crate::{AssetPage, Search, StoreError};
use mediaflow_core::{AssetId, AssetState, TenantId, Timestamp};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params, params_from_iter};
use serde::{Deserialize, Serialize};

/// The last item of a page: by time for most searches, by number for words, whose index knows only that.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    at: i64,
    id: AssetId,
    seq: i64,
}

/// Text as an FTS5 expression: all words, the last of them perhaps unfinished. `None` without a word in it.
fn expression(text: &str) -> Option<String> {
    let words = text
        .split_whitespace()
        .filter(|w| w.contains(char::is_alphanumeric));
    let quoted: Vec<String> = words
        .map(|w| format!("\"{}\"", w.replace('"', " ")))
        .collect();
    (!quoted.is_empty()).then(|| format!("{}*", quoted.join(" AND ")))
}

/// The statement of a search that is known to find something.
pub(super) fn statement(
    tenant: TenantId,
    search: &Search,
    words: Option<String>,
    size: usize,
) -> Result<Query, StoreError> {
    let cursor: Option<Cursor> = search.cursor.as_deref().map(decode).transpose()?;
    let own = || Arg::Id(tenant.0);
    let by_words = words.is_some();
    let mut by_tag = false;
    let mut query;
    if let Some(words) = words {
        query = Query::new(
            "SELECT a.seq, a.id, a.created_at FROM asset_text CROSS JOIN assets a ON a.seq = asset_text.rowid
             WHERE asset_text MATCH ? AND a.tenant = ?",
            [Arg::Text(words), own()],
        );
        if let Some(cursor) = &cursor {
            query.and("asset_text.rowid < ?", [Arg::Number(cursor.seq)]);
        }
    } else if let Some(tag) = &search.tag {
        by_tag = true;
        query = Query::new(
            "SELECT a.seq, a.id, a.created_at FROM tags g CROSS JOIN assets a ON a.id = g.asset
             WHERE g.tenant = ? AND g.tag = ?",
            [own(), Arg::Text(tag.clone())],
        );
    } else if let Some(code) = &search.code {
        // As many as failed so: they are sorted.
        query = Query::new(
            "SELECT a.seq, a.id, a.created_at FROM (
                SELECT DISTINCT asset FROM tasks INDEXED BY tasks_by_code WHERE tenant = ? AND error_code = ?) f
             CROSS JOIN assets a ON a.id = f.asset WHERE a.tenant = ?",
            [own(), Arg::Text(code.clone()), own()],
        );
    } else {
        let index = match (search.state, &search.media_type, &search.media.codec) {
            (Some(AssetState::InReview), ..) => "assets_in_review",
            // Nearly all are ready, and of one kind there may be few.
            (Some(AssetState::Ready), None, None) if search.kind.is_some() => "assets_by_kind",
            (Some(_), ..) => "assets_by_state",
            (None, _, Some(_)) => "assets_by_codec",
            (None, Some(_), None) => "assets_by_type",
            (None, None, None) if search.kind.is_some() => "assets_by_kind",
            (None, None, None) => "assets_newest",
        };
        let sql = format!(
            "SELECT a.seq, a.id, a.created_at FROM assets a INDEXED BY {index} WHERE a.tenant = ?"
        );
        query = Query::new(sql, [own()]);
    }
    narrow(&mut query, search, "a.in_review = 1");
    if let (Some(tag), true) = (&search.tag, by_words) {
        query.and(
            "EXISTS (SELECT 1 FROM tags g WHERE g.tenant = ? AND g.tag = ?
                     AND g.created_at = a.created_at AND g.asset = a.id)",
            [own(), Arg::Text(tag.clone())],
        );
    }
    let (at, asset) = match by_tag {
        true => ("g.created_at", "g.asset"),
        false => ("a.created_at", "a.id"),
    };
    during(&mut query, search, at);
    if let (Some(cursor), false) = (&cursor, by_words) {
        let last = [Arg::Number(cursor.at), Arg::Id(cursor.id.0)];
        query.and(&format!("({at}, {asset}) < (?, ?)"), last);
    }
    Ok(match by_words {
        true => query.page("asset_text.rowid DESC", size),
        false => query.page(&format!("{at} DESC, {asset} DESC"), size),
    })
}

/// A page of assets, newest first.
pub(super) fn page(
    conn: &Connection,
    frozen: &Frozen,
    tenant: TenantId,
    search: &Search,
) -> Result<AssetPage, StoreError> {
    let size = page_size(search.limit)?;
    let words = search.text.as_deref().filter(|t| !t.trim().is_empty());
    let words = match words.map(expression) {
        Some(None) => {
            return Ok(AssetPage {
                items: Vec::new(),
                next_cursor: None,
            });
        }
        words => words.flatten(),
    };
    let query = statement(tenant, search, words, size)?;
    let mut statement = conn.prepare_cached(&query.sql)?;
    let mut found = statement
        .query_map(params_from_iter(query.args), |row| {
            Ok(Cursor {
                at: row.get("created_at")?,
                id: id(row, "id")?,
                seq: row.get("seq")?,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let next_cursor = cut(&mut found, size, Clone::clone);
    let items = found.iter().map(|c| record::asset(conn, frozen, c.id));
    Ok(AssetPage {
        items: items.collect::<Result<_, _>>()?,
        next_cursor,
    })
}

impl ToSql for Arg {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Id(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Self::Text(text) => text.as_str().into(),
            Self::Number(number) => (*number).into(),
            Self::Real(number) => (*number).into(),
            Self::Flag(flag) => (*flag).into(),
        })
    }
}

/// Brings the word index in line with the asset's row.
pub(super) fn index_words(conn: &Connection, asset: AssetId) -> Result<(), StoreError> {
    let (seq, state, text) = conn
        .prepare_cached(
            "SELECT seq, state, title, filename, tags, search_text FROM assets WHERE id = ?1",
        )?
        .query_row([asset.as_bytes()], |row| {
            let title: Option<String> = row.get("title")?;
            let filename: Option<String> = row.get("filename")?;
            let tags: Vec<String> = json(row, "tags")?;
            let inspected: Option<String> = row.get("search_text")?;
            let text = words(
                title.as_deref(),
                filename.as_deref(),
                &tags,
                inspected.as_deref(),
            );
            let seq: i64 = row.get("seq")?;
            Ok((seq, named(row, "state", AssetState::parse)?, text))
        })?;
    conn.prepare_cached("DELETE FROM asset_text WHERE rowid = ?1")?
        .execute([seq])?;
    if state != AssetState::Deleted {
        conn.prepare_cached("INSERT INTO asset_text (rowid, words) VALUES (?1, ?2)")?
            .execute(params![seq, text])?;
    }
    Ok(())
}

/// Makes an asset findable by its tags.
pub(super) fn add_tags(
    s: &Session<'_>,
    tenant: TenantId,
    asset: AssetId,
    created_at: Timestamp,
    tags: &[String],
) -> Result<(), StoreError> {
    let mut statement = s
        .conn
        .prepare_cached("INSERT OR IGNORE INTO tags VALUES (?1, ?2, ?3, ?4)")?;
    for tag in tags {
        statement.execute(params![
            tenant.as_bytes(),
            tag,
            created_at.0,
            asset.as_bytes()
        ])?;
    }
    Ok(())
}

/// Undoes [`add_tags`].
pub(super) fn remove_tags(
    s: &Session<'_>,
    tenant: TenantId,
    asset: AssetId,
    created_at: Timestamp,
    tags: &[String],
) -> Result<(), StoreError> {
    let mut statement = s.conn.prepare_cached(
        "DELETE FROM tags WHERE tenant = ?1 AND tag = ?2 AND created_at = ?3 AND asset = ?4",
    )?;
    for tag in tags {
        statement.execute(params![
            tenant.as_bytes(),
            tag,
            created_at.0,
            asset.as_bytes()
        ])?;
    }
    Ok(())
}
