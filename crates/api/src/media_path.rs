//! What a delivery path asks for: `/media/{asset}/{name}`, `/media/{asset}/{hash}/{name}`, and both of them below
//! `/media/s/{token}/`.

use mediaflow_core::operation::{Format, Packaging};
use mediaflow_core::{AssetId, Sha256};
use mediaflow_engine::store::{RenditionRecord, StreamFile};
use percent_encoding::percent_decode_str;

/// What the names of captions and of their playlists begin with.
pub(crate) const CAPTIONS: &str = "captions-";

/// A path under `/media/`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaPath {
    /// `{kid}.{expiry}.{sig}` of a signed one.
    pub(crate) token: Option<String>,
    pub(crate) asset: AssetId,
    /// The SHA-256 that the content must have.
    pub(crate) sha256: Option<Sha256>,
    pub(crate) profile: String,
    /// What of it.
    pub(crate) file: File,
    /// Written as we write it. Caches know other spellings as other addresses, and no purge finds those.
    pub(crate) is_canonical: bool,
}

/// A file of an asset. `profile` is the rendition's, or the stream's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    /// Negotiated where the format is missing.
    Rendition(Option<Format>),
    /// `hls.m3u8` for all streams, or one stream's own.
    Playlist,
    /// `dash.mpd`.
    Manifest,
    /// Of the stream.
    Segment(StreamFile),
    /// WebVTT: `captions-en.vtt`.
    Captions,
    /// Where each moment is on the storyboard's sheets, as JSON or WebVTT.
    Storyboard {
        /// WebVTT.
        is_vtt: bool,
    },
}

/// Why a path is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPath {
    /// It names nothing.
    Unknown,
    /// It is meant to be signed, and nothing else is said about it.
    Signed,
}

/// Reads what follows `/media/`, as it came over the wire.
pub(crate) fn parse(raw: &str) -> Result<MediaPath, NoPath> {
    let segments: Option<Vec<String>> = raw.split('/').map(segment).collect();
    let segments = segments.ok_or(NoPath::Unknown)?;
    let mut rest: Vec<&str> = segments.iter().map(String::as_str).collect();
    let is_signed = rest[0] == "s";
    let none = match is_signed {
        true => NoPath::Signed,
        false => NoPath::Unknown,
    };
    let token = match is_signed {
        true if rest.len() >= 2 => Some(rest.drain(..2).nth(1).unwrap_or_default().to_owned()),
        true => return Err(none),
        false => None,
    };
    let (asset, sha256, name) = match rest[..] {
        [asset, name] => (asset, None, name),
        [asset, sha256, name] => (asset, Some(digest(sha256).ok_or(none)?), name),
        _ => return Err(none),
    };
    let (profile, file) = file(name).ok_or(none)?;
    let is_canonical = !raw.contains('%') && !name.ends_with(".jpeg");
    Ok(MediaPath {
        asset: id(asset).ok_or(none)?,
        sha256,
        profile: profile.to_owned(),
        file,
        is_canonical,
        token,
    })
}

fn file(name: &str) -> Option<(&str, File)> {
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return Some((name, File::Rendition(None)));
    };
    match extension {
        "m3u8" => Some((stem, File::Playlist)),
        "mpd" if stem == "dash" => Some((stem, File::Manifest)),
        "json" | "vtt" if stem == "storyboard" => {
            let is_vtt = extension == "vtt";
            Some((stem, File::Storyboard { is_vtt }))
        }
        "vtt" if stem.starts_with(CAPTIONS) => Some((stem, File::Captions)),
        "mp4" if stem.ends_with("-init") => {
            Some((stem.strip_suffix("-init")?, File::Segment(StreamFile::Init)))
        }
        "m4s" => numbered(stem).map(|(track, n)| {
            (
                track,
                File::Segment(StreamFile::Segment(Packaging::Cmaf, n)),
            )
        }),
        "ts" => numbered(stem)
            .map(|(track, n)| (track, File::Segment(StreamFile::Segment(Packaging::Ts, n)))),
        _ => Some((stem, File::Rendition(Some(Format::parse(extension)?)))),
    }
}

/// A stream's name and a segment's number, which has one spelling here.
fn numbered(stem: &str) -> Option<(&str, u32)> {
    let (track, number) = stem.rsplit_once('-')?;
    let parsed: u32 = number.parse().ok()?;
    (parsed.to_string() == number).then_some((track, parsed))
}

/// One decoded segment; `None` for those that mean something else to somebody on the way.
fn segment(raw: &str) -> Option<String> {
    let text = percent_decode_str(raw).decode_utf8().ok()?;
    let is_plain = !text.contains(['/', '\\']) && !text.contains(char::is_control);
    (is_plain && !matches!(&*text, "" | "." | "..")).then(|| text.into_owned())
}

