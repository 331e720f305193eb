//! Playlists and manifests of what is recorded at this moment. All addresses stay below `/media/{asset}/`, so that a
//! signature of that prefix covers them.
//!
//! At stable addresses playlists grow, and stay what they were to who began early; at those with a digest they are finished.

use mediaflow_core::operation::Packaging;
use mediaflow_engine::store::{
    CaptionsRecord, Streams, StreamsStatus, Track, TrackKind, TrackStatus,
};
use mediaflow_playlist::FrameRate;
use mediaflow_playlist::dash::{self, AudioSet, Manifest, Picture, Representation};
use mediaflow_playlist::hls::{
    AudioVariant, CaptionsVariant, KeyFrameVariant, Master, MediaPlaylist, PlaylistKind,
    PlaylistSegment, Setup, VideoVariant, bandwidth, captions_playlist, key_frame_playlist,
    mpeg_ts,
};

/// Appended to a stream's name: its playlist of first pictures.
const KEY_FRAMES: &str = "-key";
/// Appended to the name of captions: with a map to the clock of MPEG-TS.
pub(crate) const MAPPED: &str = ".ts";

/// Where a playlist stands, and so how it names others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// `/media/{asset}/`.
    Stable,
    /// `/media/{asset}/{digest}/`.
    Lasting,
}

impl Place {
    /// The way to `/media/{asset}/`.
    fn root(self) -> &'static str {
        match self {
            Self::Stable => "",
            Self::Lasting => "../",
        }
    }
}

/// The master playlist; `None` while no stream can be played from its beginning. While streams grow it names only
/// those that have as much as the lowest one has, and no captions, whose playlists are finished from the beginning.
pub(crate) fn master(
    streams: &Streams,
    captions: &[CaptionsRecord],
    place: Place,
) -> Option<String> {
    let audio: Vec<&Track> = playable(streams, TrackKind::Audio);
    let video: Vec<&Track> = playable(streams, TrackKind::Video);
    let mut master = Master {
        is_mpeg_ts: is_mpeg_ts(streams),
        ..Master::default()
    };
    // What is finished has a lasting address.
    let streams_at = match streams.published {
        true => format!("{}{}/", place.root(), streams.edition),
        false => place.root().to_owned(),
    };
    for track in &audio {
        let (peak, mean) = bandwidth(&sizes(track));
        master.audio.push(AudioVariant {
            group: group(track),
            uri: format!("{streams_at}{}.m3u8", track.name),
            name: text(track, "name").unwrap_or("Audio").to_owned(),
            language: text(track, "language").map(str::to_owned),
            is_default: track.said["default"].as_bool().unwrap_or(false),
            channels: number(track, "channels").unwrap_or(2),
            codec: track.codecs.clone(),
            bandwidth: peak,
            average_bandwidth: mean,
        });
    }
    let is_silent = |t: &Track| number(t, "audio").is_none();
    for track in &video {
        let group = number(track, "audio").map(|rate| format!("audio-{rate}"));
        let has_group = |g: &String| master.audio.iter().any(|a| a.group == *g);
        if !is_silent(track) && !group.as_ref().is_some_and(has_group) {
            continue;
        }
        let (peak, mean) = bandwidth(&sizes(track));
        master.video.push(VideoVariant {
            uri: format!("{streams_at}{}.m3u8", track.name),
            bandwidth: peak,
            average_bandwidth: mean,
            codec: track.codecs.clone(),
            width: track.width.unwrap_or(0),
            height: track.height.unwrap_or(0),
            frame_rate: frame_rate(track),
            audio_group: group,
        });
        if streams.published {
            master.key_frames.push(KeyFrameVariant {
                uri: format!("{streams_at}{}{KEY_FRAMES}.m3u8", track.name),
                bandwidth: bandwidth(&key_sizes(track)).0,
                codec: track.codecs.clone(),
                width: track.width.unwrap_or(0),
                height: track.height.unwrap_or(0),
            });
        }
    }
    if streams.published {
        for (label, captions) in labelled(captions) {
            master.captions.push(CaptionsVariant {
                uri: format!("{}{}/{}.m3u8", place.root(), captions.sha256, captions.name),
                name: label,
                language: captions.language.clone(),
            });
        }
    }
    if audio.iter().any(|track| !is_alone(track)) {
        let groups: Vec<String> = master
            .video
            .iter()
            .filter_map(|v| v.audio_group.clone())
            .collect();
        master.audio.retain(|a| groups.contains(&a.group));
    }
    (!master.video.is_empty() || !master.audio.is_empty()).then(|| master.write())
}

/// Whether there is no film to it; else sound is of no use before there is one.
fn is_alone(track: &Track) -> bool {
    track.said["alone"].as_bool().unwrap_or(false)
}

