//! EXIF 2.32: a TIFF structure with the camera's facts.

use exif::{Exif, Field, In, Reader, Tag, Value};

use super::{Camera, Exposure, Metadata, Position, clean, decode_text};
use crate::image::headers::{be16, be32, le16, le32};
use crate::image::orientation::Orientation;

/// Reads only the orientation, which every decoder needs; upright when it cannot be found.
pub(crate) fn orientation(exif: &[u8]) -> Orientation {
    find_orientation(exif).unwrap_or_default()
}

fn find_orientation(exif: &[u8]) -> Option<Orientation> {
    type Read16 = fn(&[u8], usize) -> Option<u16>;
    type Read32 = fn(&[u8], usize) -> Option<u32>;
    let (read16, read32): (Read16, Read32) = match exif.get(..2)? {
        b"II" => (le16, le32),
        b"MM" => (be16, be32),
        _ => return None,
    };
    let directory = read32(exif, 4)? as usize;
    for n in 0..usize::from(read16(exif, directory)?) {
        let entry = directory.checked_add(2 + 12 * n)?;
        if read16(exif, entry)? == 0x0112 {
            let value = match read16(exif, entry + 2)? {
                1 => (*exif.get(entry + 8)?).into(),
                3 => read16(exif, entry + 8)?.into(),
                4 => read32(exif, entry + 8)?,
                _ => return None,
            };
            return Some(Orientation::from_tag(value));
        }
    }
    None
}

/// Reads what there is; `positions` says whether GPS coordinates may be looked at.
pub(super) fn read(exif: &[u8], positions: bool) -> Metadata {
    let mut reader = Reader::new();
    reader.continue_on_error(true);
    let parsed = reader
        .read_raw(exif.to_vec())
        .or_else(|error| error.distill_partial_result(|_| {}));
    let Ok(parsed) = parsed else {
        return Metadata::default();
    };

    let text = |tag| field(&parsed, tag).and_then(text_of);
    let number = |tag| {
        field(&parsed, tag)
            .and_then(|f| real(f, 0))
            .filter(|n| *n > 0.0)
    };
    let camera = Camera {
        make: text(Tag::Make),
        model: text(Tag::Model),
    };
    let exposure = Exposure {
        time: number(Tag::ExposureTime),
        f_number: number(Tag::FNumber),
        iso: field(&parsed, Tag::PhotographicSensitivity)
            .and_then(|f| f.value.get_uint(0))
            .filter(|iso| *iso > 0),
        focal_length_mm: number(Tag::FocalLength),
    };
    Metadata {
        camera: Some(camera).filter(|c| *c != Camera::default()),
        lens: text(Tag::LensModel),
        exposure: Some(exposure).filter(|e| *e != Exposure::default()),
        taken_at: taken_at(&parsed),
        copyright: text(Tag::Copyright),
        creator: text(Tag::Artist),
        title: None,
        description: text(Tag::ImageDescription).filter(|d| !is_placeholder(d)),
        gps: if positions { position(&parsed) } else { None },
    }
}

fn field(exif: &Exif, tag: Tag) -> Option<&Field> {
    exif.get_field(tag, In::PRIMARY)
}

fn text_of(field: &Field) -> Option<String> {
    let Value::Ascii(parts) = &field.value else {
        return None;
    };
    // The copyright of photographer and editor are two parts.
    let parts: Vec<String> = parts
        .iter()
        .filter_map(|part| clean(&decode_text(part)))
        .collect();
    clean(&parts.join(", "))
}

/// Cameras fill in their own name where nobody wrote a caption.
fn is_placeholder(description: &str) -> bool {
    [
        "OLYMPUS DIGITAL CAMERA",
        "SONY DSC",
        "DIGITAL CAMERA",
        "SAMSUNG CAMERA PICTURES",
    ]
    .contains(&description)
}

fn real(field: &Field, n: usize) -> Option<f64> {
    let value = match &field.value {
        Value::Rational(values) => values.get(n)?.to_f64(),
        Value::SRational(values) => values.get(n)?.to_f64(),
        Value::Float(values) => f64::from(*values.get(n)?),
        Value::Double(values) => *values.get(n)?,
        other => f64::from(other.get_uint(n)?),
    };
    value.is_finite().then_some(value)
}

/// `2008:05:30 15:56:01` and an offset become `2008-05-30T15:56:01+02:00`.
fn taken_at(exif: &Exif) -> Option<String> {
    let (time, offset) = [
        (Tag::DateTimeOriginal, Tag::OffsetTimeOriginal),
        (Tag::DateTimeDigitized, Tag::OffsetTimeDigitized),
        (Tag::DateTime, Tag::OffsetTime),
    ]
    .into_iter()
    .find_map(|(time, offset)| Some((iso_time(&text_of(field(exif, time)?)?)?, offset)))?;
    let offset = field(exif, offset)
        .and_then(text_of)
        .filter(|o| is_offset(o))
        .unwrap_or_default();
    Some(time + &offset)
}

fn iso_time(text: &str) -> Option<String> {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(str::parse::<u32>);
    let mut next = |low, high| numbers.next()?.ok().filter(|n| (low..=high).contains(n));
    let (year, month, day) = (next(1, 9999)?, next(1, 12)?, next(1, 31)?);
    let (hour, minute, second) = (next(0, 23)?, next(0, 59)?, next(0, 60).unwrap_or(0));
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    ))
}

fn is_offset(text: &str) -> bool {
    text == "Z"
        || matches!(text.as_bytes(), [b'+' | b'-', h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit))
}

fn position(exif: &Exif) -> Option<Position> {
    let degrees = |tag, reference, negative: &str, limit: f64| {
        let field = field(exif, tag)?;
        let part = |n| real(field, n).unwrap_or(0.0);
        let value = real(field, 0)? + part(1) / 60.0 + part(2) / 3600.0;
        let sign = match exif.get_field(reference, In::PRIMARY).and_then(text_of) {
            Some(text) if text.eq_ignore_ascii_case(negative) => -1.0,
            _ => 1.0,
        };
        (value <= limit).then_some((sign * value * 1e7).round() / 1e7)
    };
    let below_sea = field(exif, Tag::GPSAltitudeRef).and_then(|f| f.value.get_uint(0)) == Some(1);
    let position = Position {
        latitude: degrees(Tag::GPSLatitude, Tag::GPSLatitudeRef, "S", 90.0)?,
        longitude: degrees(Tag::GPSLongitude, Tag::GPSLongitudeRef, "W", 180.0)?,
        altitude_m: field(exif, Tag::GPSAltitude)
            .and_then(|f| real(f, 0))
            .map(|a| if below_sea { -a } else { a }),
    };
    // Receivers without a fix write zeros.
    (position.latitude != 0.0 || position.longitude != 0.0).then_some(position)
}
