//! Looking at one watched folder for as long as it is this process's turn: all of it now and then, and what changed at once.

use super::alarm::{Alarm, News};
use super::names::Names;
use super::walk::{Found, Shape, Walk};
use super::{After, WatchConfig};
use crate::{Engine, EngineError};
use mediaflow_core::{ErrorCode, UploadId};
use mediaflow_store::{ImportFilter, ImportRecord};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Clocks of file systems are coarse.
const COARSE: Duration = Duration::from_millis(100);
/// The pause after a look that found the store, the disk or the folder in trouble.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);
/// Looking at everything never takes more than a tenth of the time.
const SHARE: u32 = 10;
/// How often what is remembered is compared with what is there.
const COMPARE_PAUSE: Duration = Duration::from_secs(3600);
/// How long files are remembered that are not there: a file system may only not be mounted.
const MISSING_KEPT: Duration = Duration::from_secs(7 * 86_400);
const COMPARED: u32 = 500;

/// A watched folder.
pub(crate) struct Watch {
    pub(crate) config: WatchConfig,
    pub(super) names: Names,
    alarm: Option<Alarm>,
    complaint: Mutex<Option<EngineError>>,
}

/// What is to be looked at, and when.
struct Plan {
    /// All of it.
    everything_at: Instant,
    /// Folders with files that may be finished then.
    folders_at: Option<Instant>,
    folders: HashSet<PathBuf>,
}

impl Plan {
    fn next(&self) -> Instant {
        let soon = self.folders_at.unwrap_or(self.everything_at);
        soon.min(self.everything_at)
    }
}

impl Watch {
    pub(crate) fn new(config: &WatchConfig) -> Self {
        let alarm = (!config.poll).then(Alarm::new);
        let alarm = alarm.transpose().unwrap_or_else(|error| {
            tracing::warn!(watch = config.name, %error, "the system tells of no changes; new files are found by looking");
            None
        });
        Self {
            config: config.clone(),
            names: Names::new(config),
            alarm,
            complaint: Mutex::default(),
        }
    }

    /// Something is wrong with a file, which is no reason to leave the others. The first one is told when all were looked at.
    pub(super) fn complain(&self, error: EngineError) {
        let mut complaint = self
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        complaint.get_or_insert(error);
    }