/// Whether [`master`] has something to name.
pub(crate) fn is_playable(status: &StreamsStatus) -> bool {
    let begun = |kind| {
        status
            .tracks
            .iter()
            .filter(move |t| t.begun && t.kind == kind)
    };
    let is_alone = |t: &TrackStatus| t.said["alone"] == true;
    begun(TrackKind::Audio).any(is_alone)
        || begun(TrackKind::Video).any(|video| {
            let rate = &video.said["audio"];
            rate.is_null() || begun(TrackKind::Audio).any(|audio| audio.said["bit_rate"] == *rate)
        })
}

/// One stream's playlist as it grows. It stays such a one when everything is published: who began early goes on with it.
pub(crate) fn growing(streams: &Streams, name: &str) -> Option<String> {
    let track = streams.tracks.iter().find(|t| t.name == name)?;
    let is_done = streams.published || track.whole;
    let kind = match is_done {
        true => PlaylistKind::GrownToEnd,
        false => PlaylistKind::Growing,
    };
    (!track.segments.is_empty()).then(|| media(track, kind, Place::Stable))
}

/// One finished stream's playlist, or that of its first pictures.
pub(crate) fn finished(streams: &Streams, name: &str) -> Option<String> {
    let find = |name: &str| streams.tracks.iter().find(|t| t.name == name);
    if !streams.published {
        return None;
    }
    if let Some(track) = find(name) {
        return Some(media(track, PlaylistKind::Finished, Place::Lasting));
    }
    let track = find(name.strip_suffix(KEY_FRAMES)?)?;
    (track.kind == TrackKind::Video).then(|| {
        let (setup, segments) = (
            setup(track, Place::Lasting),
            segments(track, Place::Lasting),
        );
        key_frame_playlist(target_duration(track), &setup, &segments)
    })
}

fn media(track: &Track, kind: PlaylistKind, place: Place) -> String {
    MediaPlaylist {
        kind,
        target_duration: target_duration(track),
        setup: &setup(track, place),
        segments: &segments(track, place),
    }
    .write()
}

fn target_duration(track: &Track) -> u32 {
    number(track, "target_duration").unwrap_or(6)
}

/// The playlist of captions beside finished streams, which stands at an address with their digest.
pub(crate) fn captions(streams: &Streams, captions: &CaptionsRecord) -> Option<String> {
    let video = playable(streams, TrackKind::Video);
    let first = video.first().filter(|_| streams.published)?;
    let uri = match is_mpeg_ts(streams) {
        true => format!("../{}/{}{MAPPED}.vtt", captions.sha256, captions.name),
        false => file(captions, Place::Lasting),
    };
    Some(captions_playlist(seconds(first), &uri))
}

fn file(captions: &CaptionsRecord, place: Place) -> String {
    format!("{}{}/{}.vtt", place.root(), captions.sha256, captions.name)
}

/// Captions with labels that differ from each other and have nothing in them that ends a quoted text.
fn labelled(captions: &[CaptionsRecord]) -> Vec<(String, &CaptionsRecord)> {
    let mut found: Vec<(String, &CaptionsRecord)> = Vec::new();
    for one in captions {
        let plain = one.label.replace(|c: char| c == '"' || c.is_control(), "'");
        let is_taken = |label: &str| found.iter().any(|(other, _)| other == label);
        let numbered = (2..).map(|n| format!("{plain} {n}"));
        let mut choices = std::iter::once(plain.clone()).chain(numbered);
        let label = choices.find(|label| !is_taken(label)).unwrap_or(plain);
        found.push((label, one));
    }
    found
}

/// Whether [`dash`] has something to name: everything is published, in segments that DASH knows.
pub(crate) fn has_dash(status: &StreamsStatus) -> bool {
    let mut tracks = status.tracks.iter();
    status.published && tracks.all(|t| t.packaging == Packaging::Cmaf)
}

/// The manifest; `None` where there is none.
pub(crate) fn dash(streams: &Streams, captions: &[CaptionsRecord], place: Place) -> Option<String> {
    if !streams.published || is_mpeg_ts(streams) {
        return None;
    }
    let video = playable(streams, TrackKind::Video);
    let audio = playable(streams, TrackKind::Audio);
    let mut manifest = Manifest {
        seconds: video
            .iter()
            .chain(&audio)
            .next()
            .map_or(0.0, |t| seconds(t)),
        video: video.iter().map(|t| representation(t, place)).collect(),
        audio: Vec::new(),
        captions: Vec::new(),
    };
    for (label, captions) in labelled(captions) {
        manifest.captions.push(dash::Captions {
            id: captions.name.clone(),
            language: captions.language.clone(),
            label,
            uri: file(captions, place),
            bandwidth: bandwidth(&[(captions.bytes, manifest.seconds)]).1,
        });
    }
    for track in audio {
        let language = text(track, "language").map(str::to_owned);
        let channels = number(track, "channels").unwrap_or(2);
        let same = |set: &&mut AudioSet| set.language == language && set.channels == channels;
        let made = representation(track, place);
        match manifest.audio.iter_mut().find(same) {
            Some(set) => set.representations.push(made),
            None => manifest.audio.push(AudioSet {
                language,
                channels,
                representations: vec![made],
            }),
        }
    }
    Some(manifest.write())
}

