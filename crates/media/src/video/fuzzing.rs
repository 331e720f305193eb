//! What fuzzers feed of the way of a film; not for programs.

use std::collections::BTreeMap;
use std::io::Cursor;

use super::document::Document;
use super::inspect::{facts, parse};
use super::timeline::Packets;
use super::verify::listed;
use super::{Container, MediaLimits, PlanSettings, plan};
use crate::audio::fuzz_blocks;
use crate::mp4::{Excerpt, FragmentedFile, Gatherer, Reads, codec_string, read_tables};

/// Stands between ffprobe's document and its list of packets.
const BORDER: &str = "\n---\n";

/// A document of ffprobe and its list of packets: refused, or facts within the limits that a plan can be made of.
///
/// # Panics
/// When a promise of a parser is broken.
pub fn film(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (document, lines) = text.split_once(BORDER).unwrap_or((&text, ""));
    let Ok(document) = serde_json::from_str::<Document>(document) else {
        return;
    };
    let limits = MediaLimits::default();
    let mut packets: BTreeMap<u32, Packets> = BTreeMap::new();
    for (index, packet) in lines.lines().filter_map(parse) {
        packets.entry(index).or_default().add(&packet);
    }
    for stream in document.streams.iter().filter(|s| s.is("video")) {
        if limits.check_pixels(stream.width, stream.height).is_err() {
            return;
        }
    }
    let Ok(info) = facts(Container::Mov, bytes.len() as u64, &document, packets) else {
        return;
    };
    if limits.check(&info).is_err() {
        return;
    }
    let Ok(plan) = plan(&info, &PlanSettings::default(), "5.1") else {
        return;
    };
    assert!(!plan.rungs.is_empty() && plan.grid.total > 0);
    let last = plan.segment(plan.segments - 1);
    assert!(!last.is_empty() && last.end == plan.grid.total, "{plan:?}");
    for chunk in &plan.chunks {
        assert!(chunk.segments > 0 && chunk.first_segment + chunk.segments <= plan.segments);
    }
}

/// The tables of a stranger's MP4 file, and copies with some of its samples.
///
/// # Panics
/// When a promise of a parser is broken.
pub fn tables(bytes: &[u8]) {
    for track in read_tables(&mut Cursor::new(bytes)).unwrap_or_default() {
        let largest = track.entries.iter().map(|e| e.bytes).max().unwrap_or(0);
        assert!(largest <= bytes.len() as u64);
    }
    let Some(excerpt) = Excerpt::of(&mut Cursor::new(bytes)) else {
        return;
    };
    for reading in [
        Reads::Streams(vec![0, 1]),
        Reads::Sound {
            streams: vec![0, 1],
            seconds: 1.0..2.0,
        },
        Reads::Pictures {
            stream: 0,
            seconds: 1.0..2.0,
        },
    ] {
        let spans = excerpt.spans(&[reading]);
        assert!(spans.iter().all(|span| span.end <= bytes.len() as u64));
    }
}

/// What our own ffmpeg wrote, whom a film may have taken over: fragments, AAC, lists of pictures.
///
/// # Panics
/// When a promise of a parser is broken.
pub fn pieces(bytes: &[u8]) {
    let file = FragmentedFile::new(bytes);
    for sample in file.samples().unwrap_or_default() {
        assert!(sample.range.end <= bytes.len());
    }
    let gathered = |size: usize| {
        let (mut gatherer, mut samples) = (Gatherer::default(), 0);
        for piece in bytes.chunks(size) {
            let mut count = |data: &[u8]| {
                samples += data.len();
                Ok(())
            };
            gatherer.push(piece, &mut count).ok()?;
        }
        assert!(samples <= bytes.len());
        Some((gatherer.index().ok()?, samples))
    };
    assert!(gathered(7) == gathered(bytes.len().max(1)));
    let _ = file.coding();
    let _ = codec_string(bytes);
    fuzz_blocks(bytes);
    let _ = String::from_utf8_lossy(bytes)
        .lines()
        .filter_map(listed)
        .count();
}
