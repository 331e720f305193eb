//! From TOML to a recipe. Every mistake names its line, its step and the fix.

use super::{ATTEMPTS_DEFAULT, ColorPolicy, Condition, Recipe, Step, check};
use crate::operation::{
    Compress, Download, Downloads, Encoding, Ladder, Loudness, Packaging, Resize, Rung, SoundFile,
    Sounds, Variant,
};
use crate::{Kind, Operation};
use serde::Deserialize;
use toml::Spanned;

/// A mistake in a recipe file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {message}", step.as_ref().map(|s| format!(", step \"{s}\"")).unwrap_or_default())]
pub struct RecipeError {
    /// Counted from one.
    pub line: usize,
    /// The step it is in, where it is in one.
    pub step: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    #[serde(default = "first_version")]
    version: u32,
    kind: Kind,
    #[serde(default)]
    color: ColorPolicy,
    #[serde(default)]
    steps: Vec<Spanned<RawStep>>,
}

const fn first_version() -> u32 {
    1
}

/// All fields that any operation takes; which belong to which is checked when it is made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStep {
    pub(super) name: String,
    pub(super) operation: String,
    #[serde(default)]
    pub(super) needs: Vec<String>,
    when: Option<Condition>,
    #[serde(default)]
    optional: bool,
    attempts: Option<u32>,
    timeout_s: Option<u64>,
    #[serde(default)]
    requires: Vec<String>,
    variants: Option<Vec<Variant>>,
    jpeg_quality: Option<u8>,
    formats: Option<Vec<Encoding>>,
    rungs: Option<Vec<Rung>>,
    channels_max: Option<u8>,
    pass_through: Option<bool>,
    rung: Option<String>,
    kbps: Option<Vec<u32>>,
    channels: Option<u8>,
    target_lufs: Option<f64>,
    true_peak_dbtp: Option<f64>,
    files: Option<Vec<SoundFile>>,
    chunk_cpu_s: Option<u32>,
    segments: Option<Packaging>,
}

/// Where in the file a step stands, for messages.
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) name: String,
}

