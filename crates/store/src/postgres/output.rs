//! What a finished task leaves behind, recorded in the transaction that ends it.

use super::Session;
use super::blobs::{Adopted, adopt};
use super::changes::{Changes, Recorded, values};
use super::live::Live;
use super::rows::{blob, clamp, get, id, named, number, sha};
use crate::paths::{self, Paths};
use crate::verdict::reported;
use crate::{
    BlobRow, MediaFacts, NewBlob, NewCaptions, NewRendition, Output, RenditionBlob, StoreError,
};
use futures_util::FutureExt;
use mediaflow_core::operation::{Facts, Format};
use mediaflow_core::{
    AssetId, BlobId, ErrorCode, EventDraft, EventType, Failure, Operation, TenantId,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// Blob rows that outputs refer to, held until the transaction ends.
#[derive(Default)]
pub(super) struct Blobs {
    adopted: Adopted,
    existing: HashMap<(TenantId, BlobId), BlobRow>,
}

const USABLE: &str =
    "SELECT id AS blob_id, tenant, sha256 AS blob_sha256, bytes AS blob_bytes, key AS blob_key
     FROM blobs WHERE id = ANY($1) AND condemned_at IS NULL ORDER BY id FOR KEY SHARE";
const RENDITIONS: &str = "SELECT r.asset, r.profile, r.format, r.blob, b.sha256, b.bytes
     FROM runs n JOIN renditions r ON r.asset = n.asset AND r.generation = n.generation JOIN blobs b ON b.id = r.blob
     JOIN unnest($1::uuid[], $2::bigint[]) w (asset, generation) ON n.asset = w.asset AND n.generation = w.generation";
const INITS: &str = "SELECT t.asset, t.name, b.sha256 FROM tracks t JOIN blobs b ON b.id = t.blob
     JOIN unnest($1::uuid[], $2::bigint[]) w (asset, generation) ON t.asset = w.asset AND t.generation = w.generation";
const DIMENSIONS: &str = "UPDATE assets SET width = $2, height = $3,
            fact_pixels = CASE WHEN fact_pixels = 0 THEN $4 ELSE fact_pixels END WHERE id = $1";
const MEDIA: &str = "UPDATE assets SET duration_ms = $2, container = $3, codec = $4, frame_rate = $5, has_sound = $6, hdr = $7
     WHERE id = $1";
const SEARCH_TEXT: &str = "UPDATE assets SET search_text = $2 WHERE id = $1";
const TRACKS: &str = "INSERT INTO tracks (asset, generation, name, kind, codecs, width, height, said, timescale, segments, packaging,
                                         blob)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";
/// A segment that is there already stays as it was listed, and what came again is left to the collector.
const SEGMENTS: &str = "WITH new AS (
        SELECT * FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::uuid[], $8::bigint[], $9::bigint[],
                             $10::float8[], $11::float8[])
                      w (track, number, duration, key_bytes, blob, bytes, frames, ssim_mean, ssim_min)),
    added AS (
        INSERT INTO segments (asset, generation, track, number, duration, key_bytes, blob)
        SELECT $1, $2, track, number, duration, key_bytes, blob FROM new ON CONFLICT DO NOTHING RETURNING track, number),
    surplus AS (
        INSERT INTO orphans SELECT DISTINCT n.blob, $12::bigint FROM new n
        WHERE NOT EXISTS (SELECT 1 FROM added a WHERE a.track = n.track AND a.number = n.number)
        ON CONFLICT (blob) DO UPDATE SET since = excluded.since)
    UPDATE tracks t SET bytes = t.bytes + s.bytes, compared = t.compared + s.frames, ssim_sum = t.ssim_sum + s.ssim_sum,
                        ssim_min = least(t.ssim_min, s.ssim_min)
    FROM (SELECT n.track, sum(n.bytes)::bigint AS bytes, sum(n.frames)::bigint AS frames,
                 sum(n.frames * n.ssim_mean) AS ssim_sum, min(n.ssim_min) AS ssim_min
          FROM new n JOIN added a ON a.track = n.track AND a.number = n.number GROUP BY n.track) s
    WHERE t.asset = $1 AND t.generation = $2 AND t.name = s.track";
