//! A store with a clock that tests move, and the few things that tests keep doing to it.

use crate::stores::{Dbms, Place};
use mediaflow_core::failure::BACKOFF_MAX;
use mediaflow_core::operation::{Facts, Format, Packaging};
use mediaflow_core::transition::Expansion;
use mediaflow_core::{
    AssetId, AssetOptions, Failure, Kind, ModerationPolicy, Operation, Queue, Recipe, RunSettings,
    Sha256, TenantId, Timestamp, Verdict, WorkerId,
};
use mediaflow_store::{
    Accept, Accepted, AssetRecord, Capacity, Claimed, Environment, Generation, NewBlob,
    NewCaptions, NewRendition, NewSegment, NewTrack, Output, Quality, RenditionBlob, Report,
    SqliteStore, Store, StoreError, TrackKind,
};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

pub(crate) const TENANT: TenantId = TenantId::DEFAULT;
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// Time stands still until a test moves it; ids and jitter are counted.
pub(crate) struct FakeWorld {
    now: AtomicI64,
    ids: AtomicU64,
}

impl Default for FakeWorld {
    fn default() -> Self {
        Self {
            now: AtomicI64::new(1_700_000_000_000),
            ids: AtomicU64::new(0),
        }
    }
}

impl Environment for FakeWorld {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn id(&self) -> Uuid {
        let n = self.ids.fetch_add(1, Ordering::SeqCst);
        let ms = u128::try_from(self.now().0).unwrap();
        Uuid::from_u128(ms << 80 | 0x7 << 76 | 0x8 << 60 | u128::from(n))
    }

    fn jitter(&self) -> u32 {
        u32::MAX / 2
    }
}

impl FakeWorld {
    pub(crate) fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap();
        self.now.fetch_add(ms, Ordering::SeqCst);
    }
}

/// A store under test. Only `stores` knows which it is.
pub(crate) struct Given {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) world: Arc<FakeWorld>,
    pub(crate) place: Place,
    uploads: u64,
}

pub(crate) fn recipe() -> Arc<Recipe> {
    recipe_from(include_str!("../../../../recipes/image.toml"))
}

/// The built-in recipe with its last step switched on.
pub(crate) fn squeezing() -> Arc<Recipe> {
    let text = include_str!("../../../../recipes/image.toml");
    let (head, tail) = text.split_once("# [[steps]]").unwrap();
    recipe_from(&format!("{head}[[steps]]{}", tail.replace("\n# ", "\n")))
}

/// The chunks that `output` plans, of two segments each.
pub(crate) const CHUNKS: u32 = 3;

pub(crate) fn video() -> Arc<Recipe> {
    recipe_from(include_str!("../../../../recipes/video.toml"))
}

pub(crate) fn recipe_from(text: &str) -> Arc<Recipe> {
    Arc::new(Recipe::parse(text).unwrap())
}

impl Given {
    /// A store with nothing in it.
    pub(crate) async fn on(dbms: Dbms) -> Self {
        let place = Place::new(dbms).await;
        let world = Arc::<FakeWorld>::default();
        Self {
            store: place.open(&world).await,
            world,
            place,
            uploads: 0,
        }
    }

    /// The process ends and another one opens the same database.
    pub(crate) async fn reopen(&mut self) {
        let world = || Arc::clone(&self.world) as Arc<dyn Environment>;
        self.store = Arc::new(SqliteStore::open_in_memory(world()).unwrap());
        self.store = self.place.open(&self.world).await;
    }

    /// An upload of bytes that nobody sent before.
    pub(crate) fn upload(&mut self) -> Accept {
        self.uploads += 1;
        self.upload_of(&format!("bytes {}", self.uploads))
    }

    /// An upload of these bytes, under a key of its own.
    pub(crate) fn upload_of(&mut self, bytes: &str) -> Accept {
        self.uploads += 1;
        Accept {
            tenant: TENANT,
            original: NewBlob {
                sha256: Sha256::of(bytes.as_bytes()),
                bytes: bytes.len() as u64,
                key: format!("originals/{}", self.uploads),
            },
            media_type: "image/jpeg".into(),
            filename: Some(format!("photo-{}.jpg", self.uploads)),
            dimensions: Some((4000, 3000)),
            facts: Facts {
                pixels: 12_000_000,
                frames: 1,
                bytes: bytes.len() as u64,
            },
            kind: Kind::Image,
            recipe: recipe(),
            settings: RunSettings::default(),
            options: AssetOptions::default(),
            correlation_id: format!("correlation-{}", self.uploads),
            idempotency: None,
            upload: None,
            counted: None,
        }
    }

    pub(crate) async fn accept(&self, upload: Accept) -> Accepted {
        self.store.accept(upload).await.unwrap()
    }

    /// An asset that was just uploaded.
    pub(crate) async fn asset(&mut self) -> AssetId {
        let upload = self.upload();
        self.accept(upload).await.asset
    }

    /// A video that was just uploaded.
    pub(crate) async fn video(&mut self) -> AssetId {
        let mut upload = self.upload();
        upload.kind = Kind::Video;
        upload.recipe = video();
        self.accept(upload).await.asset
    }

