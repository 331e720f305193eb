//! A server with a real store and real files, somebody who knows file types, and a worker that makes pictures of words.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use bytes::Bytes;
use mediaflow_api::minting::mint;
use mediaflow_api::signing::Signer;
use mediaflow_api::{ApiConfig, ApiParts, CorsOrigins, Metrics, Setting, router};
use mediaflow_core::operation::Format;
use mediaflow_core::{
    ErrorCode, Failure, Kind, ModerationPolicy, Operation, Queue, Sha256, TenantId, Timestamp,
    Verdict, WorkerId,
};
use mediaflow_engine::blob::{BlobKey, Blobs, FolderBlobs, ObjectBlobs, ObjectStoreConfig};
use mediaflow_engine::broker::Outlet;
use mediaflow_engine::services::Board;
use mediaflow_engine::store::{
    Capacity, Claimed, Environment, NewBlob, NewRendition, Output, RenditionBlob, Report, Scope,
    SqliteStore, Store, StoreError,
};
use mediaflow_engine::{
    Cdn, CdnConfig, Engine, Fetcher, Hook, HookConfig, ImportConfig, Lookup, Parts, Recipes,
    Recognise, Recognised, RetentionConfig, StorageSource, UploadLimits, WatchConfig,
    WebhookSender, WebhooksConfig,
};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use uuid::Uuid;

pub(crate) const TENANT: TenantId = TenantId::DEFAULT;
/// Large enough to be streamed from the disk.
pub(crate) const RETINA_BYTES: usize = 600 << 10;

/// The real clock, which a test can put forward.
#[derive(Default)]
pub(crate) struct World {
    ahead_ms: AtomicI64,
}

impl Environment for World {
    fn now(&self) -> Timestamp {
        let real = mediaflow_engine::SystemEnvironment.now();
        Timestamp(real.0 + self.ahead_ms.load(Ordering::SeqCst))
    }

    fn id(&self) -> Uuid {
        mediaflow_engine::SystemEnvironment.id()
    }

    fn jitter(&self) -> u32 {
        0
    }
}

impl World {
    pub(crate) fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap();
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

/// Everything is a JPEG, unless its first word says something else.
struct Words;

impl Recognise for Words {
    fn recognise(&self, bytes: &[u8], _: bool) -> Result<Recognised, (ErrorCode, String)> {
        let media_type = match bytes {
            [b'<', ..] => {
                let text = "SVG is not taken".to_owned();
                return Err((ErrorCode::InputUnsupported, text));
            }
            [b'P', b'N', b'G', ..] => "image/png",
            [b'G', b'I', b'F', ..] => "image/gif",
            _ => "image/jpeg",
        };
        Ok(Recognised {
            kind: Kind::Image,
            media_type,
            dimensions: Some((400, 300)),
            frames: 1,
        })
    }
}

/// What a test wants to be different.
pub(crate) struct Wish {
    pub(crate) config: ApiConfig,
    pub(crate) is_open: bool,
    pub(crate) moderation: ModerationPolicy,
    pub(crate) limits: UploadLimits,
    pub(crate) import: ImportConfig,
    pub(crate) lookup: Option<Arc<dyn Lookup>>,
    pub(crate) watches: Vec<WatchConfig>,
    pub(crate) storage_sources: Vec<StorageSource>,
    pub(crate) hook: HookConfig,
    pub(crate) webhooks: WebhooksConfig,
    pub(crate) retention: RetentionConfig,
    pub(crate) cors: Vec<String>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) cdn: CdnConfig,
    pub(crate) outlet: Option<Outlet>,
    /// Bytes are in one.
    pub(crate) bucket: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            config: ApiConfig::default(),
            is_open: true,
            moderation: ModerationPolicy::Off,
            limits: UploadLimits {
                free_bytes_min: 0,
                bytes_max: 4 << 20,
                ..UploadLimits::default()
            },
            import: ImportConfig::default(),
            lookup: None,
            watches: Vec::new(),
            storage_sources: Vec::new(),
            hook: HookConfig::default(),
            webhooks: WebhooksConfig::default(),
            retention: RetentionConfig::default(),
            cors: vec!["*".into()],
            settings: Vec::new(),
            cdn: CdnConfig::default(),
            outlet: None,
            bucket: false,
        }
    }
}

pub(crate) struct Server {
    pub(crate) engine: Arc<Engine>,
    pub(crate) router: Router,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Blobs,
    pub(crate) world: Arc<World>,
    pub(crate) signer: Signer,
    pub(crate) stopping: CancellationToken,
    pub(crate) folder: tempfile::TempDir,
    originals: PathBuf,
}

/// One for all tests; it ends with the process.
static S3: LazyLock<mediaflow_servers::S3> = LazyLock::new(mediaflow_servers::S3::start);

