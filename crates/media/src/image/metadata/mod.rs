//! Who took a picture, when, where and with what: read from EXIF, XMP and IPTC blocks. Broken blocks
//! yield what can be read of them, and never fail an image.

mod exif;
mod iptc;
mod xmp;

use serde::Serialize;

pub(crate) use exif::orientation as orientation_of_exif;
pub(crate) use iptc::of_photoshop as iptc_of_photoshop;
pub(crate) use xmp::names_gain_map as xmp_names_gain_map;

/// Descriptive facts; absent ones are left out of the JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Metadata {
    /// Who built the camera, and its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<Camera>,
    /// The lens' model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lens: Option<String>,
    /// The settings of the shot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// When the picture was taken, ISO 8601, with an offset from UTC only if the file has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<String>,
    /// The copyright notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copyright: Option<String>,
    /// Who made the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// A title or headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A caption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it was taken; only read when positions are to be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gps: Option<Position>,
}

/// A camera.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Camera {
    /// Its maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// Its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// The settings of a shot.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Exposure {
    /// Exposure time in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
    /// Focal length over diameter of the aperture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f_number: Option<f64>,
    /// Sensitivity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso: Option<u32>,
    /// Focal length in millimetres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_length_mm: Option<f64>,
}

/// A place on earth (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Position {
    /// Degrees, north is positive.
    pub latitude: f64,
    /// Degrees, east is positive.
    pub longitude: f64,
    /// Metres above the sea.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altitude_m: Option<f64>,
}

/// Merges the blocks. EXIF wins for what a camera knows, XMP and then IPTC for what people wrote.
pub(crate) fn read(
    exif: Option<&[u8]>,
    xmp: Option<&[u8]>,
    iptc: Option<&[u8]>,
    positions: bool,
) -> Metadata {
    let mut found = exif
        .map(|data| exif::read(data, positions))
        .unwrap_or_default();
    for written in [xmp.map(xmp::read), iptc.map(iptc::read)]
        .into_iter()
        .flatten()
    {
        found.copyright = found.copyright.or(written.copyright);
        found.creator = found.creator.or(written.creator);
        found.title = found.title.or(written.title);
        found.description = found.description.or(written.description);
        found.taken_at = found.taken_at.or(written.taken_at);
    }
    found
}

/// What people write about a picture.
#[derive(Debug, Default)]
struct Written {
    copyright: Option<String>,
    creator: Option<String>,
    title: Option<String>,
    description: Option<String>,
    taken_at: Option<String>,
}

/// Longest text that is kept, in characters.
const TEXT_MAX: usize = 2000;

/// Text without control characters and padding; `None` when nothing is left.
fn clean(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .take(TEXT_MAX)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// UTF-8, or else Latin-1, which older software wrote everywhere.
fn decode_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&b| char::from(b)).collect(),
    }
}
