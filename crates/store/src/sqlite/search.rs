//! Finding assets: one index leads, the other conditions filter, a keyset pages.

use super::frozen::Frozen;
use super::record;
use super::rows::{clamp, id, json, named, to_json};
use super::writer::Session;
use crate::{AssetPage, MediaFilter, Search, StoreError};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use mediaflow_core::{AssetId, AssetState, TenantId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Pictures in a second by which a searched rate may differ.
const RATE_SLACK: f64 = 0.005;

/// The last item of a page: by time for most searches, by number for words, whose index knows only that.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    at: i64,
    id: AssetId,
    seq: i64,
}

/// A statement under construction.
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) args: Vec<Value>,
}

impl Query {
    pub(super) fn new(sql: &str) -> Self {
        Self {
            sql: sql.into(),
            args: Vec::new(),
        }
    }

    /// Adds a condition with `?` where the values go.
    pub(super) fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.args.extend(values);
    }
}

/// Opaque text for the outside.
pub(super) fn encode<T: Serialize>(cursor: &T) -> String {
    BASE64.encode(to_json(cursor))
}

/// What an earlier page gave out.
pub(super) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    let bytes = BASE64.decode(text).ok();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| StoreError::InvalidQuery("the cursor is not one of this list".into()))
}

/// One more than the page's size tells whether there is another page.
pub(super) fn page_size(limit: u32) -> Result<usize, StoreError> {
    match limit {
        1..=200 => Ok(limit as usize),
        _ => Err(StoreError::InvalidQuery("`limit` is 1 to 200".into())),
    }
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
    let own = || Value::from(tenant.as_bytes().to_vec());
    let by_words = words.is_some();
    let mut by_tag = false;
    let mut query;
    if let Some(words) = words {
        query = Query::new(
            "SELECT a.seq, a.id, a.created_at FROM asset_text CROSS JOIN assets a ON a.seq = asset_text.rowid
             WHERE asset_text MATCH ?",
        );
        query.args.push(words.into());
        query.and("a.tenant = ?", [own()]);
        if let Some(cursor) = &cursor {
            query.and("asset_text.rowid < ?", [cursor.seq.into()]);
        }
    } else if let Some(tag) = &search.tag {
        by_tag = true;
        query = Query::new(
            "SELECT a.seq, a.id, a.created_at FROM tags g CROSS JOIN assets a ON a.id = g.asset
             WHERE g.tenant = ? AND g.tag = ?",
        );
        query.args.extend([own(), tag.clone().into()]);
    } else {
        let index = match (search.state, &search.media_type, &search.media.codec) {
            (Some(AssetState::InReview), ..) => "assets_in_review",
            (Some(_), ..) => "assets_by_state",
            (None, _, Some(_)) => "assets_by_codec",
            (None, Some(_), None) => "assets_by_type",
            (None, None, None) => "assets_newest",
        };
        query = Query::new(&format!(
            "SELECT a.seq, a.id, a.created_at FROM assets a INDEXED BY {index} WHERE a.tenant = ?"
        ));
        query.args.push(own());
    }
    match search.state {
        // What waits for a person is found though an older generation is ready and shows.
        Some(AssetState::InReview) => query.and("a.in_review = 1", []),
        Some(state) => query.and("a.state = ?", [state.as_str().to_owned().into()]),
        None => query.and("a.state <> 'deleted'", []),
    }
    if let Some(media_type) = &search.media_type {
        query.and("a.media_type = ?", [media_type.clone().into()]);
    }
    if let Some(kind) = search.kind {
        query.and("a.kind = ?", [kind.as_str().to_owned().into()]);
    }
    media(&mut query, &search.media);
    if let (Some(tag), true) = (&search.tag, by_words) {
        query.and(
            "EXISTS (SELECT 1 FROM tags g WHERE g.tenant = ? AND g.tag = ?
                     AND g.created_at = a.created_at AND g.asset = a.id)",
            [own(), tag.clone().into()],
        );
    }
    let (at, asset) = match by_tag {
        true => ("g.created_at", "g.asset"),
        false => ("a.created_at", "a.id"),
    };
    if let Some(since) = search.since {
        query.and(&format!("{at} >= ?"), [since.0.into()]);
    }
    if let Some(until) = search.until {
        query.and(&format!("{at} < ?"), [until.0.into()]);
    }
    if let (Some(cursor), false) = (&cursor, by_words) {
        let last = [cursor.at.into(), cursor.id.as_bytes().to_vec().into()];
        query.and(&format!("({at}, {asset}) < (?, ?)"), last);
    }
    let order = match by_words {
        true => "asset_text.rowid DESC".to_owned(),
        false => format!("{at} DESC, {asset} DESC"),
    };
    query
        .sql
        .push_str(&format!(" ORDER BY {order} LIMIT {}", size + 1));
    Ok(query)
}

fn media(query: &mut Query, wanted: &MediaFilter) {
    for (column, is) in [
        ("codec", &wanted.codec),
        ("container", &wanted.container),
        ("hdr", &wanted.hdr),
    ] {
        if let Some(is) = is {
            query.and(&format!("a.{column} = ?"), [is.clone().into()]);
        }
    }
    if let Some(has_sound) = wanted.has_sound {
        query.and("a.has_sound = ?", [has_sound.into()]);
    }
    for (column, (least, most)) in [
        ("duration_ms", wanted.duration_ms),
        ("width", wanted.width),
        ("height", wanted.height),
    ] {
        for (sign, bound) in [(">=", least), ("<=", most)] {
            if let Some(bound) = bound {
                query.and(&format!("a.{column} {sign} ?"), [Value::from(clamp(bound))]);
            }
        }
    }
    // A rate of 30000/1001 is asked for as 29.97.
    let (least, most) = wanted.frame_rate;
    for (sign, bound) in [
        (">=", least.map(|r| r - RATE_SLACK)),
        ("<=", most.map(|r| r + RATE_SLACK)),
    ] {
        if let Some(bound) = bound {
            query.and(&format!("a.frame_rate {sign} ?"), [bound.into()]);
        }
    }
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
    let found = statement
        .query_map(params_from_iter(query.args), |row| {
            Ok(Cursor {
                at: row.get("created_at")?,
                id: id(row, "id")?,
                seq: row.get("seq")?,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let items = found.iter().take(size);
    let items = items.map(|c| record::asset(conn, frozen, c.id));
    Ok(AssetPage {
        items: items.collect::<Result<_, _>>()?,
        next_cursor: (found.len() > size).then(|| encode(&found[size - 1])),
    })
}

/// What an asset is found by.
pub(super) fn words(
    title: Option<&str>,
    filename: Option<&str>,
    tags: &[String],
    inspected: Option<&str>,
) -> String {
    let named = [title, filename, inspected].into_iter().flatten();
    let all = named.chain(tags.iter().map(String::as_str));
    all.collect::<Vec<_>>().join("\n")
}

/// Brings the word index in line with the asset's row.
pub(super) fn index_words(s: &Session<'_>, asset: AssetId) -> Result<(), StoreError> {
    let (seq, state, text) = s
        .conn
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
    s.conn
        .prepare_cached("DELETE FROM asset_text WHERE rowid = ?1")?
        .execute([seq])?;
    if state != AssetState::Deleted {
        s.conn
            .prepare_cached("INSERT INTO asset_text (rowid, words) VALUES (?1, ?2)")?
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
