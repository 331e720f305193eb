//! Where an asset and all that was made of it can be fetched: signed and expiring when it is private.

use super::{AudioView, PlaybackView, QualityView, RenditionView, WaveformView};
use crate::Context;
use crate::media_path::name;
use crate::origin::Origin;
use crate::view::playlists;
use mediaflow_core::operation::Format;
use mediaflow_core::{AssetId, Visibility};
use mediaflow_engine::store::{
    AssetRecord, CaptionsRecord, Servable, StreamsStatus, TrackKind, TrackStatus, master_edition,
};
use std::time::Duration;

/// How an asset's renditions are addressed in one answer.
pub(super) struct Addresses {
    /// What they begin with.
    pub(super) base: String,
}

impl Addresses {
    pub(super) fn of(
        context: &Context,
        origin: &Origin,
        asset: AssetId,
        visibility: Visibility,
    ) -> Self {
        let path = match visibility {
            Visibility::Public => format!("/media/{asset}/"),
            Visibility::Private => {
                let time = Duration::from_secs(context.config.signed_url_s);
                let end = context.engine.environment().now().after(time);
                context.signer.path(asset, "", end)
            }
        };
        Self {
            base: format!("{}{path}", origin.0),
        }
    }

    pub(super) fn playback(
        &self,
        streams: &StreamsStatus,
        captions: &[CaptionsRecord],
        download: Option<String>,
    ) -> Option<PlaybackView> {
        let base = match streams.published {
            true => {
                let edition = master_edition(streams.edition, captions);
                format!("{}{edition}/", self.base)
            }
            false => self.base.clone(),
        };
        playlists::is_playable(streams).then(|| PlaybackView {
            hls: format!("{base}hls.m3u8"),
            dash: playlists::has_dash(streams).then(|| format!("{base}dash.mpd")),
            download,
        })
    }

    /// A rung of a video, or a bit rate of a sound: everything below its playlist.
    pub(super) fn rung(&self, streams: &StreamsStatus, track: &TrackStatus) -> RenditionView {
        let url = format!("{}{}.m3u8", self.base, track.name);
        let immutable_url = match streams.published {
            true => format!("{}{}/{}.m3u8", self.base, streams.edition, track.name),
            false => url.clone(),
        };
        RenditionView {
            profile: track.name.clone(),
            format: "hls",
            width: track.width,
            height: track.height,
            animated: track.kind == TrackKind::Video,
            bytes: track.bytes,
            sha256: track.init.to_string(),
            immutable_url,
            url,
            quality: track.quality.map(|q| QualityView {
                ssim_mean: q.ssim_mean,
                ssim_min: q.ssim_min,
                frames: q.frames,
            }),
        }
    }

    /// What is known of an asset's sound; nothing while none of it can be heard.
    pub(super) fn audio(
        &self,
        asset: &AssetRecord,
        renditions: &[Servable],
        streams: Option<&StreamsStatus>,
    ) -> Option<AudioView> {
        let is_heard = |t: &TrackStatus| t.kind == TrackKind::Audio && t.begun;
        streams.filter(|s| s.tracks.iter().any(is_heard))?;
        let found = asset.inspected.as_ref();
        let counted = found.and_then(|i| i["duration_ms"].as_u64());
        let measured = found.and_then(|i| i["info"]["duration_us"].as_u64());
        let named = |profile: &str, only: Option<Format>| {
            let is_it = |s: &&Servable| {
                s.rendition.profile == profile && only.is_none_or(|f| f == s.rendition.format)
            };
            let found = renditions.iter().find(is_it);
            found.map(|s| format!("{}{}", self.base, name(&s.rendition)))
        };
        let json = named("waveform", Some(Format::Json));
        Some(AudioView {
            duration_ms: counted.or(measured.map(|us| us / 1000)),
            loudness: asset.loudness.clone(),
            waveform: json
                .zip(named("waveform", Some(Format::Png)))
                .map(|(json, picture)| WaveformView { json, picture }),
            cover: named("cover", None),
        })
    }

    pub(super) fn rendition(&self, servable: &Servable) -> RenditionView {
        let rendition = &servable.rendition;
        let (base, name) = (&self.base, name(rendition));
        let (width, height) = rendition.dimensions.unzip();
        RenditionView {
            profile: rendition.profile.clone(),
            format: rendition.format.as_str(),
            width,
            height,
            animated: rendition.animated,
            bytes: rendition.bytes,
            sha256: rendition.sha256.to_string(),
            url: format!("{base}{name}"),
            immutable_url: format!("{base}{}/{name}", rendition.sha256),
            quality: None,
        }
    }
}
