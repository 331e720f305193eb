//! Taking an upload in: stream to disk, hash, recognise, record. What was answered is never lost.

use crate::hook::About;
use crate::metrics::age;
use crate::{Bounds, Engine, EngineError, Recognised};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use mediaflow_blob::{BlobKey, BlobWriter, Written};
use mediaflow_core::operation::Facts;
use mediaflow_core::trace::TraceId;
use mediaflow_core::{
    AssetId, AssetOptions, ErrorCode, KeyId, Kind, Priority, Recipe, RunSettings, Sha256, TenantId,
};
use mediaflow_store::{Accept, Admission, FinishedUpload, Idempotency, NewBlob};
use serde::{Deserialize, Serialize};
use std::future::{Future, ready};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::SemaphorePermit;
use tracing::Instrument as _;
use tracing::field::{Empty, display};

/// The beginning of a file that is kept in memory while the rest goes to disk: enough for the
/// headers of nearly all pictures.
pub(crate) const HEAD_BYTES: usize = 128 << 10;
/// Largest picture that is read whole at the upload to find its size; that of others is found by a task.
const MEASURED_BYTES_MAX: u64 = 256 << 20;

/// What a client asks for, without the bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Upload {
    /// As the client names it; for display.
    pub filename: Option<String>,
    /// Whether nobody said the name, so that whoever has the file may know better.
    #[serde(default)]
    pub is_named_by_guess: bool,
    /// A recipe other than the kind's default.
    pub recipe: Option<String>,
    /// What the user says.
    pub options: AssetOptions,
    /// How urgent it is beside other uploads of its tenant.
    pub priority: Priority,
    /// What the client expects the bytes to be.
    pub sha256: Option<Sha256>,
    /// The body's length, where it was announced.
    pub length: Option<u64>,
    /// Who sends it; nobody where no keys are needed.
    #[serde(default)]
    pub key: Option<KeyId>,
    /// What it may be beyond what all may.
    #[serde(default)]
    pub bounds: Bounds,
    /// Makes a repeat return the first answer.
    pub idempotency_key: Option<String>,
    /// Follows the asset everywhere.
    pub correlation_id: String,
}

/// The answer to an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The asset.
    pub asset: AssetId,
    /// Whether this is the first answer again.
    pub repeated: bool,
    /// Of the bytes.
    pub sha256: Sha256,
    /// How many.
    pub bytes: u64,
    /// What they really are.
    pub media_type: String,
}

/// All bytes, not yet durable: dropped, they leave nothing behind.
struct Received {
    writer: BlobWriter,
    head: Bytes,
    began: Instant,
}

pub(crate) struct Stored {
    pub(crate) written: Written,
    pub(crate) head: Bytes,
    pub(crate) began: Instant,
}

