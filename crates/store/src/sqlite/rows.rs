//! Between columns and the core's types. Statements of which each task needs several ask for columns by their place: finding a
//! name was measured to cost a twelfth of such a task.

use crate::{StoreError, Waiting};
use mediaflow_core::{Queue, Sha256, Timestamp};
use rusqlite::ffi::ErrorCode as Code;
use rusqlite::types::Type;
use rusqlite::{Error, Result, Row, RowIndex};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A column that holds an id.
pub(super) fn id<T: From<Uuid>>(row: &Row<'_>, column: impl RowIndex) -> Result<T> {
    Ok(T::from(Uuid::from_bytes(row.get(column)?)))
}

/// A column that holds a digest.
pub(super) fn sha(row: &Row<'_>, column: impl RowIndex) -> Result<Sha256> {
    Ok(Sha256(row.get(column)?))
}

/// A column that holds a time.
pub(super) fn time(row: &Row<'_>, column: impl RowIndex) -> Result<Timestamp> {
    Ok(Timestamp(row.get(column)?))
}

/// A column that holds a time or nothing.
pub(super) fn maybe_time(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp))
}

/// A column that holds one of the core's names.
pub(super) fn named<T>(
    row: &Row<'_>,
    column: impl RowIndex,
    parse: fn(&str) -> Option<T>,
) -> Result<T> {
    let index = column.idx(row.as_ref())?;
    let text = row.get_ref(index)?.as_str()?;
    parse(text).ok_or_else(|| {
        let column = row.as_ref().column_name(index).unwrap_or_default();
        unreadable(index, format!("unknown {column} `{text}`"))
    })
}

/// A column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T> {
    let index = row.as_ref().column_index(column)?;
    let text = row.get_ref(index)?.as_str()?;
    serde_json::from_str(text).map_err(|e| unreadable(index, format!("{column}: {e}")))
}

/// A column that holds JSON or nothing.
pub(super) fn maybe_json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: impl RowIndex,
) -> Result<Option<T>> {
    let index = column.idx(row.as_ref())?;
    match row.get_ref(index)?.as_str_or_null()? {
        None => Ok(None),
        Some(text) => serde_json::from_str(text)
            .map(Some)
            .map_err(|e| unreadable(index, e.to_string())),
    }
}

/// Two columns that hold an error's code and text, or nothing.
pub(super) fn error(row: &Row<'_>, code: &str, message: &str) -> Result<Option<(String, String)>> {
    let code: Option<String> = row.get(code)?;
    let message: Option<String> = row.get(message)?;
    Ok(code.map(|code| (code, message.unwrap_or_default())))
}

/// Plain data as JSON text.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with text keys is always JSON")
}

/// A number that SQLite can hold; estimates saturate.
pub(super) fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unreadable(index: usize, message: String) -> Error {
    Error::FromSqlConversionFailure(index, Type::Text, message.into())
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.sqlite_error_code() {
            Some(Code::DiskFull | Code::ReadOnly | Code::CannotOpen) => {
                Self::Full(error.to_string())
            }
            _ => Self::Database(Box::new(error)),
        }
    }
}

/// A task that can be claimed: `id`, `asset`, `queue` and `lane`.
pub(super) fn waiting(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        task: id(row, "id")?,
        asset: id(row, "asset")?,
        queue: named(row, "queue", Queue::parse)?,
        lane: row.get("lane")?,
    })
}
