//! The paths under which caches know what an asset shows, which they forget when it is replaced or withdrawn.

use crate::streams::edition;
use crate::{CaptionsRecord, master_edition};
use mediaflow_core::operation::{Format, Packaging};
use mediaflow_core::{AssetId, Sha256};
use std::collections::BTreeSet;

/// Paths relative to the public base URL, each once.
pub(crate) type Paths = BTreeSet<String>;

/// Those that a rendition is delivered under.
pub(crate) fn add_rendition(
    paths: &mut Paths,
    asset: AssetId,
    profile: &str,
    format: Format,
    sha256: Sha256,
) {
    let extension = format.extension();
    paths.insert(format!("/media/{asset}/{profile}"));
    paths.insert(format!("/media/{asset}/{profile}.{extension}"));
    paths.insert(format!("/media/{asset}/{sha256}/{profile}.{extension}"));
}

/// Those of a stream: of its playlists, finished ones too, and of its initialisation segment.
pub(crate) fn add_track(
    paths: &mut Paths,
    asset: AssetId,
    published: u32,
    (name, packaging): (&str, Packaging),
    init: Sha256,
) {
    let finished = edition(asset, published);
    paths.insert(format!("/media/{asset}/{name}.m3u8"));
    paths.insert(format!("/media/{asset}/{finished}/{name}.m3u8"));
    paths.insert(format!("/media/{asset}/{finished}/{name}-key.m3u8"));
    if packaging == Packaging::Cmaf {
        paths.insert(format!("/media/{asset}/{init}/{name}-init.mp4"));
    }
}

/// That of a segment.
pub(crate) fn add_segment(
    paths: &mut Paths,
    asset: AssetId,
    (track, packaging): (&str, Packaging),
    number: u32,
    sha256: Sha256,
) {
    let extension = packaging.extension();
    paths.insert(format!(
        "/media/{asset}/{sha256}/{track}-{number}.{extension}"
    ));
}

/// Those of captions.
pub(crate) fn add_captions(paths: &mut Paths, asset: AssetId, name: &str, sha256: Sha256) {
    paths.insert(format!("/media/{asset}/{name}.vtt"));
    paths.insert(format!("/media/{asset}/{sha256}/{name}.vtt"));
    paths.insert(format!("/media/{asset}/{sha256}/{name}.m3u8"));
    paths.insert(format!("/media/{asset}/{sha256}/{name}.ts.vtt"));
}

/// Those of what names all streams and captions, of the published generation too, where there is one.
pub(crate) fn add_masters(
    paths: &mut Paths,
    asset: AssetId,
    published: u32,
    captions: &[CaptionsRecord],
) {
    let finished = master_edition(edition(asset, published), captions);
    for name in ["hls.m3u8", "dash.mpd"] {
        paths.insert(format!("/media/{asset}/{name}"));
        if published > 0 {
            paths.insert(format!("/media/{asset}/{finished}/{name}"));
        }
    }
}
