//! Adding to an upload: whatever arrives is kept as far as it came, unless it is to be checked as a whole.

use super::{overtaken, taken_over};
use crate::accept::HEAD_BYTES;
use crate::{Bounds, Engine, EngineError, Receipt};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use mediaflow_blob::{Grown, Growth};
use mediaflow_core::{AssetId, ErrorCode, TenantId, Timestamp, UploadId};
use mediaflow_store::{Advance, UploadRecord, UploadState, Way};
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// While bytes keep coming they are made durable whenever there are so many new ones.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// The same, or after this time.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(5);
/// How long whoever has all bytes may take to make an asset of them, until somebody else does it.
const FINISHING_MAX: Duration = Duration::from_secs(600);

/// Judges the bytes of one request when all have arrived.
pub trait Verify: Send {
    /// More bytes, in order.
    fn update(&mut self, bytes: &[u8]);

    /// Asked once, when the body has ended.
    ///
    /// # Errors
    /// When they are not what they should be; then none of them is kept.
    fn verify(&mut self) -> Result<(), EngineError>;
}

/// Where an upload ends, as the reason of `upload.offset`.
#[derive(Debug, thiserror::Error)]
#[error("the upload has {0} bytes")]
pub struct EndsAt(pub u64);

/// Bytes to add.
pub struct Append<S> {
    /// Where they begin.
    pub start: u64,
    /// How many there are, where that is announced.
    pub coming: Option<u64>,
    /// All bytes of the upload, where the client says so only now.
    pub length: Option<u64>,
    /// Whether the upload ends with them, however many they are.
    pub ends: bool,
    /// What the file is called where they come from; counts where nobody has said a name.
    pub filename: Option<String>,
    /// Who judges them.
    pub verify: Option<Box<dyn Verify>>,
    /// They themselves.
    pub body: S,
}

/// How far the upload is now.
#[derive(Debug, Clone)]
pub struct Appended {
    /// Bytes that are durable.
    pub bytes: u64,
    /// When it is given up or forgotten.
    pub expires_at: Timestamp,
    /// What it became just now.
    pub receipt: Option<Receipt>,
    /// What it became, also earlier.
    pub asset: Option<AssetId>,
    /// From the request that opened it.
    pub correlation_id: String,
}

/// What one request has added so far.
struct Progress {
    recorded: u64,
    grown: Option<Grown>,
    expires_at: Timestamp,
    length: Option<u64>,
    /// The most bytes that its key's day has room for, where its length was not held against that.
    room: Option<u64>,
}

