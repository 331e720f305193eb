//! Lists that both databases answer page by page: their conditions, cursors and sizes. Which index leads is each store's own matter.

use crate::{MediaFilter, ReplayFilter, Search, StoreError, TaskFilter, TaskPage, TaskRecord};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use mediaflow_core::{AssetId, AssetState, TaskId, TenantId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// Pictures in a second by which a searched rate may differ.
const RATE_SLACK: f64 = 0.005;

/// A value in a statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arg {
    /// An id.
    Id(Uuid),
    /// Text.
    Text(String),
    /// A whole number or a time.
    Number(i64),
    /// An approximate number.
    Real(f64),
    /// True or false.
    Flag(bool),
}

/// A statement under construction, with `?` where the values go.
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) args: Vec<Arg>,
}

impl Query {
    /// Up to its first conditions.
    pub(crate) fn new(sql: impl Into<String>, args: impl IntoIterator<Item = Arg>) -> Self {
        Self {
            sql: sql.into(),
            args: args.into_iter().collect(),
        }
    }

    /// Adds a condition.
    pub(crate) fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Arg>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.args.extend(values);
    }

    /// Ends it so that it finds one more than fits the page, which tells whether there is another.
    pub(crate) fn page(mut self, order: &str, size: usize) -> Self {
        self.sql
            .push_str(&format!(" ORDER BY {order} LIMIT {}", size + 1));
        self
    }
}

/// Opaque text for the outside.
pub(crate) fn encode<T: Serialize>(cursor: &T) -> String {
    let json = serde_json::to_string(cursor).expect("places in lists are plain data");
    BASE64.encode(json)
}

/// What an earlier page gave out.
pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    let bytes = BASE64.decode(text).ok();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| StoreError::InvalidQuery("the cursor is not one of this list".into()))
}

/// The page's size, if that is allowed.
pub(crate) fn page_size(limit: u32) -> Result<usize, StoreError> {
    match limit {
        1..=200 => Ok(limit as usize),
        _ => Err(StoreError::InvalidQuery("`limit` is 1 to 200".into())),
    }
}

/// Cuts what was found to the page's size; answers the cursor of the next page, where there is one.
pub(crate) fn cut<T, C: Serialize>(
    found: &mut Vec<T>,
    size: usize,
    place: impl Fn(&T) -> C,
) -> Option<String> {
    let more = found.len() > size;
    found.truncate(size);
    found
        .last()
        .filter(|_| more)
        .map(|last| encode(&place(last)))
}

/// What an asset `a` must be, but for words, tags and time. `in_review` is the condition as the database's index has it.
pub(crate) fn narrow(query: &mut Query, search: &Search, in_review: &str) {
    match search.state {
        // What waits for a person is found though an older generation is ready and shows.
        Some(AssetState::InReview) => query.and(in_review, []),
        Some(state) => query.and("a.state = ?", [Arg::Text(state.as_str().into())]),
        None => query.and("a.state <> 'deleted'", []),
    }
    if let Some(media_type) = &search.media_type {
        query.and("a.media_type = ?", [Arg::Text(media_type.clone())]);
    }
    if let Some(kind) = search.kind {
        query.and("a.kind = ?", [Arg::Text(kind.as_str().into())]);
    }
    if let Some(code) = &search.code {
        query.and(
            "EXISTS (SELECT 1 FROM tasks t WHERE t.asset = a.id AND t.generation = a.generation
                     AND t.state = 'dead' AND t.error_code = ?)",
            [Arg::Text(code.clone())],
        );
    }
    media(query, &search.media);
}

