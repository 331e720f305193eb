//! What the upload would find out about the file, and what the first task would.

use crate::config::Config;
use crate::estimate::{Film, Sounds, Subject};
use crate::fault::Fault;
use mediaflow_core::{Kind, Operation, Recipe};
use mediaflow_engine::{Recognise as _, Recognised};
use mediaflow_media::MediaError;
use mediaflow_media::audio;
use mediaflow_media::video::{
    self, Container, Ffmpeg, FfmpegLimits, MediaInfo, REMUXED_MEDIA_TYPE, needs_index,
};
use mediaflow_worker::{MediaRecogniser, planning};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// As much of a file as the upload looks at first.
const HEAD_BYTES: u64 = 128 << 10;
/// The largest picture that the upload reads whole to find its size.
const MEASURED_BYTES_MAX: u64 = 256 << 20;

/// What the bytes say.
pub(super) struct Looked {
    pub(super) recognised: Recognised,
    pub(super) bytes: u64,
}

impl Looked {
    /// Size and length, as far as they are known.
    pub(super) fn about(&self, subject: &Subject) -> String {
        let sides = subject.sides.map(|(w, h)| format!("{w}x{h}"));
        let frames = (subject.frames > 1).then(|| format!("{} frames", subject.frames));
        let seconds = subject.seconds;
        let lasts = (seconds > 0.0).then(|| crate::cells::span(Some(seconds)));
        let known: Vec<String> = sides.into_iter().chain(frames).chain(lasts).collect();
        match known.is_empty() {
            true => "of unknown size".to_owned(),
            false => known.join(", "),
        }
    }
}

/// Recognises a file as an upload does, by its bytes alone.
pub(super) fn at(path: &Path, config: &Config) -> Result<Looked, Fault> {
    let unread = |e: io::Error| Fault::failed(format!("{}: {e}", path.display()));
    let mut file = File::open(path).map_err(unread)?;
    let bytes = file.metadata().map_err(unread)?.len();
    let refused = |code: &str, text: String| {
        Fault::failed(format!("the upload would be refused: {text} ({code})"))
    };
    let most = config.limits.upload.bytes_max;
    if bytes == 0 {
        return Err(refused("input.empty", "the file is empty".to_owned()));
    }
    if bytes > most {
        let text = format!("{bytes} bytes are more than limits.upload.bytes_max, {most}");
        return Err(refused("limit.bytes", text));
    }
    // Whether there is an ffmpeg is asked when it is needed, with a better sentence.
    let recogniser = MediaRecogniser::new(config.limits.image, true);
    let start = read(&mut file, HEAD_BYTES).map_err(unread)?;
    let is_whole = bytes <= HEAD_BYTES;
    let recognise = |bytes: &[u8], is_whole: bool| {
        let found = recogniser.recognise(bytes, is_whole);
        found.map_err(|(code, text)| refused(code.as_str(), text))
    };
    let found = recognise(&start, is_whole)?;
    let recognised = match found.kind {
        Kind::Image if found.dimensions.is_some() || is_whole || bytes > MEASURED_BYTES_MAX => {
            found
        }
        Kind::Image => recognise(&read(&mut file, bytes).map_err(unread)?, true)?,
        Kind::Video | Kind::Audio => recogniser.look_inside(found, &mut file),
    };
    Ok(Looked { recognised, bytes })
}

fn read(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What its costs depend on: of films and recordings that is what inspection finds.
pub(super) fn into(
    path: &Path,
    looked: &Looked,
    recipe: &Recipe,
    config: &Config,
) -> Result<Subject, Fault> {
    let (width, height) = looked.recognised.dimensions.unwrap_or_default();
    let picture = Subject {
        sides: looked.recognised.dimensions,
        frames: looked.recognised.frames,
        ..Subject::picture(width, height, looked.bytes)
    };
    if recipe.kind == Kind::Image {
        return Ok(picture);
    }
    let limits = FfmpegLimits::default();
    let ffmpeg = Ffmpeg::find(None, config.sandbox, limits).map_err(|e| {
        Fault::failed(e.message).and("`mediaflow doctor` says what this machine has")
    })?;
    let failed = |e: MediaError| {
        Fault::failed(format!(
            "the upload would be taken, and its processing would fail: {} ({})",
            e.message, e.code
        ))
    };
    let media_type = looked.recognised.media_type;
    // The sandbox has a working folder of its own.
    let path = path
        .canonicalize()
        .map_err(|e| Fault::failed(format!("{}: {e}", path.display())))?;
    let found = video::inspect(&ffmpeg, &path, media_type, &config.limits.video).map_err(failed)?;
    let mut info = found.info;
    let seconds = info.duration_us as f64 / 1e6;
    let has_cover = audio::has_cover(&info);
    let (film, sounds) = planned(&mut info, recipe, &ffmpeg).map_err(failed)?;
    let sides = info
        .video
        .first()
        .map(|v| (v.display_width, v.display_height));
    let (width, height) = sides.unwrap_or_default();
    Ok(Subject {
        kind: recipe.kind,
        sides,
        frames: 1,
        seconds,
        film,
        sounds,
        has_cover,
        ..Subject::picture(width, height, looked.bytes)
    })
}

fn planned(
    info: &mut MediaInfo,
    recipe: &Recipe,
    ffmpeg: &Ffmpeg,
) -> Result<(Option<Film>, Option<Sounds>), MediaError> {
    // What cannot be cut is copied first, into a container that can.
    let is_copied = match recipe.kind {
        Kind::Audio => audio::needs_index(info),
        _ => needs_index(info),
    };
    if let Some(container) = Container::of_media_type(REMUXED_MEDIA_TYPE).filter(|_| is_copied) {
        info.container = container;
    }
    for step in &recipe.steps {
        match &step.operation {
            Operation::VideoPlan(ladder) => {
                let plan = planning::film(info, ladder, !is_copied, ffmpeg.version())?;
                let sounds = plan.audio.as_ref().map(Sounds::planned);
                return Ok((Some(Film::planned(&plan)), sounds));
            }
            Operation::AudioPlan(wanted) => {
                let plan = planning::sound(info, wanted)?;
                return Ok((None, Some(Sounds::planned(&plan))));
            }
            _ => {}
        }
    }
    Ok((None, None))
}
