//! What a finished task leaves behind, recorded in the transaction that ends it.

use super::blobs::{adopt, orphan, usable};
use super::live::Live;
use super::renditions::purge;
use super::rows::{clamp, id, sha};
use super::search::index_words;
use super::writer::Session;
use crate::paths::{Paths, add_rendition};
use crate::verdict::reported;
use crate::{MediaFacts, NewRendition, Output, RenditionBlob, StoreError};
use mediaflow_core::operation::Facts;
use mediaflow_core::{BlobId, EventDraft, EventType, Operation, Sha256};
use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};

impl Live {
    /// Records renditions and facts of a step of this run.
    pub(super) fn keep(
        &mut self,
        s: &Session<'_>,
        operation: &Operation,
        output: &Output,
    ) -> Result<(), StoreError> {
        let mut replaced = Paths::new();
        for rendition in &output.renditions {
            self.keep_rendition(s, operation, rendition, &mut replaced)?;
        }
        purge(s, self.asset, &replaced)?;
        self.keep_streams(s, output)?;
        self.keep_captions(s, output)?;
        self.keep_pieces(s, output)?;
        if *operation == Operation::Moderate {
            self.keep_facts(s, operation, &reported(&self.settings, output))?;
        } else if !output.facts.is_null() {
            self.keep_facts(s, operation, &output.facts)?;
        }
        if let Some(dimensions) = output.dimensions {
            self.keep_dimensions(s, dimensions)?;
        }
        if let Some(media) = &output.media {
            self.keep_media(s, media)?;
        }
        if let Some(text) = &output.search_text {
            s.conn
                .prepare_cached("UPDATE assets SET search_text = ?2 WHERE id = ?1")?
                .execute(params![self.asset.as_bytes(), text])?;
            index_words(s.conn, self.asset)?;
        }
        Ok(())
    }

    /// Where the upload did not tell the size, the tasks to come are estimated by it now.
    fn keep_dimensions(
        &self,
        s: &Session<'_>,
        (width, height): (u32, u32),
    ) -> Result<(), StoreError> {
        let facts = s
            .conn
            .prepare_cached(
                "UPDATE assets SET width = ?2, height = ?3,
                        fact_pixels = iif(fact_pixels = 0, ?4, fact_pixels)
                 WHERE id = ?1 RETURNING fact_pixels, fact_frames, fact_bytes",
            )?
            .query_row(
                params![
                    self.asset.as_bytes(),
                    width,
                    height,
                    clamp(u64::from(width) * u64::from(height))
                ],
                |row| {
                    Ok(Facts {
                        pixels: row.get(0)?,
                        frames: row.get(1)?,
                        bytes: row.get(2)?,
                    })
                },
            )?;
        self.estimate(s, facts)
    }

    fn keep_media(&self, s: &Session<'_>, media: &MediaFacts) -> Result<(), StoreError> {
        s.conn
            .prepare_cached(
                "UPDATE assets SET duration_ms = ?2, container = ?3, codec = ?4, frame_rate = ?5, has_sound = ?6,
                        hdr = ?7
                 WHERE id = ?1",
            )?
            .execute(params![
                self.asset.as_bytes(),
                clamp(media.duration_ms),
                media.container,
                media.codec,
                media.frame_rate,
                media.has_sound,
                media.hdr,
            ])?;
        Ok(())
    }

    /// Stores what an operation found out, over what an earlier run found.
    pub(super) fn keep_facts(
        &self,
        s: &Session<'_>,
        operation: &Operation,
        facts: &Value,
    ) -> Result<(), StoreError> {
        s.conn
            .prepare_cached(
                "INSERT INTO facts VALUES (?1, ?2, ?3, ?4) ON CONFLICT (asset, operation)
                 DO UPDATE SET generation = excluded.generation, json = excluded.json",
            )?
            .execute(params![
                self.asset.as_bytes(),
                operation.name(),
                self.run.generation,
                facts.to_string()
            ])?;
        Ok(())
    }

    fn keep_rendition(
        &mut self,
        s: &Session<'_>,
        operation: &Operation,
        new: &NewRendition,
        replaced: &mut Paths,
    ) -> Result<(), StoreError> {
        let blob = match &new.blob {
            RenditionBlob::New(new) => adopt(s, self.tenant, new)?,
            RenditionBlob::Existing(id) => usable(s, self.tenant, *id)?,
        };
        let before = self.rendition_before(s, new)?;
        let (width, height) = new.dimensions.unwrap_or_default();
        s.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO renditions (asset, generation, profile, format, tenant, width, height,
                                                    animated, derivation, blob)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                self.asset.as_bytes(),
                self.run.generation,
                new.profile,
                new.format.as_str(),
                self.tenant.as_bytes(),
                width,
                height,
                new.animated,
                new.derivation.0,
                blob.id.as_bytes(),
            ])?;
        let Some((old, old_sha256, old_bytes)) = before.filter(|(old, ..)| *old != blob.id) else {
            return Ok(());
        };
        orphan(s, old)?;
        if self.published == self.run.generation || self.run.is_showing() {
            add_rendition(replaced, self.asset, &new.profile, new.format, old_sha256);
        }
        if matches!(operation, Operation::Squeeze(_)) {
            let data = json!({
                "profile": new.profile, "format": new.format.as_str(),
                "bytes": blob.bytes, "bytes_before": old_bytes,
            });
            self.record(s, &EventDraft::new(EventType::RenditionImproved, data))?;
        }
        Ok(())
    }

    fn rendition_before(
        &self,
        s: &Session<'_>,
        new: &NewRendition,
    ) -> Result<Option<(BlobId, Sha256, u64)>, StoreError> {
        Ok(s.conn
            .prepare_cached(
                "SELECT r.blob, b.sha256, b.bytes FROM renditions r JOIN blobs b ON b.id = r.blob
                 WHERE r.asset = ?1 AND r.generation = ?2 AND r.profile = ?3 AND r.format = ?4",
            )?
            .query_row(
                params![
                    self.asset.as_bytes(),
                    self.run.generation,
                    new.profile,
                    new.format.as_str()
                ],
                |row| Ok((id(row, "blob")?, sha(row, "sha256")?, row.get("bytes")?)),
            )
            .optional()?)
    }
}