const CAPTIONS: &str = "WITH before AS (
        SELECT blob FROM captions WHERE asset = $1 AND generation = $2 AND name = $3),
    kept AS (
        INSERT INTO captions (asset, generation, name, language, label, blob) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (asset, generation, name)
        DO UPDATE SET language = excluded.language, label = excluded.label, blob = excluded.blob)
    INSERT INTO orphans SELECT blob, $7::bigint FROM before WHERE blob <> $6
    ON CONFLICT (blob) DO UPDATE SET since = excluded.since";
const PIECES: &str = "INSERT INTO pieces (asset, generation, number, blob)
     SELECT $1, $2, w.number - 1, w.blob FROM unnest($3::uuid[]) WITH ORDINALITY w (blob, number)";
const DROP_PIECES: &str = "WITH gone AS (
        DELETE FROM pieces WHERE asset = $1 AND generation = $2 RETURNING blob)
    INSERT INTO orphans SELECT DISTINCT blob, $3::bigint FROM gone
    ON CONFLICT (blob) DO UPDATE SET since = excluded.since";

/// Adopts what these outputs bring and holds what they refer to.
pub(super) async fn hold(
    s: &Session,
    outputs: &[(TenantId, &Output)],
) -> Result<Blobs, StoreError> {
    let mut new = Vec::new();
    for (tenant, output) in outputs {
        new.extend(new_blobs(output).into_iter().map(|blob| (*tenant, blob)));
    }
    let adopted = adopt(s, &new).boxed().await?;
    let mut ids: Vec<Uuid> = Vec::new();
    for (_, output) in outputs {
        for rendition in &output.renditions {
            if let RenditionBlob::Existing(id) = &rendition.blob {
                ids.push(id.0);
            }
        }
    }
    let mut existing = HashMap::new();
    if !ids.is_empty() {
        for row in s.query(USABLE, &[&ids]).await? {
            let blob = blob(&row)?;
            existing.insert((id(&row, "tenant")?, blob.id), blob);
        }
    }
    Ok(Blobs { adopted, existing })
}

fn new_blobs(output: &Output) -> Vec<&NewBlob> {
    let renditions = output.renditions.iter().filter_map(|r| match &r.blob {
        RenditionBlob::New(blob) => Some(blob),
        RenditionBlob::Existing(_) => None,
    });
    let tracks = output.tracks.iter().map(|t| &t.init);
    let segments = output.segments.iter().map(|s| &s.blob);
    let captions = output.captions.iter().map(|c| &c.blob);
    renditions
        .chain(tracks)
        .chain(segments)
        .chain(captions)
        .chain(&output.pieces)
        .collect()
}

impl Blobs {
    fn of(&self, tenant: TenantId, new: &NewBlob) -> &BlobRow {
        let found = self.adopted.get(&(tenant, new.sha256));
        found.expect("every new blob of the outputs was adopted")
    }

    /// The rows that were adopted for this output, which nothing refers to when it is not kept after all.
    pub(super) fn adopted_for(&self, tenant: TenantId, output: &Output) -> Vec<BlobId> {
        let blobs = new_blobs(output).into_iter();
        blobs.map(|blob| self.of(tenant, blob).id).collect()
    }
}

/// Loads what these runs have recorded, as far as these outputs can meet it.
pub(super) async fn recall(
    s: &Session,
    lives: &mut HashMap<AssetId, Live>,
    renditions: &[AssetId],
    tracks: &[AssetId],
) -> Result<(), StoreError> {
    let keys = |assets: &[AssetId]| -> (Vec<Uuid>, Vec<i64>) {
        let found = assets.iter().filter_map(|asset| lives.get(asset));
        found
            .map(|l| (l.asset.0, i64::from(l.run.generation)))
            .unzip()
    };
    let (with_renditions, with_tracks) = (keys(renditions), keys(tracks));
    if !with_renditions.0.is_empty() {
        let (assets, generations) = with_renditions;
        for row in s.query(RENDITIONS, &[&assets, &generations]).await? {
            if let Some(live) = lives.get_mut(&id(&row, "asset")?) {
                let key = (get(&row, "profile")?, named(&row, "format", Format::parse)?);
                let value = (
                    id(&row, "blob")?,
                    sha(&row, "sha256")?,
                    number(&row, "bytes")?,
                );
                live.renditions.insert(key, value);
            }
        }
    }
    if !with_tracks.0.is_empty() {
        let (assets, generations) = with_tracks;
        for row in s.query(INITS, &[&assets, &generations]).await? {
            if let Some(live) = lives.get_mut(&id(&row, "asset")?) {
                live.inits.insert(get(&row, "name")?, sha(&row, "sha256")?);
            }
        }
    }
    Ok(())
}

