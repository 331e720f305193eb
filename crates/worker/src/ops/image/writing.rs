//! From variants to recorded renditions: what was made before from the same bytes is taken again, the rest is
//! made on a media thread and stored.

use super::derivation::derivation;
use super::source;
use crate::attempt::Attempt;
use crate::ops::failure::{from_engine, from_media};
use crate::ops::on_thread;
use crate::threads::MediaThreads;
use mediaflow_core::operation::{Format, Variant};
use mediaflow_core::{Failure, Sha256};
use mediaflow_engine::store::{NewRendition, RenditionBlob, Reusable};
use mediaflow_media::image::encode::{self, Encoded};
use mediaflow_media::image::{InspectOptions, inspect};
use std::collections::HashMap;
use std::sync::Arc;

/// A rendition to be made: which variant (by its index) in which encoding.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) variant: usize,
    pub(super) derivation: Sha256,
}

/// A rendition that was made and is not stored yet.
pub(super) struct Made {
    pub(super) wanted: Wanted,
    pub(super) format: Format,
    pub(super) dimensions: (u32, u32),
    pub(super) animated: bool,
    pub(super) bytes: Vec<u8>,
}

/// All of the recipe's variants in one encoding.
pub(super) fn wanted(
    attempt: &Attempt,
    encoding: impl Fn(&Variant) -> serde_json::Value,
) -> Vec<Wanted> {
    let variants = source::variants(attempt).iter().enumerate();
    variants
        .map(|(variant, v)| Wanted {
            variant,
            derivation: derivation(attempt, v, &encoding(v)),
        })
        .collect()
}

/// Takes what exists, has `make` make the rest on a media thread, and stores that.
pub(super) async fn produce(
    attempt: Arc<Attempt>,
    threads: &MediaThreads,
    wanted: Vec<Wanted>,
    make: impl FnOnce(&Attempt, Vec<Wanted>) -> Result<Vec<Made>, Failure> + Send + 'static,
) -> Result<Vec<NewRendition>, Failure> {
    let digests: Vec<Sha256> = wanted.iter().map(|w| w.derivation).collect();
    let reusable = attempt.depot.reusable(&attempt.task, &digests).await;
    let reusable: HashMap<Sha256, Reusable> = reusable
        .map_err(|e| from_engine(e.into()))?
        .into_iter()
        .collect();
    let (found, missing): (Vec<Wanted>, Vec<Wanted>) = wanted
        .into_iter()
        .partition(|w| reusable.contains_key(&w.derivation));
    let mut renditions: Vec<NewRendition> = found
        .iter()
        .map(|w| reused(&attempt, w, &reusable[&w.derivation]))
        .collect();
    if !missing.is_empty() {
        renditions.extend(make_anew(attempt, threads, missing, make).await?);
    }
    Ok(renditions)
}

/// Has `make` make all of it on a media thread, and stores that.
pub(super) async fn make_anew(
    attempt: Arc<Attempt>,
    threads: &MediaThreads,
    wanted: Vec<Wanted>,
    make: impl FnOnce(&Attempt, Vec<Wanted>) -> Result<Vec<Made>, Failure> + Send + 'static,
) -> Result<Vec<NewRendition>, Failure> {
    let work = move |attempt: &Attempt| store(attempt, make(attempt, wanted)?);
    on_thread(attempt, threads, work).await
}

fn reused(attempt: &Attempt, wanted: &Wanted, found: &Reusable) -> NewRendition {
    NewRendition {
        profile: source::variants(attempt)[wanted.variant].name.clone(),
        format: found.format,
        dimensions: found.dimensions,
        animated: found.animated,
        derivation: wanted.derivation,
        blob: RenditionBlob::Existing(found.blob.id),
    }
}

fn store(attempt: &Attempt, mut made: Vec<Made>) -> Result<Vec<NewRendition>, Failure> {
    let bytes: Vec<Vec<u8>> = made
        .iter_mut()
        .map(|m| std::mem::take(&mut m.bytes))
        .collect();
    let blobs = attempt.write(&bytes)?;
    let variants = source::variants(attempt);
    Ok(made
        .into_iter()
        .zip(blobs)
        .map(|(m, blob)| NewRendition {
            profile: variants[m.wanted.variant].name.clone(),
            format: m.format,
            dimensions: Some(m.dimensions),
            animated: m.animated,
            derivation: m.wanted.derivation,
            blob: RenditionBlob::New(blob),
        })
        .collect())
}

/// What of the original's notes a rendition keeps.
pub(super) struct Notes {
    icc: Option<Arc<[u8]>>,
    copyright: Option<String>,
    artist: Option<String>,
}

impl Notes {
    /// By policy: the copyright notice and its holder, and the profile that the pixels are in.
    pub(super) fn of(attempt: &Attempt, icc: Option<Arc<[u8]>>) -> Result<Self, Failure> {
        if !attempt.task.settings.keep_copyright {
            return Ok(Self {
                icc,
                copyright: None,
                artist: None,
            });
        }
        let options = InspectOptions {
            limits: attempt.toolbox.limits,
            record_positions: false,
            heif: Some(&attempt.toolbox.heif),
        };
        let found = inspect(&attempt.original()?, &options)
            .map_err(from_media)?
            .metadata;
        Ok(Self {
            icc,
            copyright: found.copyright,
            artist: found.creator,
        })
    }

    pub(super) fn as_metadata(&self) -> encode::Metadata<'_> {
        encode::Metadata {
            icc: self.icc.as_deref(),
            copyright: self.copyright.as_deref(),
            artist: self.artist.as_deref(),
        }
    }
}

/// The finished file of a still.
pub(super) fn still(wanted: Wanted, format: Format, size: (u32, u32), encoded: Encoded) -> Made {
    Made {
        wanted,
        format,
        dimensions: size,
        animated: false,
        bytes: encoded.bytes,
    }
}
