//! One try of an import: asks for what is missing, adds it to the upload, and says what follows.

use super::fetch::{Answer, Trouble};
use crate::{Append, Engine, EngineError};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use mediaflow_core::failure::backoff;
use mediaflow_core::{AssetId, ErrorCode, Timestamp};
use mediaflow_store::{
    Advance, ImportChange, ImportNext, ImportRecord, StoreError, UploadRecord, UploadState, Way,
};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A server that sends fewer bytes in `limits.upload.idle_s_max` is too slow; a try that brought as many was worth something.
const SLOW_BYTES: u64 = 64 << 10;
/// The least pause when it is not the other server that is in trouble.
const OWN_PAUSE: Duration = Duration::from_secs(5);

/// Why bytes stopped coming.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("it broke off")]
    Broken(#[source] reqwest::Error),
    #[error("it sends less than {SLOW_BYTES} bytes in {0} seconds")]
    Slow(u64),
    #[error("this process ends")]
    Ending,
    #[error("its time is over")]
    Late,
}

impl Engine {
    /// Tries an import once and records how that went. Whoever else does the same at the same time takes it over.
    pub(crate) async fn try_import(
        &self,
        import: &ImportRecord,
        stop: &CancellationToken,
    ) -> Result<(), EngineError> {
        let before = import.bytes;
        let mut validator = import.validator.clone();
        let tried = self.bring(import, &mut validator, stop).await;
        if stop.is_cancelled() && !matches!(tried, Ok(Some(_))) {
            return Ok(());
        }
        let now = self.store().upload(import.tenant, import.id).await;
        let brought = now.map_or(0, |upload| upload.bytes.saturating_sub(before));
        let mut change = ImportChange {
            validator,
            tries: match brought >= SLOW_BYTES {
                true => 0,
                false => import.tries + 1,
            },
            error: None,
            next: ImportNext::Failed,
            kept: Some(self.uploads_kept()),
        };
        match tried {
            Ok(Some(asset)) => change.next = ImportNext::Done(asset),
            // Somebody else has it.
            Ok(None) => return Ok(()),
            Err(Trouble::Lasting(error)) => change.error = Some((error.code, error.message)),
            Err(Trouble::Passing(error, pause)) => {
                let own = error.code != ErrorCode::ImportFailed;
                if own {
                    change.tries = import.tries;
                }
                let is_over = self.import_ends(import) <= self.environment().now();
                if change.tries < self.parts.fetcher.config.tries_max && !is_over {
                    let pause = match own {
                        true => OWN_PAUSE,
                        false => backoff(change.tries, self.environment().jitter()).max(pause),
                    };
                    change.next = ImportNext::Again(pause);
                }
                change.error = Some((error.code, error.message));
            }
        }
        if change.next == ImportNext::Failed {
            if let Some((code, message)) = &change.error {
                tracing::info!(id = %import.id, %code, message, "an import is given up");
            }
            self.drop_upload(import).await?;
        }
        let next = change.next;
        self.store().save_import(import.id, change).await?;
        self.imported.ended(next);
        Ok(())
    }

    fn import_ends(&self, import: &ImportRecord) -> Timestamp {
        let hours = self.parts.fetcher.config.hours_max;
        import.created_at.after(Duration::from_secs(hours * 3600))
    }

