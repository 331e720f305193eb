//! Looks at a film: what ffprobe says, and what its packets say, which is not always the same.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use super::document::{Document, Stream, microseconds};
use super::timeline::{Packet, Packets};
use super::{
    AttachedPicture, AudioStream, Container, Ffmpeg, Inspection, MediaInfo, MediaLimits, Ratio,
    SubtitleStream, VideoStream,
};
use crate::MediaError;
use crate::ffmpeg::{Input, is_accepted_codec};
use crate::mp4::read_tables;
use crate::sniff::Bytes;

/// Most packets of all streams together: their times are held in memory until the last is read. Six hours of 60
/// pictures per second with eight languages have half of it.
const PACKETS_MAX: u64 = 16 << 20;

/// Looks at `source`, whose `media_type` our sniffing found.
///
/// All packets are counted (in ordinary MP4 files by their tables), none is decoded. The first film and all sound must be of codecs that
/// are accepted.
///
/// # Errors
/// `input.unsupported`, `input.corrupt`, `limit.duration`, `limit.pixels`, `limit.frame_rate`,
/// `limit.streams`, `limit.packets`, `limit.metadata`, `timeout`, `cancelled`, `decoder.crashed`.
pub fn inspect(
    ffmpeg: &Ffmpeg,
    source: &Path,
    media_type: &str,
    limits: &MediaLimits,
) -> Result<Inspection, MediaError> {
    let unreadable = |e: std::io::Error| MediaError {
        code: "internal",
        message: format!("the source cannot be read: {e}"),
        kind: crate::ErrorKind::Transient,
    };
    let mut whole = File::open(source).map_err(unreadable)?;
    let bytes = whole.metadata().map_err(unreadable)?.len();
    let whole = (&mut whole as &mut dyn Bytes, bytes);
    let found = looked_at(ffmpeg, source, whole, media_type, limits, true)?;
    Ok(found.expect("what has no tables is counted"))
}

/// As [`inspect`], of an MP4 file that is far away and read through `whole`; `copy` is an excerpt with its beginning. Nothing
/// where its tables do not tell everything: then it must be read whole.
///
/// # Errors
/// Those of [`inspect`].
pub fn inspect_excerpt(
    ffmpeg: &Ffmpeg,
    copy: &Path,
    whole: (&mut dyn Bytes, u64),
    media_type: &str,
    limits: &MediaLimits,
) -> Result<Option<Inspection>, MediaError> {
    looked_at(ffmpeg, copy, whole, media_type, limits, false)
}

/// `whole` is where tables are read, and how many bytes it has. Nothing where they do not tell all packets and these may
/// not be counted.
fn looked_at(
    ffmpeg: &Ffmpeg,
    source: &Path,
    (whole, bytes): (&mut dyn Bytes, u64),
    media_type: &str,
    limits: &MediaLimits,
    may_count: bool,
) -> Result<Option<Inspection>, MediaError> {
    let container = Container::of_media_type(media_type)
        .ok_or_else(|| MediaError::unsupported(format!("{media_type} is not taken")))?;
    if bytes == 0 {
        return Err(MediaError::empty());
    }
    let input = Input::new(source, container);
    let ffprobe = describe(ffmpeg, &input, bytes)?;
    let document: Document = serde_json::from_value(ffprobe.clone())
        .map_err(|e| MediaError::corrupt(format!("its description makes no sense: {e}")))?;
    limits.check_streams(document.streams.len())?;
    for stream in document.streams.iter().filter(|s| s.is("video")) {
        limits.check_pixels(stream.width, stream.height)?;
    }
    let packets = match tabled(whole, container, limits, &document.streams)? {
        Some(packets) => packets,
        None if !may_count => return Ok(None),
        None => count(ffmpeg, &input, limits, &document.streams)?,
    };
    let mut info = facts(container, bytes, &document, packets)?;
    limits.check(&info)?;
    if let Some(film) = info.video.first_mut() {
        let mut streams = document.streams.iter();
        if streams.any(|s| s.index == film.index && s.may_be_interlaced()) {
            film.interlaced = first_are_interlaced(ffmpeg, &input, film.index)?;
        }
    }
    Ok(Some(Inspection { info, ffprobe }))
}