fn media(query: &mut Query, wanted: &MediaFilter) {
    for (column, is) in [
        ("codec", &wanted.codec),
        ("container", &wanted.container),
        ("hdr", &wanted.hdr),
    ] {
        if let Some(is) = is {
            query.and(&format!("a.{column} = ?"), [Arg::Text(is.clone())]);
        }
    }
    if let Some(has_sound) = wanted.has_sound {
        query.and("a.has_sound = ?", [Arg::Flag(has_sound)]);
    }
    for (column, (least, most)) in [
        ("duration_ms", wanted.duration_ms),
        ("width", wanted.width),
        ("height", wanted.height),
    ] {
        for (sign, bound) in [(">=", least), ("<=", most)] {
            if let Some(bound) = bound {
                let bound = i64::try_from(bound).unwrap_or(i64::MAX);
                query.and(&format!("a.{column} {sign} ?"), [Arg::Number(bound)]);
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
            query.and(&format!("a.frame_rate {sign} ?"), [Arg::Real(bound)]);
        }
    }
}

/// When an asset was created, by the column that the leading index has.
pub(crate) fn during(query: &mut Query, search: &Search, at: &str) {
    if let Some(since) = search.since {
        query.and(&format!("{at} >= ?"), [Arg::Number(since.0)]);
    }
    if let Some(until) = search.until {
        query.and(&format!("{at} < ?"), [Arg::Number(until.0)]);
    }
}

/// The tasks `t` of one generation in recipe order; `select` is all before the first condition.
pub(crate) fn tasks_of_asset(
    select: &str,
    (asset, generation): (AssetId, u32),
    filter: &TaskFilter,
    size: usize,
) -> Result<Query, StoreError> {
    let args = [Arg::Id(asset.0), Arg::Number(generation.into())];
    let mut query = Query::new(
        format!("{select} WHERE t.asset = ? AND t.generation = ?"),
        args,
    );
    narrow_tasks(&mut query, filter);
    if let Some(cursor) = &filter.cursor {
        let (step, number): (u32, u32) = decode(cursor)?;
        let last = [Arg::Number(step.into()), Arg::Number(number.into())];
        query.and("(t.step, t.number) > (?, ?)", last);
    }
    Ok(query.page("t.step, t.number", size))
}

/// A tenant's tasks `t`, newest first.
pub(crate) fn tasks_of_all(
    select: &str,
    tenant: TenantId,
    filter: &TaskFilter,
    size: usize,
) -> Result<Query, StoreError> {
    let mut query = Query::new(format!("{select} WHERE t.tenant = ?"), [Arg::Id(tenant.0)]);
    narrow_tasks(&mut query, filter);
    if let Some(cursor) = &filter.cursor {
        let last: TaskId = decode(cursor)?;
        query.and("t.id < ?", [Arg::Id(last.0)]);
    }
    Ok(query.page("t.id DESC", size))
}

fn narrow_tasks(query: &mut Query, filter: &TaskFilter) {
    if let Some(state) = filter.state {
        query.and("t.state = ?", [Arg::Text(state.as_str().into())]);
    }
    failed_as(query, filter.code.as_ref(), filter.operation.as_ref());
}

/// What tasks `t` are of, and with what they failed last.
fn failed_as(query: &mut Query, code: Option<&String>, operation: Option<&String>) {
    for (column, is) in [("error_code", code), ("operation", operation)] {
        if let Some(is) = is {
            query.and(&format!("t.{column} = ?"), [Arg::Text(is.clone())]);
        }
    }
}

/// The page of tasks that were found, each with its step and number.
pub(crate) fn tasks_page(
    mut found: Vec<(TaskRecord, (u32, u32))>,
    filter: &TaskFilter,
    size: usize,
) -> TaskPage {
    let next_cursor = match filter.asset {
        Some(_) => cut(&mut found, size, |(_, place)| *place),
        None => cut(&mut found, size, |(task, _)| task.id),
    };
    TaskPage {
        items: found.into_iter().map(|(task, _)| task).collect(),
        next_cursor,
    }
}

/// The dead tasks `t` of newest runs of assets `a` that may be replayed, oldest first.
pub(crate) fn replayable(
    select: &str,
    tenant: TenantId,
    filter: &ReplayFilter,
    limit: u32,
) -> Query {
    let sql = format!(
        "{select} WHERE t.tenant = ? AND t.state = 'dead' AND t.generation = a.generation
           AND a.state NOT IN ('rejected', 'deleted')"
    );
    let mut query = Query::new(sql, [Arg::Id(tenant.0)]);
    failed_as(&mut query, filter.code.as_ref(), filter.operation.as_ref());
    if let Some(since) = filter.since {
        query.and("t.finished_at >= ?", [Arg::Number(since.0)]);
    }
    query.sql.push_str(&format!(" ORDER BY t.id LIMIT {limit}"));
    query
}
