//! Tracks and segments as players see them.

use super::rows::{blob, get, json, maybe_number, named, number, sha};
use super::shown::{of_shown, shown};
use super::{PostgresStore, Session};
use crate::streams::edition;
use crate::{
    BlobRow, Playback, Quality, Segment, StoreError, StreamFile, Streams, StreamsStatus, Track,
    TrackKind, TrackStatus,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::operation::Packaging;
use mediaflow_core::{AssetId, BlobId, Sha256, Visibility};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

#[async_trait]
impl Playback for PostgresStore {
    async fn streams(&self, asset: AssetId) -> Result<Streams, StoreError> {
        self.read(move |s, _| streams(s, asset).boxed()).await
    }

    async fn streams_status(&self, asset: AssetId) -> Result<StreamsStatus, StoreError> {
        self.read(move |s, _| status(s, asset).boxed()).await
    }

    async fn segment(
        &self,
        asset: AssetId,
        track: &str,
        file: StreamFile,
    ) -> Result<Option<(BlobRow, Visibility)>, StoreError> {
        self.read(move |s, _| segment(s, asset, track, file).boxed())
            .await
    }

    async fn made(
        &self,
        asset: AssetId,
        generation: u32,
    ) -> Result<Vec<(Track, BlobRow, Vec<BlobRow>)>, StoreError> {
        self.read(move |s, _| made(s, asset, generation).boxed())
            .await
    }

    async fn pieces(&self, asset: AssetId, generation: u32) -> Result<Vec<BlobRow>, StoreError> {
        self.read(move |s, _| {
            async move {
                let rows = s.query(PIECES, &[&asset.0, &i64::from(generation)]).await?;
                rows.iter().map(blob).collect()
            }
            .boxed()
        })
        .await
    }

    async fn found(
        &self,
        asset: AssetId,
        generation: Option<u32>,
        operation: &str,
    ) -> Result<Option<Value>, StoreError> {
        self.read(move |s, _| found(s, asset, generation, operation).boxed())
            .await
    }
}

const PIECES: &str = "SELECT b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
     FROM pieces p JOIN blobs b ON b.id = p.blob WHERE p.asset = $1 AND p.generation = $2 ORDER BY p.number";

/// A track of generation `s`, with the columns of its segments as lists in their order.
macro_rules! tracks {
    () => {
        "t.name, t.kind, t.codecs, t.width, t.height, t.said, t.timescale, t.segments, t.packaging,
         b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key, l.*
         FROM s LEFT JOIN tracks t ON s.shows AND t.asset = s.asset AND t.generation = s.generation
              LEFT JOIN blobs b ON b.id = t.blob
              LEFT JOIN LATERAL (
                SELECT array_agg(g.number ORDER BY g.number) AS numbers,
                       array_agg(g.duration ORDER BY g.number) AS durations,
                       array_agg(g.key_bytes ORDER BY g.number) AS keys_bytes,
                       array_agg(b.id ORDER BY g.number) AS ids,
                       array_agg(b.sha256 ORDER BY g.number) AS digests,
                       array_agg(b.bytes ORDER BY g.number) AS sizes,
                       array_agg(b.key ORDER BY g.number) AS keys
                FROM segments g JOIN blobs b ON b.id = g.blob
                WHERE g.asset = t.asset AND g.generation = t.generation AND g.track = t.name) l ON true
         ORDER BY t.name COLLATE \"C\""
    };
}

const STREAMS: &str = of_shown!("SELECT s.*, ", tracks!());
const MADE: &str = concat!(
    "WITH s AS (SELECT $1::uuid AS asset, $2::bigint AS generation, true AS shows) SELECT ",
    tracks!()
);
const STATUS: &str = of_shown!(
    "SELECT s.*, t.name, t.kind, t.width, t.height, t.said, t.bytes, t.compared, t.ssim_sum, t.ssim_min, t.packaging, b.sha256,
            EXISTS (SELECT 1 FROM segments g WHERE g.asset = t.asset AND g.generation = t.generation
                    AND g.track = t.name AND g.number = 0) AS begun
     FROM s LEFT JOIN tracks t ON s.shows AND t.asset = s.asset AND t.generation = s.generation
          LEFT JOIN blobs b ON b.id = t.blob ORDER BY t.name COLLATE \"C\""
);
const SEGMENT: &str = of_shown!(
    "SELECT s.*, b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
     FROM s LEFT JOIN tracks t ON s.shows AND t.asset = s.asset AND t.generation = s.generation AND t.name = $2
                               AND t.packaging = $3
          LEFT JOIN segments g ON g.asset = t.asset AND g.generation = t.generation AND g.track = t.name AND g.number = $4
          LEFT JOIN blobs b ON b.id = g.blob"
);
const INIT: &str = of_shown!(
    "SELECT s.*, b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
     FROM s LEFT JOIN tracks t ON s.shows AND t.asset = s.asset AND t.generation = s.generation AND t.name = $2
                               AND t.packaging = 'cmaf'
          LEFT JOIN blobs b ON b.id = t.blob"
);

async fn streams(s: &Session, asset: AssetId) -> Result<Streams, StoreError> {
    let rows = s.query(STREAMS, &[&asset.0]).await?;
    let Some(shown) = shown(&rows)? else {
        return Ok(Streams {
            visibility: Visibility::Private,
            published: false,
            edition: edition(asset, 0),
            tracks: Vec::new(),
        });
    };
    Ok(Streams {
        visibility: shown.visibility,
        published: shown.published,
        edition: edition(asset, shown.generation),
        tracks: listed(&rows)?
            .into_iter()
            .map(|(track, ..)| track)
            .collect(),
    })
}

async fn made(s: &Session, asset: AssetId, generation: u32) -> Result<Vec<Made>, StoreError> {
    listed(&s.query(MADE, &[&asset.0, &i64::from(generation)]).await?)
}

async fn status(s: &Session, asset: AssetId) -> Result<StreamsStatus, StoreError> {
    let rows = s.query(STATUS, &[&asset.0]).await?;
    let shown = shown(&rows)?;
    let tracks = named_rows(&rows).map(|row| {
        Ok(TrackStatus {
            name: get(row, "name")?,
            kind: named(row, "kind", TrackKind::parse)?,
            width: maybe_number(row, "width")?,
            height: maybe_number(row, "height")?,
            said: json(row, "said")?,
            packaging: named(row, "packaging", Packaging::parse)?,
            init: sha(row, "sha256")?,
            begun: get(row, "begun")?,
            bytes: number(row, "bytes")?,
            quality: quality(row)?,
        })
    });
    Ok(StreamsStatus {
        published: shown.as_ref().is_some_and(|s| s.published),
        edition: edition(asset, shown.as_ref().map_or(0, |s| s.generation)),
        tracks: tracks.collect::<Result<_, StoreError>>()?,
    })
}

fn quality(row: &Row) -> Result<Option<Quality>, StoreError> {
    let frames: u64 = number(row, "compared")?;
    if frames == 0 {
        return Ok(None);
    }
    Ok(Some(Quality {
        frames,
        ssim_mean: get::<f64>(row, "ssim_sum")? / frames as f64,
        ssim_min: get(row, "ssim_min")?,
    }))
}

async fn segment(
    s: &Session,
    asset: AssetId,
    track: &str,
    file: StreamFile,
) -> Result<Option<(BlobRow, Visibility)>, StoreError> {
    let rows = match file {
        StreamFile::Segment(packaging, number) => {
            let (packaging, number) = (packaging.as_str(), i64::from(number));
            s.query(SEGMENT, &[&asset.0, &track, &packaging, &number])
                .await?
        }
        StreamFile::Init => s.query(INIT, &[&asset.0, &track]).await?,
    };
    let Some(shown) = shown(&rows)? else {
        return Ok(None);
    };
    let has_blob = get::<Option<Uuid>>(&rows[0], "blob_id")?.is_some();
    let found = has_blob.then(|| blob(&rows[0])).transpose()?;
    Ok(found.map(|blob| (blob, shown.visibility)))
}

async fn found(
    s: &Session,
    asset: AssetId,
    generation: Option<u32>,
    operation: &str,
) -> Result<Option<Value>, StoreError> {
    let sql = "SELECT json FROM facts
        WHERE asset = $1 AND operation = $2 AND generation = coalesce($3::bigint, generation)";
    let generation = generation.map(i64::from);
    let row = s.maybe(sql, &[&asset.0, &operation, &generation]).await?;
    row.map(|row| json(&row, "json")).transpose()
}

type Made = (Track, BlobRow, Vec<BlobRow>);

/// Rows that hold a track: without one there is a row all the same, which tells what shows.
fn named_rows(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter()
        .filter(|row| matches!(get(row, "name"), Ok(Some::<&str>(_))))
}

fn listed(rows: &[Row]) -> Result<Vec<Made>, StoreError> {
    named_rows(rows)
        .map(|row| {
            let (segments, blobs) = segments(row)?;
            let track = Track {
                name: get(row, "name")?,
                kind: named(row, "kind", TrackKind::parse)?,
                codecs: get(row, "codecs")?,
                width: maybe_number(row, "width")?,
                height: maybe_number(row, "height")?,
                said: json(row, "said")?,
                timescale: number(row, "timescale")?,
                packaging: named(row, "packaging", Packaging::parse)?,
                init: sha(row, "blob_sha256")?,
                whole: segments.len() == number::<usize>(row, "segments")?,
                segments,
            };
            Ok((track, blob(row)?, blobs))
        })
        .collect()
}

/// The segments from the first on, up to the first that is missing.
fn segments(row: &Row) -> Result<(Vec<Segment>, Vec<BlobRow>), StoreError> {
    let numbers: Vec<i64> = list(row, "numbers")?;
    let durations: Vec<i64> = list(row, "durations")?;
    let key_bytes: Vec<i64> = list(row, "keys_bytes")?;
    let ids: Vec<Uuid> = list(row, "ids")?;
    let digests: Vec<&[u8]> = list(row, "digests")?;
    let sizes: Vec<i64> = list(row, "sizes")?;
    let keys: Vec<String> = list(row, "keys")?;
    let unreadable = |what: &'static str| StoreError::Database(what.into());
    let mut found = (Vec::new(), Vec::new());
    for (place, (key, number)) in keys.into_iter().zip(numbers).enumerate() {
        if usize::try_from(number) != Ok(place) {
            break;
        }
        let sha256 = digests[place].try_into().map(Sha256);
        let sha256 = sha256.map_err(|_| unreadable("a segment's digest is none"))?;
        let length = |n: i64| u64::try_from(n).map_err(|_| unreadable("a segment is too short"));
        let bytes = length(sizes[place])?;
        found.0.push(Segment {
            duration: length(durations[place])?,
            key_bytes: length(key_bytes[place])?,
            sha256,
            bytes,
        });
        found.1.push(BlobRow {
            id: BlobId(ids[place]),
            sha256,
            bytes,
            key,
        });
    }
    Ok(found)
}

/// A column that holds a list; of nothing PostgreSQL makes no list.
fn list<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: &str,
) -> Result<Vec<T>, StoreError> {
    Ok(get::<Option<Vec<T>>>(row, column)?.unwrap_or_default())
}