pub(super) fn describe(
    ffmpeg: &Ffmpeg,
    input: &Input,
    bytes: u64,
) -> Result<serde_json::Value, MediaError> {
    let args = [
        "-show_format",
        "-show_streams",
        "-show_chapters",
        "-show_programs",
        "-of",
        "json=compact=1",
    ]
    .map(OsString::from);
    let mut document: serde_json::Value =
        serde_json::from_slice(&ffmpeg.probe_document(input, &args)?)
            .map_err(|e| MediaError::corrupt(format!("its description is not JSON: {e}")))?;
    // The name of our own file is nobody's business.
    if let Some(format) = document.get_mut("format").and_then(|f| f.as_object_mut()) {
        format.remove("filename");
        // Of an excerpt it would be another number.
        format.insert("size".into(), bytes.to_string().into());
    }
    Ok(document)
}

/// Whether most of a stream's first pictures say that they are two fields.
fn first_are_interlaced(ffmpeg: &Ffmpeg, input: &Input, index: u32) -> Result<bool, MediaError> {
    let args = [
        "-select_streams",
        &index.to_string(),
        "-read_intervals",
        "%+#12",
        "-show_entries",
        "frame=interlaced_frame",
        "-of",
        "csv=p=0",
    ]
    .map(OsString::from);
    let (mut fields, mut all) = (0, 0);
    ffmpeg.probe(input, &args, |output| {
        output.lines(|line| {
            fields += u32::from(line.starts_with('1'));
            all += 1;
            Ok(())
        })
    })?;
    Ok(fields * 2 > all)
}

/// The packets of an ordinary MP4 file out of its tables, which takes milliseconds however long
/// the film is; nothing when it is another kind of file.
fn tabled(
    mut whole: &mut dyn Bytes,
    container: Container,
    limits: &MediaLimits,
    streams: &[Stream],
) -> Result<Option<BTreeMap<u32, Packets>>, MediaError> {
    if container != Container::Mov {
        return Ok(None);
    }
    let Some(tables) = read_tables(&mut whole) else {
        return Ok(None);
    };
    let mut packets: BTreeMap<u32, Packets> = BTreeMap::new();
    for stream in streams.iter().filter(|s| !s.is_picture()) {
        let Some(table) = tables.iter().find(|t| Some(t.id) == stream.track_id()) else {
            return Ok(None);
        };
        let gathered = packets.entry(stream.index).or_default();
        for entry in &table.entries {
            gathered.add(&Packet {
                pts: Some(entry.pts),
                dts: None,
                duration: entry.duration,
                bytes: entry.bytes,
                is_key: entry.is_sync,
                unheard: (0, 0),
            });
        }
        let seconds = gathered.span() as f64 * stream.time_base().as_f64();
        limits.check_duration(seconds)?;
    }
    Ok(Some(packets))
}

pub(super) fn count(
    ffmpeg: &Ffmpeg,
    input: &Input,
    limits: &MediaLimits,
    streams: &[Stream],
) -> Result<BTreeMap<u32, Packets>, MediaError> {
    let bases: BTreeMap<u32, Ratio> = streams.iter().map(|s| (s.index, s.time_base())).collect();
    let args = [
        "-show_entries",
        "packet=stream_index,pts,dts,duration,size,flags:packet_side_data=skip_samples,discard_padding",
        "-of",
        "csv=p=0",
    ]
    .map(OsString::from);
    let mut packets: BTreeMap<u32, Packets> = BTreeMap::new();
    let mut counted = 0;
    ffmpeg.probe(input, &args, |output| {
        output.lines(|line| {
            let Some((index, packet)) = parse(line) else {
                return Ok(());
            };
            let Some(base) = bases.get(&index) else {
                return Ok(());
            };
            counted += 1;
            if counted > PACKETS_MAX {
                let message = format!("it has more than {PACKETS_MAX} packets");
                return Err(MediaError::limit("limit.packets", message));
            }
            let gathered = packets.entry(index).or_default();
            gathered.add(&packet);
            limits.check_duration(gathered.span() as f64 * base.as_f64())
        })
    })?;
    Ok(packets)
}