impl Live {
    /// Why the output cannot be part of this run's streams: encoders must agree to the byte on what a
    /// player is told once.
    pub(super) fn refuses(&self, output: &Output) -> Option<Failure> {
        let track = output.tracks.iter().find(|track| {
            let known = self.inits.get(&track.name);
            known.is_some_and(|known| *known != track.init.sha256)
        })?;
        let message = format!(
            "the initialisation segment of {} differs from the one of other chunks; is another encoder installed here?",
            track.name
        );
        Some(Failure::transient(ErrorCode::OutputMismatch, message))
    }

    /// Records renditions and facts of a step of this run.
    pub(super) fn keep(
        &mut self,
        changes: &mut Changes,
        blobs: &Blobs,
        operation: &Operation,
        output: &Output,
    ) -> Result<(), StoreError> {
        let mut replaced = Paths::new();
        for rendition in &output.renditions {
            self.keep_rendition(changes, blobs, operation, rendition, &mut replaced)?;
        }
        if !replaced.is_empty() {
            changes.purges.push((self.asset, replaced));
        }
        self.keep_streams(changes, blobs, output);
        for captions in &output.captions {
            let blob = blobs.of(self.tenant, &captions.blob).id;
            self.keep_captions(changes, self.run.generation, captions, blob);
        }
        if !output.pieces.is_empty() {
            self.drop_pieces(changes);
            let new = output.pieces.iter();
            let pieces: Vec<Uuid> = new.map(|b| blobs.of(self.tenant, b).id.0).collect();
            let generation = i64::from(self.run.generation);
            changes.call(PIECES, values![self.asset.0, generation, pieces]);
        }
        if *operation == Operation::Moderate {
            self.keep_facts(changes, operation, &reported(&self.settings, output));
        } else if !output.facts.is_null() {
            self.keep_facts(changes, operation, &output.facts);
        }
        if let Some(dimensions) = output.dimensions {
            self.keep_dimensions(changes, dimensions);
        }
        if let Some(media) = &output.media {
            self.keep_media(changes, media);
        }
        if let Some(text) = &output.search_text {
            changes.call(SEARCH_TEXT, values![self.asset.0, text.clone()]);
            changes.reindexed.push(self.asset);
        }
        Ok(())
    }

    /// Where the upload did not tell the size, the tasks to come are estimated by it now.
    fn keep_dimensions(&mut self, changes: &mut Changes, (width, height): (u32, u32)) {
        let pixels = u64::from(width) * u64::from(height);
        let facts = Facts {
            pixels: match self.facts.pixels {
                0 => pixels,
                known => known,
            },
            ..self.facts
        };
        self.facts = facts;
        changes.call(
            DIMENSIONS,
            values![
                self.asset.0,
                i64::from(width),
                i64::from(height),
                clamp(pixels)
            ],
        );
        self.estimate(changes, facts);
    }

    fn keep_media(&self, changes: &mut Changes, media: &MediaFacts) {
        changes.call(
            MEDIA,
            values![
                self.asset.0,
                clamp(media.duration_ms),
                media.container.clone(),
                media.codec.clone(),
                media.frame_rate,
                media.has_sound,
                media.hdr.clone(),
            ],
        );
    }

    /// Stores what an operation found out, over what an earlier run found.
    pub(super) fn keep_facts(&self, changes: &mut Changes, operation: &Operation, facts: &Value) {
        let generation = self.run.generation;
        let name = operation.name().to_owned();
        changes
            .facts
            .push((self.asset, name, generation, facts.to_string()));
    }

