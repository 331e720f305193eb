//! Tracks and segments: recorded, listed, withdrawn.

use super::blobs::{adopt, blob, let_go, orphan};
use super::live::Live;
use super::rows::{json, named, sha};
use super::shown::shown;
use super::writer::Session;
use super::{SqliteStore, captions, pieces};
use crate::paths::{Paths, add_masters, add_segment, add_track};
use crate::streams::edition;
use crate::{
    BlobRow, NewSegment, NewTrack, Output, Playback, Quality, Segment, StoreError, StreamFile,
    Streams, StreamsStatus, Track, TrackKind, TrackStatus,
};
use async_trait::async_trait;
use mediaflow_core::operation::Packaging;
use mediaflow_core::{AssetId, ErrorCode, Failure, Visibility};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

impl Live {
    /// Why the output cannot be part of this run's streams: encoders must agree to the byte on what a
    /// player is told once.
    pub(super) fn refuses(
        &self,
        s: &Session<'_>,
        output: &Output,
    ) -> Result<Option<Failure>, StoreError> {
        for track in &output.tracks {
            let known: Option<[u8; 32]> = s
                .conn
                .prepare_cached(
                    "SELECT b.sha256 FROM tracks t JOIN blobs b ON b.id = t.blob
                     WHERE t.asset = ?1 AND t.generation = ?2 AND t.name = ?3",
                )?
                .query_row(
                    params![self.asset.as_bytes(), self.run.generation, track.name],
                    |row| row.get(0),
                )
                .optional()?;
            if known.is_some_and(|known| known != track.init.sha256.0) {
                let message = format!(
                    "the initialisation segment of {} differs from the one of other chunks; is another encoder installed here?",
                    track.name
                );
                return Ok(Some(Failure::transient(ErrorCode::OutputMismatch, message)));
            }
        }
        Ok(None)
    }

    /// Records what is new; a segment that is there already stays as it was listed.
    pub(super) fn keep_streams(&self, s: &Session<'_>, output: &Output) -> Result<(), StoreError> {
        for track in &output.tracks {
            self.keep_track(s, track)?;
        }
        for segment in &output.segments {
            self.keep_segment(s, segment)?;
        }
        Ok(())
    }

    fn keep_track(&self, s: &Session<'_>, new: &NewTrack) -> Result<(), StoreError> {
        let init = adopt(s, self.tenant, &new.init)?;
        s.conn
            .prepare_cached(
                "INSERT INTO tracks (asset, generation, name, kind, codecs, width, height, said, timescale,
                                     segments, packaging, blob)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                self.asset.as_bytes(),
                self.run.generation,
                new.name,
                new.kind.as_str(),
                new.codecs,
                new.width,
                new.height,
                new.said.to_string(),
                new.timescale,
                new.segments,
                new.packaging.as_str(),
                init.id.as_bytes(),
            ])?;
        Ok(())
    }

    fn keep_segment(&self, s: &Session<'_>, new: &NewSegment) -> Result<(), StoreError> {
        let blob = adopt(s, self.tenant, &new.blob)?;
        let added = s
            .conn
            .prepare_cached(
                "INSERT INTO segments (asset, generation, track, number, duration, key_bytes, blob)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                self.asset.as_bytes(),
                self.run.generation,
                new.track,
                new.number,
                new.duration,
                new.key_bytes,
                blob.id.as_bytes(),
            ])?;
        if added == 0 {
            return orphan(s, blob.id);
        }
        s.conn
            .prepare_cached(
                "UPDATE tracks SET bytes = bytes + ?4, compared = compared + ?5, ssim_sum = ssim_sum + ?5 * ?6,
                                   ssim_min = min(ssim_min, ?7)
                 WHERE asset = ?1 AND generation = ?2 AND name = ?3",
            )?
            .execute(params![
                self.asset.as_bytes(),
                self.run.generation,
                new.track,
                blob.bytes,
                new.quality.map_or(0, |q| q.frames),
                new.quality.map_or(0.0, |q| q.ssim_mean),
                new.quality.map_or(1.0, |q| q.ssim_min),
            ])?;
        Ok(())
    }
}

/// Removes the streams of generations before `end`.
pub(super) fn withdraw(s: &Session<'_>, asset: AssetId, end: u32) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM segments WHERE asset = ?1 AND generation < ?2 RETURNING blob",
        "DELETE FROM tracks WHERE asset = ?1 AND generation < ?2 RETURNING blob",
    ] {
        let_go(s, sql, params![asset.as_bytes(), end])?;
    }
    Ok(())
}

