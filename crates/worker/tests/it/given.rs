//! A running MediaFlow without HTTP: engine, services and one worker on a temporary folder.

use mediaflow_core::operation::Format;
use mediaflow_core::{AssetId, AssetOptions, AssetState, TenantId};
use mediaflow_engine::blob::{Blobs, FolderBlobs};
use mediaflow_engine::metrics::Metrics;
use mediaflow_engine::services::Services;
use mediaflow_engine::store::{
    AssetRecord, Environment, EventRecord, Servable, SqliteStore, Store,
};
use mediaflow_engine::{
    Cdn, Engine, EngineError, Fetcher, ImportConfig, MetadataConfig, ModerationConfig, Parts,
    Receipt, Recipes, RetentionConfig, SystemEnvironment, Upload, UploadLimits, WatermarkConfig,
    WebhookSender, WebhooksConfig,
};
use mediaflow_media::image::encode::{Metadata, jpeg, png, webp};
use mediaflow_media::image::heif::HeifHelper;
use mediaflow_media::image::pixels::Layout;
use mediaflow_media::image::{DecodeOptions, ImageLimits, Pixels, decode};
use mediaflow_media::sandbox::SandboxMode;
use mediaflow_media::video::MediaLimits;
use mediaflow_worker::{MediaRecogniser, Toolbox, VideoTools, Worker, WorkerConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) const TENANT: TenantId = TenantId::DEFAULT;

/// How it is set up.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) moderation: ModerationConfig,
    pub(crate) watermark: Option<Pixels>,
    pub(crate) worker: WorkerConfig,
    pub(crate) recipe: Option<String>,
}

/// A running one. Its folder goes with it.
pub(crate) struct Running {
    pub(crate) engine: Arc<Engine>,
    pub(crate) folder: tempfile::TempDir,
    stop: CancellationToken,
    worker: tokio::task::JoinHandle<()>,
}

impl Setup {
    pub(crate) async fn start(self) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let environment: Arc<dyn Environment> = Arc::new(SystemEnvironment);
        let store = SqliteStore::open(
            &folder.path().join("mediaflow.db"),
            Arc::clone(&environment),
        )
        .unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let blobs = FolderBlobs::open(&folder.path().join("blobs")).unwrap();
        let blobs = Blobs::from(blobs);
        let recipes = self.recipe.map(|text| {
            let recipes = folder.path().join("recipes");
            std::fs::create_dir(&recipes).unwrap();
            std::fs::write(recipes.join("own.toml"), text).unwrap();
            recipes
        });
        let mut watermark = WatermarkConfig::default();
        if let Some(mark) = &self.watermark {
            let file = folder.path().join("mark.png");
            let encoded = png::encode(mark, png::PngEffort::Fast, &Metadata::default()).unwrap();
            std::fs::write(&file, encoded.bytes).unwrap();
            watermark = WatermarkConfig {
                file: Some(file),
                opacity: 1.0,
                scale: 0.5,
                ..watermark
            };
        }
        let watermark = Engine::pin_watermark(&store, &blobs, &watermark)
            .await
            .unwrap();
        let limits = ImageLimits::default();
        let heif = HeifHelper {
            program: "/nonexistent".into(),
            args_prefix: Vec::new(),
            mode: SandboxMode::Prefer,
            wall: Duration::from_secs(10),
        };
        let scratch = folder.path().join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        let video = VideoTools {
            limits: MediaLimits::default(),
            ffmpeg: None,
            scratch,
        };
        let toolbox = Toolbox::new(limits, heif, &self.moderation, video).unwrap();
        let metrics = Arc::new(Metrics::new("test"));
        let engine = Arc::new(Engine::new(Parts {
            store,
            is_shared: false,
            blobs,
            broker: None,
            outlet: None,
            environment,
            recipes: Recipes::load(recipes.as_deref()).unwrap(),
            recognise: Arc::new(MediaRecogniser::new(limits, false)),
            cdn: Cdn::None,
            limits: UploadLimits {
                free_bytes_min: 0,
                ..UploadLimits::default()
            },
            moderation: self.moderation,
            metadata: MetadataConfig::default(),
            retention: RetentionConfig {
                unreferenced_s: 0,
                ..RetentionConfig::default()
            },
            watermark,
            fetcher: Fetcher::new(&ImportConfig::default()).unwrap(),
            watches: Vec::new(),
            storage_sources: Vec::new(),
            hook: None,
            webhooks: WebhookSender::new(&WebhooksConfig::default()).unwrap(),
            metrics: Arc::clone(&metrics),
        }));
        let stop = CancellationToken::new();
        let _ = Services::start(&engine, &stop).board();
        let worker = Worker::new(
            Arc::<Engine>::clone(&engine),
            toolbox,
            self.worker,
            "test".into(),
            metrics,
            stop.clone(),
        )
        .unwrap();
        let worker = tokio::spawn(worker.run(Duration::from_secs(10)));
        Running {
            engine,
            folder,
            stop,
            worker,
        }
    }
}

