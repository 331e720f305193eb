//! Between columns and the core's types.

use crate::{BlobRow, StoreError, Waiting};
use mediaflow_core::{Queue, Sha256, Timestamp};
use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

/// A column that holds just what its Rust type says: text, a flag, an approximate number, or nothing.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, StoreError> {
    Ok(row.try_get(column)?)
}

/// A column that holds a number.
pub(super) fn number<T: TryFrom<i64>>(row: &Row, column: &str) -> Result<T, StoreError> {
    fit(get(row, column)?, column)
}

/// A column that holds a number or nothing.
pub(super) fn maybe_number<T: TryFrom<i64>>(
    row: &Row,
    column: &str,
) -> Result<Option<T>, StoreError> {
    let found: Option<i64> = get(row, column)?;
    found.map(|n| fit(n, column)).transpose()
}

fn fit<T: TryFrom<i64>>(found: i64, column: &str) -> Result<T, StoreError> {
    T::try_from(found).map_err(|_| unreadable(format!("{column} is {found}")))
}

/// A column that holds an id.
pub(super) fn id<T: From<Uuid>>(row: &Row, column: &str) -> Result<T, StoreError> {
    get(row, column).map(|id: Uuid| T::from(id))
}

/// A column that holds a digest.
pub(super) fn sha(row: &Row, column: &str) -> Result<Sha256, StoreError> {
    let bytes: &[u8] = get(row, column)?;
    let bytes = bytes.try_into();
    bytes
        .map(Sha256)
        .map_err(|_| unreadable(format!("{column} is no digest")))
}

/// A column that holds a time.
pub(super) fn time(row: &Row, column: &str) -> Result<Timestamp, StoreError> {
    get(row, column).map(Timestamp)
}

/// A column that holds a time or nothing.
pub(super) fn maybe_time(row: &Row, column: &str) -> Result<Option<Timestamp>, StoreError> {
    get(row, column).map(|ms: Option<i64>| ms.map(Timestamp))
}

/// A column that holds one of the core's names.
pub(super) fn named<T>(
    row: &Row,
    column: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let text: &str = get(row, column)?;
    parse(text).ok_or_else(|| unreadable(format!("unknown {column} `{text}`")))
}

/// A column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(get(row, column)?).map_err(|e| unreadable(format!("{column}: {e}")))
}

/// A column that holds JSON or nothing.
pub(super) fn maybe_json<T: DeserializeOwned>(
    row: &Row,
    column: &str,
) -> Result<Option<T>, StoreError> {
    let text: Option<&str> = get(row, column)?;
    let value = text.map(serde_json::from_str).transpose();
    value.map_err(|e| unreadable(format!("{column}: {e}")))
}

/// The blob in columns `blob_id`, `blob_sha256`, `blob_bytes`, `blob_key`.
pub(super) fn blob(row: &Row) -> Result<BlobRow, StoreError> {
    Ok(BlobRow {
        id: id(row, "blob_id")?,
        sha256: sha(row, "blob_sha256")?,
        bytes: number(row, "blob_bytes")?,
        key: get(row, "blob_key")?,
    })
}

/// A task that can be claimed: `id`, `asset`, `queue` and `lane`.
pub(super) fn waiting(row: &Row) -> Result<Waiting, StoreError> {
    Ok(Waiting {
        task: id(row, "id")?,
        asset: id(row, "asset")?,
        queue: named(row, "queue", Queue::parse)?,
        lane: number(row, "lane")?,
    })
}

/// Plain data as JSON text.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with text keys is always JSON")
}

/// A number as columns hold it; estimates saturate.
pub(super) fn clamp(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

fn unreadable(message: String) -> StoreError {
    StoreError::Database(message.into())
}

/// Two columns that hold an error's code and text, or nothing.
pub(super) fn error(
    row: &Row,
    code: &str,
    message: &str,
) -> Result<Option<(String, String)>, StoreError> {
    let code: Option<String> = get(row, code)?;
    let message: Option<String> = get(row, message)?;
    Ok(code.map(|code| (code, message.unwrap_or_default())))
}
