//! Watched folders: what is finished is taken once, what is not is left, and what is refused is told.

use crate::given::{Server, Wish};
use mediaflow_engine::services::Services;
use mediaflow_engine::{After, WatchConfig};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that watches `in`, with its services at work. Its folder outlives it.
struct Watching {
    server: Server,
    services: Services,
    folder: TempDir,
}

fn config(folder: &Path) -> WatchConfig {
    WatchConfig {
        name: "camera".into(),
        path: folder.join("in"),
        tenant: None,
        recipe: None,
        visibility: Default::default(),
        tags: Vec::new(),
        priority: Default::default(),
        patterns: Vec::new(),
        after: After::Keep,
        move_to: None,
        settle_s: 0,
        marker: None,
        poll: false,
        scan_s: 1,
    }
}

impl Watching {
    fn with(change: impl FnOnce(&mut WatchConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        let mut watch = config(folder.path());
        change(&mut watch);
        watch.check().unwrap();
        let server = Server::with(Wish {
            watches: vec![watch],
            ..Wish::default()
        });
        let services = Services::start(&server.engine, &server.stopping);
        Self {
            server,
            services,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that is never seen half.
    fn write(&self, name: &str, content: &str) {
        let (path, hidden) = (self.path(name), self.path("hidden"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&hidden, content).unwrap();
        fs::rename(hidden, path).unwrap();
    }

    async fn names(&self) -> Vec<String> {
        let page = self.server.get("/v1/assets?limit=200").await.json();
        let items = page["items"].as_array().unwrap().iter();
        let mut names: Vec<_> = items
            .map(|a| a["original"]["filename"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Waits until the assets have these names, and a look longer, in which no more may come.
    async fn takes(&self, expected: &[&str]) {
        let began = Instant::now();
        while self.names().await != expected {
            assert!(began.elapsed() < PATIENCE, "{:?}", self.names().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(1300)).await;
        assert_eq!(self.names().await, expected);
    }

    /// Bytes of the assets so far. None was taken within a second after so many had been written, for what it is by the file system's
    /// clock; with a longer pause between two writes, as a busy machine makes one, more than one may be.
    async fn has_waited(&self, written: &[Instant]) -> Vec<usize> {
        let page = self.server.get("/v1/assets").await.json();
        let items = page["items"].as_array().unwrap().iter();
        let taken = items.map(|asset| asset["original"]["bytes"].as_u64().unwrap() as usize);
        let taken: Vec<usize> = taken.collect();
        for bytes in &taken {
            let waited = written[bytes - 1].elapsed();
            assert!(waited > Duration::from_millis(900), "{bytes}: {waited:?}");
        }
        taken
    }

    /// Waits until all was looked at, after which the system tells of what changes.
    async fn looked(&self) {
        let began = Instant::now();
        while !self.services.board().read().contains_key("watcher") {
            assert!(began.elapsed() < PATIENCE, "nobody looks");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn failed(&self) -> Vec<Value> {
        let list = self.server.get("/v1/watches").await.json();
        assert_eq!(list["watches"][0]["name"], "camera");
        list["watches"][0]["failed"].as_array().unwrap().clone()
    }

    fn left(&self, folder: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

async fn until(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn finished_files_are_taken_once_wherever_they_lie() {
    let mut watching = Watching::with(|watch| {
        watch.tags = vec!["camera".into()];
        watch.visibility = mediaflow_core::Visibility::Private;
    });
    watching.write("in/a.jpg", "first");
    watching.write("in/2026/11/b.jpg", "second");
    for left in [
        "in/.hidden.jpg",
        "in/c.jpg.part",
        "in/d.tmp",
        "in/.thumbs/e.jpg",
    ] {
        watching.write(left, "not for us");
    }
    watching.write("elsewhere/f.jpg", "not in the folder");
    symlink(watching.path("elsewhere"), watching.path("in/link")).unwrap();
    symlink(watching.path("elsewhere/f.jpg"), watching.path("in/g.jpg")).unwrap();
    watching.takes(&["a.jpg", "b.jpg"]).await;
    let page = watching.server.get("/v1/assets").await.json();
    let id = page["items"][0]["id"].as_str().unwrap();
    let asset = watching.server.asset(id).await;
    assert_eq!(asset["tags"], json!(["camera"]));
    assert_eq!(asset["visibility"], "private");
    // Other content under the same name is another file, and a new folder is looked into.
    watching.write("in/a.jpg", "third, longer");
    watching.write("in/new/h.jpg", "fourth");
    watching.takes(&["a.jpg", "a.jpg", "b.jpg", "h.jpg"]).await;
    // Whoever goes on later knows what was taken.
    watching.server.stopping.cancel();
    watching.services.join().await;
    let stopping = Default::default();
    watching.services = Services::start(&watching.server.engine, &stopping);
    watching.write("in/i.jpg", "fifth");
    watching
        .takes(&["a.jpg", "a.jpg", "b.jpg", "h.jpg", "i.jpg"])
        .await;
    stopping.cancel();
    assert!(watching.failed().await.is_empty());
}

#[tokio::test]
async fn a_file_that_grows_waits_until_it_is_still() {
    for poll in [false, true] {
        let watching = Watching::with(|watch| {
            watch.settle_s = 1;
            watch.poll = poll;
        });
        let mut written = Vec::new();
        for n in 0..8 {
            written.push(Instant::now());
            fs::write(watching.path("in/a.jpg"), "x".repeat(n + 1)).unwrap();
            tokio::time::sleep(Duration::from_millis(250)).await;
            watching.has_waited(&written).await;
        }
        let began = Instant::now();
        while !watching.has_waited(&written).await.contains(&8) {
            assert!(began.elapsed() < PATIENCE, "it is taken in the end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_name_that_is_not_utf_8_is_no_reason_to_take_a_file_again() {
    let watching = Watching::with(|_| {});
    let name = OsStr::from_bytes(b"in/caf\xe9.jpg");
    fs::write(watching.folder.path().join(name), "a picture").unwrap();
    watching.takes(&["caf\u{fffd}.jpg"]).await;
    // What is not there any more is forgotten after some days.
    watching.server.world.pass(Duration::from_secs(8 * 86_400));
    let forgotten = watching.server.store.forget_old_imports(10).await;
    assert_eq!(forgotten.unwrap(), 0);
    watching.takes(&["caf\u{fffd}.jpg"]).await;
}

#[tokio::test]
async fn what_is_renamed_into_place_is_taken_at_once() {
    let watching = Watching::with(|watch| {
        watch.settle_s = 3600;
        watch.scan_s = 3600;
    });
    fs::write(
        watching.path("in/b.jpg"),
        "nobody knows whether this is all",
    )
    .unwrap();
    fs::write(watching.path("in/a.jpg.part"), "all of it").unwrap();
    watching.looked().await;
    fs::rename(watching.path("in/a.jpg.part"), watching.path("in/a.jpg")).unwrap();
    watching.takes(&["a.jpg"]).await;
}

#[tokio::test]
async fn a_marker_says_that_a_file_is_finished() {
    let watching = Watching::with(|watch| {
        watch.marker = Some(".done".into());
        watch.patterns = vec!["*.JPG".into()];
        watch.after = After::Delete;
        watch.settle_s = 3600;
    });
    watching.write("in/a.jpg", "first");
    watching.write("in/b.jpg", "second");
    watching.write("in/c.txt", "third");
    watching.write("in/c.txt.done", "");
    watching.takes(&[]).await;
    watching.write("in/b.jpg.done", "");
    watching.takes(&["b.jpg"]).await;
    until(|| watching.left("in").len() == 3).await;
    assert_eq!(
        Vec::from_iter(watching.left("in")),
        ["a.jpg", "c.txt", "c.txt.done"]
    );
}

#[tokio::test]
async fn taken_files_are_moved_and_overwrite_nothing() {
    let watching = Watching::with(|watch| {
        watch.after = After::Move;
        // Inside the watched folder, and not looked into.
        watch.move_to = Some(watch.path.join("taken"));
    });
    watching.write("in/a.jpg", "first");
    watching.write("in/sub/b.jpg", "second");
    watching.takes(&["a.jpg", "b.jpg"]).await;
    until(|| {
        watching.path("in/taken/a.jpg").exists() && watching.path("in/taken/sub/b.jpg").exists()
    })
    .await;
    watching.write("in/a.jpg", "another one");
    watching.takes(&["a.jpg", "a.jpg", "b.jpg"]).await;
    until(|| watching.left("in/taken").len() == 3).await;
    assert_eq!(
        fs::read_to_string(watching.path("in/taken/a.jpg")).unwrap(),
        "first"
    );
    // A file that comes back is a new one.
    fs::rename(
        watching.path("in/taken/sub/b.jpg"),
        watching.path("in/sub/b.jpg"),
    )
    .unwrap();
    watching.takes(&["a.jpg", "a.jpg", "b.jpg", "b.jpg"]).await;
}

#[tokio::test]
async fn what_is_refused_is_told_and_left_until_it_changes() {
    let watching = Watching::with(|watch| watch.after = After::Delete);
    watching.write("in/a.jpg", "<svg/>");
    watching.write("in/b.jpg", "a picture");
    watching.write("in/c.jpg", "");
    watching.takes(&["b.jpg"]).await;
    let failed = watching.failed().await;
    let told: BTreeSet<_> = failed
        .iter()
        .map(|f| (f["path"].as_str().unwrap(), f["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        Vec::from_iter(told),
        [("a.jpg", "input.unsupported"), ("c.jpg", "input.empty")]
    );
    assert_eq!(Vec::from_iter(watching.left("in")), ["a.jpg", "c.jpg"]);
    watching.write("in/a.jpg", "a picture, after all");
    watching.takes(&["a.jpg", "b.jpg"]).await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told() {
    let watching = Watching::with(|watch| watch.path = watch.path.join("later"));
    let board = watching.services.board();
    until(|| {
        board
            .read()
            .get("watcher")
            .is_some_and(|status| status.error.is_some())
    })
    .await;
    watching.write("in/later/a.jpg", "first");
    let began = Instant::now();
    while watching.names().await != ["a.jpg"] {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