/// Adds every path under which caches may know these streams.
pub(super) fn add_paths(
    s: &Session<'_>,
    asset: AssetId,
    generations: (u32, u32),
    end: u32,
    paths: &mut Paths,
) -> Result<(), StoreError> {
    let mut statement = s.conn.prepare_cached(
        "SELECT t.name, NULL AS number, t.packaging, b.sha256 FROM tracks t JOIN blobs b ON b.id = t.blob
         WHERE t.asset = ?1 AND t.generation < ?2 AND t.generation IN (?3, ?4)
         UNION ALL
         SELECT g.track, g.number, t.packaging, b.sha256 FROM segments g JOIN blobs b ON b.id = g.blob
         JOIN tracks t ON (t.asset, t.generation, t.name) = (g.asset, g.generation, g.track)
         WHERE g.asset = ?1 AND g.generation < ?2 AND g.generation IN (?3, ?4)",
    )?;
    let mut rows = statement.query(params![asset.as_bytes(), end, generations.0, generations.1])?;
    let mut has_tracks = false;
    while let Some(row) = rows.next()? {
        let (name, sha256): (String, _) = (row.get("name")?, sha(row, "sha256")?);
        let packaging = named(row, "packaging", Packaging::parse)?;
        match row.get("number")? {
            Some(number) => add_segment(paths, asset, (&name, packaging), number, sha256),
            None => {
                has_tracks = true;
                add_track(paths, asset, generations.1, (&name, packaging), sha256);
            }
        }
    }
    if has_tracks {
        let captions = captions::of_generation(s.conn, asset, generations.1)?;
        add_masters(paths, asset, generations.1, &captions);
    }
    Ok(())
}

#[async_trait]
impl Playback for SqliteStore {
    async fn streams(&self, asset: AssetId) -> Result<Streams, StoreError> {
        self.read(move |conn, _| shown_streams(conn, asset)).await
    }

    async fn streams_status(&self, asset: AssetId) -> Result<StreamsStatus, StoreError> {
        self.read(move |conn, _| status(conn, asset)).await
    }

    async fn segment(
        &self,
        asset: AssetId,
        track: &str,
        file: StreamFile,
    ) -> Result<Option<(BlobRow, Visibility)>, StoreError> {
        let track = track.to_owned();
        self.read(move |conn, _| {
            let Some(shown) = shown(conn, asset)? else {
                return Ok(None);
            };
            let (sql, packaging, number) = match file {
                StreamFile::Init => (INIT, Packaging::Cmaf, None),
                StreamFile::Segment(packaging, number) => (SEGMENT, packaging, Some(number)),
            };
            let found = conn
                .prepare_cached(sql)?
                .query_row(
                    params![
                        asset.as_bytes(),
                        shown.generation,
                        track,
                        packaging.as_str(),
                        number
                    ],
                    blob,
                )
                .optional()?;
            Ok(found.map(|b| (b, shown.visibility)))
        })
        .await
    }

    async fn made(
        &self,
        asset: AssetId,
        generation: u32,
    ) -> Result<Vec<(Track, BlobRow, Vec<BlobRow>)>, StoreError> {
        self.read(move |conn, _| tracks(conn, asset, generation))
            .await
    }

    async fn pieces(&self, asset: AssetId, generation: u32) -> Result<Vec<BlobRow>, StoreError> {
        self.read(move |conn, _| pieces::of_generation(conn, asset, generation))
            .await
    }

    async fn found(
        &self,
        asset: AssetId,
        generation: Option<u32>,
        operation: &str,
    ) -> Result<Option<Value>, StoreError> {
        let operation = operation.to_owned();
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(
                "SELECT json FROM facts WHERE asset = ?1 AND operation = ?2 AND generation = ifnull(?3, generation)",
            )?;
            Ok(statement
                .query_row(params![asset.as_bytes(), operation, generation], |row| {
                    json(row, "json")
                })
                .optional()?)
        })
        .await
    }
}

const SEGMENT: &str =
    "SELECT b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
     FROM segments g JOIN blobs b ON b.id = g.blob
     JOIN tracks t ON (t.asset, t.generation, t.name) = (g.asset, g.generation, g.track)
     WHERE g.asset = ?1 AND g.generation = ?2 AND g.track = ?3 AND t.packaging = ?4 AND g.number = ?5";
const INIT: &str =
    "SELECT b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
     FROM tracks t JOIN blobs b ON b.id = t.blob
     WHERE t.asset = ?1 AND t.generation = ?2 AND t.name = ?3 AND t.packaging = ?4 AND ?5 IS NULL";

