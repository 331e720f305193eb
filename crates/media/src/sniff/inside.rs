//! What a container really holds: told from its list of tracks, read where it lies. Some containers look the same
//! from outside whether they hold a film or sound alone.

use std::io::{self, Read, Seek, SeekFrom};

use super::{Sniffed, after_id3};
use crate::mp4::handlers;

/// Most bytes of a list of tracks that are read.
const LIST_BYTES_MAX: u64 = 16 << 20;
/// Most elements or objects beside each other that are looked at.
const ELEMENTS_MAX: usize = 10_000;
/// The beginning of a file in which Ogg, ASF and tags are looked for.
const HEAD_BYTES: u64 = 256 << 10;

/// The bytes of a file, wherever they are.
pub trait Bytes: Read + Seek {}

impl<T: Read + Seek> Bytes for T {}

/// What was sniffed, corrected by what is inside `file`. Where that cannot be told, what was sniffed.
pub fn look_inside(sniffed: Sniffed, file: &mut dyn Bytes) -> Sniffed {
    let (Sniffed::Video(media_type) | Sniffed::Audio(media_type)) = sniffed else {
        return sniffed;
    };
    let has_film = match media_type {
        "audio/mpeg" => return behind_id3(file).unwrap_or(sniffed),
        "video/mp4" | "video/quicktime" | "video/3gpp" | "video/3gpp2" | "audio/mp4" => {
            iso(file, sniffed == Sniffed::Audio("audio/mp4"))
        }
        "video/webm" | "video/x-matroska" => matroska(file).ok().flatten(),
        "audio/ogg" | "video/ogg" => ogg(file),
        "video/x-ms-asf" => asf(file),
        "video/x-flv" => flv(file),
        _ => None,
    };
    match has_film {
        Some(true) => Sniffed::Video(as_film(media_type)),
        Some(false) => Sniffed::Audio(as_sound(media_type)),
        None => sniffed,
    }
}