impl Engine {
    /// Accepts an upload: when this returns, bytes and tasks are durable.
    ///
    /// # Errors
    /// Limits, unsupported types, a digest that differs, an interrupted body, no room. Nothing is kept then.
    pub async fn accept<S, E>(
        &self,
        tenant: TenantId,
        upload: Upload,
        body: S,
    ) -> Result<Receipt, EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        self.accept_then(tenant, upload, body, |upload| ready(Ok(upload)))
            .await
    }

    /// Accepts an upload of which more is said after its bytes, as forms do: `complete` is asked once, when the
    /// body has ended and been dropped. It may change everything but `idempotency_key` and `length`.
    ///
    /// # Errors
    /// Those of [`Self::accept`], and what `complete` answers.
    pub async fn accept_then<S, E, F>(
        &self,
        tenant: TenantId,
        upload: Upload,
        body: S,
        complete: impl FnOnce(Upload) -> F + Send,
    ) -> Result<Receipt, EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Upload, EngineError>> + Send,
    {
        self.accept_as(tenant, upload, body, complete, None).await
    }

    /// The same, of bytes that are kept as something else already.
    pub(crate) async fn accept_as<S, E, F>(
        &self,
        tenant: TenantId,
        upload: Upload,
        body: S,
        complete: impl FnOnce(Upload) -> F + Send,
        arrived_as: Option<FinishedUpload>,
    ) -> Result<Receipt, EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Upload, EngineError>> + Send,
    {
        let accepting = async {
            self.check_options(&upload.options)?;
            let running = self.begin_key(tenant, upload.idempotency_key.as_deref())?;
            self.check_length(upload.length, &upload.bounds)?;
            self.check_room()?;
            self.check_admission(tenant).await?;
            if arrived_as.is_none() {
                self.check_day(tenant, &upload.bounds, upload.length)
                    .await?;
            }
            let _place = self.receiving_place()?;
            let received = self.receive(&upload, body).await?;
            let mut upload = complete(upload).await?;
            self.check_options(&upload.options)?;
            upload.filename = upload.filename.as_deref().and_then(display_name);
            let stored = self.keep(received).await?;
            let key = stored.written.key.clone();
            let accepted = self.record(tenant, &upload, stored, arrived_as).await;
            drop(running);
            match accepted {
                Ok((receipt, false)) => Ok(receipt),
                Ok((receipt, true)) => {
                    self.discard(&key).await;
                    Ok(receipt)
                }
                Err(error) => {
                    // After an unknown outcome the row may exist: then the collector decides, not we.
                    if error.code != ErrorCode::StoreUnavailable {
                        self.discard(&key).await;
                    }
                    Err(error)
                }
            }
        };
        let accepted = accepting.await;
        if let Err(error) = &accepted
            // Then somebody else has taken it.
            && error.code != ErrorCode::FenceStale
        {
            self.metrics().upload_refused(error.code);
        }
        accepted
    }

    /// The turn to send bytes.
    ///
    /// # Errors
    /// `limit.rate` when all are taken.
    pub fn receiving_place(&self) -> Result<SemaphorePermit<'_>, EngineError> {
        self.receiving.try_acquire().map_err(|_| {
            EngineError::new(
                ErrorCode::LimitRate,
                "too many uploads at the same time; try again shortly",
            )
        })
    }

    /// Asked before the body is read. Uploads that are under way at this moment are not counted.
    pub(crate) async fn check_admission(&self, tenant: TenantId) -> Result<(), EngineError> {
        match self.parts.store.admission(tenant).await? {
            Admission::Open => Ok(()),
            Admission::Off => Err(EngineError::new(
                ErrorCode::SwitchOff,
                "uploads are switched off for now",
            )),
            Admission::Full(most) => Err(EngineError::new(
                ErrorCode::LimitRate,
                format!(
                    "{most} of your assets are still being worked on, and no more may wait; try again later"
                ),
            )),
        }
    }

    async fn receive<S, E>(&self, upload: &Upload, body: S) -> Result<Received, EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let idle = Duration::from_secs(self.parts.limits.idle_s_max);
        let (most, says) = self.bytes_max(&upload.bounds);
        let too_large = || {
            let message = format!("the body is larger than {most} bytes ({says})");
            EngineError::new(ErrorCode::LimitBytes, message)
        };
        let mut body = pin!(body);
        let began = Instant::now();
        let key = BlobKey::original(self.parts.environment.id());
        let mut writer = self.parts.blobs.writer(key);
        let mut head = BytesMut::new();
        let mut total: u64 = 0;
        loop {
            let next = tokio::time::timeout(idle, body.next()).await;
            let piece = match next {
                Err(_) => {
                    return Err(EngineError::new(
                        ErrorCode::RequestTimeout,
                        "the body stopped arriving",
                    ));
                }
                Ok(None) => break,
                Ok(Some(Err(e))) => {
                    return Err(EngineError {
                        code: ErrorCode::InputInterrupted,
                        message: "the body ended early; nothing was kept".into(),
                        reason: Some(Box::new(e)),
                    });
                }
                Ok(Some(Ok(piece))) => piece,
            };
            total += piece.len() as u64;
            if total > most {
                return Err(too_large());
            }
            let missing = HEAD_BYTES.saturating_sub(head.len());
            head.extend_from_slice(&piece[..piece.len().min(missing)]);
            if missing > 0 && head.len() == HEAD_BYTES {
                // What is not taken is refused before all of it was sent.
                self.recognise_within(&head, false, &upload.bounds)?;
            }
            writer.write(piece).await?;
        }
        if total == 0 {
            return Err(EngineError::new(
                ErrorCode::InputEmpty,
                "the upload has no bytes",
            ));
        }
        if upload.length.is_some_and(|n| n != total) {
            return Err(EngineError::new(
                ErrorCode::InputInterrupted,
                "the body is shorter than its announced length",
            ));
        }
        // Refused before the sync, which is what costs.
        let is_whole = total == head.len() as u64;
        self.recognise_within(&head, is_whole, &upload.bounds)?;
        Ok(Received {
            writer,
            head: head.freeze(),
            began,
        })
    }

    async fn keep(&self, received: Received) -> Result<Stored, EngineError> {
        let written = received.writer.finish().await?;
        Ok(Stored {
            written,
            head: received.head,
            began: received.began,
        })
    }

    pub(crate) async fn record(
        &self,
        tenant: TenantId,
        upload: &Upload,
        stored: Stored,
        arrived_as: Option<FinishedUpload>,
    ) -> Result<(Receipt, bool), EngineError> {
        let Stored {
            written,
            head,
            began,
        } = stored;
        let sha256 = Sha256(written.sha256);
        if let Some(expected) = upload.sha256.filter(|&s| s != sha256) {
            let message = format!("the bytes have SHA-256 {sha256}, not {expected}");
            return Err(EngineError::new(ErrorCode::InputDigest, message));
        }
        let found = self.measure(&written, &head).await?;
        upload.bounds.check_type(found.media_type)?;
        let said = digest(upload, sha256);
        let about = About {
            tenant,
            upload,
            bytes: written.bytes,
            sha256,
            found: &found,
        };
        let asked = self.ask_hook(&about, arrived_as.as_ref()).await?;
        let upload = asked.as_ref().unwrap_or(upload);
        let recipe = self.recipe_for(upload, found.kind)?;
        // An upload in several requests began when it got its id.
        let (way, took) = match &arrived_as {
            Some(upload) => ("upload", age(upload.id.0).unwrap_or_default()),
            None => ("request", began.elapsed()),
        };
        let kind = recipe.kind;
        let pixels = found
            .dimensions
            .map_or(0, |(w, h)| u64::from(w) * u64::from(h));
        let span = tracing::info_span!(
            "accept",
            correlation_id = upload.correlation_id,
            trace_id = %TraceId::of(&upload.correlation_id),
            upload = arrived_as.as_ref().map(|upload| display(upload.id)),
            asset = Empty,
            kind = kind.as_str(),
            bytes = written.bytes,
        );
        let accepted = self
            .parts
            .store
            .accept(Accept {
                tenant,
                original: NewBlob {
                    sha256,
                    bytes: written.bytes,
                    key: written.key.as_str().to_owned(),
                },
                media_type: found.media_type.to_owned(),
                filename: upload.filename.clone(),
                dimensions: found.dimensions,
                facts: Facts {
                    pixels,
                    frames: found.frames,
                    bytes: written.bytes,
                },
                kind,
                recipe,
                settings: RunSettings {
                    priority: upload.priority,
                    ..self.settings(upload.options.watermark)
                },
                options: upload.options.clone(),
                correlation_id: upload.correlation_id.clone(),
                idempotency: upload
                    .idempotency_key
                    .clone()
                    .map(|key| Idempotency { key, digest: said }),
                upload: arrived_as,
                counted: upload.bounds.day.map(|day| day.key),
            })
            .instrument(span.clone())
            .await?;
        if !accepted.repeated {
            span.record("asset", display(accepted.asset));
            self.metrics().uploaded(kind, written.bytes, way, took);
        }
        let receipt = Receipt {
            asset: accepted.asset,
            repeated: accepted.repeated,
            sha256,
            bytes: written.bytes,
            media_type: found.media_type.to_owned(),
        };
        Ok((receipt, accepted.surplus))
    }

    /// What the site's hook makes of the upload, where there is one.
    async fn ask_hook(
        &self,
        about: &About<'_>,
        arrived_as: Option<&FinishedUpload>,
    ) -> Result<Option<Upload>, EngineError> {
        let Some(hook) = &self.parts.hook else {
            return Ok(None);
        };
        let correlation_id = &about.upload.correlation_id;
        let span = tracing::info_span!(
            "hook",
            correlation_id,
            trace_id = %TraceId::of(correlation_id),
            upload = arrived_as.map(|upload| display(upload.id)),
            outcome = Empty,
            error = Empty,
        );
        let environment = self.environment();
        let asking = hook.ask(about, environment.id(), environment.now());
        let asked = asking.instrument(span).await?;
        self.check_options(&asked.options)?;
        Ok(Some(asked))
    }

    /// The recipe that was asked for, else the one of this kind.
    fn recipe_for(&self, upload: &Upload, kind: Kind) -> Result<Arc<Recipe>, EngineError> {
        let recipes = &self.parts.recipes;
        let found = recipes.find(upload.recipe.as_deref(), kind);
        found.ok_or_else(|| {
            let known: Vec<&str> = recipes.names().collect();
            let wanted = upload.recipe.as_deref().unwrap_or(kind.as_str());
            let message = format!(
                "there is no recipe `{wanted}` for {}s; there are: {}",
                kind.as_str(),
                known.join(", ")
            );
            EngineError::new(ErrorCode::RecipeUnknown, message)
        })
    }

    pub(crate) fn recognise(
        &self,
        bytes: &[u8],
        is_whole: bool,
    ) -> Result<Recognised, EngineError> {
        self.parts
            .recognise
            .recognise(bytes, is_whole)
            .map_err(|(code, message)| EngineError::new(code, message))
    }

    /// Type and size; of the whole picture where its beginning does not tell, one such file at a time.
    async fn measure(&self, written: &Written, head: &Bytes) -> Result<Recognised, EngineError> {
        let is_whole = written.bytes == head.len() as u64;
        let found = self.recognise(head, is_whole)?;
        if found.kind != Kind::Image {
            return self.look_inside(written, found).await;
        }
        let is_small = written.bytes <= MEASURED_BYTES_MAX;
        if found.dimensions.is_some() || is_whole || !is_small {
            return Ok(found);
        }
        let _turn = self.measuring.acquire().await;
        let whole = self.parts.blobs.get(&written.key).await?;
        self.recognise(&whole, true)
    }

    /// Containers of films may hold sound alone.
    async fn look_inside(
        &self,
        written: &Written,
        found: Recognised,
    ) -> Result<Recognised, EngineError> {
        let (blobs, key, bytes) = (self.parts.blobs.clone(), written.key.clone(), written.bytes);
        let recognise = Arc::clone(&self.parts.recognise);
        let _turn = self.measuring.acquire().await;
        let looked = tokio::task::spawn_blocking(move || match blobs.file(&key, bytes) {
            Ok(mut file) => recognise.look_inside(found, &mut *file),
            Err(error) => {
                tracing::warn!(%error, "an upload cannot be looked into");
                found
            }
        });
        looked
            .await
            .map_err(|_| EngineError::new(ErrorCode::Internal, "looking into the upload failed"))
    }

    pub(crate) async fn discard(&self, key: &BlobKey) {
        if let Err(error) = self.parts.blobs.delete(key).await {
            tracing::warn!(%key, %error, "surplus bytes stay until the collector finds them");
        }
    }
}

/// Everything that the request says: the same key with another digest is a mistake of the client.
fn digest(upload: &Upload, content: Sha256) -> Sha256 {
    let said = serde_json::json!([upload.filename, upload.recipe, upload.options, content]);
    Sha256::of(said.to_string().as_bytes())
}

/// The last part of a client's file name without control characters; only ever displayed.
pub(crate) fn display_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let clean: String = last.chars().filter(|c| !c.is_control()).take(255).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}