impl Place {
    pub(super) fn error(&self, message: impl Into<String>) -> RecipeError {
        RecipeError {
            line: self.line,
            step: Some(self.name.clone()),
            message: message.into(),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Recipe, RecipeError> {
    let file: File = toml::from_str(text).map_err(|e| syntax_error(text, &e))?;
    let name_line = line_of(text, file.name.span().start);
    let file_error = |line, message: String| RecipeError {
        line,
        step: None,
        message,
    };
    check::name(file.name.as_ref()).map_err(|m| file_error(name_line, m))?;

    let mut raw = Vec::with_capacity(file.steps.len());
    for step in file.steps {
        let line = line_of(text, step.span().start);
        let step = step.into_inner();
        raw.push((
            Place {
                line,
                name: step.name.clone(),
            },
            step,
        ));
    }
    let order = check::order(&raw, name_line)?;

    let mut steps: Vec<Step> = Vec::with_capacity(order.len());
    for index in order {
        let (place, step) = &raw[index];
        let mut needs: Vec<usize> = step
            .needs
            .iter()
            .filter_map(|need| steps.iter().position(|s| &s.name == need))
            .collect();
        needs.sort_unstable();
        steps.push(make_step(place, step, needs)?);
    }
    let recipe = Recipe {
        name: file.name.into_inner(),
        version: file.version,
        kind: file.kind,
        color: file.color,
        steps,
    };
    let places: Vec<Place> = raw.into_iter().map(|(place, _)| place).collect();
    check::meaning(&recipe, &places, name_line)?;
    Ok(recipe)
}

fn make_step(place: &Place, raw: &RawStep, needs: Vec<usize>) -> Result<Step, RecipeError> {
    let operation = operation(place, raw)?;
    check::parameters(place, &operation)?;
    let attempts = raw.attempts.unwrap_or(ATTEMPTS_DEFAULT);
    if !(1..=20).contains(&attempts) {
        return Err(place.error(format!("`attempts` is {attempts}; it must be 1 to 20")));
    }
    let timeout_s = raw.timeout_s.unwrap_or(operation.timeout().as_secs());
    if !(1..=86_400).contains(&timeout_s) {
        return Err(place.error(format!("`timeout_s` is {timeout_s}; it must be 1 to 86400")));
    }
    let mut requires = raw.requires.clone();
    requires.sort_unstable();
    requires.dedup();
    if let Some(bad) = requires.iter().find(|name| check::name(name).is_err()) {
        return Err(place.error(format!(
            "`requires` has {bad:?}; a capability is named by lower-case letters, digits and `-`, for example `gpu`"
        )));
    }
    Ok(Step {
        name: raw.name.clone(),
        operation,
        needs,
        when: raw.when,
        optional: raw.optional,
        attempts,
        timeout_s,
        requires,
    })
}

fn operation(place: &Place, raw: &RawStep) -> Result<Operation, RecipeError> {
    let made = match raw.operation.as_str() {
        "image.inspect" => Operation::Inspect,
        "moderate" => Operation::Moderate,
        "image.watermark" => Operation::Watermark,
        "image.placeholder" => Operation::Placeholder,
        "distribute" => Operation::Distribute,
        "publish" => Operation::Publish,
        "image.resize" => Operation::Resize(Resize {
            variants: raw.variants.clone().ok_or_else(|| {
                place.error("`image.resize` needs `variants`, for example `variants = [{ name = \"small\", fit = \"width\", width = 320 }]`")
            })?,
            jpeg_quality: raw.jpeg_quality.unwrap_or(87),
        }),
        "image.compress" | "image.squeeze" => {
            let formats = raw.formats.clone().ok_or_else(|| {
                place.error("this operation needs `formats`, for example `formats = [{ format = \"webp\", quality = 80 }]`")
            })?;
            if raw.operation == "image.compress" {
                Operation::Compress(Compress { formats })
            } else {
                Operation::Squeeze(Compress { formats })
            }
        }
        "video.inspect" => Operation::VideoInspect,
        "video.plan" => Operation::VideoPlan(Ladder {
            rungs: raw.rungs.clone().ok_or_else(|| {
                place.error("`video.plan` needs `rungs`, for example `rungs = [{ name = \"360p\", height = 360, video_kbps = 800, audio_kbps = 96 }]`")
            })?,
            channels_max: raw.channels_max.unwrap_or(2),
            pass_through: raw.pass_through.unwrap_or(true),
            chunk_cpu_s: raw.chunk_cpu_s,
            packaging: raw.segments.unwrap_or_default(),
        }),
        "video.lead" => Operation::VideoLead,
        "video.encode" => Operation::VideoEncode,
        "video.audio" => Operation::VideoAudio,
        "video.poster" => Operation::VideoPoster,
        "video.storyboard" => Operation::VideoStoryboard,
        "video.verify" => Operation::VideoVerify,
        "video.captions" => Operation::VideoCaptions,
        "video.download" => Operation::VideoDownload(Download {
            rung: raw.rung.clone(),
        }),
        "audio.inspect" => Operation::AudioInspect,
        "audio.loudness" => Operation::AudioLoudness(Loudness {
            target_lufs: raw.target_lufs.unwrap_or(-16.0),
            true_peak_dbtp: raw.true_peak_dbtp.unwrap_or(-1.0),
        }),
        "audio.plan" => Operation::AudioPlan(Sounds {
            kbps: raw.kbps.clone().ok_or_else(|| {
                place.error("`audio.plan` needs `kbps`, for example `kbps = [64, 128, 192]`")
            })?,
            channels: raw.channels.unwrap_or(2),
        }),
        "audio.encode" => Operation::AudioEncode,
        "audio.download" => Operation::AudioDownload(Downloads {
            files: raw.files.clone().ok_or_else(|| {
                place.error("`audio.download` needs `files`, for example `files = [{ format = \"mp3\", kbps = 192 }]`")
            })?,
        }),
        "audio.waveform" => Operation::AudioWaveform,
        "audio.cover" => Operation::AudioCover,
        "audio.verify" => Operation::AudioVerify,
        other => {
            return Err(place.error(format!(
                "there is no operation `{other}`; there are image.inspect, moderate, image.resize, image.watermark, image.compress, image.placeholder, image.squeeze, \
                 video.inspect, video.plan, video.lead, video.encode, video.audio, video.poster, video.storyboard, video.verify, video.captions, video.download, \
                 audio.inspect, audio.loudness, audio.plan, audio.encode, audio.download, audio.waveform, audio.cover, audio.verify, distribute, publish"
            )));
        }
    };
    let is_download = matches!(made, Operation::VideoDownload(_));
    let is_plan = matches!(made, Operation::VideoPlan(_));
    let is_sounds = matches!(made, Operation::AudioPlan(_));
    let is_loudness = matches!(made, Operation::AudioLoudness(_));
    let has_files = matches!(made, Operation::AudioDownload(_));
    let is_resize = matches!(made, Operation::Resize(_));
    let has_formats = matches!(made, Operation::Compress(_) | Operation::Squeeze(_));
    for (field, given, belongs, owner) in [
        (
            "variants",
            raw.variants.is_some(),
            is_resize,
            "image.resize",
        ),
        (
            "jpeg_quality",
            raw.jpeg_quality.is_some(),
            is_resize,
            "image.resize",
        ),
        (
            "formats",
            raw.formats.is_some(),
            has_formats,
            "image.compress and image.squeeze",
        ),
        ("rungs", raw.rungs.is_some(), is_plan, "video.plan"),
        (
            "channels_max",
            raw.channels_max.is_some(),
            is_plan,
            "video.plan",
        ),
        (
            "pass_through",
            raw.pass_through.is_some(),
            is_plan,
            "video.plan",
        ),
        ("rung", raw.rung.is_some(), is_download, "video.download"),
        ("kbps", raw.kbps.is_some(), is_sounds, "audio.plan"),
        ("channels", raw.channels.is_some(), is_sounds, "audio.plan"),
        (
            "target_lufs",
            raw.target_lufs.is_some(),
            is_loudness,
            "audio.loudness",
        ),
        (
            "true_peak_dbtp",
            raw.true_peak_dbtp.is_some(),
            is_loudness,
            "audio.loudness",
        ),
        ("files", raw.files.is_some(), has_files, "audio.download"),
        (
            "chunk_cpu_s",
            raw.chunk_cpu_s.is_some(),
            is_plan,
            "video.plan",
        ),
        ("segments", raw.segments.is_some(), is_plan, "video.plan"),
    ] {
        if given && !belongs {
            return Err(place.error(format!("`{field}` belongs to {owner}; remove it here")));
        }
    }
    Ok(made)
}

fn syntax_error(text: &str, error: &toml::de::Error) -> RecipeError {
    let start = error.span().map_or(0, |span| span.start);
    RecipeError {
        line: line_of(text, start),
        step: step_at(text, start),
        message: plain(error.message()),
    }
}

/// The reader's words, where they speak of this program's types, in words of the file.
fn plain(message: &str) -> String {
    if let Some(field) = message.strip_prefix("missing field ") {
        let fix = match field {
            "`name`" => "add `name = \"...\"`",
            "`kind`" => "add `kind = \"image\"` at the top of the file",
            "`operation`" => "add `operation = \"...\"`, for example \"image.resize\"",
            "`fit`" => "add `fit = \"width\"`, \"cover\" or \"original\"",
            "`format`" => "add `format = \"webp\"` or \"avif\"",
            _ => "add it",
        };
        return format!("{field} is missing; {fix}");
    }
    let known = [
        ("expected u8", "expected a whole number from 0 to 255"),
        (
            "expected u32",
            "expected a whole number from 0 to 4294967295",
        ),
        ("expected u64", "expected a whole number, 0 or more"),
        (
            "map, expected a sequence",
            "a single table, expected a list (steps begin with `[[steps]]`, in double brackets)",
        ),
        ("expected a sequence", "expected a list: [ ... ]"),
        (
            "expected struct RawStep",
            "expected a step: a table that begins with `[[steps]]`",
        ),
        (
            "expected struct Variant",
            "expected a size, for example { name = \"small\", fit = \"width\", width = 320 }",
        ),
        (
            "expected struct Encoding",
            "expected an encoding, for example { format = \"webp\", quality = 80 }",
        ),
        (
            "expected struct SoundFile",
            "expected a file, for example { format = \"mp3\", kbps = 192 }",
        ),
        ("expected f64", "expected a number"),
        (
            "expected struct Tuning",
            "expected { quality = ..., effort = ... }",
        ),
    ];
    match known.iter().find(|(theirs, _)| message.contains(theirs)) {
        Some((theirs, ours)) => message.replace(theirs, ours),
        None => message.to_owned(),
    }
}

/// The name of the step whose table holds the byte at `offset`, as far as the text tells: the file could not be read.
fn step_at(text: &str, offset: usize) -> Option<String> {
    let begins = |line: &&str| line.trim_start().starts_with("[[steps]]");
    let lines: Vec<&str> = text.lines().collect();
    let upto = line_of(text, offset).min(lines.len());
    let first = lines[..upto].iter().rposition(begins)?;
    let mut table = lines[first + 1..].iter().take_while(|l| !begins(l));
    table.find_map(|line| {
        let value = line.trim().strip_prefix("name")?.trim_start();
        let value = value.strip_prefix('=')?.trim().strip_prefix('"')?;
        Some(value.split_once('"')?.0.to_owned())
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|&&b| b == b'\n')
        .count()
        + 1
}