/// A line of `stream_index,pts,dts,duration,size,flags`, and of `skip_samples,discard_padding` where a packet has them.
pub(super) fn parse(line: &str) -> Option<(u32, Packet)> {
    let mut fields = line.trim_end().split(',');
    let index = fields.next()?.parse().ok()?;
    let mut number = || -> Option<Option<i64>> { Some(fields.next()?.parse().ok()) };
    let (pts, dts, duration, bytes) = (number()?, number()?, number()?, number()?);
    let flags = fields.next()?;
    let mut samples = || fields.next().and_then(|f| f.parse().ok()).unwrap_or(0);
    let packet = Packet {
        pts,
        dts,
        duration: duration.unwrap_or(0),
        bytes: bytes.unwrap_or(0).max(0) as u64,
        is_key: flags.contains('K'),
        unheard: (samples(), samples()),
    };
    // Packets that are only there to be decoded, never shown, have a D.
    (!flags.contains('D')).then_some((index, packet))
}

pub(super) fn facts(
    container: Container,
    bytes: u64,
    document: &Document,
    mut packets: BTreeMap<u32, Packets>,
) -> Result<MediaInfo, MediaError> {
    let mut info = MediaInfo {
        container,
        bytes,
        start_us: 0,
        duration_us: 0,
        declared_duration_us: None,
        ends_early: false,
        bit_rate: 0,
        video: Vec::new(),
        audio: Vec::new(),
        subtitles: Vec::new(),
        pictures: Vec::new(),
        chapters: document
            .chapters
            .iter()
            .filter_map(|c| c.chapter())
            .collect(),
        tags: document.format.tags(),
    };
    for stream in &document.streams {
        let packets = packets.remove(&stream.index).unwrap_or_default();
        if stream.is_picture() {
            info.pictures.push(AttachedPicture {
                index: stream.index,
                codec: stream.codec(),
                width: stream.width,
                height: stream.height,
            });
        } else if stream.is("video") && !packets.is_empty() {
            info.video.push(video(stream, packets)?);
        } else if stream.is("audio") && !packets.is_empty() {
            info.audio.push(audio(stream, packets)?);
        } else if stream.is("subtitle") {
            info.subtitles.push(subtitles(stream));
        }
    }
    if info.video.is_empty() && info.audio.is_empty() {
        let declared = document
            .streams
            .iter()
            .any(|s| s.is("video") || s.is("audio"));
        return Err(match declared && info.pictures.is_empty() {
            true => MediaError::corrupt("there is not one packet of picture or sound in it"),
            false => MediaError::unsupported("there is neither a film nor sound in it"),
        });
    }
    measure(&mut info, document);
    Ok(info)
}

fn measure(info: &mut MediaInfo, document: &Document) {
    let spans: Vec<(i64, i64)> = info
        .video
        .iter()
        .map(|v| (v.timeline.first_pts, v.timeline.end_pts, v.time_base))
        .chain(
            info.audio
                .iter()
                .map(|a| (a.timeline.first_pts, a.timeline.end_pts, a.time_base)),
        )
        .map(|(first, end, base)| (micros(first, base), micros(end, base)))
        .collect();
    let start = spans.iter().map(|s| s.0).min().unwrap_or(0);
    let end = spans.iter().map(|s| s.1).max().unwrap_or(0);
    info.start_us = start;
    info.duration_us = (end - start).max(1) as u64;
    let declared = document.format.duration.as_deref().and_then(microseconds);
    info.declared_duration_us = declared.and_then(|d| u64::try_from(d).ok());
    let tolerance = (info.duration_us / 50).max(1_000_000);
    // Some containers count from zero, others from the first picture.
    let reached = info.duration_us + start.max(0) as u64;
    info.ends_early = info
        .declared_duration_us
        .is_some_and(|declared| declared > reached + tolerance);
    info.bit_rate = per_second(info.bytes, info.duration_us);
}

