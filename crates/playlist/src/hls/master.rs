//! The master playlist: which streams there are, and what a player needs to choose.

use super::media::line;
use crate::FrameRate;

/// The one group that all captions are in.
const CAPTIONS: &str = "captions";

/// A rung of pictures.
#[derive(Debug, Clone)]
pub struct VideoVariant {
    /// Its media playlist's address.
    pub uri: String,
    /// Most bits per second over any segment, measured; see [`super::bandwidth`].
    pub bandwidth: u64,
    /// Mean bits per second, measured.
    pub average_bandwidth: u64,
    /// As RFC 6381 has it.
    pub codec: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Pictures per second.
    pub frame_rate: FrameRate,
    /// The [`AudioVariant::group`] that goes with it, if there is sound.
    pub audio_group: Option<String>,
}

/// One language of sound at one bit rate.
#[derive(Debug, Clone)]
pub struct AudioVariant {
    /// All languages of one bit rate are a group.
    pub group: String,
    /// Its media playlist's address.
    pub uri: String,
    /// What players show; no two of a group are the same. Has no quotes.
    pub name: String,
    /// BCP 47 or ISO 639-2.
    pub language: Option<String>,
    /// Whether players choose it by themselves; true for one of each group.
    pub is_default: bool,
    /// How many.
    pub channels: u32,
    /// As RFC 6381 has it.
    pub codec: String,
    /// Most bits per second over any segment, measured.
    pub bandwidth: u64,
    /// Mean bits per second, measured.
    pub average_bandwidth: u64,
}

/// Captions that people can choose.
#[derive(Debug, Clone)]
pub struct CaptionsVariant {
    /// Their media playlist's address.
    pub uri: String,
    /// What players show; no two are the same. Has no quotes.
    pub name: String,
    /// BCP 47.
    pub language: String,
}

/// A playlist of first pictures.
#[derive(Debug, Clone)]
pub struct KeyFrameVariant {
    /// Its address.
    pub uri: String,
    /// Most bits per second over any segment.
    pub bandwidth: u64,
    /// As for the rung.
    pub codec: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// A master playlist about to be written.
#[derive(Debug, Clone, Default)]
pub struct Master {
    /// Rungs in the order in which players should try them; only ones that advance together.
    /// Empty for a recording.
    pub video: Vec<VideoVariant>,
    /// All sound.
    pub audio: Vec<AudioVariant>,
    /// For scrubbing.
    pub key_frames: Vec<KeyFrameVariant>,
    /// For every rung.
    pub captions: Vec<CaptionsVariant>,
    /// Whether segments are MPEG-TS: old players, which may refuse newer versions, take them.
    pub is_mpeg_ts: bool,
}

impl Master {
    /// The playlist's text (`application/vnd.apple.mpegurl`).
    pub fn write(&self) -> String {
        let version = if self.is_mpeg_ts { 4 } else { 7 };
        let mut text = format!("#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-INDEPENDENT-SEGMENTS\n");
        if self.video.is_empty() {
            self.recording(&mut text);
            return text;
        }
        for audio in &self.audio {
            rendition(&mut text, audio);
        }
        for captions in &self.captions {
            line(
                &mut text,
                format_args!(
                    "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"{CAPTIONS}\",NAME=\"{}\",LANGUAGE=\"{}\",\
                     DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI=\"{}\"",
                    captions.name, captions.language, captions.uri
                ),
            );
        }
        for video in &self.video {
            self.rung(&mut text, video);
        }
        for frames in &self.key_frames {
            line(
                &mut text,
                format_args!(
                    "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},CODECS=\"{}\",RESOLUTION={}x{},URI=\"{}\"",
                    frames.bandwidth, frames.codec, frames.width, frames.height, frames.uri
                ),
            );
        }
        text
    }

    fn rung(&self, text: &mut String, video: &VideoVariant) {
        let sound: Vec<&AudioVariant> = self
            .audio
            .iter()
            .filter(|audio| Some(&audio.group) == video.audio_group.as_ref())
            .collect();
        let most = |of: fn(&AudioVariant) -> u64| sound.iter().map(|a| of(a)).max().unwrap_or(0);
        let mut codecs = video.codec.clone();
        let mut group = String::new();
        if let Some(audio) = sound.first() {
            codecs += &format!(",{}", audio.codec);
            group = format!(",AUDIO=\"{}\"", audio.group);
        }
        if !self.captions.is_empty() {
            group += &format!(",SUBTITLES=\"{CAPTIONS}\"");
        }
        line(
            text,
            format_args!(
                "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{codecs}\",\
                 RESOLUTION={}x{},FRAME-RATE={:.3}{group}",
                video.bandwidth + most(|a| a.bandwidth),
                video.average_bandwidth + most(|a| a.average_bandwidth),
                video.width,
                video.height,
                video.frame_rate.as_f64(),
            ),
        );
        line(text, format_args!("{}", video.uri));
    }

    /// Without pictures each bit rate of the default language is a variant of its own; further languages are of its group.
    fn recording(&self, text: &mut String) {
        let has_choice = self.audio.iter().any(|audio| !audio.is_default);
        for audio in self.audio.iter().filter(|_| has_choice) {
            rendition(text, audio);
        }
        for audio in self.audio.iter().filter(|audio| audio.is_default) {
            let group = match has_choice {
                true => format!(",AUDIO=\"{}\"", audio.group),
                false => String::new(),
            };
            line(
                text,
                format_args!(
                    "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\"{group}",
                    audio.bandwidth, audio.average_bandwidth, audio.codec
                ),
            );
            line(text, format_args!("{}", audio.uri));
        }
    }
}

fn rendition(text: &mut String, audio: &AudioVariant) {
    let language = audio
        .language
        .as_ref()
        .map(|language| format!(",LANGUAGE=\"{language}\""))
        .unwrap_or_default();
    let default = if audio.is_default { "YES" } else { "NO" };
    line(
        text,
        format_args!(
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{}\",NAME=\"{}\"{language},DEFAULT={default},\
             AUTOSELECT=YES,CHANNELS=\"{}\",URI=\"{}\"",
            audio.group, audio.name, audio.channels, audio.uri
        ),
    );
}
