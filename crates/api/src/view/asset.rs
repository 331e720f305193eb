//! Assets and what was made of them, as JSON.

mod addresses;

use super::task::TaskView;
use crate::Context;
use crate::media_path::name;
use crate::origin::Origin;
use addresses::Addresses;
use mediaflow_core::operation::DOWNLOAD;
use mediaflow_core::{AssetId, Focus, Kind};
use mediaflow_engine::store::{
    AssetRecord, CaptionsRecord, MediaFacts, Original, Servable, StreamsStatus, TrackKind,
    TrackStatus,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Everything known of an asset.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Asset)]
pub(crate) struct AssetView {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// `uploaded`, `processing`, `in_review`, `ready`, `failed`, `rejected` or `deleted`.
    state: &'static str,
    /// Whether something can be shown already.
    viewable: bool,
    /// `image`, `video` or `audio`.
    kind: &'static str,
    recipe: RecipeView,
    /// The newest run of the recipe, counted from 1.
    generation: u32,
    /// The run that readers see; 0 before one is complete.
    published_generation: u32,
    original: OriginalView,
    /// Of a video or recording, once inspected.
    media: Option<MediaView>,
    /// The user's own.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// What was found in the file: size, colour, camera, copyright; streams, codecs, tags, chapters.
    #[schema(value_type = Option<Object>)]
    inspected: Option<Value>,
    /// `{blurhash, color}`, to show before anything is loaded.
    #[schema(value_type = Option<Object>)]
    placeholder: Option<Value>,
    /// `{policy, verdict, scores, decided_by, reason}`, once it is decided.
    #[schema(value_type = Option<Object>)]
    moderation: Option<Value>,
    /// What can be fetched at this moment.
    renditions: Vec<RenditionView>,
    /// Where players begin, once a video can be watched or a sound heard.
    playback: Option<PlaybackView>,
    /// The sound, once something of it can be heard.
    audio: Option<AudioView>,
    /// The picture that stands for a video.
    poster: Option<String>,
    /// Small pictures of a video for scrubbing.
    storyboard: Option<StoryboardView>,
    /// What is said, to be read along; `und` where the language is not known.
    captions: Vec<CaptionsView>,
    /// The newest run's.
    tasks: Vec<TaskView>,
    title: Option<String>,
    tags: Vec<String>,
    /// `public` or `private`.
    visibility: &'static str,
    watermark: bool,
    focus: Option<FocusView>,
    /// Of the newest run, between 0 and 1.
    progress: f64,
    /// Why it failed or was rejected.
    error: Option<ErrorView>,
    correlation_id: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: String,
    #[schema(value_type = String, format = DateTime)]
    updated_at: String,
    links: Links,
}

/// What search tells of an asset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssetItem {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// As in the asset.
    state: &'static str,
    viewable: bool,
    kind: &'static str,
    generation: u32,
    original: OriginalView,
    media: Option<MediaView>,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    #[schema(value_type = Option<Object>)]
    placeholder: Option<Value>,
    title: Option<String>,
    tags: Vec<String>,
    visibility: &'static str,
    progress: f64,
    error: Option<ErrorView>,
    /// The thumbnail in the format that suits the reader, while the asset is viewable.
    thumbnail_url: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: String,
    links: Links,
}

/// A page of assets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssetList {
    /// Newest first.
    pub(crate) items: Vec<AssetItem>,
    /// For `cursor`; null at the end.
    pub(crate) next_cursor: Option<String>,
}

/// The recipe of the newest run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recipe)]
pub(crate) struct RecipeView {
    name: String,
    version: u32,
    /// SHA-256 of everything in it.
    hash: String,
}

/// The bytes as uploaded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Original)]
pub(crate) struct OriginalView {
    bytes: u64,
    sha256: String,
    /// Found from the bytes.
    media_type: String,
    /// As the client named it.
    filename: Option<String>,
    /// Upright, in pixels, once known.
    width: Option<u32>,
    height: Option<u32>,
}