fn representation(track: &Track, place: Place) -> Representation {
    let picture = track
        .width
        .zip(track.height)
        .map(|(width, height)| Picture {
            width,
            height,
            frame_rate: frame_rate(track),
        });
    Representation {
        id: track.name.clone(),
        codec: track.codecs.clone(),
        bandwidth: bandwidth(&sizes(track)).0,
        sample_rate: picture.is_none().then_some(track.timescale),
        picture,
        timescale: track.timescale,
        init_uri: init(track, place),
        segments: segments(track, place)
            .into_iter()
            .zip(&track.segments)
            .map(|(line, segment)| (line.uri, segment.duration))
            .collect(),
    }
}

/// Streams of a kind that can be played, lowest first. Of those that still grow only such as keep up with the lowest.
fn playable(streams: &Streams, kind: TrackKind) -> Vec<&Track> {
    let tracks = streams.tracks.iter();
    let mut found: Vec<&Track> = tracks
        .filter(|t| t.kind == kind && !t.segments.is_empty())
        .collect();
    found.sort_by_key(|t| {
        (
            t.height,
            familiarity(t),
            number(t, "bit_rate"),
            t.name.clone(),
        )
    });
    if let (false, Some(lowest)) = (streams.published, found.first()) {
        let reached = lowest.segments.len();
        found.retain(|t| t.segments.len() >= reached);
    }
    // Codec by codec, what more players know first: each takes those that it can decode.
    found.sort_by_key(|t| familiarity(t));
    found
}

/// How many codecs more players know.
fn familiarity(track: &Track) -> usize {
    let codecs = ["avc1", "hvc1", "vp09", "av01"];
    let is_its = |codec: &&str| track.codecs.starts_with(*codec);
    codecs.iter().position(is_its).unwrap_or(0)
}

fn group(track: &Track) -> String {
    format!("audio-{}", number(track, "bit_rate").unwrap_or(0))
}

fn text<'a>(track: &'a Track, name: &str) -> Option<&'a str> {
    track.said[name].as_str()
}

fn number(track: &Track, name: &str) -> Option<u32> {
    track.said[name]
        .as_u64()
        .and_then(|n| u32::try_from(n).ok())
}

fn frame_rate(track: &Track) -> FrameRate {
    let part = |index: usize| track.said["frame_rate"][index].as_u64();
    let part = |index| part(index).and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    FrameRate {
        num: part(0),
        den: part(1),
    }
}

fn init(track: &Track, place: Place) -> String {
    format!("{}{}/{}-init.mp4", place.root(), track.init, track.name)
}

fn setup(track: &Track, place: Place) -> Setup {
    match track.packaging {
        Packaging::Cmaf => Setup::Apart(init(track, place)),
        Packaging::Ts => Setup::InSegments(mpeg_ts::TABLES_BYTES),
    }
}

fn is_mpeg_ts(streams: &Streams) -> bool {
    let mut tracks = streams.tracks.iter();
    tracks.any(|t| t.packaging == Packaging::Ts)
}

fn length(track: &Track, ticks: u64) -> f64 {
    ticks as f64 / f64::from(track.timescale.max(1))
}

fn seconds(track: &Track) -> f64 {
    length(track, track.segments.iter().map(|s| s.duration).sum())
}

fn sizes(track: &Track) -> Vec<(u64, f64)> {
    let segments = track.segments.iter();
    segments
        .map(|s| (s.bytes, length(track, s.duration)))
        .collect()
}

fn key_sizes(track: &Track) -> Vec<(u64, f64)> {
    let segments = track.segments.iter();
    segments
        .map(|s| (s.key_bytes, length(track, s.duration)))
        .collect()
}

fn segments(track: &Track, place: Place) -> Vec<PlaylistSegment> {
    let extension = track.packaging.extension();
    let segments = track.segments.iter().enumerate();
    segments
        .map(|(number, s)| PlaylistSegment {
            uri: format!(
                "{}{}/{}-{number}.{extension}",
                place.root(),
                s.sha256,
                track.name
            ),
            seconds: length(track, s.duration),
            key_frame_bytes: s.key_bytes,
        })
        .collect()
}