    fn keep_rendition(
        &mut self,
        changes: &mut Changes,
        blobs: &Blobs,
        operation: &Operation,
        new: &NewRendition,
        replaced: &mut Paths,
    ) -> Result<(), StoreError> {
        let blob = match &new.blob {
            RenditionBlob::New(new) => blobs.of(self.tenant, new),
            RenditionBlob::Existing(id) => {
                let found = blobs.existing.get(&(self.tenant, *id));
                found.ok_or(StoreError::BlobCondemned)?
            }
        };
        changes.renditions.push(Recorded {
            asset: self.asset,
            generation: self.run.generation,
            profile: new.profile.clone(),
            format: new.format,
            tenant: self.tenant,
            dimensions: new.dimensions.unwrap_or_default(),
            animated: new.animated,
            derivation: new.derivation,
            blob: blob.id,
        });
        let key = (new.profile.clone(), new.format);
        let before = self
            .renditions
            .insert(key, (blob.id, blob.sha256, blob.bytes));
        let Some((old, old_sha256, old_bytes)) = before.filter(|(old, ..)| *old != blob.id) else {
            return Ok(());
        };
        changes.orphans.push(old);
        if self.published == self.run.generation || self.run.is_showing() {
            paths::add_rendition(replaced, self.asset, &new.profile, new.format, old_sha256);
        }
        if matches!(operation, Operation::Squeeze(_)) {
            let data = json!({
                "profile": new.profile, "format": new.format.as_str(),
                "bytes": blob.bytes, "bytes_before": old_bytes,
            });
            self.record(
                changes,
                &EventDraft::new(EventType::RenditionImproved, data),
            );
        }
        Ok(())
    }

    fn keep_streams(&self, changes: &mut Changes, blobs: &Blobs, output: &Output) {
        let generation = i64::from(self.run.generation);
        for track in &output.tracks {
            changes.call(
                TRACKS,
                values![
                    self.asset.0,
                    generation,
                    track.name.clone(),
                    track.kind.as_str(),
                    track.codecs.clone(),
                    track.width.map(i64::from),
                    track.height.map(i64::from),
                    track.said.to_string(),
                    i64::from(track.timescale),
                    i64::from(track.segments),
                    track.packaging.as_str(),
                    blobs.of(self.tenant, &track.init).id.0,
                ],
            );
        }
        let new = &output.segments;
        if new.is_empty() {
            return;
        }
        let rows = || new.iter().map(|s| blobs.of(self.tenant, &s.blob));
        let quality = || new.iter().map(|s| s.quality);
        changes.call(
            SEGMENTS,
            values![
                self.asset.0,
                generation,
                new.iter().map(|s| s.track.clone()).collect::<Vec<_>>(),
                new.iter().map(|s| i64::from(s.number)).collect::<Vec<_>>(),
                new.iter().map(|s| clamp(s.duration)).collect::<Vec<_>>(),
                new.iter().map(|s| clamp(s.key_bytes)).collect::<Vec<_>>(),
                rows().map(|blob| blob.id.0).collect::<Vec<_>>(),
                rows().map(|blob| clamp(blob.bytes)).collect::<Vec<_>>(),
                quality()
                    .map(|q| q.map_or(0, |q| clamp(q.frames)))
                    .collect::<Vec<_>>(),
                quality()
                    .map(|q| q.map_or(0.0, |q| q.ssim_mean))
                    .collect::<Vec<_>>(),
                quality()
                    .map(|q| q.map_or(1.0, |q| q.ssim_min))
                    .collect::<Vec<_>>(),
                changes.now.0,
            ],
        );
    }

    /// Drops what this generation's tasks made of the original for each other.
    pub(super) fn drop_pieces(&self, changes: &mut Changes) {
        let generation = i64::from(self.run.generation);
        let values = values![self.asset.0, generation, changes.now.0];
        changes.call(DROP_PIECES, values);
    }

    /// Captions of a generation, in the place of those of the same name.
    pub(super) fn keep_captions(
        &self,
        changes: &mut Changes,
        generation: u32,
        new: &NewCaptions,
        blob: BlobId,
    ) {
        changes.call(
            CAPTIONS,
            values![
                self.asset.0,
                i64::from(generation),
                new.name.clone(),
                new.language.clone(),
                new.label.clone(),
                blob.0,
                changes.now.0,
            ],
        );
    }
}