/// What a video or recording can be searched by.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Media)]
pub(crate) struct MediaView {
    /// In seconds, measured.
    duration: f64,
    /// `mov`, `matroska`, ...
    container: String,
    /// Of the pictures, or of the sound where there are none.
    codec: Option<String>,
    /// Pictures in a second.
    frame_rate: Option<f64>,
    has_sound: bool,
    /// `hdr10`, `hlg` or `dolby_vision`.
    hdr: Option<String>,
}

/// A derived file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rendition)]
pub(crate) struct RenditionView {
    /// `thumbnail`, `small`, `medium`, `large`, `retina`, `original`, or what the recipe names.
    profile: String,
    /// `jpeg`, `png`, `webp`, `avif`, `mp4`, `mp3`, ..., or `hls` for a stream of a video or sound.
    format: &'static str,
    /// In pixels, of what can be seen.
    width: Option<u32>,
    height: Option<u32>,
    /// Whether it moves.
    animated: bool,
    bytes: u64,
    sha256: String,
    /// Where it is, whatever it is made into later. Signed and expiring when the asset is private.
    url: String,
    /// Where exactly these bytes are; caches may keep them for ever. Of a stream once it is published.
    immutable_url: String,
    /// Of a stream: how near its pictures came to the source's.
    quality: Option<QualityView>,
}

/// What a comparison of some pictures of each chunk with the source's found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quality)]
pub(crate) struct QualityView {
    /// Mean structural similarity (SSIM), 0 to 1.
    ssim_mean: f64,
    /// That of the worst picture.
    ssim_min: f64,
    /// How many pictures were compared.
    frames: u64,
}

/// Addresses for players. Signed and expiring when the asset is private.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Playback)]
pub(crate) struct PlaybackView {
    /// The HLS master playlist. While the video is being made what it names grows; once it is published the address is
    /// another one, which caches may keep.
    hls: String,
    /// The DASH manifest, once the video is published.
    dash: Option<String>,
    /// One file to take away, where the recipe makes one.
    download: Option<String>,
}

/// What there is to hear.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Audio)]
pub(crate) struct AudioView {
    /// How long it is.
    duration_ms: Option<u64>,
    /// `{target_lufs, true_peak_dbtp, tracks: [{stream, channels, source, level, result_lufs}]}`, where the recipe
    /// measures it.
    #[schema(value_type = Option<Object>)]
    loudness: Option<Value>,
    /// The shape of the wave.
    waveform: Option<WaveformView>,
    /// The picture that the file carries.
    cover: Option<String>,
}

/// The shape of a wave.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Waveform)]
pub(crate) struct WaveformView {
    /// Peaks, in the form that waveform players read.
    json: String,
    /// Drawn on transparency.
    picture: String,
}

/// Where each moment of a video is on its sheets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Storyboard)]
pub(crate) struct StoryboardView {
    json: String,
    vtt: String,
}

/// Captions in WebVTT.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Captions)]
pub(crate) struct CaptionsView {
    /// BCP 47.
    language: String,
    /// What people choose by.
    label: String,
    url: String,
}

/// The point that crops keep in sight, as fractions of width and height.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Focus)]
pub(crate) struct FocusView {
    x: f32,
    y: f32,
}

/// Why something failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorView {
    /// Stable; listed in the documentation.
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Where to go from here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Links {
    #[serde(rename = "self")]
    this: String,
    events: String,
    tasks: String,
}

impl Links {
    pub(crate) fn of(asset: AssetId) -> Self {
        let this = format!("/v1/assets/{asset}");
        Self {
            events: format!("{this}/events"),
            tasks: format!("{this}/tasks"),
            this,
        }
    }
}

