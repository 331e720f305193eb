//! An asset's rows.

use super::rows::{get, id, json, maybe_json, maybe_number, named, number, sha, time};
use super::{Session, live};
use crate::record::Found;
use crate::{AssetRecord, MediaFacts, Original, StoreError};
use mediaflow_core::{AssetId, AssetOptions, AssetState, Kind, Visibility};
use std::collections::HashMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// All of an asset in one statement, so that its parts are of one moment.
const ASSETS: &str = "SELECT a.id, a.tenant, a.state AS asset_state, a.published, a.kind, a.original_sha256,
        a.original_bytes, a.media_type, a.filename, a.width, a.height, a.fact_pixels, a.fact_frames, a.fact_bytes,
        a.duration_ms, a.container, a.codec, a.frame_rate, a.has_sound, a.hdr,
        a.title, a.tags, a.metadata, a.visibility, a.watermark, a.focus, a.correlation_id, a.created_at,
        greatest(a.updated_at, r.updated_at) AS updated_at,
        r.generation, r.state, r.verdict, r.steps, r.sequence, r.recipe,
        (SELECT json_object_agg(f.operation, f.json)::text FROM facts f WHERE f.asset = a.id) AS found,
        CASE WHEN a.state = 'failed' THEN (
            SELECT json_agg(json_build_array(t.step, t.error_code, t.error_message) ORDER BY t.number)::text
            FROM (SELECT DISTINCT ON (step) step, number, error_code, error_message FROM tasks
                  WHERE asset = a.id AND generation = r.generation AND state = 'dead' ORDER BY step, number) t)
        END AS dead
     FROM unnest($1::uuid[]) WITH ORDINALITY w (id, place)
          JOIN assets a ON a.id = w.id JOIN runs r ON r.asset = a.id AND r.generation = a.generation
     ORDER BY w.place";

/// A step, and the code and text of its dead task.
type Dead = (usize, Option<String>, Option<String>);

/// Everything known of an asset but its tasks and renditions.
pub(super) async fn asset(s: &Session, asset: AssetId) -> Result<AssetRecord, StoreError> {
    let mut found = assets(s, &[asset]).await?;
    found.pop().ok_or(StoreError::AssetNotFound)
}

/// The same of several, in this order.
pub(super) async fn assets(s: &Session, ids: &[AssetId]) -> Result<Vec<AssetRecord>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut records = Vec::with_capacity(ids.len());
    for row in s.query(ASSETS, &[&ids]).await? {
        let found = found(s, &row).await?;
        let facts: Option<HashMap<String, String>> = maybe_json(&row, "found")?;
        let dead: Option<Vec<Dead>> = maybe_json(&row, "dead")?;
        let failed = found.failed_step();
        let mut dead = dead.unwrap_or_default().into_iter();
        let failure = dead
            .find(|(step, ..)| Some(*step) == failed)
            .and_then(|(_, code, text)| Some((code?, text.unwrap_or_default())));
        records.push(found.record(&facts.unwrap_or_default(), failure)?);
    }
    Ok(records)
}

async fn found(s: &Session, row: &Row) -> Result<Found, StoreError> {
    Ok(Found {
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        state: named(row, "asset_state", AssetState::parse)?,
        kind: named(row, "kind", Kind::parse)?,
        original: original(row)?,
        media: media(row)?,
        facts: live::facts(row)?,
        options: options(row)?,
        published: number(row, "published")?,
        run: live::run(s, row).await?,
        recipe: sha(row, "recipe")?,
        correlation_id: get(row, "correlation_id")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        last_sequence: number(row, "sequence")?,
    })
}

fn original(row: &Row) -> Result<Original, StoreError> {
    let width: Option<u32> = maybe_number(row, "width")?;
    let height: Option<u32> = maybe_number(row, "height")?;
    Ok(Original {
        bytes: number(row, "original_bytes")?,
        sha256: sha(row, "original_sha256")?,
        media_type: get(row, "media_type")?,
        filename: get(row, "filename")?,
        dimensions: width.zip(height),
    })
}

fn media(row: &Row) -> Result<Option<MediaFacts>, StoreError> {
    let Some(container) = get(row, "container")? else {
        return Ok(None);
    };
    Ok(Some(MediaFacts {
        duration_ms: number(row, "duration_ms")?,
        container,
        codec: get(row, "codec")?,
        frame_rate: get(row, "frame_rate")?,
        has_sound: get(row, "has_sound")?,
        hdr: get(row, "hdr")?,
    }))
}

/// What the user says, from the asset's columns.
pub(super) fn options(row: &Row) -> Result<AssetOptions, StoreError> {
    Ok(AssetOptions {
        title: get(row, "title")?,
        tags: json(row, "tags")?,
        metadata: json(row, "metadata")?,
        visibility: named(row, "visibility", Visibility::parse)?,
        watermark: get(row, "watermark")?,
        focus: maybe_json(row, "focus")?,
    })
}
