//! `video.captions`: the texts that a film carries with it, as WebVTT.

use super::film::{Film, ffmpeg, source};
use crate::attempt::Attempt;
use mediaflow_core::language::Language;
use mediaflow_core::{Failure, FailureKind};
use mediaflow_engine::store::{NewCaptions, Output};
use mediaflow_media::mp4::Reads;
use mediaflow_media::video::subtitles;
use serde_json::json;

pub(super) fn run(attempt: &Attempt, film: &Film) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 1)?;
    let texts = film.info.subtitles.iter().filter(|s| s.is_text);
    let streams: Vec<u32> = texts.map(|s| s.index).collect();
    let source = match streams.is_empty() {
        true => None,
        false => {
            let reads = [Reads::Streams(streams)];
            Some(source(attempt, &ffmpeg, film.info.container, &reads)?)
        }
    };
    let mut output = Output::default();
    let (mut texts, mut named, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for stream in &film.info.subtitles {
        let Some(source) = source.as_ref().filter(|_| stream.is_text) else {
            skipped.push(json!({ "stream": stream.index, "reason": "pictures, not text" }));
            continue;
        };
        let read = subtitles(&ffmpeg, source.path(), film.info.container, stream.index);
        match read.map_err(|e| source.failed(attempt, e)) {
            Ok(text) if text.contains("-->") => {
                let language = Language::of_file(stream.language.as_deref());
                let title = stream.title.clone().filter(|t| !t.trim().is_empty());
                named.push((language, title));
                texts.push(text.into_bytes());
            }
            Ok(_) => skipped.push(json!({ "stream": stream.index, "reason": "empty" })),
            // One that cannot be read takes nothing from the others.
            Err(failure) if failure.kind == FailureKind::Permanent => {
                skipped.push(json!({ "stream": stream.index, "reason": failure.message }));
            }
            Err(failure) => return Err(failure),
        }
    }
    let mut before: Vec<Language> = Vec::new();
    for (blob, (language, title)) in attempt.write(&texts)?.into_iter().zip(named) {
        let same = before.iter().filter(|other| **other == language).count();
        let (name, label) = match same {
            0 => (format!("captions-{language}"), language.label()),
            n => (
                format!("captions-{language}-{}", n + 1),
                format!("{} {}", language.label(), n + 1),
            ),
        };
        output.captions.push(NewCaptions {
            name,
            language: language.to_string(),
            label: title.unwrap_or(label),
            blob,
        });
        before.push(language);
    }
    output.facts = json!({ "captions": output.captions.len(), "skipped": skipped });
    Ok(output)
}
