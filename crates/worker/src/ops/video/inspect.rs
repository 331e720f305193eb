//! `video.inspect`: what the container says, and what its packets say.

use super::film::{ffmpeg, indexed, original};
use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use mediaflow_core::Failure;
use mediaflow_engine::store::Output;
use mediaflow_media::video::{self, MediaInfo};
use serde_json::json;

pub(super) fn run(attempt: &Attempt) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 0)?;
    let limits = &attempt.toolbox.video_limits;
    let path = original(attempt)?;
    let found =
        video::inspect(&ffmpeg, &path, &attempt.task.media_type, limits).map_err(from_media)?;
    let again = match video::needs_index(&found.info) {
        true => {
            let copy = indexed(attempt, &ffmpeg, found.info.container)?;
            let inspected = video::inspect(&ffmpeg, &copy, video::REMUXED_MEDIA_TYPE, limits);
            Some(inspected.map_err(from_media)?.info)
        }
        false => None,
    };
    let info = &found.info;
    let shown = info.video.first();
    Ok(Output {
        dimensions: shown.map(|v| (v.display_width, v.display_height)),
        search_text: Some(search_text(info)),
        facts: json!({ "info": info, "indexed": again, "ffprobe": found.ffprobe }),
        ..Output::default()
    })
}

/// The words that people look for.
pub(crate) fn search_text(info: &MediaInfo) -> String {
    let named = [
        "title",
        "artist",
        "album",
        "comment",
        "description",
        "copyright",
    ];
    let tags = named.iter().filter_map(|n| info.tags.get(*n));
    let codecs = info.video.iter().map(|v| &v.codec);
    let codecs = codecs.chain(info.audio.iter().map(|a| &a.codec));
    let words: Vec<&str> = tags.chain(codecs).map(String::as_str).collect();
    words.join(" ")
}