fn shown_streams(conn: &Connection, asset: AssetId) -> Result<Streams, StoreError> {
    let Some(shown) = shown(conn, asset)? else {
        return Ok(Streams {
            visibility: Visibility::Private,
            published: false,
            edition: edition(asset, 0),
            tracks: Vec::new(),
        });
    };
    let made = tracks(conn, asset, shown.generation)?;
    Ok(Streams {
        visibility: shown.visibility,
        published: shown.published,
        edition: edition(asset, shown.generation),
        tracks: made.into_iter().map(|(track, ..)| track).collect(),
    })
}

fn status(conn: &Connection, asset: AssetId) -> Result<StreamsStatus, StoreError> {
    let shown = shown(conn, asset)?;
    let generation = shown.as_ref().map_or(0, |s| s.generation);
    let mut statement = conn.prepare_cached(
        "SELECT t.name, t.kind, t.width, t.height, t.said, t.bytes, t.compared, t.ssim_sum, t.ssim_min, t.packaging, b.sha256,
                EXISTS (SELECT 1 FROM segments g WHERE g.asset = t.asset AND g.generation = t.generation
                        AND g.track = t.name AND g.number = 0) AS begun
         FROM tracks t JOIN blobs b ON b.id = t.blob WHERE t.asset = ?1 AND t.generation = ?2 ORDER BY t.name",
    )?;
    let tracks = statement
        .query_map(params![asset.as_bytes(), generation], |row| {
            Ok(TrackStatus {
                name: row.get("name")?,
                kind: named(row, "kind", TrackKind::parse)?,
                width: row.get("width")?,
                height: row.get("height")?,
                said: json(row, "said")?,
                packaging: named(row, "packaging", Packaging::parse)?,
                init: sha(row, "sha256")?,
                begun: row.get("begun")?,
                bytes: row.get("bytes")?,
                quality: quality(row)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(StreamsStatus {
        published: shown.is_some_and(|s| s.published),
        edition: edition(asset, generation),
        tracks,
    })
}

fn quality(row: &Row<'_>) -> rusqlite::Result<Option<Quality>> {
    let frames: u64 = row.get("compared")?;
    if frames == 0 {
        return Ok(None);
    }
    Ok(Some(Quality {
        frames,
        ssim_mean: row.get::<_, f64>("ssim_sum")? / frames as f64,
        ssim_min: row.get("ssim_min")?,
    }))
}

type Made = (Track, BlobRow, Vec<BlobRow>);

fn tracks(conn: &Connection, asset: AssetId, generation: u32) -> Result<Vec<Made>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT t.name, t.kind, t.codecs, t.width, t.height, t.said, t.timescale, t.segments, t.packaging,
                b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
         FROM tracks t JOIN blobs b ON b.id = t.blob WHERE t.asset = ?1 AND t.generation = ?2 ORDER BY t.name",
    )?;
    let mut rows = statement.query(params![asset.as_bytes(), generation])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (mut track, init) = (track(row)?, blob(row)?);
        let blobs = list(conn, asset, generation, &mut track)?;
        track.whole = track.segments.len() == row.get::<_, usize>("segments")?;
        found.push((track, init, blobs));
    }
    Ok(found)
}

fn track(row: &Row<'_>) -> rusqlite::Result<Track> {
    Ok(Track {
        name: row.get("name")?,
        kind: named(row, "kind", TrackKind::parse)?,
        codecs: row.get("codecs")?,
        width: row.get("width")?,
        height: row.get("height")?,
        said: json(row, "said")?,
        timescale: row.get("timescale")?,
        packaging: named(row, "packaging", Packaging::parse)?,
        init: sha(row, "blob_sha256")?,
        segments: Vec::new(),
        whole: false,
    })
}

/// The segments from the first on, up to the first that is missing.
fn list(
    conn: &Connection,
    asset: AssetId,
    generation: u32,
    track: &mut Track,
) -> Result<Vec<BlobRow>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT g.number, g.duration, g.key_bytes,
                b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
         FROM segments g JOIN blobs b ON b.id = g.blob
         WHERE g.asset = ?1 AND g.generation = ?2 AND g.track = ?3 ORDER BY g.number",
    )?;
    let mut rows = statement.query(params![asset.as_bytes(), generation, track.name])?;
    let mut blobs = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get::<_, usize>("number")? != blobs.len() {
            break;
        }
        let blob = blob(row)?;
        track.segments.push(Segment {
            duration: row.get("duration")?,
            key_bytes: row.get("key_bytes")?,
            sha256: blob.sha256,
            bytes: blob.bytes,
        });
        blobs.push(blob);
    }
    Ok(blobs)
}