impl Running {
    pub(crate) async fn upload(
        &self,
        bytes: Vec<u8>,
        options: AssetOptions,
    ) -> Result<Receipt, EngineError> {
        let upload = Upload {
            options,
            correlation_id: "test".into(),
            ..Upload::default()
        };
        let body = tokio_stream::iter([Ok::<_, std::io::Error>(bytes.into())]);
        self.engine.accept(TENANT, upload, body).await
    }

    /// Uploads and waits for the end.
    pub(crate) async fn ingest(&self, bytes: Vec<u8>) -> AssetRecord {
        let receipt = self.upload(bytes, AssetOptions::default()).await.unwrap();
        self.rest(receipt.asset).await
    }

    /// Waits until the asset's newest run is at rest.
    pub(crate) async fn rest(&self, asset: AssetId) -> AssetRecord {
        self.until(asset, |a| {
            !matches!(
                a.run.state.asset_state(),
                AssetState::Uploaded | AssetState::Processing
            )
        })
        .await
    }

    /// Waits for events until `done`.
    pub(crate) async fn until(
        &self,
        asset: AssetId,
        done: impl Fn(&AssetRecord) -> bool,
    ) -> AssetRecord {
        let mut events = self.engine.store().on_event();
        let wait = async {
            loop {
                events.mark_unchanged();
                let record = self.engine.store().asset(TENANT, asset).await.unwrap();
                if done(&record) {
                    return record;
                }
                events.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(120), wait)
            .await
            .expect("the asset comes to rest")
    }

    pub(crate) async fn renditions(&self, asset: AssetId) -> Vec<Servable> {
        self.engine.store().renditions(asset).await.unwrap()
    }

    pub(crate) async fn events(&self, asset: AssetId) -> Vec<EventRecord> {
        self.engine
            .store()
            .events(TENANT, asset, 0, 200)
            .await
            .unwrap()
            .items
    }

    pub(crate) fn bytes(&self, servable: &Servable) -> Vec<u8> {
        self.engine
            .blobs()
            .read_all(&servable.key.parse().unwrap())
            .unwrap()
    }

    /// Decoded pixels of a rendition in a format with a decoder of ours.
    pub(crate) fn pixels(&self, servable: &Servable) -> Pixels {
        decode(&self.bytes(servable), &DecodeOptions::default()).unwrap()
    }

    /// Files below `blobs/renditions`.
    pub(crate) fn rendition_files(&self) -> usize {
        fn count(path: &Path) -> usize {
            std::fs::read_dir(path)
                .unwrap()
                .map(|e| e.unwrap().path())
                .map(|p| if p.is_dir() { count(&p) } else { 1 })
                .sum()
        }
        count(&self.folder.path().join("blobs/renditions"))
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.worker.await.unwrap();
    }
}

pub(crate) fn find<'a>(renditions: &'a [Servable], profile: &str, format: Format) -> &'a Servable {
    renditions
        .iter()
        .find(|s| s.rendition.profile == profile && s.rendition.format == format)
        .unwrap_or_else(|| panic!("no {profile} in {format:?}"))
}

/// A picture with structure in it; `seed` makes it another.
pub(crate) fn picture(width: u32, height: u32, seed: u32) -> Pixels {
    let mut data = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let wave = ((x + seed * 13) as f32 / 9.0).sin() * ((y + seed * 7) as f32 / 13.0).cos();
            let shade = (127.0 + 120.0 * wave) as u8;
            data.extend([shade, (x * 255 / width) as u8, (y * 255 / height) as u8]);
        }
    }
    Pixels::new(width, height, Layout::Rgb, data)
}

pub(crate) fn photo(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let options = jpeg::JpegOptions {
        quality: 90,
        ..jpeg::JpegOptions::default()
    };
    jpeg::encode(
        &picture(width, height, seed),
        &options,
        &Metadata::default(),
    )
    .unwrap()
    .bytes
}

/// One colour everywhere.
pub(crate) fn plain(width: u32, height: u32, color: [u8; 4]) -> Pixels {
    let data = color.repeat((width * height) as usize);
    Pixels::new(width, height, Layout::Rgba, data)
}

pub(crate) fn png_of(pixels: &Pixels) -> Vec<u8> {
    png::encode(pixels, png::PngEffort::Fast, &Metadata::default())
        .unwrap()
        .bytes
}

pub(crate) fn animation(frames: u32) -> Vec<u8> {
    let options = webp::WebpOptions::default();
    let mut encoder = webp::AnimationEncoder::new(200, 100, 3, &options).unwrap();
    for n in 0..frames {
        encoder.add_frame(&picture(200, 100, n), 100).unwrap();
    }
    encoder.finish(&Metadata::default()).unwrap().bytes
}