/// Ids have one spelling here.
fn id(text: &str) -> Option<AssetId> {
    let id: AssetId = text.parse().ok()?;
    (id.to_string() == text).then_some(id)
}

fn digest(text: &str) -> Option<Sha256> {
    let digest: Sha256 = text.parse().ok()?;
    (digest.to_string() == text).then_some(digest)
}

/// The name of a rendition at its stable address.
pub(crate) fn name(rendition: &RenditionRecord) -> String {
    format!("{}.{}", rendition.profile, rendition.format.extension())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSET: &str = "01920000-0000-7000-8000-000000000001";

    fn found(raw: &str) -> MediaPath {
        parse(raw).unwrap_or_else(|e| panic!("{raw}: {e:?}"))
    }

    #[test]
    fn stable_and_hashed_paths() {
        let path = found(&format!("{ASSET}/large.jpg"));
        assert_eq!(path.asset.to_string(), ASSET);
        assert_eq!(
            (&*path.profile, path.file),
            ("large", File::Rendition(Some(Format::Jpeg)))
        );
        assert_eq!(
            (path.sha256, path.token, path.is_canonical),
            (None, None, true)
        );
        assert_eq!(found(&format!("{ASSET}/large")).file, File::Rendition(None));
        let hash = "ab".repeat(32);
        let path = found(&format!("{ASSET}/{hash}/large.avif"));
        assert_eq!(path.sha256, Some(hash.parse().unwrap()));
    }

    #[test]
    fn signed_paths() {
        let path = found(&format!("s/k.1.x/{ASSET}/large.webp"));
        assert_eq!(path.token.as_deref(), Some("k.1.x"));
        for bad in [
            "s",
            "s/k",
            "s/k/x",
            "s/k/x/y",
            &format!("s/k/{ASSET}/a/b/c"),
        ] {
            assert_eq!(parse(bad), Err(NoPath::Signed), "{bad}");
        }
    }

    #[test]
    fn other_spellings_are_the_same_path_but_not_the_same_address() {
        let path = found(&format!("{ASSET}/%6Carge.jpg"));
        assert_eq!((&*path.profile, path.is_canonical), ("large", false));
        let path = found(&format!("{ASSET}/large.jpeg"));
        assert_eq!(
            (path.file, path.is_canonical),
            (File::Rendition(Some(Format::Jpeg)), false)
        );
        assert!(found(&format!("%73/k.1.x/{ASSET}/large")).token.is_some());
    }

    #[test]
    fn streams() {
        let file = |name: &str| {
            let path = found(&format!("{ASSET}/{name}"));
            (path.profile, path.file)
        };
        assert_eq!(file("hls.m3u8"), ("hls".into(), File::Playlist));
        assert_eq!(file("720p.m3u8"), ("720p".into(), File::Playlist));
        assert_eq!(
            file("audio-128-7.m4s"),
            (
                "audio-128".into(),
                File::Segment(StreamFile::Segment(Packaging::Cmaf, 7))
            )
        );
        let segment = File::Segment(StreamFile::Segment(Packaging::Ts, 0));
        assert_eq!(file("720p-0.ts"), ("720p".into(), segment));
        let init = File::Segment(StreamFile::Init);
        assert_eq!(file("720p-init.mp4"), ("720p".into(), init));
        assert_eq!(
            file("captions-pt-BR.vtt"),
            ("captions-pt-BR".into(), File::Captions)
        );
        let download = File::Rendition(Some(Format::Mp4));
        assert_eq!(file("download.mp4"), ("download".into(), download));
        for bad in [
            "720p.m4s",
            "720p-07.m4s",
            "720p-x.m4s",
            "a.mpd",
            "a.ts",
            "a-00.ts",
        ] {
            assert_eq!(
                parse(&format!("{ASSET}/{bad}")),
                Err(NoPath::Unknown),
                "{bad}"
            );
        }
    }

    #[test]
    fn tricks_name_nothing() {
        let upper = ASSET.replace('0', "A").to_uppercase();
        for bad in [
            String::new(),
            ASSET.to_owned(),
            format!("{ASSET}/"),
            format!("{ASSET}//large"),
            format!("/{ASSET}/large"),
            format!("{ASSET}/../large"),
            format!("{ASSET}/%2e%2e/large"),
            format!("{ASSET}/%2E/large"),
            format!("{ASSET}%2Flarge"),
            format!("{ASSET}/x%2f..%2flarge"),
            format!("{ASSET}/x%5clarge"),
            format!("{ASSET}/large%00"),
            format!("{ASSET}/%ff"),
            format!("{ASSET}/large.exe"),
            format!("{ASSET}/{}/large.jpg", "AB".repeat(32)),
            format!("{upper}/large"),
            format!("{}/large", ASSET.replace('-', "")),
            format!("{{{ASSET}}}/large"),
        ] {
            assert_eq!(parse(&bad), Err(NoPath::Unknown), "{bad}");
        }
    }
}
