//! `video.inspect`: what the container says, and what its packets say.

use super::film::{ffmpeg, indexed, inspected};
use super::pieces;
use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use mediaflow_core::Failure;
use mediaflow_engine::store::{MediaFacts, Output};
use mediaflow_media::video::{self, Hdr, MediaInfo};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn run(attempt: &Attempt) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 0)?;
    let limits = &attempt.toolbox.video_limits;
    let (found, again, pieces) = match pieces::make(attempt, &ffmpeg)? {
        Some(made) => (made.inspection, Some(made.indexed), made.blobs),
        None => {
            let found = inspected(attempt, &ffmpeg)?;
            let again = match video::needs_index(&found.info) {
                true => {
                    let copy = indexed(attempt, &ffmpeg, found.info.container)?;
                    let media_type = video::REMUXED_MEDIA_TYPE;
                    let inspected = video::inspect(&ffmpeg, &copy, media_type, limits);
                    Some(inspected.map_err(from_media)?.info)
                }
                false => None,
            };
            (found, again, Vec::new())
        }
    };
    let info = &found.info;
    let shown = info.video.first();
    Ok(Output {
        dimensions: shown.map(|v| (v.display_width, v.display_height)),
        media: Some(Box::new(essentials(info))),
        search_text: Some(search_text(&found.ffprobe)),
        facts: json!({
            "info": info, "indexed": again, "pieces": pieces.len(), "ffprobe": found.ffprobe,
        }),
        pieces,
        ..Output::default()
    })
}

/// What is searched for by itself.
pub(crate) fn essentials(info: &MediaInfo) -> MediaFacts {
    let film = info.video.first();
    let sound = info.audio.first();
    let hdr = film.and_then(|v| v.hdr).map(|hdr| match hdr {
        Hdr::Hdr10 => "hdr10",
        Hdr::Hlg => "hlg",
        Hdr::DolbyVision { .. } => "dolby_vision",
    });
    let codec = film.map(|v| &v.codec).or(sound.map(|a| &a.codec));
    let container = serde_json::to_value(info.container).unwrap_or_default();
    MediaFacts {
        duration_ms: info.duration_us / 1000,
        container: container.as_str().unwrap_or_default().to_owned(),
        codec: codec.cloned(),
        frame_rate: film.map(|v| v.frame_rate.as_f64()),
        has_sound: sound.is_some(),
        hdr: hdr.map(str::to_owned),
    }
}

/// Longest text that search knows of a file, in bytes.
const WORDS_MAX: usize = 32 << 10;

/// Every text of ffprobe's document, once: titles, tags, codecs, profiles, names of chapters.
pub(crate) fn search_text(ffprobe: &Value) -> String {
    let mut words = BTreeSet::new();
    collect(ffprobe, &mut words);
    let mut text = String::new();
    for word in words {
        if text.len() + word.len() > WORDS_MAX {
            continue;
        }
        text += word;
        text.push('\n');
    }
    text
}

fn collect<'a>(value: &'a Value, words: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) if text.contains(char::is_alphabetic) => {
            words.insert(text);
        }
        Value::Array(all) => all.iter().for_each(|one| collect(one, words)),
        Value::Object(fields) => fields.values().for_each(|one| collect(one, words)),
        _ => {}
    }
}
