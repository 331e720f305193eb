//! Taking files: what is known already is left, everything else becomes an asset or is reported.

use super::After;
use super::leave::{delete, relocate};
use super::round::Watch;
use super::walk::{Found, Shape};
use crate::imports::{FoundFile, Turn};
use crate::{Engine, EngineError, Upload};
use futures_util::{StreamExt as _, stream};
use mediaflow_core::failure::backoff;
use mediaflow_core::{AssetId, ErrorCode, TenantId};
use mediaflow_store::{ImportChange, ImportNext, ImportRecord};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use tokio_util::io::ReaderStream;

/// Files of one folder that are read at the same time.
const PARALLEL: usize = 4;
const PIECE_BYTES: usize = 256 << 10;
/// Tries of a file that cannot be read or taken, after which it is reported and left.
const TRIES_MAX: u32 = 8;

impl Engine {
    /// Takes those of the files that are new, and ends what was begun with others.
    pub(super) async fn take_batch(
        &self,
        watch: &Watch,
        batch: Vec<Found>,
    ) -> Result<(), EngineError> {
        let config = &watch.config;
        let marks: Vec<String> = batch
            .iter()
            .map(|f| f.mark(&config.source(), config.poll))
            .collect();
        let known = self.store().marked(&marks).await?;
        let mut known: HashMap<String, ImportRecord> = known.into_iter().collect();
        let now = self.environment().now();
        let open = batch.into_iter().zip(marks).filter_map(|(found, mark)| {
            let known = known.remove(&mark);
            let is_due = match &known {
                None => true,
                Some(import) => match import.due_at {
                    Some(due) => due <= now || import.asset.is_some(),
                    None => import.asset.is_some() && config.after != After::Keep,
                },
            };
            is_due.then_some((found, mark, known))
        });
        let open: Vec<_> = open.collect();
        if open.iter().any(|(_, _, known)| known.is_none()) {
            self.check_room()?;
            self.check_admission(config.tenant.unwrap_or(TenantId::DEFAULT))
                .await?;
        }
        let taking = open
            .into_iter()
            .map(|(found, mark, known)| self.take(watch, found, mark, known));
        let mut taking = stream::iter(taking).buffer_unordered(PARALLEL);
        let mut first = Ok(());
        while let Some(taken) = taking.next().await {
            if first.is_ok() {
                first = taken;
            }
        }
        first
    }

    /// One file, to its end. An error concerns all files, not this one.
    async fn take(
        &self,
        watch: &Watch,
        found: Found,
        mark: String,
        known: Option<ImportRecord>,
    ) -> Result<(), EngineError> {
        let import = match known {
            Some(import) => import,
            None => self.begin_taking(watch, &found, mark).await?,
        };
        let (asset, is_ended) = match import.asset {
            Some(asset) => (asset, import.due_at.is_none()),
            None => match self.accept_file(watch, &found, &import).await? {
                Some(asset) => (asset, false),
                None => return Ok(()),
            },
        };
        if !is_ended {
            let done = ImportChange {
                validator: Some(found.shape.to_string()),
                tries: import.tries,
                error: None,
                next: ImportNext::Done(asset),
                kept: None,
            };
            self.store().save_import(import.id, done).await?;
        }
        self.leave(watch, found, &import, asset).await
    }

    async fn begin_taking(
        &self,
        watch: &Watch,
        found: &Found,
        mark: String,
    ) -> Result<ImportRecord, EngineError> {
        let config = &watch.config;
        let name = found.path.file_name();
        self.found(FoundFile {
            tenant: config.tenant.unwrap_or(TenantId::DEFAULT),
            source: config.source(),
            reference: found.path.to_string_lossy().into_owned(),
            mark,
            details: String::new(),
            upload: config
                .said()
                .of(name.map(|name| name.to_string_lossy().into_owned())),
        })
        .await
    }

