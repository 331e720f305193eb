//! What the system tells of changes in watched folders (inotify). It only says where to look: what it misses, the next look at everything
//! finds.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the system is asked for what it has to tell: one call that does not block.
const PAUSE: Duration = Duration::from_millis(100);
/// Beyond so many changes at once everything is looked at.
const TOLD_MAX: usize = 10_000;

/// A listener on folders.
pub(super) struct Alarm {
    told: OwnedFd,
    folders: Mutex<HashMap<i32, PathBuf>>,
    is_full: AtomicBool,
}

/// What has changed.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Folders with files that were written or have come.
    pub(super) folders: HashSet<PathBuf>,
    /// Files that have come by a rename.
    pub(super) renamed: HashSet<PathBuf>,
    /// More than can be told.
    pub(super) is_everything: bool,
}

impl Alarm {
    /// # Errors
    /// When the system has no room for another one.
    pub(super) fn new() -> io::Result<Self> {
        let told = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self {
            told,
            folders: Mutex::default(),
            is_full: AtomicBool::new(false),
        })
    }

    /// From now on changes in this folder are told. Asking again is no error.
    pub(super) fn watch(&self, root: &Path, folder: &Path) {
        let wanted = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        match inotify::add_watch(&self.told, root.join(folder), wanted) {
            Ok(number) => drop(self.lock().insert(number, folder.to_owned())),
            Err(error) => {
                let is_news = !self.is_full.swap(true, Ordering::Relaxed);
                if is_news && error == Errno::NOSPC {
                    tracing::warn!(
                        folder = %root.display(),
                        "the system watches no more folders (fs.inotify.max_user_watches); new files are found by looking"
                    );
                }
            }
        }
    }

    /// Waits until something changes. What comes together is told together.
    pub(super) async fn news(&self) -> News {
        let mut news = News::default();
        loop {
            tokio::time::sleep(PAUSE).await;
            self.read(&mut news);
            if news.is_everything || !news.folders.is_empty() {
                return news;
            }
        }
    }

    fn read(&self, news: &mut News) {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = Reader::new(&self.told, &mut buffer);
        while let Ok(event) = reader.next() {
            let what = event.events();
            if what.contains(ReadFlags::QUEUE_OVERFLOW)
                || news.folders.len() + news.renamed.len() > TOLD_MAX
            {
                news.is_everything = true;
                continue;
            }
            if what.contains(ReadFlags::IGNORED) {
                self.lock().remove(&event.wd());
                continue;
            }
            let folders = self.lock();
            let Some(folder) = folders.get(&event.wd()) else {
                continue;
            };
            let name = event
                .file_name()
                .map(|name| OsStr::from_bytes(name.to_bytes()));
            let Some(path) = name.map(|name| folder.join(name)) else {
                continue;
            };
            match what.contains(ReadFlags::ISDIR) {
                // A new folder has files of its own.
                true => news.is_everything = true,
                false if what.contains(ReadFlags::CREATE) => {}
                false => {
                    news.folders.insert(folder.clone());
                    if what.contains(ReadFlags::MOVED_TO) {
                        news.renamed.insert(path);
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, PathBuf>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