impl AssetView {
    pub(crate) fn of(
        context: &Context,
        origin: &Origin,
        asset: AssetRecord,
        renditions: &[Servable],
        streams: Option<&StreamsStatus>,
        captions: Vec<CaptionsRecord>,
        tasks: Vec<TaskView>,
    ) -> Self {
        let addresses = Addresses::of(context, origin, asset.id, asset.options.visibility);
        let has = |profile: &str| renditions.iter().any(|r| r.rendition.profile == profile);
        let is_rung = |t: &TrackStatus| t.kind == TrackKind::Video || asset.kind == Kind::Audio;
        let rungs = streams.iter().flat_map(|s| {
            let tracks = s.tracks.iter();
            let shown = tracks.filter(|t| is_rung(t) && t.begun);
            shown.map(|t| addresses.rung(s, t))
        });
        let pictures = renditions.iter().map(|r| addresses.rendition(r));
        let audio = addresses.audio(&asset, renditions, streams);
        let files = renditions.iter().map(|r| &r.rendition);
        let download = files.filter(|r| r.profile == DOWNLOAD).map(name).next();
        let download = download.map(|name| format!("{}{name}", addresses.base));
        let (recipe, version, hash) = asset.run.recipe;
        Self {
            id: asset.id.to_string(),
            state: asset.state.as_str(),
            viewable: asset.viewable,
            kind: asset.kind.as_str(),
            recipe: RecipeView {
                name: recipe,
                version,
                hash: hash.to_string(),
            },
            generation: asset.run.generation,
            published_generation: asset.published,
            original: asset.original.into(),
            media: asset.media.map(MediaView::from),
            metadata: asset.options.metadata,
            inspected: asset.inspected,
            placeholder: asset.placeholder,
            moderation: asset.moderation,
            renditions: pictures.chain(rungs).collect(),
            audio,
            playback: streams.and_then(|s| addresses.playback(s, &captions, download)),
            poster: has("poster").then(|| format!("{}poster.jpg", addresses.base)),
            storyboard: has("storyboard-0").then(|| StoryboardView {
                json: format!("{}storyboard.json", addresses.base),
                vtt: format!("{}storyboard.vtt", addresses.base),
            }),
            captions: captions
                .into_iter()
                .map(|c| CaptionsView {
                    url: format!("{}{}.vtt", addresses.base, c.name),
                    language: c.language,
                    label: c.label,
                })
                .collect(),
            tasks,
            title: asset.options.title,
            tags: asset.options.tags,
            visibility: asset.options.visibility.as_str(),
            watermark: asset.options.watermark,
            focus: asset.options.focus.map(|Focus { x, y }| FocusView { x, y }),
            progress: asset.run.progress,
            error: error(asset.error),
            correlation_id: asset.correlation_id,
            created_at: asset.created_at.to_string(),
            updated_at: asset.updated_at.to_string(),
            links: Links::of(asset.id),
        }
    }
}

impl AssetItem {
    pub(crate) fn of(context: &Context, origin: &Origin, asset: AssetRecord) -> Self {
        let addresses = Addresses::of(context, origin, asset.id, asset.options.visibility);
        // A sound has one when it has a cover, of which the placeholder is made.
        let has_picture = asset.kind != Kind::Audio || asset.placeholder.is_some();
        let thumbnail =
            (asset.viewable && has_picture).then(|| format!("{}thumbnail", addresses.base));
        Self {
            id: asset.id.to_string(),
            state: asset.state.as_str(),
            viewable: asset.viewable,
            kind: asset.kind.as_str(),
            generation: asset.run.generation,
            original: asset.original.into(),
            media: asset.media.map(MediaView::from),
            metadata: asset.options.metadata,
            placeholder: asset.placeholder,
            title: asset.options.title,
            tags: asset.options.tags,
            visibility: asset.options.visibility.as_str(),
            progress: asset.run.progress,
            error: error(asset.error),
            thumbnail_url: thumbnail,
            created_at: asset.created_at.to_string(),
            links: Links::of(asset.id),
        }
    }
}

impl From<MediaFacts> for MediaView {
    fn from(facts: MediaFacts) -> Self {
        Self {
            duration: facts.duration_ms as f64 / 1000.0,
            container: facts.container,
            codec: facts.codec,
            frame_rate: facts.frame_rate,
            has_sound: facts.has_sound,
            hdr: facts.hdr,
        }
    }
}

impl From<Original> for OriginalView {
    fn from(original: Original) -> Self {
        let (width, height) = original.dimensions.unzip();
        Self {
            bytes: original.bytes,
            sha256: original.sha256.to_string(),
            media_type: original.media_type,
            filename: original.filename,
            width,
            height,
        }
    }
}

fn error(error: Option<(String, String)>) -> Option<ErrorView> {
    error.map(|(code, message)| ErrorView { code, message })
}