fn video(stream: &Stream, packets: Packets) -> Result<VideoStream, MediaError> {
    accepted(stream)?;
    if stream.width == 0 || stream.height == 0 {
        return Err(MediaError::corrupt("the film has no width or height"));
    }
    let time_base = stream.time_base();
    let bytes = packets.bytes;
    let (timeline, frame_rate) = packets.video(time_base, &stream.rates());
    let duration = micros(timeline.end_pts - timeline.first_pts, time_base);
    let (orientation, sample_aspect) = (stream.orientation(), stream.sample_aspect());
    let widened = f64::from(stream.width) * sample_aspect.as_f64();
    let (mut display_width, mut display_height) = ((widened.round() as u32).max(1), stream.height);
    if orientation.swaps_sides() {
        std::mem::swap(&mut display_width, &mut display_height);
    }
    Ok(VideoStream {
        index: stream.index,
        codec: stream.codec(),
        profile: stream.profile.clone(),
        level: stream.level.filter(|level| *level > 0),
        width: stream.width,
        height: stream.height,
        pixel_format: stream.pix_fmt.clone(),
        bit_depth: stream.bit_depth(),
        color: stream.color(),
        hdr: stream.hdr(),
        orientation,
        sample_aspect,
        display_width,
        display_height,
        frame_rate,
        interlaced: stream.interlaced(),
        time_base,
        bit_rate: per_second(bytes, duration as u64),
        timeline,
        language: stream.language(),
    })
}

fn audio(stream: &Stream, packets: Packets) -> Result<AudioStream, MediaError> {
    accepted(stream)?;
    let (time_base, sample_rate) = (stream.time_base(), stream.sample_rate());
    if sample_rate == 0 || stream.channels == 0 {
        return Err(MediaError::corrupt(
            "the sound has no sample rate or channels",
        ));
    }
    let bytes = packets.bytes;
    let timeline = packets.audio(time_base, sample_rate);
    let duration = micros(timeline.end_pts - timeline.first_pts, time_base);
    Ok(AudioStream {
        index: stream.index,
        codec: stream.codec(),
        profile: stream.profile.clone(),
        channels: stream.channels,
        channel_layout: stream.channel_layout.clone(),
        sample_rate,
        time_base,
        timeline,
        bit_rate: per_second(bytes, duration as u64),
        language: stream.language(),
        title: stream.title(),
        is_default: stream.is_default(),
    })
}

fn subtitles(stream: &Stream) -> SubtitleStream {
    let codec = stream.codec();
    SubtitleStream {
        index: stream.index,
        is_text: matches!(
            codec.as_str(),
            "subrip" | "ass" | "ssa" | "mov_text" | "webvtt" | "text"
        ),
        codec,
        language: stream.language(),
        title: stream.title(),
    }
}

fn accepted(stream: &Stream) -> Result<(), MediaError> {
    let codec = stream.codec();
    match is_accepted_codec(&codec) {
        true => Ok(()),
        false => Err(MediaError::unsupported(format!(
            "its codec ({codec}) is not taken"
        ))),
    }
}

/// Ticks as microseconds.
fn micros(ticks: i64, base: Ratio) -> i64 {
    let micros = i128::from(ticks) * i128::from(base.num) * 1_000_000 / i128::from(base.den);
    micros.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

fn per_second(bytes: u64, micros: u64) -> u64 {
    (u128::from(bytes) * 8_000_000 / u128::from(micros.max(1))) as u64
}