/// A bucket of its own, and where its originals are files.
fn bucket() -> (Blobs, PathBuf) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let name = mediaflow_engine::SystemEnvironment.id().to_string();
    let config = ObjectStoreConfig {
        endpoint: Some(S3.endpoint()),
        access_key_id: Some(mediaflow_servers::S3::KEY_ID.to_owned()),
        secret_access_key: Some(mediaflow_servers::S3::SECRET.to_owned()),
        ..ObjectStoreConfig::default()
    };
    let objects = ObjectBlobs::open(&S3.bucket(&name), &config).unwrap();
    (objects.into(), S3.files(&name).join("originals"))
}

impl Server {
    /// Files that have no name yet.
    pub(crate) fn writes_under_way(&self) -> usize {
        let processes = std::fs::read_dir(self.folder.path().join("blobs/tmp")).unwrap();
        let files = processes.flat_map(|p| std::fs::read_dir(p.unwrap().path()).unwrap());
        files.count()
    }

    /// Files of originals, whole or not.
    pub(crate) fn originals(&self) -> usize {
        let shards = std::fs::read_dir(&self.originals).into_iter().flatten();
        let files = shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count());
        files.sum()
    }

    /// What the service does that ends things whose time is over.
    pub(crate) async fn expire(&self) {
        self.engine.end_expired(100).await.unwrap();
    }

    pub(crate) fn new() -> Self {
        Self::with(Wish::default())
    }

    pub(crate) fn with(wish: Wish) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Arc::<World>::default();
        let environment = Arc::clone(&world) as Arc<dyn Environment>;
        let path = folder.path().join("mediaflow.db");
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&path, Arc::clone(&environment)).unwrap());
        let files = folder.path().join("blobs");
        let (blobs, originals) = match wish.bucket {
            false => (
                FolderBlobs::open(&files).unwrap().into(),
                files.join("originals"),
            ),
            true => bucket(),
        };
        let metrics = Arc::new(Metrics::new("0.0.0"));
        let mut parts = Parts {
            store: Arc::clone(&store),
            is_shared: false,
            blobs: blobs.clone(),
            broker: None,
            outlet: wish.outlet,
            environment,
            recipes: Recipes::load(None).unwrap(),
            recognise: Arc::new(Words),
            cdn: Cdn::new(&wish.cdn).unwrap(),
            limits: wish.limits,
            moderation: Default::default(),
            metadata: Default::default(),
            retention: wish.retention,
            watermark: None,
            webhooks: match &wish.lookup {
                Some(lookup) => WebhookSender::with(&wish.webhooks, Arc::clone(lookup)).unwrap(),
                None => WebhookSender::new(&wish.webhooks).unwrap(),
            },
            fetcher: match wish.lookup {
                Some(lookup) => Fetcher::with(&wish.import, lookup).unwrap(),
                None => Fetcher::new(&wish.import).unwrap(),
            },
            watches: wish.watches,
            storage_sources: wish.storage_sources,
            hook: Hook::new(&wish.hook).unwrap(),
            metrics: Arc::clone(&metrics),
        };
        parts.moderation.policy = wish.moderation;
        let signer = Signer::new(vec![("k1".into(), vec![7; 32])]).unwrap();
        let stopping = CancellationToken::new();
        let engine = Arc::new(Engine::new(parts));
        let router = router(ApiParts {
            engine: Arc::clone(&engine),
            config: wish.config,
            is_open: wish.is_open,
            signer: signer.clone(),
            stills: None,
            cors: CorsOrigins::new(&wish.cors).unwrap(),
            services: Board::default(),
            settings: wish.settings,
            process: "test:1".into(),
            metrics,
            stopping: stopping.clone(),
        });
        Self {
            engine,
            router,
            store,
            blobs,
            world,
            signer,
            stopping,
            folder,
            originals,
        }
    }

    /// A stored key with these scopes, as text.
    pub(crate) async fn key(&self, scopes: &[Scope]) -> String {
        let key = mint(self.world.id().into(), "tests", scopes, TENANT);
        self.store.add_key(key.stored).await.unwrap();
        key.text
    }

    pub(crate) async fn open(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request with `name: value` lines as headers.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("host", "127.0.0.1:8080");
        for line in headers {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let response = self.open(request.body(body.into()).unwrap()).await;
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[&str]) -> Answer {
        self.send("GET", path, headers, Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, json: &str) -> Answer {
        self.json("POST", path, json).await
    }

    pub(crate) async fn json(&self, method: &str, path: &str, json: &str) -> Answer {
        let headers = ["content-type: application/json"];
        self.send(method, path, &headers, json.to_owned()).await
    }

    /// Uploads and answers the id.
    pub(crate) async fn upload(&self, bytes: &str, query: &str) -> String {
        let path = format!("/v1/assets?{query}");
        let answer = self.send("POST", &path, &[], bytes.to_owned()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// An asset that is ready.
    pub(crate) async fn ready(&self, bytes: &str, query: &str) -> String {
        let id = self.upload(bytes, query).await;
        self.work().await;
        id
    }

    pub(crate) async fn asset(&self, id: &str) -> Value {
        self.get(&format!("/v1/assets/{id}")).await.json()
    }

    async fn claim(&self) -> Vec<Claimed> {
        let capacity = Capacity {
            worker: WorkerId(Uuid::nil()),
            worker_name: "test:1".into(),
            slots: vec![(Queue::BUSY, 100), (Queue::WAITING, 100)],
            memory_free: 64 << 30,
            memory_total: 64 << 30,
            idle: true,
            lease: Duration::from_secs(600),
            idle_lane: false,
            capabilities: Vec::new(),
        };
        self.store.claim(self.world.id(), &capacity).await.unwrap()
    }

    /// Workers do everything there is to do.
    pub(crate) async fn work(&self) {
        self.work_failing(|_| None).await;
    }

    /// The same, but some steps fail.
    pub(crate) async fn work_failing(&self, fails: impl Fn(&str) -> Option<Failure>) {
        loop {
            let claimed = self.claim().await;
            if claimed.is_empty() {
                return;
            }
            for task in claimed {
                let step = &task.recipe.steps[task.step].name;
                let report = match fails(step) {
                    Some(failure) => Report::Failed(failure),
                    None => Report::Succeeded(self.output(&task)),
                };
                match self.store.report(task.lease, report, None).await {
                    Ok(_) | Err(StoreError::StaleFence) => {}
                    Err(e) => panic!("{step}: {e}"),
                }
            }
        }
    }

    fn output(&self, task: &Claimed) -> Output {
        let mut output = Output::default();
        let step = &task.recipe.steps[task.step];
        let variants = task.recipe.resize().unwrap().variants.iter();
        match &step.operation {
            Operation::Moderate => {
                output.verdict = Some(match task.settings.moderation {
                    ModerationPolicy::Review => Verdict::Review,
                    _ => Verdict::Pass,
                });
                output.facts = serde_json::json!({ "policy": task.settings.moderation.as_str() });
            }
            Operation::Inspect => {
                output.facts = serde_json::json!({ "camera": { "model": "Brownie" } });
                output.search_text = Some("Kodak Brownie".into());
            }
            Operation::Placeholder => {
                output.facts = serde_json::json!({ "blurhash": "LEHV6n", "color": "#aabbcc" });
            }
            Operation::Resize(_) => {
                let format = match &*task.media_type {
                    "image/png" => Format::Png,
                    _ => Format::Jpeg,
                };
                let made = variants.enumerate();
                output.renditions = made
                    .map(|(i, v)| self.rendition(task, i, &v.name, format))
                    .collect();
            }
            Operation::Compress(compress) => {
                let formats = compress.formats.iter().map(|e| e.format);
                let wanted = formats.flat_map(|f| variants.clone().map(move |v| (f, v)));
                output.renditions = wanted
                    .enumerate()
                    .map(|(i, (f, v))| self.rendition(task, i, &v.name, f))
                    .collect();
            }
            _ => {}
        }
        output
    }

    fn rendition(
        &self,
        task: &Claimed,
        index: usize,
        profile: &str,
        format: Format,
    ) -> NewRendition {
        let what = format!(
            "{} {profile} {} of run {} of {}",
            task.original.sha256,
            format.as_str(),
            task.generation,
            task.asset
        );
        let mut bytes = what.clone().into_bytes();
        if profile == "retina" {
            bytes.resize(RETINA_BYTES, b'.');
        }
        let key = BlobKey::output(task.lease.task.0, task.lease.fence, index);
        self.blobs.put_all(&[(key.clone(), &bytes)]).unwrap();
        NewRendition {
            profile: profile.into(),
            format,
            dimensions: Some((100, 75)),
            animated: task.media_type == "image/gif" && format == Format::Webp,
            derivation: Sha256::of(what.as_bytes()),
            blob: RenditionBlob::New(NewBlob {
                sha256: Sha256::of(&bytes),
                bytes: bytes.len() as u64,
                key: key.as_str().into(),
            }),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Checks a problem and answers its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        let json = self.json();
        assert_eq!(json["code"], code, "{json}");
        assert_eq!(json["status"], status);
        assert_eq!(json["type"], format!("urn:mediaflow:error:{code}"));
        assert_eq!(json["correlation_id"], self.header("x-correlation-id"));
        assert_ne!(json["title"], "");
        json["detail"].as_str().unwrap().to_owned()
    }
}
