//! A picture of any moment of a video: found in the store, made by who knows codecs.

use crate::{Engine, EngineError};
use async_trait::async_trait;
use mediaflow_blob::BlobKey;
use mediaflow_core::operation::{Format, Packaging};
use mediaflow_core::{AssetId, ErrorCode, Sha256, Visibility};
use mediaflow_store::{StreamFile, Track, TrackKind};

/// What a picture is made from: a stream's own parts, never what was uploaded.
#[derive(Debug, Clone)]
pub struct StillSource {
    /// The one segment that shows the moment, behind its initialisation segment where there is one.
    pub bytes: Vec<u8>,
    /// What that is wrapped in.
    pub packaging: Packaging,
    /// Of the moment, after the segment's first picture.
    pub seconds: f64,
    /// Longest side of the picture, in pixels.
    pub side_max: u32,
    /// JPEG, WebP or AVIF.
    pub format: Format,
}

/// Decodes and encodes single pictures. Does little at a time, whoever asks.
#[async_trait]
pub trait Stills: Send + Sync + 'static {
    /// # Errors
    /// A code and a text: `limit.rate` while too many are made.
    async fn still(&self, source: StillSource) -> Result<Vec<u8>, (ErrorCode, String)>;
}

/// A moment that can be shown.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Who may see it.
    pub visibility: Visibility,
    asset: AssetId,
    track: String,
    packaging: Packaging,
    number: u32,
    seconds: f64,
    side_max: u32,
    /// Of the segment.
    sha256: Sha256,
}

impl Moment {
    /// Identifies the picture of this moment in a format; the same for as long as the stream is.
    pub fn identity(&self, format: Format) -> Sha256 {
        let millis = (self.seconds * 1000.0).round();
        let text = format!(
            "still {} {millis} {} {}",
            self.sha256,
            self.side_max,
            format.as_str()
        );
        Sha256::of(text.as_bytes())
    }
}

impl Engine {
    /// Finds the moment, counted from the video's first picture, in the lowest stream that is `width` pixels wide (the
    /// highest where none is, and the lowest without a width).
    ///
    /// # Errors
    /// No such asset; `rendition.not_found` where no stream shows; `request.time` outside of what can be watched.
    pub async fn moment(
        &self,
        asset: AssetId,
        seconds: f64,
        width: Option<u32>,
    ) -> Result<Moment, EngineError> {
        let streams = self.parts.store.streams(asset).await?;
        let video = streams.tracks.iter().filter(|t| t.kind == TrackKind::Video);
        let mut video: Vec<&Track> = video.filter(|t| !t.segments.is_empty()).collect();
        video.sort_by_key(|t| t.width);
        let track = match width {
            Some(width) => video
                .iter()
                .find(|t| t.width >= Some(width))
                .or(video.last()),
            None => video.first(),
        };
        let none = || {
            let code = ErrorCode::RenditionNotFound;
            EngineError::new(code, "there is no video to see yet, or it is none")
        };
        let track = track.ok_or_else(none)?;
        let mut begin = 0.0;
        for (number, segment) in (0..).zip(&track.segments) {
            let end = begin + segment.duration as f64 / f64::from(track.timescale.max(1));
            if seconds < end {
                return Ok(Moment {
                    visibility: streams.visibility,
                    asset,
                    track: track.name.clone(),
                    packaging: track.packaging,
                    number,
                    seconds: seconds - begin,
                    side_max: side_max(track, width),
                    sha256: segment.sha256,
                });
            }
            begin = end;
        }
        let text =
            format!("there is nothing at {seconds} s; what can be watched ends at {begin:.3} s");
        Err(EngineError::new(ErrorCode::RequestTime, text))
    }

    /// Makes the picture of a moment.
    ///
    /// # Errors
    /// What `stills` says; storage that does not answer.
    pub async fn still(
        &self,
        stills: &dyn Stills,
        moment: &Moment,
        format: Format,
    ) -> Result<Vec<u8>, EngineError> {
        let mut bytes = Vec::new();
        let init = (moment.packaging == Packaging::Cmaf).then_some(StreamFile::Init);
        let segment = StreamFile::Segment(moment.packaging, moment.number);
        for file in init.into_iter().chain([segment]) {
            let store = &self.parts.store;
            let found = store.segment(moment.asset, &moment.track, file).await?;
            let gone = || EngineError::new(ErrorCode::RenditionNotFound, "the video is gone");
            let (blob, _) = found.ok_or_else(gone)?;
            let key: BlobKey = blob.key.parse()?;
            bytes.extend(self.parts.blobs.get(&key).await?);
        }
        let source = StillSource {
            bytes,
            packaging: moment.packaging,
            seconds: moment.seconds,
            side_max: moment.side_max,
            format,
        };
        let made = stills.still(source).await;
        made.map_err(|(code, message)| EngineError::new(code, message))
    }
}

/// The longest side of a picture that is `width` pixels wide, never more than the stream's.
fn side_max(track: &Track, width: Option<u32>) -> u32 {
    let (full_width, height) = (track.width.unwrap_or(1), track.height.unwrap_or(1));
    let width = width.unwrap_or(full_width).min(full_width);
    let in_proportion = u64::from(width) * u64::from(height) / u64::from(full_width.max(1));
    width.max(u32::try_from(in_proportion).unwrap_or(height))
}
