//! `image.compress` and `image.squeeze`: every variant in WebP and AVIF. An animation stays one in WebP;
//! its AVIF is the first frame.

use super::source::{self, Marker};
use super::writing::{Made, Notes, Wanted, make_anew, produce, still, wanted};
use crate::attempt::Attempt;
use crate::ops::failure::{from_engine, from_media};
use crate::threads::MediaThreads;
use mediaflow_core::operation::{Encoding, Format, Variant};
use mediaflow_core::{Failure, Operation};
use mediaflow_engine::store::{Output, RenditionBlob, RenditionRecord};
use mediaflow_media::MediaError;
use mediaflow_media::image::encode::{avif, webp};
use mediaflow_media::image::resize::{self, cascade};
use mediaflow_media::image::{Pixels, decode_frames};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) async fn compress(
    attempt: Arc<Attempt>,
    threads: &MediaThreads,
) -> Result<Output, Failure> {
    let mark = attempt.mark().await?.map(Arc::new);
    let mut renditions = Vec::new();
    for encoding in encodings(&attempt) {
        let wanted = wanted(&attempt, |v| said(&encoding, v));
        let make = encoder(encoding, mark.clone());
        renditions.extend(produce(Arc::clone(&attempt), threads, wanted, make).await?);
    }
    Ok(Output {
        renditions,
        ..Output::default()
    })
}

/// Encodes again with more effort, and keeps what came out smaller in the place of what `image.compress` made:
/// whoever uploads the same bytes later gets the smaller file at once.
pub(crate) async fn squeeze(
    attempt: Arc<Attempt>,
    threads: &MediaThreads,
) -> Result<Output, Failure> {
    let recorded = attempt.depot.recorded(&attempt.task).await;
    let recorded = recorded.map_err(|e| from_engine(e.into()))?;
    let mark = attempt.mark().await?.map(Arc::new);
    let mut renditions = Vec::new();
    for encoding in encodings(&attempt) {
        let replaced = compressed(&attempt, encoding.format).unwrap_or_else(|| encoding.clone());
        let wanted = wanted(&attempt, |v| said(&replaced, v));
        let make = encoder(encoding, mark.clone());
        let made = make_anew(Arc::clone(&attempt), threads, wanted, make);
        renditions.extend(made.await?);
    }
    renditions.retain(|new| {
        let is_old = |r: &RenditionRecord| r.format == new.format && r.profile == new.profile;
        let old = recorded.iter().map(|(r, _)| r).find(|r| is_old(r));
        matches!(&new.blob, RenditionBlob::New(blob) if old.is_none_or(|r| blob.bytes < r.bytes))
    });
    let facts = json!({ "improved": renditions.len() });
    Ok(Output {
        renditions,
        facts,
        ..Output::default()
    })
}

/// What a rendition's derivation says of its encoding.
fn said(encoding: &Encoding, variant: &Variant) -> serde_json::Value {
    json!([encoding.format, encoding.tuning(&variant.name)])
}

/// What `image.compress` makes of this format in the same recipe.
fn compressed(attempt: &Attempt, format: Format) -> Option<Encoding> {
    let mut steps = attempt.task.recipe.steps.iter();
    steps.find_map(|step| match &step.operation {
        Operation::Compress(c) => c.formats.iter().find(|e| e.format == format).cloned(),
        _ => None,
    })
}

fn encoder(
    encoding: Encoding,
    mark: Option<Arc<Vec<u8>>>,
) -> impl FnOnce(&Attempt, Vec<Wanted>) -> Result<Vec<Made>, Failure> + Send + 'static {
    move |attempt, wanted| {
        encode(
            attempt,
            wanted,
            &encoding,
            mark.as_deref().map(Vec::as_slice),
        )
    }
}

fn encodings(attempt: &Attempt) -> Vec<Encoding> {
    match &attempt.task.recipe.steps[attempt.task.step].operation {
        Operation::Compress(c) | Operation::Squeeze(c) => c.formats.clone(),
        _ => Vec::new(),
    }
}

