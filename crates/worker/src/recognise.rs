//! What a file is and how large, for the engine's accept: headers only, never pixels.

use crate::ops::failure::code_of;
use mediaflow_core::{ErrorCode, Kind};
use mediaflow_engine::blob::BlobFile;
use mediaflow_engine::{Recognise, Recognised};
use mediaflow_media::image::{Format, ImageLimits, heif, probe};
use mediaflow_media::sniff::{Sniffed, look_inside, sniff};

/// Recognises what this build of MediaFlow can process.
pub struct MediaRecogniser {
    limits: ImageLimits,
    takes_video: bool,
}

impl MediaRecogniser {
    /// With `[limits.image]`; videos are taken where there is an ffmpeg for them.
    pub fn new(limits: ImageLimits, takes_video: bool) -> Self {
        Self {
            limits,
            takes_video,
        }
    }
}

impl Recognise for MediaRecogniser {
    fn recognise(&self, bytes: &[u8], is_whole: bool) -> Result<Recognised, (ErrorCode, String)> {
        let refuse = |what: &str| Err((ErrorCode::InputUnsupported, what.to_owned()));
        let format = match sniff(bytes) {
            Sniffed::Image(format) => format,
            Sniffed::Svg => {
                return refuse(
                    "SVG is a program for a renderer, not a picture; upload a PNG or WebP of it",
                );
            }
            Sniffed::Video(kind) | Sniffed::Audio(kind) if !self.takes_video => {
                return refuse(&format!(
                    "this is video or sound ({kind}), and this server has no ffmpeg; install it and start again"
                ));
            }
            Sniffed::Video(media_type) => return Ok(streams(Kind::Video, media_type)),
            Sniffed::Audio(media_type) => return Ok(streams(Kind::Audio, media_type)),
            Sniffed::Unknown => {
                return refuse(
                    "the bytes are of no known type; JPEG, PNG, GIF, WebP, AVIF, HEIC, TIFF, BMP and the usual containers of video and sound are taken",
                );
            }
        };
        let (dimensions, frames) = self.measure(format, bytes, is_whole);
        Ok(Recognised {
            kind: Kind::Image,
            media_type: format.media_type(),
            dimensions,
            frames,
        })
    }

    fn look_inside(&self, found: Recognised, mut file: &mut dyn BlobFile) -> Recognised {
        let sniffed = match found.kind {
            Kind::Image => return found,
            Kind::Video => Sniffed::Video(found.media_type),
            Kind::Audio => Sniffed::Audio(found.media_type),
        };
        match look_inside(sniffed, &mut file) {
            Sniffed::Video(media_type) => streams(Kind::Video, media_type),
            Sniffed::Audio(media_type) => streams(Kind::Audio, media_type),
            _ => found,
        }
    }
}

fn streams(kind: Kind, media_type: &'static str) -> Recognised {
    Recognised {
        kind,
        media_type,
        dimensions: None,
        frames: 1,
    }
}

impl MediaRecogniser {
    /// Size and frames where the bytes tell. What is damaged or beyond a limit is found by the tasks, which leave
    /// a history; here it only costs its estimate.
    fn measure(&self, format: Format, bytes: &[u8], is_whole: bool) -> (Option<(u32, u32)>, u32) {
        if matches!(format, Format::Heic | Format::Avif) {
            return (heif::dimensions(bytes), 1);
        }
        match probe(bytes, &self.limits, None) {
            Ok(found) => (Some((found.width, found.height)), found.frames),
            Err(error) => {
                if is_whole {
                    tracing::debug!(code = ?code_of(&error), "an upload's header cannot be read");
                }
                (None, 1)
            }
        }
    }
}