    /// The bytes that are missing, and the asset that they make; nothing when somebody else has taken it over.
    async fn bring(
        &self,
        import: &ImportRecord,
        validator: &mut Option<String>,
        stop: &CancellationToken,
    ) -> Result<Option<AssetId>, Trouble> {
        let upload = match self.store().upload(import.tenant, import.id).await {
            Ok(upload) => upload,
            Err(StoreError::UploadNotFound) => {
                let text =
                    "nothing came for so long that the upload was given up, or somebody ended it";
                let error = EngineError::new(ErrorCode::ImportFailed, text);
                return Err(Trouble::Lasting(error));
            }
            Err(error) => return Err(judged(error.into())),
        };
        if let Some(asset) = upload.asset {
            return Ok(Some(asset));
        }
        if upload.is_whole() {
            return self.add_nothing(&upload).await;
        }
        let from = validator.as_deref().filter(|_| upload.bytes > 0);
        let from = from.map(|validator| (upload.bytes, validator));
        let asking = self.parts.fetcher.get(&import.reference, from);
        let answer = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            answer = asking => answer?,
        };
        let is_another = upload.length.is_some() && upload.length != answer.length;
        if answer.start == 0 && (upload.bytes > 0 || is_another) {
            self.begin_anew(&upload).await.map_err(judged)?;
        } else if is_another {
            *validator = None;
            let error = EngineError::new(ErrorCode::ImportFailed, "the file has changed");
            return Err(Trouble::Passing(error, Duration::ZERO));
        }
        if *validator != answer.validator {
            validator.clone_from(&answer.validator);
            let change = ImportChange {
                validator: validator.clone(),
                tries: import.tries,
                error: None,
                next: ImportNext::Again(Duration::ZERO),
                kept: None,
            };
            let saved = self.store().save_import(import.id, change).await;
            saved.map_err(|e| judged(e.into()))?;
        }
        self.add_answer(import, answer, stop).await
    }

    async fn add_answer(
        &self,
        import: &ImportRecord,
        answer: Answer,
        stop: &CancellationToken,
    ) -> Result<Option<AssetId>, Trouble> {
        let left = self.import_ends(import).since(self.environment().now());
        let slow_time = Duration::from_secs(self.parts.limits.idle_s_max);
        let length = answer.length;
        if length == Some(0) {
            let error = EngineError::new(ErrorCode::InputEmpty, "the file has no bytes");
            return Err(Trouble::Lasting(error));
        }
        let append = Append {
            start: answer.start,
            coming: None,
            length,
            // Where nothing told the length, the end of the answer is the end of the file.
            ends: length.is_none(),
            filename: answer.filename.clone(),
            verify: None,
            body: Box::pin(pieces(answer, left, slow_time, stop.clone())),
        };
        let added = self.append_upload(import.tenant, import.id, append).await;
        match added {
            Ok(appended) if appended.asset.is_some() => Ok(appended.asset),
            Ok(appended) => {
                let text = format!(
                    "it sent {} of {} bytes",
                    appended.bytes,
                    length.unwrap_or_default()
                );
                let error = EngineError::new(ErrorCode::ImportFailed, text);
                Err(Trouble::Passing(error, Duration::ZERO))
            }
            Err(error) if error.code == ErrorCode::UploadTaken => Ok(None),
            Err(error) => Err(judged(error)),
        }
    }

    /// Ends an upload that has all of its bytes.
    async fn add_nothing(&self, upload: &UploadRecord) -> Result<Option<AssetId>, Trouble> {
        let append = Append {
            start: upload.bytes,
            coming: None,
            length: None,
            ends: false,
            filename: None,
            verify: None,
            body: stream::empty::<Result<Bytes, Infallible>>(),
        };
        let ended = self.append_upload(upload.tenant, upload.id, append).await;
        match ended {
            Ok(appended) => Ok(appended.asset),
            Err(error) if error.code == ErrorCode::UploadTaken => Ok(None),
            Err(error) => Err(judged(error)),
        }
    }

    /// The file is another one now: what there was of the old one is nothing worth.
    async fn begin_anew(&self, upload: &UploadRecord) -> Result<(), EngineError> {
        let taken = self.store().take_upload(upload.tenant, upload.id).await?;
        let nothing = Advance {
            bytes: 0,
            length: None,
            progress: String::new(),
            kept: self.uploads_kept(),
            state: UploadState::Open,
        };
        let store = self.store();
        store.advance_upload(taken.id, taken.fence, nothing).await?;
        let grown = mediaflow_blob::Grown::from_text(&taken.progress)?;
        let blobs = self.blobs();
        let removed = blobs.abandon(taken.id.0, taken.fence, grown.as_ref(), None);
        if let Err(error) = removed.await {
            tracing::warn!(id = %taken.id, %error, "bytes of an import stay until the collector finds them");
        }
        Ok(())
    }

    /// Ends the upload of an import that is given up; it may be gone.
    pub(crate) async fn drop_upload(&self, import: &ImportRecord) -> Result<(), EngineError> {
        match self.end_upload(import.tenant, import.id, Way::Tus).await {
            Err(error) if is_gone(&error) => Ok(()),
            ended => ended,
        }
    }
}

pub(super) fn is_gone(error: &EngineError) -> bool {
    matches!(
        error.code,
        ErrorCode::UploadNotFound | ErrorCode::UploadTaken
    )
}

/// Whether what went wrong here, or with the bytes, may pass.
fn judged(error: EngineError) -> Trouble {
    match error.code {
        ErrorCode::InputInterrupted | ErrorCode::RequestTimeout => {
            let reason = error.reason.as_deref().map(ToString::to_string);
            let message = reason.unwrap_or_else(|| "it fell silent".to_owned());
            let error = EngineError {
                code: ErrorCode::ImportFailed,
                message,
                ..error
            };
            Trouble::Passing(error, Duration::ZERO)
        }
        code if code.status() >= 500
            || matches!(code, ErrorCode::LimitRate | ErrorCode::FenceStale) =>
        {
            Trouble::Passing(error, OWN_PAUSE)
        }
        _ => Trouble::Lasting(error),
    }
}

/// The bytes of an answer, until something is wrong with them.
fn pieces(
    answer: Answer,
    left: Duration,
    slow_time: Duration,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Stopped>> + Send {
    let began = Instant::now();
    let state = (answer.response.bytes_stream().boxed(), began, 0u64);
    stream::try_unfold(state, move |(mut bytes, since, mut count)| {
        let stop = stop.clone();
        async move {
            let late = left.saturating_sub(began.elapsed());
            let slow = slow_time.saturating_sub(since.elapsed());
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Stopped::Ending),
                next = bytes.next() => next,
                () = tokio::time::sleep(late) => return Err(Stopped::Late),
                () = tokio::time::sleep(slow) => {
                    if count < SLOW_BYTES {
                        return Err(Stopped::Slow(slow_time.as_secs()));
                    }
                    let nothing = (Bytes::new(), (bytes, Instant::now(), 0));
                    return Ok(Some(nothing));
                }
            };
            let Some(piece) = next
                .transpose()
                .map_err(|e| Stopped::Broken(e.without_url()))?
            else {
                return Ok(None);
            };
            count += piece.len() as u64;
            Ok(Some((piece, (bytes, since, count))))
        }
    })
}

/// The last part of an address's path, which is mostly a file's name.
pub(super) fn filename(url: &reqwest::Url) -> Option<String> {
    let last = url.path_segments()?.next_back()?;
    // Read as a form's value; only there a plus is a space.
    let text = format!("x={}", last.replace('+', "%2B"));
    let url = reqwest::Url::parse(&format!("http://x/?{text}")).ok()?;
    let (_, name) = url.query_pairs().next()?;
    (!name.is_empty()).then(|| name.into_owned())
}