fn as_film(media_type: &'static str) -> &'static str {
    match media_type {
        "audio/mp4" => "video/mp4",
        "audio/ogg" => "video/ogg",
        other => other,
    }
}

fn as_sound(media_type: &'static str) -> &'static str {
    match media_type {
        "video/mp4" | "video/quicktime" => "audio/mp4",
        "video/3gpp" => "audio/3gpp",
        "video/3gpp2" => "audio/3gpp2",
        "video/webm" => "audio/webm",
        "video/x-matroska" => "audio/x-matroska",
        "video/ogg" => "audio/ogg",
        "video/x-ms-asf" => "audio/x-ms-wma",
        "video/x-flv" => "audio/x-flv",
        other => other,
    }
}

fn beginning(file: &mut dyn Bytes) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// A tag with a picture is longer than what was sniffed.
fn behind_id3(file: &mut dyn Bytes) -> Option<Sniffed> {
    file.seek(SeekFrom::Start(0)).ok()?;
    let mut tag = [0; 10];
    file.read_exact(&mut tag).ok()?;
    if !tag.starts_with(b"ID3") {
        return None;
    }
    let size = tag[6..].iter().fold(0, |n, b| n << 7 | u64::from(b & 0x7f));
    file.seek(SeekFrom::Start(10 + size)).ok()?;
    let mut behind = Vec::new();
    file.take(4096).read_to_end(&mut behind).ok()?;
    let padding = behind.iter().take_while(|b| **b == 0).count();
    // An empty tag before it is what the sniffing of short ones expects.
    let mut short = b"ID3\x04\0\0\0\0\0\0".to_vec();
    short.extend_from_slice(&behind[padding..]);
    Some(after_id3(&short))
}

/// Books have pictures of their chapters as a track: `is_book` says that the file calls itself sound.
fn iso(file: &mut dyn Bytes, is_book: bool) -> Option<bool> {
    let tracks = handlers(file, LIST_BYTES_MAX)?;
    let is_film = |(handler, codec): &([u8; 4], [u8; 4])| {
        handler == b"vide" && !(is_book && matches!(codec, b"jpeg" | b"png "))
    };
    let has_sound = tracks.iter().any(|(handler, _)| handler == b"soun");
    decided(tracks.iter().any(is_film), has_sound)
}

/// Nothing at all decides nothing.
fn decided(has_film: bool, has_sound: bool) -> Option<bool> {
    (has_film || has_sound).then_some(has_film)
}

/// An element's id and the bytes that it says to have; `None` for "unknown".
type Element = (u32, Option<u64>);

fn matroska(file: &mut dyn Bytes) -> io::Result<Option<bool>> {
    const HEADER: u32 = 0x1a45_dfa3;
    const SEGMENT: u32 = 0x1853_8067;
    const TRACKS: u32 = 0x1654_ae6b;
    file.seek(SeekFrom::Start(0))?;
    for _ in 0..ELEMENTS_MAX {
        match element(file)? {
            (HEADER, Some(size)) => skip(file, size)?,
            // Its elements follow.
            (SEGMENT, _) => {}
            (TRACKS, Some(size)) if size <= LIST_BYTES_MAX => {
                let mut tracks = Vec::new();
                file.take(size).read_to_end(&mut tracks)?;
                return Ok(track_types(&tracks));
            }
            (_, Some(size)) => skip(file, size)?,
            (_, None) => return Ok(None),
        }
    }
    Ok(None)
}

/// Looks for `TrackType` in every `TrackEntry`.
fn track_types(mut list: &[u8]) -> Option<bool> {
    let (mut has_film, mut has_sound) = (false, false);
    while let Some((id, body)) = inner(&mut list) {
        let mut entry = body;
        while id == 0xae
            && let Some((id, body)) = inner(&mut entry)
        {
            match (id, body) {
                (0x83, [.., 1]) => has_film = true,
                (0x83, [.., 2]) => has_sound = true,
                _ => {}
            }
        }
    }
    decided(has_film, has_sound)
}

fn inner<'a>(list: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let (id, size) = element(list).ok()?;
    let size = usize::try_from(size?).ok()?;
    let body = list.get(..size)?;
    *list = &list[size..];
    Some((id, body))
}

fn element(from: &mut (impl Read + ?Sized)) -> io::Result<Element> {
    let (id, _) = number(from, 4, true)?;
    let (size, is_unknown) = number(from, 8, false)?;
    let id = u32::try_from(id).map_err(io::Error::other)?;
    Ok((id, (!is_unknown).then_some(size)))
}

/// A number whose length stands in its leading zeros, with (`marked`) or without the bit that ends these; and whether
/// all of its bits are set.
fn number(
    from: &mut (impl Read + ?Sized),
    bytes_max: u32,
    marked: bool,
) -> io::Result<(u64, bool)> {
    let mut first = [0];
    from.read_exact(&mut first)?;
    let more = first[0].leading_zeros();
    if more >= bytes_max {
        return Err(io::Error::other("no number"));
    }
    let mut value = match marked {
        true => u64::from(first[0]),
        false => u64::from(first[0]) & ((0x80 >> more) - 1),
    };
    for _ in 0..more {
        let mut next = [0];
        from.read_exact(&mut next)?;
        value = value << 8 | u64::from(next[0]);
    }
    let all = (1_u64 << (7 * (more + 1))) - 1;
    Ok((value, !marked && value == all))
}

fn skip(file: &mut dyn Bytes, bytes: u64) -> io::Result<()> {
    let bytes = i64::try_from(bytes).map_err(io::Error::other)?;
    file.seek(SeekFrom::Current(bytes)).map(drop)
}

/// The first page of each stream names its codec; these pages come before all others.
fn ogg(file: &mut dyn Bytes) -> Option<bool> {
    let head = beginning(file).ok()?;
    let (mut at, mut has_film, mut has_sound) = (0, false, false);
    while let Some(page) = head.get(at..).filter(|p| p.starts_with(b"OggS")) {
        let (kind, count) = (*page.get(5)?, usize::from(*page.get(26)?));
        let body: usize = page
            .get(27..27 + count)?
            .iter()
            .map(|b| usize::from(*b))
            .sum();
        if kind & 2 == 0 {
            break;
        }
        let payload = page.get(27 + count..)?;
        let begins = |names: &[&[u8]]| names.iter().any(|n| payload.starts_with(n));
        has_film |= begins(&[b"\x80theora", b"\x01video\0", b"BBCD\0"]);
        has_sound |= begins(&[b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   "]);
        at += 27 + count + body;
    }
    decided(has_film, has_sound)
}

/// The header has an object for each stream.
fn asf(file: &mut dyn Bytes) -> Option<bool> {
    const STREAM: [u8; 16] = *b"\x91\x07\xdc\xb7\xb7\xa9\xcf\x11\x8e\xe6\x00\xc0\x0c\x20\x53\x65";
    const FILM: [u8; 16] = *b"\xc0\xef\x19\xbc\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b";
    const SOUND: [u8; 16] = *b"\x40\x9e\x69\xf8\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b";
    let head = beginning(file).ok()?;
    let (mut at, mut has_film, mut has_sound) = (30, false, false);
    for _ in 0..ELEMENTS_MAX {
        let Some(object) = head.get(at..at + 40) else {
            break;
        };
        has_film |= object[..16] == STREAM && object[24..] == FILM;
        has_sound |= object[..16] == STREAM && object[24..] == SOUND;
        let size = u64::from_le_bytes(object[16..24].try_into().ok()?);
        // No object is smaller than its own beginning.
        at = at.checked_add(usize::try_from(size).ok()?.max(24))?;
    }
    decided(has_film, has_sound)
}

/// A byte of flags says what there is.
fn flv(file: &mut dyn Bytes) -> Option<bool> {
    let flags = *beginning(file).ok()?.get(4)?;
    decided(flags & 1 != 0, flags & 4 != 0)
}
