//! ffprobe's document, as far as facts are taken from it. Every field may be missing.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Chapter, Color, Hdr, Orientation, Ratio};

#[derive(Debug, Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) streams: Vec<Stream>,
    #[serde(default)]
    pub(super) chapters: Vec<DocumentChapter>,
    #[serde(default)]
    pub(super) format: Format,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Format {
    pub(super) duration: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DocumentChapter {
    start_time: Option<String>,
    end_time: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stream {
    pub(super) index: u32,
    id: Option<String>,
    pub(super) codec_type: Option<String>,
    pub(super) codec_name: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) level: Option<i32>,
    #[serde(default)]
    pub(super) width: u32,
    #[serde(default)]
    pub(super) height: u32,
    pub(super) pix_fmt: Option<String>,
    sample_aspect_ratio: Option<String>,
    color_primaries: Option<String>,
    color_transfer: Option<String>,
    color_space: Option<String>,
    color_range: Option<String>,
    field_order: Option<String>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    time_base: Option<String>,
    sample_rate: Option<String>,
    #[serde(default)]
    pub(super) channels: u32,
    pub(super) channel_layout: Option<String>,
    #[serde(default)]
    disposition: BTreeMap<String, i32>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Debug, Deserialize)]
struct SideData {
    displaymatrix: Option<String>,
    dv_profile: Option<u8>,
    dv_bl_signal_compatibility_id: Option<u8>,
}

impl Stream {
    pub(super) fn is(&self, kind: &str) -> bool {
        self.codec_type.as_deref() == Some(kind)
    }

    /// The track's number in an MP4 file, which ffprobe writes as `0x1`.
    pub(super) fn track_id(&self) -> Option<u32> {
        u32::from_str_radix(self.id.as_deref()?.strip_prefix("0x")?, 16).ok()
    }

    pub(super) fn is_picture(&self) -> bool {
        self.is("video") && self.disposition.get("attached_pic") == Some(&1)
    }

    pub(super) fn is_default(&self) -> bool {
        self.disposition.get("default") == Some(&1)
    }

    pub(super) fn codec(&self) -> String {
        self.codec_name.clone().unwrap_or_else(|| "unknown".into())
    }

    pub(super) fn time_base(&self) -> Ratio {
        let parsed = self.time_base.as_deref().and_then(Ratio::parse);
        parsed.unwrap_or(Ratio {
            num: 1,
            den: 1_000_000,
        })
    }

    pub(super) fn rates(&self) -> Vec<Ratio> {
        [&self.r_frame_rate, &self.avg_frame_rate]
            .into_iter()
            .filter_map(|rate| Ratio::parse(rate.as_deref()?))
            .collect()
    }

    pub(super) fn sample_rate(&self) -> u32 {
        let parsed = self.sample_rate.as_deref().and_then(|r| r.parse().ok());
        parsed.unwrap_or(0)
    }

    /// Pixels that are more than sixteen times as wide as high (or the reverse) are a lie.
    pub(super) fn sample_aspect(&self) -> Ratio {
        let square = Ratio { num: 1, den: 1 };
        let parsed = self.sample_aspect_ratio.as_deref().and_then(Ratio::parse);
        parsed
            .filter(|ratio| (0.0625..=16.0).contains(&ratio.as_f64()))
            .unwrap_or(square)
    }

    pub(super) fn interlaced(&self) -> bool {
        matches!(self.field_order.as_deref(), Some("tt" | "bb" | "tb" | "bt"))
    }

    /// Whether only its pictures tell if they are interlaced: these codecs can be, and nothing was said.
    pub(super) fn may_be_interlaced(&self) -> bool {
        let said = self.field_order.as_deref().is_some_and(|o| o != "unknown");
        let can = [
            "mpeg4",
            "dvvideo",
            "vc1",
            "h264",
            "mpeg2video",
            "dnxhd",
            "ffv1",
        ];
        !said && can.contains(&self.codec().as_str())
    }

    pub(super) fn language(&self) -> Option<String> {
        self.tag("language").filter(|language| language != "und")
    }

    pub(super) fn title(&self) -> Option<String> {
        self.tag("title")
    }

    fn tag(&self, name: &str) -> Option<String> {
        let found = self
            .tags
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    }

    pub(super) fn orientation(&self) -> Orientation {
        self.side_data_list
            .iter()
            .find_map(|data| data.displaymatrix.as_deref())
            .map_or_else(Orientation::default, Orientation::of_matrix)
    }

    pub(super) fn color(&self) -> Color {
        let known = |value: &Option<String>| {
            value
                .clone()
                .filter(|value| value != "unknown" && value != "reserved")
        };
        Color {
            primaries: known(&self.color_primaries),
            transfer: known(&self.color_transfer),
            matrix: known(&self.color_space),
            range: known(&self.color_range),
        }
    }

    pub(super) fn hdr(&self) -> Option<Hdr> {
        let dolby = self.side_data_list.iter().find_map(|data| {
            Some(Hdr::DolbyVision {
                profile: data.dv_profile?,
                compatibility: data.dv_bl_signal_compatibility_id.unwrap_or(0),
            })
        });
        dolby.or(match self.color_transfer.as_deref() {
            Some("smpte2084") => Some(Hdr::Hdr10),
            Some("arib-std-b67") => Some(Hdr::Hlg),
            _ => None,
        })
    }

    /// Bits per sample, told by the end of the pixel format's name.
    pub(super) fn bit_depth(&self) -> u8 {
        let name = self.pix_fmt.as_deref().unwrap_or_default();
        let name = name.trim_end_matches("le").trim_end_matches("be");
        [16, 14, 12, 10, 9]
            .into_iter()
            .find(|depth| {
                name.strip_suffix(&depth.to_string())
                    .is_some_and(|rest| rest.ends_with(['p', 'y', '0']))
            })
            .unwrap_or(8)
    }
}

impl Format {
    pub(super) fn tags(&self) -> BTreeMap<String, String> {
        self.tags
            .iter()
            .map(|(key, value)| (key.to_lowercase(), value.clone()))
            .collect()
    }
}

impl DocumentChapter {
    pub(super) fn chapter(&self) -> Option<Chapter> {
        Some(Chapter {
            start_us: microseconds(self.start_time.as_deref()?)?,
            end_us: microseconds(self.end_time.as_deref()?)?,
            title: self.tags.get("title").cloned(),
        })
    }
}

/// A number of seconds, written with a point.
pub(super) fn microseconds(seconds: &str) -> Option<i64> {
    let seconds: f64 = seconds.parse().ok()?;
    seconds.is_finite().then(|| (seconds * 1e6).round() as i64)
}