    /// Takes files until told to stop. `said` is told how each look ended.
    pub(crate) async fn run(
        self,
        engine: Arc<Engine>,
        stop: CancellationToken,
        said: impl Fn(Option<String>),
    ) {
        let watch = Arc::new(self);
        let now = Instant::now();
        let mut plan = Plan {
            everything_at: now,
            folders_at: None,
            folders: HashSet::new(),
        };
        let mut compared: Option<Instant> = None;
        loop {
            let news = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(plan.next().into()) => News::default(),
                news = watch.news() => news,
            };
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = watch.look(&engine, &mut plan, news) => looked,
            };
            said(
                looked
                    .as_ref()
                    .err()
                    .map(|error| format!("{}: {error}", watch.config.name)),
            );
            if let Err(error) = looked {
                tracing::warn!(watch = watch.config.name, %error, reason = ?error.reason, "a watched folder could not be looked at");
                plan.everything_at = Instant::now() + TROUBLE_PAUSE;
                plan.folders_at = None;
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(TROUBLE_PAUSE) => {}
                }
            }
            if compared.is_none_or(|at| at.elapsed() > COMPARE_PAUSE) {
                compared = Some(Instant::now());
                if let Err(error) = engine.compare(&watch).await {
                    tracing::warn!(watch = watch.config.name, %error, "what is remembered of a watched folder could not be compared");
                }
            }
        }
    }

    async fn news(&self) -> News {
        match &self.alarm {
            Some(alarm) => alarm.news().await,
            None => std::future::pending().await,
        }
    }

    /// Takes what is finished of what is to be looked at now, and plans the next look.
    async fn look(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        plan: &mut Plan,
        news: News,
    ) -> Result<(), EngineError> {
        let began = Instant::now();
        let is_everything = news.is_everything || plan.everything_at <= began;
        let is_due = plan.folders_at.is_some_and(|at| at <= began);
        let mut folders = news.folders;
        if is_everything || is_due {
            folders.extend(plan.folders.drain());
            plan.folders_at = None;
        }
        let folders: Vec<PathBuf> = match is_everything {
            true => vec![PathBuf::new()],
            false => folders.into_iter().collect(),
        };
        let (found, mut batches) = mpsc::channel(2);
        let watch = Arc::clone(self);
        let walking = tokio::task::spawn_blocking(move || {
            let walk = Walk {
                root: &watch.config.path,
                but: watch.config.move_to.as_deref(),
                names: &watch.names,
                settle: Duration::from_secs(watch.config.settle_s),
                renamed: &news.renamed,
                alarm: watch.alarm.as_ref(),
            };
            walk.run(folders, is_everything, &found)
        });
        while let Some(batch) = batches.recv().await {
            engine.take_batch(self, batch).await?;
        }
        let walked = walking.await;
        let walked = walked.map_err(|_| EngineError::new(ErrorCode::Internal, "looking failed"))?;
        if let Some(again) = walked.again {
            let at = Instant::now() + again + COARSE;
            plan.folders_at = Some(plan.folders_at.map_or(at, |known| known.min(at)));
            plan.folders.extend(walked.unfinished);
        }
        if is_everything {
            let pause = Duration::from_secs(self.config.scan_s).max(began.elapsed() * SHARE);
            plan.everything_at = Instant::now() + pause;
        }
        if let Some((folder, error)) = walked.unreadable {
            let folder = self.config.path.join(folder);
            let text = format!("the folder {} cannot be read: {error}", folder.display());
            return Err(EngineError::new(ErrorCode::WatchUnreadable, text));
        }
        let complaint = self
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        complaint.map_or(Ok(()), Err)
    }
}

impl Engine {
    /// Forgets files that are gone, in some days; what is moved or deleted anyhow is forgotten when that is done.
    async fn compare(&self, watch: &Watch) -> Result<(), EngineError> {
        let mut filter = ImportFilter {
            source: watch.config.source(),
            is_failed: false,
            after: None,
            limit: COMPARED,
        };
        loop {
            let page = self.store().imports(&filter).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            filter.after = Some(last.id);
            let root = watch.config.path.clone();
            let looking = tokio::task::spawn_blocking(move || split(&root, page));
            let split = looking.await;
            let (there, gone) =
                split.map_err(|_| EngineError::new(ErrorCode::Internal, "comparing failed"))?;
            self.store().expire_imports(&there, None).await?;
            self.store()
                .expire_imports(&gone, Some(MISSING_KEPT))
                .await?;
        }
    }
}

/// Those whose files are there, and those whose are not.
fn split(root: &Path, page: Vec<ImportRecord>) -> (Vec<UploadId>, Vec<UploadId>) {
    let ended = page.into_iter().filter(|import| import.due_at.is_none());
    let (there, gone): (Vec<_>, Vec<_>) = ended.partition(|import| {
        // A name that is not UTF-8 is not all in what is remembered for people: such a file cannot be looked for.
        if import.reference.contains(char::REPLACEMENT_CHARACTER) {
            return true;
        }
        let about = std::fs::symlink_metadata(root.join(&import.reference));
        // Another file under this name is another import.
        about.is_ok_and(|about| is_same(import, Shape::of(&about)))
    });
    let ids = |imports: Vec<ImportRecord>| imports.into_iter().map(|i| i.id).collect();
    (ids(there), ids(gone))
}

fn is_same(import: &ImportRecord, shape: Shape) -> bool {
    import.validator.as_deref() == Some(shape.to_string().as_str())
}

impl Found {
    /// Where the file goes, with `after = "move"`.
    pub(super) fn destination(&self, config: &WatchConfig) -> Option<PathBuf> {
        let to = config
            .move_to
            .as_ref()
            .filter(|_| config.after == After::Move);
        to.map(|to| to.join(&self.path))
    }
}
