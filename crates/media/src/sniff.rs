//! What a file really is, told from its first bytes alone: never from its name or from what the
//! uploader says. Knows a closed list; everything else is [`Sniffed::Unknown`].
//!
//! Containers that hold films as well as sound alone are called films here; [`look_inside`] reads which it is.

mod inside;

pub use inside::{Bytes, look_inside};

use crate::image::Format;

/// How many bytes from the start of a file [`sniff`] looks at.
pub const SNIFF_BYTES: usize = 4096;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniffed {
    /// A still or animated raster image.
    Image(Format),
    /// An SVG drawing, which is recognised in order to be refused clearly.
    Svg,
    /// A film, with its media type.
    Video(&'static str),
    /// Sound without pictures, with its media type.
    Audio(&'static str),
    /// None of the above.
    Unknown,
}

/// Recognises a file by its first [`SNIFF_BYTES`] bytes (fewer when the file is shorter).
pub fn sniff(head: &[u8]) -> Sniffed {
    let head = &head[..head.len().min(SNIFF_BYTES)];
    if let Some(format) = image(head) {
        return Sniffed::Image(format);
    }
    if head.get(4..8) == Some(b"ftyp") {
        return iso_media(head);
    }
    match head {
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'A',
            b'V',
            b'I',
            b' ',
            ..,
        ] => Sniffed::Video("video/x-msvideo"),
        [b'R', b'I', b'F' | b'X', b'F' | b'4', ..] | [b'R' | b'B', b'F' | b'W', b'6', b'4', ..]
            if head.get(8..12) == Some(b"WAVE") =>
        {
            Sniffed::Audio("audio/wav")
        }
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska(head),
        [b'O', b'g', b'g', b'S', ..] => ogg(head),
        [b'f', b'L', b'a', b'C', ..] => Sniffed::Audio("audio/flac"),
        [
            b'F',
            b'O',
            b'R',
            b'M',
            _,
            _,
            _,
            _,
            b'A',
            b'I',
            b'F',
            b'F' | b'C',
            ..,
        ] => Sniffed::Audio("audio/aiff"),
        [b'I', b'D', b'3', ..] => after_id3(head),
        [b'c', b'a', b'f', b'f', 0, 1, ..] => Sniffed::Audio("audio/x-caf"),
        [b'#', b'!', b'A', b'M', b'R', b'\n' | b'-', ..] => Sniffed::Audio("audio/amr"),
        [b'F', b'L', b'V', 1, ..] => Sniffed::Video("video/x-flv"),
        [0, 0, 1, 0xba, ..] => Sniffed::Video("video/mpeg"),
        // A sequence header without any system layer.
        [0, 0, 1, 0xb3, ..] => Sniffed::Video("video/mpv"),
        [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, ..] => Sniffed::Video("video/x-ms-asf"),
        _ if is_transport_stream(head) => Sniffed::Video("video/mp2t"),
        _ if matches!(
            head.get(4..8),
            Some(b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"styp")
        ) =>
        {
            Sniffed::Video("video/quicktime")
        }
        [0xff, second, third, ..] if second & 0xe0 == 0xe0 => mpeg_audio(*second, *third),
        _ if is_svg(head) => Sniffed::Svg,
        _ => Sniffed::Unknown,
    }
}

fn image(head: &[u8]) -> Option<Format> {
    match head {
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Format::Png),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some(Format::Webp),
        // Classic TIFF and BigTIFF.
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Format::Tiff),
        [b'B', b'M', rest @ ..] => {
            // Two letters alone would take in any text that starts with them.
            let header = rest.get(12..16)?;
            let size = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
            matches!(size, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124).then_some(Format::Bmp)
        }
        _ => None,
    }
}

