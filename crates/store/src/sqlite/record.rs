//! An asset's rows.

use super::live;
use super::rows::{id, json, maybe_json, named, sha, time};
use crate::frozen::Frozen;
use crate::record::Found;
use crate::{AssetRecord, MediaFacts, Original, StoreError};
use mediaflow_core::operation::Facts;
use mediaflow_core::{AssetId, AssetOptions, AssetState, Kind, Visibility};
use rusqlite::{Connection, OptionalExtension, Row, params};

const ASSET: &str = "SELECT a.id, a.tenant, a.state AS asset_state, a.published, a.kind, a.original_sha256,
        a.original_bytes, a.media_type, a.filename, a.width, a.height, a.fact_pixels, a.fact_frames, a.fact_bytes,
        a.duration_ms, a.container, a.codec, a.frame_rate, a.has_sound, a.hdr,
        a.title, a.tags, a.metadata, a.visibility, a.watermark, a.focus, a.correlation_id, a.created_at,
        max(a.updated_at, r.updated_at) AS updated_at,
        r.generation, r.state, r.verdict, r.steps, r.sequence, r.recipe
     FROM assets a JOIN runs r ON r.asset = a.id AND r.generation = a.generation
     WHERE a.id = ?1";

/// Everything known of an asset but its tasks and renditions.
pub(super) fn asset(
    conn: &Connection,
    frozen: &Frozen,
    asset: AssetId,
) -> Result<AssetRecord, StoreError> {
    let found = found(conn, frozen, asset)?;
    let failure = match found.failed_step() {
        Some(step) => failure(conn, asset, found.run.generation, step)?,
        None => None,
    };
    let mut statement =
        conn.prepare_cached("SELECT operation, json FROM facts WHERE asset = ?1")?;
    let facts = statement
        .query_map([asset.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    found.record(&facts, failure)
}

fn found(conn: &Connection, frozen: &Frozen, asset: AssetId) -> Result<Found, StoreError> {
    let mut statement = conn.prepare_cached(ASSET)?;
    let mut rows = statement.query([asset.as_bytes()])?;
    let row = rows.next()?.ok_or(StoreError::AssetNotFound)?;
    let recipe = sha(row, "recipe")?;
    Ok(Found {
        id: asset,
        tenant: id(row, "tenant")?,
        state: named(row, "asset_state", AssetState::parse)?,
        kind: named(row, "kind", Kind::parse)?,
        original: original(row)?,
        media: media(row)?,
        facts: Facts {
            pixels: row.get("fact_pixels")?,
            frames: row.get("fact_frames")?,
            bytes: row.get("fact_bytes")?,
        },
        options: options(row)?,
        published: row.get("published")?,
        run: live::run(row, frozen.recipe(conn, recipe)?)?,
        recipe,
        correlation_id: row.get("correlation_id")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        last_sequence: row.get("sequence")?,
    })
}

fn original(row: &Row<'_>) -> rusqlite::Result<Original> {
    let width: Option<u32> = row.get("width")?;
    let height: Option<u32> = row.get("height")?;
    Ok(Original {
        bytes: row.get("original_bytes")?,
        sha256: sha(row, "original_sha256")?,
        media_type: row.get("media_type")?,
        filename: row.get("filename")?,
        dimensions: width.zip(height),
    })
}

fn media(row: &Row<'_>) -> rusqlite::Result<Option<MediaFacts>> {
    let Some(container) = row.get("container")? else {
        return Ok(None);
    };
    Ok(Some(MediaFacts {
        duration_ms: row.get("duration_ms")?,
        container,
        codec: row.get("codec")?,
        frame_rate: row.get("frame_rate")?,
        has_sound: row.get("has_sound")?,
        hdr: row.get("hdr")?,
    }))
}

/// What the user says, from the asset's columns.
pub(super) fn options(row: &Row<'_>) -> rusqlite::Result<AssetOptions> {
    Ok(AssetOptions {
        title: row.get("title")?,
        tags: json(row, "tags")?,
        metadata: json(row, "metadata")?,
        visibility: named(row, "visibility", Visibility::parse)?,
        watermark: row.get("watermark")?,
        focus: maybe_json(row, "focus")?,
    })
}

fn failure(
    conn: &Connection,
    asset: AssetId,
    generation: u32,
    step: usize,
) -> Result<Option<(String, String)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT error_code, error_message FROM tasks
         WHERE asset = ?1 AND generation = ?2 AND step = ?3 AND state = 'dead' ORDER BY number LIMIT 1",
    )?;
    let found = statement
        .query_row(params![asset.as_bytes(), generation, step], |row| {
            super::rows::error(row, "error_code", "error_message")
        })
        .optional()?;
    Ok(found.flatten())
}
