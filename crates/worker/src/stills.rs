//! Single pictures of finished streams, for who asks for a moment: the engine's `Stills`, by ffmpeg in its sandbox.

use async_trait::async_trait;
use mediaflow_core::ErrorCode;
use mediaflow_core::operation::{Format, Packaging};
use mediaflow_engine::{StillSource, Stills};
use mediaflow_media::MediaError;
use mediaflow_media::image::encode::{Metadata, avif, jpeg, webp};
use mediaflow_media::video::{
    self, Container, Ffmpeg, FfmpegLimits, MediaLimits, REMUXED_MEDIA_TYPE,
};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Pictures that are made at the same time.
const CONCURRENT_MAX: usize = 2;
/// How long one may wait for its turn.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long one may take.
const TIME_MAX: Duration = Duration::from_secs(10);
/// What the parts of our own streams are.
const MEDIA_TYPE: &str = "video/mp4";
/// The plain name of a copy with an index.
const INDEXED: &str = "indexed.mkv";

/// Makes pictures.
pub struct MediaStills {
    ffmpeg: Ffmpeg,
    limits: MediaLimits,
    scratch: PathBuf,
    turns: Semaphore,
}

impl MediaStills {
    /// With files in `scratch`, an existing folder.
    pub fn new(ffmpeg: &Ffmpeg, limits: MediaLimits, scratch: PathBuf) -> Self {
        let run = FfmpegLimits {
            wall: TIME_MAX,
            cpu_seconds: TIME_MAX.as_secs(),
            ..*ffmpeg.limits()
        };
        Self {
            ffmpeg: ffmpeg.clone().with_limits(run).with_threads(1),
            limits,
            scratch,
            turns: Semaphore::new(CONCURRENT_MAX),
        }
    }
}

#[async_trait]
impl Stills for MediaStills {
    async fn still(&self, source: StillSource) -> Result<Vec<u8>, (ErrorCode, String)> {
        let busy = |_| {
            let text = "too many pictures are being made at this moment; try again";
            (ErrorCode::LimitRate, text.to_owned())
        };
        let turn = tokio::time::timeout(WAIT_MAX, self.turns.acquire()).await;
        let _turn = turn.map_err(busy)?;
        let (ffmpeg, limits) = (self.ffmpeg.clone(), self.limits);
        let scratch = self.scratch.clone();
        let made = tokio::task::spawn_blocking(move || {
            let unwritable = |error: std::io::Error| {
                tracing::warn!(%error, "scratch cannot be written");
                (
                    ErrorCode::StorageUnavailable,
                    "scratch cannot be written".to_owned(),
                )
            };
            let folder = tempfile::tempdir_in(scratch).map_err(unwritable)?;
            let path = folder.path().join("part.mp4");
            std::fs::write(&path, &source.bytes).map_err(unwritable)?;
            // Times in a transport stream are found by guessing: it gets an index first.
            let (path, media_type) = match source.packaging {
                Packaging::Ts => {
                    let container = Container::MpegTs;
                    video::remux(&ffmpeg, &path, container, folder.path(), INDEXED)
                        .map_err(code)?;
                    (folder.path().join(INDEXED), REMUXED_MEDIA_TYPE)
                }
                Packaging::Cmaf => (path, MEDIA_TYPE),
            };
            let info = video::inspect(&ffmpeg, &path, media_type, &limits)
                .map_err(code)?
                .info;
            let pixels = video::frame_at(&ffmpeg, &path, &info, source.seconds, source.side_max);
            let (pixels, plain) = (pixels.map_err(code)?, Metadata::default());
            let encoded = match source.format {
                Format::Avif => avif::encode(
                    &pixels,
                    &avif::AvifOptions {
                        speed: Some(9),
                        ..Default::default()
                    },
                    &plain,
                ),
                Format::Webp => webp::encode(&pixels, &webp::WebpOptions::default(), &plain),
                _ => jpeg::encode(&pixels, &jpeg::JpegOptions::default(), &plain),
            };
            Ok(encoded.map_err(code)?.bytes)
        });
        made.await.unwrap_or_else(|error| {
            tracing::error!(%error, "making a picture ended badly");
            Err((ErrorCode::Internal, "making a picture ended badly".into()))
        })
    }
}

/// The stream is ours: what is wrong with it is no fault of who asks.
fn code(error: MediaError) -> (ErrorCode, String) {
    let code = match error.code {
        "timeout" => ErrorCode::Timeout,
        "sandbox.unavailable" => ErrorCode::SandboxUnavailable,
        _ => ErrorCode::EncoderFailed,
    };
    (code, error.message)
}