    /// The asset; nothing when there is none yet, or never will be.
    async fn accept_file(
        &self,
        watch: &Watch,
        found: &Found,
        import: &ImportRecord,
    ) -> Result<Option<AssetId>, EngineError> {
        let (upload, finished) = match self.turn(import).await? {
            (Turn::Done(asset), _) => return Ok(Some(asset)),
            // The next look begins anew.
            (Turn::Gone, _) => return Ok(None),
            (Turn::Ours(upload, finished), _) => (upload, finished),
        };
        let (root, path, shape) = (watch.config.path.clone(), found.path.clone(), found.shape);
        let is_same = move |file: &File| {
            file.metadata()
                .is_ok_and(|about| Shape::of(&about) == shape)
        };
        let accepted = async {
            let opening = apart(move || {
                let file = open(&root, &path)?;
                let again = file.try_clone()?;
                Ok(is_same(&file).then_some((file, again)))
            });
            let opened = opening.await.map_err(unreadable)?;
            let (file, again) = opened.ok_or_else(changed)?;
            let bytes = ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE_BYTES);
            let body = Box::pin(bytes);
            let upload = Upload {
                length: Some(shape.bytes),
                ..*upload
            };
            let complete = |upload| async move {
                match apart(move || Ok(is_same(&again))).await {
                    Ok(true) => Ok(upload),
                    _ => Err(changed()),
                }
            };
            self.accept_found(import.tenant, upload, finished, body, complete)
                .await
        };
        let error = match accepted.await {
            Ok(receipt) => return Ok(receipt.map(|receipt| receipt.asset)),
            Err(error) => error,
        };
        let path = watch.config.path.join(&found.path);
        let is_there = tokio::fs::try_exists(path).await.unwrap_or(false);
        if is_changed(&error) || !is_there {
            // Another file by now, or none; the next look decides about it.
            self.drop_upload(import).await?;
            self.store().forget_import(import.id).await?;
            return Ok(None);
        }
        self.not_taken(watch, found, import, error).await?;
        Ok(None)
    }

    /// Records that it was not, and why.
    async fn not_taken(
        &self,
        watch: &Watch,
        found: &Found,
        import: &ImportRecord,
        error: EngineError,
    ) -> Result<(), EngineError> {
        let code = error.code;
        let is_ours = code.status() >= 500 || code == ErrorCode::LimitRate;
        let may_pass = is_ours
            || matches!(
                code,
                ErrorCode::WatchUnreadable
                    | ErrorCode::RequestTimeout
                    | ErrorCode::InputInterrupted
            );
        let tries = import.tries + u32::from(!is_ours);
        let next = match may_pass && tries < TRIES_MAX {
            true => ImportNext::Again(backoff(tries.max(1), self.environment().jitter())),
            false => ImportNext::Failed,
        };
        let (watch, path, message) = (
            &watch.config.name,
            found.path.display(),
            error.message.clone(),
        );
        match next {
            ImportNext::Failed => {
                tracing::warn!(watch, %path, %code, message, "a file is not taken")
            }
            _ => tracing::debug!(watch, %path, %code, message, "a file is not taken yet"),
        }
        if next == ImportNext::Failed {
            self.drop_upload(import).await?;
        }
        let change = ImportChange {
            validator: Some(found.shape.to_string()),
            tries,
            error: Some((code, message)),
            next,
            kept: None,
        };
        Ok(self.store().save_import(import.id, change).await?)
    }

    /// Does what is to be done with a file that is an asset.
    async fn leave(
        &self,
        watch: &Watch,
        found: Found,
        import: &ImportRecord,
        asset: AssetId,
    ) -> Result<(), EngineError> {
        let after = watch.config.after;
        if after == After::Keep {
            return Ok(());
        }
        let (path, to) = (
            watch.config.path.join(&found.path),
            found.destination(&watch.config),
        );
        let (shape, marker) = (found.shape, watch.config.marker.clone());
        let leaving = apart(move || match to {
            Some(to) => relocate(&path, &to, shape, marker.as_deref(), asset.0),
            None => delete(&path, shape, marker.as_deref()),
        });
        match leaving.await {
            Ok(()) => Ok(self.store().forget_import(import.id).await?),
            Err(error) => {
                let text = format!(
                    "{} is an asset ({asset}) and cannot be taken away: {error}",
                    found.path.display()
                );
                watch.complain(EngineError::new(ErrorCode::WatchUnreadable, text));
                Ok(())
            }
        }
    }
}

/// On a thread that may wait: the file system of another machine may not answer for a long time.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Opens a file of the folder, and nothing that a link leads to.
fn open(root: &Path, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let folder = rustix::fs::open(root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let opened = match rustix::fs::openat2(&folder, path, flags, Mode::empty(), within) {
        // Old kernels and some sandboxes do not know it.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(&folder, path, flags, Mode::empty()),
        opened => opened,
    };
    let file = File::from(opened?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no file any more")),
    }
}

fn unreadable(error: io::Error) -> EngineError {
    EngineError::new(
        ErrorCode::WatchUnreadable,
        format!("the file cannot be read: {error}"),
    )
}

/// The marker of an error that says that the file is another one by now.
#[derive(Debug, thiserror::Error)]
#[error("the file was changed while it was read")]
struct Changed;

fn changed() -> EngineError {
    EngineError {
        code: ErrorCode::InputInterrupted,
        message: Changed.to_string(),
        reason: Some(Box::new(Changed)),
    }
}

fn is_changed(error: &EngineError) -> bool {
    let reason = error.reason.as_deref();
    reason.is_some_and(|reason| reason.is::<Changed>())
}
