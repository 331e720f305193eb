//! What is read from the source and how its pictures are brought into shape.

use serde::{Deserialize, Serialize};

use super::FrameGrid;
use crate::MediaError;
use crate::video::{Container, Hdr, Orientation, Ratio, VideoStream};

/// The source as a plan sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedSource {
    /// What the file is.
    pub container: Container,
    /// The film's stream in it.
    pub stream: u32,
    /// Seconds per tick of that stream.
    pub time_base: Ratio,
    /// The tick of its first picture, where the result begins.
    pub first_pts: i64,
    /// How pictures are turned upright.
    pub orientation: Orientation,
    /// Whether each picture is two fields that must become one.
    pub deinterlace: bool,
    /// How high dynamic range becomes standard.
    pub tone_map: Option<ToneMap>,
    /// The matrix of the source's colours, as the `scale` filter names it.
    pub matrix: String,
    /// Whether the source uses the full range of numbers.
    pub full_range: bool,
}

/// How high dynamic range becomes standard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToneMap {
    /// The source's transfer, as `zscale` names it.
    pub transfer: String,
    /// Its primaries.
    pub primaries: String,
    /// Its matrix.
    pub matrix: String,
}

impl PlannedSource {
    pub(crate) fn of(container: Container, video: &VideoStream) -> Result<Self, MediaError> {
        Ok(Self {
            container,
            stream: video.index,
            time_base: video.time_base,
            first_pts: video.timeline.first_pts,
            orientation: video.orientation,
            deinterlace: video.interlaced,
            tone_map: tone_map(video)?,
            matrix: matrix(video),
            full_range: video.color.range.as_deref() == Some("pc")
                || video
                    .pixel_format
                    .as_deref()
                    .is_some_and(|format| format.starts_with("yuvj")),
        })
    }

    /// Which picture of a source at the grid's constant rate is shown at this tick.
    pub(super) fn picture(&self, pts: i64, grid: &FrameGrid) -> u64 {
        let seconds = (pts - self.first_pts) as f64 * self.time_base.as_f64();
        (seconds * grid.rate.as_f64()).round() as u64
    }

    /// Seconds on the source's clock at which the result begins.
    pub fn start_seconds(&self) -> f64 {
        self.first_pts as f64 * self.time_base.as_f64()
    }
}

/// What the stream says, or what films of its size usually are.
fn matrix(video: &VideoStream) -> String {
    let by_size = if video.height > 576 || video.width > 1024 {
        "bt709"
    } else {
        "bt601"
    };
    match video.color.matrix.as_deref() {
        Some("bt709") => "bt709",
        Some("smpte170m" | "bt470bg") => "bt601",
        Some("smpte240m") => "smpte240m",
        Some("fcc") => "fcc",
        Some("bt2020nc" | "bt2020c") => "bt2020",
        _ => by_size,
    }
    .to_owned()
}

fn tone_map(video: &VideoStream) -> Result<Option<ToneMap>, MediaError> {
    let transfer = match video.hdr {
        None => return Ok(None),
        Some(Hdr::Hdr10) => "smpte2084",
        Some(Hdr::Hlg) => "arib-std-b67",
        Some(Hdr::DolbyVision {
            profile,
            compatibility,
        }) => match compatibility {
            1 | 6 => "smpte2084",
            2 => return Ok(None),
            4 => "arib-std-b67",
            _ => {
                return Err(MediaError::unsupported(format!(
                    "Dolby Vision profile {profile} has no layer that other players can show"
                )));
            }
        },
    };
    let known = |value: &Option<String>, names: &[&str], usual: &str| {
        let named = value.as_deref().filter(|name| names.contains(name));
        named.unwrap_or(usual).to_owned()
    };
    Ok(Some(ToneMap {
        transfer: transfer.to_owned(),
        primaries: known(
            &video.color.primaries,
            &["bt709", "bt2020", "smpte432"],
            "bt2020",
        ),
        matrix: known(
            &video.color.matrix,
            &["bt709", "bt2020nc", "bt2020c"],
            "bt2020nc",
        ),
    }))
}