    /// An asset whose moderation policy is this.
    pub(crate) async fn asset_under(&mut self, moderation: ModerationPolicy) -> AssetId {
        let mut upload = self.upload();
        upload.settings.moderation = moderation;
        self.accept(upload).await.asset
    }

    /// An asset that can be shown while the rest is still to be made.
    pub(crate) async fn viewable(&mut self) -> AssetId {
        let asset = self.asset().await;
        while !self.record(asset).await.viewable {
            for task in self.claim().await {
                self.succeeds(&task).await;
            }
        }
        asset
    }

    pub(crate) async fn record(&self, asset: AssetId) -> AssetRecord {
        self.store.asset(TENANT, asset).await.unwrap()
    }

    pub(crate) async fn claim(&self) -> Vec<Claimed> {
        self.claim_with(&roomy()).await
    }

    pub(crate) async fn claim_with(&self, capacity: &Capacity) -> Vec<Claimed> {
        self.store.claim(self.world.id(), capacity).await.unwrap()
    }

    /// The task of this step, claimed together with whatever else was ready.
    pub(crate) async fn claim_step(&self, step: &str) -> Claimed {
        let claimed = self.claim().await;
        let found = claimed.into_iter().find(|c| step_of(c) == step);
        found.unwrap_or_else(|| panic!("{step} is not ready"))
    }

    pub(crate) async fn succeeds(&self, claimed: &Claimed) {
        let report = Report::Succeeded(output(claimed));
        self.store
            .report(claimed.lease, report, None)
            .await
            .unwrap();
    }

    pub(crate) async fn fails(&self, claimed: &Claimed, failure: Failure) {
        self.store
            .report(claimed.lease, Report::Failed(failure), None)
            .await
            .unwrap();
    }

    pub(crate) fn world_now(&self) -> Timestamp {
        self.world.now()
    }

    pub(crate) fn world_id(&self) -> Uuid {
        self.world.id()
    }

    /// The next generation, by the built-in recipe.
    pub(crate) async fn reprocess(&self, asset: AssetId) -> u32 {
        self.try_reprocess(asset).await.unwrap()
    }

    pub(crate) async fn try_reprocess(&self, asset: AssetId) -> Result<u32, StoreError> {
        let generation = Generation {
            recipe: recipe(),
            settings: RunSettings::default(),
        };
        self.store.reprocess(TENANT, asset, generation).await
    }

    /// Every lease runs out, and the tasks are ready again; answers how many were lost.
    pub(crate) async fn leases_run_out(&self) -> u32 {
        self.world.pass(LEASE + Duration::from_secs(1));
        let lost = self.store.sweep(10).await.unwrap().lost;
        self.world.pass(BACKOFF_MAX);
        self.store.sweep(10).await.unwrap();
        lost
    }

    /// Workers do everything there is to do.
    pub(crate) async fn all_done(&self) {
        loop {
            let claimed = self.claim().await;
            if claimed.is_empty() {
                return;
            }
            for task in claimed {
                match self
                    .store
                    .report(task.lease, Report::Succeeded(output(&task)), None)
                    .await
                {
                    Ok(_) | Err(StoreError::StaleFence) => {}
                    Err(e) => panic!("{}: {e}", step_of(&task)),
                }
            }
        }
    }
}

/// A worker with room for everything.
pub(crate) fn roomy() -> Capacity {
    Capacity {
        worker: WorkerId(Uuid::nil()),
        worker_name: "test:1".into(),
        slots: vec![(Queue::BUSY, 100), (Queue::WAITING, 100)],
        memory_free: 64 << 30,
        memory_total: 64 << 30,
        idle: true,
        lease: LEASE,
        idle_lane: true,
        capabilities: Vec::new(),
    }
}

pub(crate) fn step_of(claimed: &Claimed) -> &str {
    &claimed.recipe.steps[claimed.step].name
}

