//! An asset as the outside sees it, put together from its rows.

use super::frozen::Frozen;
use super::live;
use super::rows::{id, json, maybe_json, named, sha, time};
use crate::{AssetRecord, MediaFacts, Original, RunRecord, StoreError};
use mediaflow_core::operation::Facts;
use mediaflow_core::{
    AssetId, AssetOptions, AssetState, ErrorCode, Kind, Operation, Run, Visibility,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

const ASSET: &str = "SELECT a.id, a.tenant, a.state AS asset_state, a.published, a.kind, a.original_sha256,
        a.original_bytes, a.media_type, a.filename, a.width, a.height, a.fact_pixels, a.fact_frames, a.fact_bytes,
        a.duration_ms, a.container, a.codec, a.frame_rate, a.has_sound, a.hdr,
        a.title, a.tags, a.metadata, a.visibility, a.watermark, a.focus, a.correlation_id, a.created_at,
        max(a.updated_at, r.updated_at) AS updated_at,
        r.generation, r.state, r.verdict, r.steps, r.sequence, r.recipe
     FROM assets a JOIN runs r ON r.asset = a.id AND r.generation = a.generation
     WHERE a.id = ?1";

/// The operation that measures how loud an asset is.
const LOUDNESS: &str = "audio.loudness";

/// Everything known of an asset but its tasks and renditions.
pub(super) fn asset(
    conn: &Connection,
    frozen: &Frozen,
    asset: AssetId,
) -> Result<AssetRecord, StoreError> {
    let mut statement = conn.prepare_cached(ASSET)?;
    let mut rows = statement.query([asset.as_bytes()])?;
    let row = rows.next()?.ok_or(StoreError::AssetNotFound)?;
    let recipe_hash = sha(row, "recipe")?;
    let recipe = frozen.recipe(conn, recipe_hash)?;
    let identity = (recipe.name.clone(), recipe.version, recipe_hash);
    let run = live::run(row, recipe)?;
    let state = named(row, "asset_state", AssetState::parse)?;
    let published: u32 = row.get("published")?;
    let kind = named(row, "kind", Kind::parse)?;
    let moderation = facts(conn, asset, Operation::Moderate.name())?;
    let is_gone = matches!(state, AssetState::Rejected | AssetState::Deleted);
    Ok(AssetRecord {
        id: asset,
        tenant: id(row, "tenant")?,
        state,
        viewable: !is_gone && (published > 0 || run.is_viewable()),
        kind,
        original: original(row)?,
        media: media(row)?,
        facts: Facts {
            pixels: row.get("fact_pixels")?,
            frames: row.get("fact_frames")?,
            bytes: row.get("fact_bytes")?,
        },
        options: options(row)?,
        published,
        error: error(conn, asset, state, &run, moderation.as_ref())?,
        run: RunRecord {
            generation: run.generation,
            state: run.state,
            progress: run.progress(),
            recipe: identity,
        },
        inspected: match kind {
            Kind::Image => facts(conn, asset, Operation::Inspect.name())?,
            Kind::Video => facts(conn, asset, Operation::VideoInspect.name())?,
            Kind::Audio => facts(conn, asset, Operation::AudioInspect.name())?,
        },
        loudness: match kind {
            Kind::Image => None,
            Kind::Video | Kind::Audio => facts(conn, asset, LOUDNESS)?,
        },
        storyboard: facts(conn, asset, Operation::VideoStoryboard.name())?,
        placeholder: facts(conn, asset, Operation::Placeholder.name())?,
        moderation,
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

fn facts(conn: &Connection, asset: AssetId, operation: &str) -> Result<Option<Value>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT json FROM facts WHERE asset = ?1 AND operation = ?2")?;
    Ok(statement
        .query_row(params![asset.as_bytes(), operation], |row| {
            json(row, "json")
        })
        .optional()?)
}

/// The first required step that is dead tells why a run failed.
fn error(
    conn: &Connection,
    asset: AssetId,
    state: AssetState,
    run: &Run,
    moderation: Option<&Value>,
) -> Result<Option<(String, String)>, StoreError> {
    if state == AssetState::Rejected {
        let code = ErrorCode::ModerationRejected;
        let reason = moderation.and_then(|m| m["reason"].as_str());
        let text = reason.unwrap_or(code.meaning());
        return Ok(Some((code.as_str().into(), text.into())));
    }
    let steps = run.recipe.steps.iter().zip(&run.steps);
    let dead = steps
        .enumerate()
        .find(|(_, (step, status))| status.dead > 0 && !step.optional);
    let (AssetState::Failed, Some((step, _))) = (state, dead) else {
        return Ok(None);
    };
    let mut statement = conn.prepare_cached(
        "SELECT error_code, error_message FROM tasks
         WHERE asset = ?1 AND generation = ?2 AND step = ?3 AND state = 'dead' ORDER BY number LIMIT 1",
    )?;
    let found = statement
        .query_row(params![asset.as_bytes(), run.generation, step], |row| {
            super::rows::error(row, "error_code", "error_message")
        })
        .optional()?;
    Ok(found.flatten())
}