fn encode(
    attempt: &Attempt,
    missing: Vec<Wanted>,
    encoding: &Encoding,
    mark: Option<&[u8]>,
) -> Result<Vec<Made>, Failure> {
    if encoding.format == Format::Webp && attempt.task.facts.frames > 1 {
        return animation(attempt, missing, encoding, mark);
    }
    let sizes = source::sizes(attempt, mark)?;
    let notes = Notes::of(attempt, source::pixels(attempt)?.icc.clone())?;
    // Different variants of a small picture can be the same pixels: they are encoded once.
    let mut done: HashMap<(*const Pixels, (u8, Option<u8>)), usize> = HashMap::new();
    let mut made: Vec<Made> = Vec::with_capacity(missing.len());
    for wanted in missing {
        attempt.check()?;
        let pixels = &sizes[wanted.variant];
        let tuning = encoding.tuning(&source::variants(attempt)[wanted.variant].name);
        let size = (pixels.width(), pixels.height());
        if let Some(&same) = done.get(&(Arc::as_ptr(pixels), tuning)) {
            let bytes = made[same].bytes.clone();
            made.push(Made {
                wanted,
                format: encoding.format,
                dimensions: size,
                animated: false,
                bytes,
            });
            continue;
        }
        let (quality, effort) = tuning;
        let encoded = if encoding.format == Format::Webp {
            webp::encode(pixels, &webp_options(quality, effort), &notes.as_metadata())
        } else {
            let options = avif::AvifOptions {
                quality,
                speed: effort,
            };
            avif::encode(pixels, &options, &notes.as_metadata())
        };
        match encoded {
            Ok(encoded) => {
                done.insert((Arc::as_ptr(pixels), tuning), made.len());
                made.push(still(wanted, encoding.format, size, encoded));
            }
            // A panorama of 17,000 pixels fits no WebP: it goes without, as pages can show the others.
            Err(error) if error.code == "limit.pixels" => {}
            Err(error) => return Err(from_media(error)),
        }
    }
    Ok(made)
}

fn webp_options(quality: u8, method: Option<u8>) -> webp::WebpOptions {
    webp::WebpOptions {
        quality: f32::from(quality),
        method: method.unwrap_or(webp::WebpOptions::default().method),
        lossless: false,
    }
}

/// All variants at once from one pass over the frames, of which one exists at a time.
fn animation(
    attempt: &Attempt,
    missing: Vec<Wanted>,
    encoding: &Encoding,
    mark: Option<&[u8]>,
) -> Result<Vec<Made>, Failure> {
    let bytes = attempt.original()?;
    let variants = source::variants(attempt);
    let all = source::fits(attempt);
    let fits: Vec<resize::Fit> = missing.iter().map(|w| all[w.variant]).collect();
    let marker = mark.map(|m| Marker::new(attempt, m)).transpose()?;
    let notes = Notes::of(attempt, source::pixels(attempt)?.icc.clone())?;
    let mut encoders: Vec<webp::AnimationEncoder> = Vec::new();
    let mut sizes: Vec<(u32, u32)> = Vec::new();
    let loops = loops(attempt, &bytes)?;
    let options = attempt.toolbox.decoding(source::keeps_profile(attempt));
    decode_frames(&bytes, &options, &mut |frame| {
        attempt.check().map_err(stopped)?;
        let frame_sizes = cascade(&Arc::new(frame.pixels), &fits)?;
        for (index, pixels) in frame_sizes.iter().enumerate() {
            let marked = marker
                .as_ref()
                .map(|m| m.apply(pixels).map_err(stopped))
                .transpose()?;
            let pixels = marked.as_ref().unwrap_or(pixels);
            if encoders.len() <= index {
                let (quality, effort) = encoding.tuning(&variants[missing[index].variant].name);
                let (width, height) = (pixels.width(), pixels.height());
                encoders.push(webp::AnimationEncoder::new(
                    width,
                    height,
                    loops,
                    &webp_options(quality, effort),
                )?);
                sizes.push((width, height));
            }
            encoders[index].add_frame(pixels, frame.delay_ms)?;
        }
        Ok(())
    })
    .map_err(from_media)?;
    let mut made = Vec::with_capacity(missing.len());
    for ((wanted, encoder), size) in missing.into_iter().zip(encoders).zip(sizes) {
        attempt.check()?;
        let encoded = encoder.finish(&notes.as_metadata()).map_err(from_media)?;
        made.push(Made {
            animated: true,
            ..still(wanted, Format::Webp, size, encoded)
        });
    }
    Ok(made)
}

/// How often the original plays, which the encoder must know before the first frame.
fn loops(attempt: &Attempt, bytes: &[u8]) -> Result<u32, Failure> {
    let options = mediaflow_media::image::InspectOptions {
        limits: attempt.toolbox.limits,
        record_positions: false,
        heif: None,
    };
    let info = mediaflow_media::image::inspect(bytes, &options).map_err(from_media)?;
    Ok(info.loops.unwrap_or(0))
}

/// A failure on its way through the decoder; its code survives.
fn stopped(failure: Failure) -> MediaError {
    MediaError {
        code: failure.code.as_str(),
        message: failure.message,
        kind: mediaflow_media::ErrorKind::Transient,
    }
}