/// Files of the ISO base media family: the brands in the `ftyp` box decide.
fn iso_media(head: &[u8]) -> Sniffed {
    let declared = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let end = declared.clamp(8, head.len());
    let mut brands: Vec<&[u8]> = head[8..end].chunks_exact(4).collect();
    if brands.len() > 1 {
        // The second word is a version number, not a brand.
        brands.remove(1);
    }
    let any = |names: &[&[u8; 4]]| {
        brands
            .iter()
            .any(|b| names.iter().any(|n| *b == n.as_slice()))
    };
    if any(&[b"avif", b"avis"]) {
        return Sniffed::Image(Format::Avif);
    }
    if any(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"])
        || matches!(brands.first(), Some(b) if *b == b"mif1" || *b == b"msf1")
    {
        return Sniffed::Image(Format::Heic);
    }
    match brands.first() {
        Some(major) if *major == b"qt  " => Sniffed::Video("video/quicktime"),
        Some(major) if matches!(*major, b"M4A " | b"M4B " | b"M4P " | b"F4A " | b"F4B ") => {
            Sniffed::Audio("audio/mp4")
        }
        Some(major) if major.starts_with(b"3gp") => Sniffed::Video("video/3gpp"),
        Some(major) if major.starts_with(b"3g2") => Sniffed::Video("video/3gpp2"),
        Some(_) => Sniffed::Video("video/mp4"),
        None => Sniffed::Unknown,
    }
}

fn matroska(head: &[u8]) -> Sniffed {
    match memchr::memmem::find(&head[..head.len().min(128)], b"webm") {
        Some(_) => Sniffed::Video("video/webm"),
        None => Sniffed::Video("video/x-matroska"),
    }
}

/// Ogg carries both: one of the first pages of a film names Theora.
fn ogg(head: &[u8]) -> Sniffed {
    match memchr::memmem::find(&head[..head.len().min(512)], b"\x80theora") {
        Some(_) => Sniffed::Video("video/ogg"),
        None => Sniffed::Audio("audio/ogg"),
    }
}

fn is_transport_stream(head: &[u8]) -> bool {
    // A packet starts every 188 bytes, or 192 where each has a time before it (Blu-ray, AVCHD);
    // five in a row are no accident.
    let packets = |first: usize, bytes: usize| {
        (0..5).all(|packet| head.get(first + packet * bytes) == Some(&0x47))
    };
    packets(0, 188) || packets(4, 192)
}

/// What follows the tags that MP3 players put in front of files, where we can see that far.
fn after_id3(head: &[u8]) -> Sniffed {
    let mp3 = Sniffed::Audio("audio/mpeg");
    let Some(size) = head.get(6..10) else {
        return mp3;
    };
    let size = size
        .iter()
        .fold(0, |size, b| size << 7 | usize::from(b & 0x7f));
    match head.get(10 + size..) {
        Some([b'f', b'L', b'a', b'C', ..]) => Sniffed::Audio("audio/flac"),
        Some([0xff, second, third, ..]) if second & 0xf6 == 0xf0 => mpeg_audio(*second, *third),
        _ => mp3,
    }
}

/// A frame of MPEG audio or AAC without any container.
fn mpeg_audio(second: u8, third: u8) -> Sniffed {
    let layer = (second >> 1) & 3;
    let version = (second >> 3) & 3;
    if layer == 0 {
        // ADTS: the sampling rate index has 13 values.
        let known_rate = (third >> 2) & 15 < 13;
        return if second & 0xf0 == 0xf0 && known_rate {
            Sniffed::Audio("audio/aac")
        } else {
            Sniffed::Unknown
        };
    }
    let (bit_rate, rate) = (third >> 4, (third >> 2) & 3);
    if version == 1 || bit_rate == 15 || bit_rate == 0 || rate == 3 {
        return Sniffed::Unknown;
    }
    Sniffed::Audio("audio/mpeg")
}

/// XML text whose first element is `svg`, whatever comments and declarations precede it.
fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!DOCTYPE") || rest.starts_with("<!doctype") {
            if rest[9..]
                .trim_start()
                .to_ascii_lowercase()
                .starts_with("svg")
            {
                return true;
            }
            ">"
        } else {
            break;
        };
        match rest.find(end) {
            Some(at) => rest = rest[at + end.len()..].trim_start(),
            None => return false,
        }
    }
    let Some(name) = rest.strip_prefix('<') else {
        return false;
    };
    let name = name
        .split(|c: char| c.is_whitespace() || c == '>' || c == '/')
        .next()
        .unwrap_or_default();
    name == "svg" || name.ends_with(":svg")
}
