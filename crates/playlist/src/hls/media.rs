//! Playlists of one stream's segments.

use std::fmt::Write;

/// Whether more segments will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaylistKind {
    /// The film is still being made: the list only grows, and players begin at its start.
    Growing,
    /// The same, grown to its end: clients that follow it stop asking.
    GrownToEnd,
    /// Finished; nothing changes any more.
    Finished,
}

/// One line of a playlist.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaylistSegment {
    /// Its address, relative to the playlist's or absolute.
    pub uri: String,
    /// Seconds.
    pub seconds: f64,
    /// How many of its first bytes show its first picture; 0 for sound.
    pub key_frame_bytes: u64,
}

/// Where players find what decoders must be told before the first picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setup {
    /// CMAF: in an initialisation segment at this address.
    Apart(String),
    /// MPEG-TS: in so many bytes at the beginning of each segment.
    InSegments(u64),
}

impl Setup {
    fn map(&self, text: &mut String) {
        if let Self::Apart(uri) = self {
            line(text, format_args!("#EXT-X-MAP:URI=\"{uri}\""));
        }
    }
}

/// A playlist about to be written.
#[derive(Debug, Clone)]
pub struct MediaPlaylist<'a> {
    /// Whether more will come.
    pub kind: PlaylistKind,
    /// The longest segment in whole seconds, rounded, of the whole plan: it may never change.
    pub target_duration: u32,
    /// What comes before the segments.
    pub setup: &'a Setup,
    /// A contiguous prefix of the stream, from its first segment.
    pub segments: &'a [PlaylistSegment],
}

impl MediaPlaylist<'_> {
    /// The playlist's text (`application/vnd.apple.mpegurl`).
    pub fn write(&self) -> String {
        // RFC 8216, section 7: fractions of seconds need 3, maps outside of I-frame playlists 6.
        let version = match self.setup {
            Setup::Apart(_) => 7,
            Setup::InSegments(_) => 3,
        };
        let mut text = head(version, self.target_duration);
        text += match self.kind {
            PlaylistKind::Finished => "#EXT-X-PLAYLIST-TYPE:VOD\n",
            PlaylistKind::Growing | PlaylistKind::GrownToEnd => {
                "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-START:TIME-OFFSET=0\n"
            }
        };
        text += "#EXT-X-INDEPENDENT-SEGMENTS\n";
        self.setup.map(&mut text);
        for segment in self.segments {
            line(&mut text, format_args!("#EXTINF:{:.6},", segment.seconds));
            line(&mut text, format_args!("{}", segment.uri));
        }
        if self.kind != PlaylistKind::Growing {
            text += "#EXT-X-ENDLIST\n";
        }
        text
    }
}

/// The first pictures of finished segments, for scrubbing: byte ranges of the same files.
pub fn key_frame_playlist(
    target_duration: u32,
    setup: &Setup,
    segments: &[PlaylistSegment],
) -> String {
    // A range holds the picture alone: players take what lies before it in the file for what decoders must be told.
    let (version, before) = match setup {
        Setup::Apart(_) => (7, 0),
        Setup::InSegments(bytes) => (4, *bytes),
    };
    let mut text = head(version, target_duration);
    text += "#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-I-FRAMES-ONLY\n";
    setup.map(&mut text);
    for segment in segments {
        line(&mut text, format_args!("#EXTINF:{:.6},", segment.seconds));
        line(
            &mut text,
            format_args!(
                "#EXT-X-BYTERANGE:{}@{before}",
                segment.key_frame_bytes.saturating_sub(before)
            ),
        );
        line(&mut text, format_args!("{}", segment.uri));
    }
    text += "#EXT-X-ENDLIST\n";
    text
}

/// One WebVTT file with all captions of a finished film of this length as a playlist of one segment. Its times begin with
/// the film's, as players take them to without an X-TIMESTAMP-MAP (RFC 8216, 3.5).
pub fn captions_playlist(seconds: f64, uri: &str) -> String {
    let mut text = head(3, seconds.max(1.0).ceil() as u32);
    text += "#EXT-X-PLAYLIST-TYPE:VOD\n";
    line(&mut text, format_args!("#EXTINF:{seconds:.6},"));
    line(&mut text, format_args!("{uri}"));
    text += "#EXT-X-ENDLIST\n";
    text
}

fn head(version: u32, target_duration: u32) -> String {
    format!(
        "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{target_duration}\n\
         #EXT-X-MEDIA-SEQUENCE:0\n"
    )
}

pub(super) fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes everything");
}