impl Engine {
    /// Adds bytes to an upload; with the last of them it becomes an asset. Must be polled to its end: a caller that may go
    /// away runs it as a task.
    ///
    /// # Errors
    /// `upload.offset` (with [`EndsAt`]) when they do not begin where it ends, `upload.taken` when a newer request wants it, what `verify` says,
    /// and with the last bytes what [`Engine::accept`] refuses, after which the upload is gone.
    pub async fn append_upload<S, E>(
        &self,
        tenant: TenantId,
        id: UploadId,
        append: Append<S>,
    ) -> Result<Appended, EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let filename = append.filename.clone();
        self.check_room()?;
        let _place = self.receiving_place()?;
        let held = self.growing.hold(id).await;
        let taken = self.parts.store.take_upload(tenant, id).await?;
        let taken = taken.coming(Way::Tus)?;
        if taken.is_joined() {
            return Err(EngineError::new(
                ErrorCode::UploadFinal,
                "the upload consists of others, and takes no bytes of its own",
            ));
        }
        let bounds = super::said(&taken)?.bounds;
        let length = self.length_of(&taken, &append, &bounds)?;
        let room = match taken.length {
            Some(_) => None,
            None => self.room_of_day(tenant, &bounds, taken.bytes).await?,
        };
        self.check_room_of_day(room, length.unwrap_or_default())?;
        let mut progress = Progress {
            recorded: taken.bytes,
            grown: Grown::from_text(&taken.progress)?,
            expires_at: taken.expires_at,
            length,
            room,
        };
        // Who waits for a word before it sends does not send what is too much.
        let coming = append.coming.unwrap_or_default();
        let end = taken.bytes.saturating_add(coming);
        self.check_arrived(end, &progress, &bounds)?;
        let is_open = taken.asset.is_none() && !(taken.is_whole() && taken.length == length);
        if is_open {
            let grown = progress.grown.clone();
            let mut growth = self.parts.blobs.grow(id.0, taken.fence, grown).await?;
            let added = self
                .add(
                    &mut growth,
                    (&taken, &bounds),
                    append,
                    &mut progress,
                    &held.stop,
                )
                .await;
            growth.close(added.is_ok()).await;
            if let Err(error) = added {
                if error.is_refusal() {
                    let refused = UploadRecord {
                        progress: progress
                            .grown
                            .as_ref()
                            .map_or_else(String::new, Grown::to_text),
                        ..taken
                    };
                    self.give_up(&refused).await?;
                }
                return Err(error);
            }
        } else {
            self.expect_nothing(append.body, &held.stop).await?;
        }
        let now = UploadRecord {
            bytes: progress.recorded,
            length: progress.length,
            progress: progress
                .grown
                .as_ref()
                .map_or_else(String::new, Grown::to_text),
            ..taken
        };
        let mut appended = Appended {
            bytes: now.bytes,
            expires_at: progress.expires_at,
            receipt: None,
            asset: now.asset,
            correlation_id: now.correlation_id.clone(),
        };
        if now.asset.is_none() && now.is_whole() && !now.is_partial() {
            let receipt = self.finish(&now, filename).await?;
            appended.asset = Some(receipt.asset);
            appended.receipt = Some(receipt);
        }
        Ok(appended)
    }

    fn length_of<S>(
        &self,
        taken: &UploadRecord,
        append: &Append<S>,
        bounds: &Bounds,
    ) -> Result<Option<u64>, EngineError> {
        if append.start != taken.bytes {
            let text = format!(
                "the upload has {} bytes, and these begin at {}",
                taken.bytes, append.start
            );
            return Err(EngineError {
                reason: Some(Box::new(EndsAt(taken.bytes))),
                ..EngineError::new(ErrorCode::UploadOffset, text)
            });
        }
        let Some(length) = append.length else {
            return Ok(taken.length);
        };
        if taken.length.is_some_and(|known| known != length) || length < taken.bytes {
            return Err(EngineError::new(
                ErrorCode::UploadLength,
                "the upload's length was said before, or is less than has arrived",
            ));
        }
        self.check_length(Some(length), bounds)?;
        Ok(Some(length))
    }

    /// Writes and records the body, whether or not it ends well.
    async fn add<S, E>(
        &self,
        growth: &mut Growth,
        (taken, bounds): (&UploadRecord, &Bounds),
        append: Append<S>,
        progress: &mut Progress,
        stop: &CancellationToken,
    ) -> Result<(), EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let Append {
            ends,
            mut verify,
            body,
            ..
        } = append;
        let mut body = pin!(body);
        let mut arrived = taken.bytes;
        let mut head = (taken.bytes == 0).then(BytesMut::new);
        let mut noted = Instant::now();
        let ended = loop {
            let piece = match self.next_piece(&mut body, stop).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            arrived += piece.len() as u64;
            if let Err(error) = self.check_arrived(arrived, progress, bounds) {
                arrived -= piece.len() as u64;
                break Err(error);
            }
            if let Some(verify) = &mut verify {
                verify.update(&piece);
            }
            if let Some(first) = &mut head {
                let missing = HEAD_BYTES - first.len();
                first.extend_from_slice(&piece[..piece.len().min(missing)]);
                if first.len() == HEAD_BYTES {
                    // What is not taken is refused before all of it was sent.
                    if !taken.is_partial() {
                        self.recognise_within(first, false, bounds)?;
                    }
                    head = None;
                }
            }
            growth.write(piece).await?;
            let is_due = arrived - progress.recorded >= CHECKPOINT_BYTES
                || noted.elapsed() >= CHECKPOINT_PAUSE;
            if verify.is_none() && is_due {
                let grown = growth.checkpoint().await?;
                self.note(taken, grown, progress).await?;
                noted = Instant::now();
            }
        };
        let ended = match verify {
            Some(mut verify) => {
                // A part of what is to be checked as a whole is worth nothing.
                ended?;
                verify.verify()?;
                Ok(())
            }
            None => ended,
        };
        let ended = match ended {
            Ok(()) if ends => end_at(arrived, &mut progress.length),
            ended => ended,
        };
        let grown = match progress.length == Some(arrived) {
            true => growth.seal().await?,
            false => growth.pause().await?,
        };
        self.note(taken, grown, progress).await?;
        ended
    }

    /// All bytes are there.
    async fn expect_nothing<S, E>(
        &self,
        body: S,
        stop: &CancellationToken,
    ) -> Result<(), EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut body = pin!(body);
        while let Some(piece) = self.next_piece(&mut body, stop).await? {
            if !piece.is_empty() {
                return Err(EngineError::new(
                    ErrorCode::LimitBytes,
                    "the upload has all of its bytes already",
                ));
            }
        }
        Ok(())
    }

    async fn next_piece<S, E>(
        &self,
        body: &mut S,
        stop: &CancellationToken,
    ) -> Result<Option<Bytes>, EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        let idle = Duration::from_secs(self.parts.limits.idle_s_max);
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(taken_over()),
            next = tokio::time::timeout(idle, body.next()) => next,
        };
        match next {
            Err(_) => Err(EngineError::new(
                ErrorCode::RequestTimeout,
                "the body stopped arriving; what had arrived is kept",
            )),
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => Err(EngineError {
                code: ErrorCode::InputInterrupted,
                message: "the body ended early; what had arrived is kept".into(),
                reason: Some(Box::new(error)),
            }),
        }
    }

    fn check_arrived(
        &self,
        arrived: u64,
        progress: &Progress,
        bounds: &Bounds,
    ) -> Result<(), EngineError> {
        match progress.length {
            Some(length) if arrived > length => Err(EngineError::new(
                ErrorCode::LimitBytes,
                format!("there are more bytes than the {length} that were announced"),
            )),
            Some(_) => Ok(()),
            None => {
                self.check_room_of_day(progress.room, arrived)?;
                self.check_length(Some(arrived.max(1)), bounds)
            }
        }
    }

    /// Records what is durable now.
    async fn note(
        &self,
        taken: &UploadRecord,
        grown: Grown,
        progress: &mut Progress,
    ) -> Result<(), EngineError> {
        let is_unchanged = progress.grown.as_ref() == Some(&grown);
        if is_unchanged && progress.length == taken.length {
            return Ok(());
        }
        let is_whole = progress.length == Some(grown.bytes) && !taken.is_partial();
        let advance = Advance {
            bytes: grown.bytes,
            length: progress.length,
            progress: grown.to_text(),
            state: UploadState::Open,
            kept: match is_whole {
                true => FINISHING_MAX,
                false => self.uploads_kept(),
            },
        };
        let advanced = self
            .parts
            .store
            .advance_upload(taken.id, taken.fence, advance);
        progress.expires_at = advanced.await.map_err(overtaken)?;
        progress.recorded = grown.bytes;
        progress.grown = Some(grown);
        Ok(())
    }
}

/// The client says that these were the last bytes.
fn end_at(arrived: u64, length: &mut Option<u64>) -> Result<(), EngineError> {
    match *length.get_or_insert(arrived) {
        0 => Err(EngineError::new(
            ErrorCode::InputEmpty,
            "the upload has no bytes",
        )),
        length if length == arrived => Ok(()),
        length => Err(EngineError::new(
            ErrorCode::UploadLength,
            format!("the upload is said to end after {arrived} bytes, and to have {length}"),
        )),
    }
}