/// What an honest worker would report of this task, with bytes of this attempt's own.
pub(crate) fn output(claimed: &Claimed) -> Output {
    let operation = &claimed.recipe.steps[claimed.step].operation;
    let mut output = Output::default();
    match operation {
        Operation::Moderate => {
            output.verdict = Some(match claimed.settings.moderation {
                ModerationPolicy::Review => Verdict::Review,
                _ => Verdict::Pass,
            });
        }
        Operation::Inspect => {
            output.facts = serde_json::json!({ "camera": "Brownie" });
            output.dimensions = Some((4000, 3000));
            output.search_text = Some("Kodak Brownie".into());
        }
        Operation::Placeholder => output.facts = serde_json::json!({ "blurhash": "LEHV6n" }),
        Operation::Resize(resize) => {
            let profiles = resize.variants.iter().map(|v| v.name.clone());
            output.renditions = profiles
                .map(|p| rendition(claimed, &p, Format::Jpeg))
                .collect();
        }
        Operation::Compress(compress) | Operation::Squeeze(compress) => {
            for encoding in &compress.formats {
                for variant in &claimed.recipe.resize().unwrap().variants {
                    let made = rendition(claimed, &variant.name, encoding.format);
                    output.renditions.push(made);
                }
            }
        }
        Operation::VideoPlan(_) => {
            output.facts = serde_json::json!({ "chunks": CHUNKS });
            for (step, tasks) in [("encode", CHUNKS), ("audio", 1)] {
                let mut steps = claimed.recipe.steps.iter();
                output.expansions.push(Expansion {
                    step: steps.position(|s| s.name == step).unwrap(),
                    tasks,
                    cost: claimed.cost,
                });
            }
        }
        Operation::VideoLead => stream(claimed, "360p", 0..1, &mut output),
        Operation::VideoEncode => {
            let first = claimed.number * 2;
            for track in ["360p", "720p"] {
                stream(claimed, track, first..first + 2, &mut output);
            }
        }
        Operation::VideoAudio => stream(claimed, "audio", 0..2, &mut output),
        Operation::VideoCaptions => output.captions.push(captions(claimed)),
        Operation::VideoInspect => output.pieces.extend((0..PIECES).map(|n| piece(claimed, n))),
        Operation::AudioInspect
        | Operation::AudioLoudness(_)
        | Operation::AudioPlan(_)
        | Operation::AudioEncode
        | Operation::AudioDownload(_)
        | Operation::AudioWaveform
        | Operation::AudioCover
        | Operation::AudioVerify
        | Operation::VideoPoster
        | Operation::VideoStoryboard
        | Operation::VideoVerify
        | Operation::VideoDownload(_)
        | Operation::Watermark
        | Operation::Distribute
        | Operation::Publish => {}
    }
    output
}

/// How many pieces `output` makes of a film.
pub(crate) const PIECES: usize = 3;

/// A part of what was made of a film for the tasks that follow.
fn piece(claimed: &Claimed, number: usize) -> NewBlob {
    let (task, fence) = (claimed.lease.task, claimed.lease.fence);
    let text = format!("piece {number} of {} by {task} {fence}", claimed.asset);
    NewBlob {
        sha256: Sha256::of(text.as_bytes()),
        bytes: text.len() as u64,
        key: format!("tasks/{task}/{fence}/piece-{number}"),
    }
}

/// What a film says.
fn captions(claimed: &Claimed) -> NewCaptions {
    let (task, fence) = (claimed.lease.task, claimed.lease.fence);
    let text = format!("WEBVTT of {}", claimed.asset);
    NewCaptions {
        name: "captions-en".into(),
        language: "en".into(),
        label: "English".into(),
        blob: NewBlob {
            sha256: Sha256::of(text.as_bytes()),
            bytes: text.len() as u64,
            key: format!("tasks/{task}/{fence}/captions"),
        },
    }
}

/// Segments of a track, and what every task says of it.
fn stream(claimed: &Claimed, track: &str, numbers: Range<u32>, output: &mut Output) {
    let (task, fence) = (claimed.lease.task, claimed.lease.fence);
    let bytes = |text: String, key: String| NewBlob {
        sha256: Sha256::of(text.as_bytes()),
        bytes: text.len() as u64,
        key: format!("tasks/{task}/{fence}/{key}"),
    };
    let (kind, segments) = match track {
        "audio" => (TrackKind::Audio, 2),
        _ => (TrackKind::Video, CHUNKS * 2),
    };
    output.tracks.push(NewTrack {
        name: track.into(),
        kind,
        codecs: "avc1.64001f".into(),
        width: Some(640),
        height: Some(360),
        said: serde_json::json!({ "frame_rate": "25" }),
        timescale: 90_000,
        segments,
        packaging: Packaging::Cmaf,
        init: bytes(
            format!("{} {track}", claimed.asset),
            format!("{track}-init"),
        ),
    });
    for number in numbers {
        output.segments.push(NewSegment {
            track: track.into(),
            number,
            duration: 540_000,
            key_bytes: 2000,
            quality: (track != "audio").then(|| Quality {
                frames: 10 + u64::from(number),
                ssim_mean: 0.9,
                ssim_min: 0.8 - f64::from(number) / 10.0,
            }),
            blob: bytes(
                format!("{} {track} {number} {task} {fence}", claimed.asset),
                format!("{track}-{number}"),
            ),
        });
    }
}

fn rendition(claimed: &Claimed, profile: &str, format: Format) -> NewRendition {
    let step = step_of(claimed);
    let what = format!(
        "{} {step} {profile} {}",
        claimed.original.sha256,
        format.as_str()
    );
    let attempt = format!("{what} {} {}", claimed.lease.task, claimed.lease.fence);
    NewRendition {
        profile: profile.into(),
        format,
        dimensions: Some((100, 75)),
        animated: false,
        derivation: Sha256::of(what.as_bytes()),
        blob: RenditionBlob::New(NewBlob {
            sha256: Sha256::of(attempt.as_bytes()),
            bytes: attempt.len() as u64,
            key: format!(
                "tasks/{}/{}/{profile}.{}",
                claimed.lease.task,
                claimed.lease.fence,
                format.as_str()
            ),
        }),
    }
}
