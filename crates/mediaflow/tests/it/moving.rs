//! A living installation moves from SQLite and a folder to PostgreSQL and a bucket, and back.

use crate::films::film;
use crate::given;
use crate::pictures::photo;
use crate::server::{PATIENCE, Server, mediaflow, run, stderr, stdout};
use mediaflow_servers::{Postgres, S3};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// PostgreSQL and a bucket to move to.
struct Cluster {
    folder: TempDir,
    postgres: Postgres,
    s3: S3,
}

impl Cluster {
    fn start() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            postgres: Postgres::start(&[]),
            s3: S3::start(),
        }
    }

    /// Its configuration, with these keys to sign with.
    fn config(&self, keys: &str) -> PathBuf {
        let keys = keys.replace("[[signing_keys]]", "[[delivery.signing_keys]]");
        let config = format!(
            "data = \"data\"\nstore = \"{}\"\nblobs = \"{}/here\"\n\
             [object_store]\nendpoint = \"{}\"\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\n\
             [worker]\ncpu = 2\nlease_s = 3\n{keys}\n",
            self.postgres.database("mediaflow"),
            self.s3.bucket("media"),
            self.s3.endpoint(),
            S3::KEY_ID,
            S3::SECRET,
        );
        given::write(self.folder.path(), "mediaflow.toml", config.as_bytes());
        self.folder.path().join("mediaflow.toml")
    }

    /// How many objects there are.
    fn objects(&self) -> usize {
        files(&self.s3.files("media").join("here")).len()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let below = entries.flatten().flat_map(|entry| match entry.path() {
        path if path.is_dir() => files(&path),
        path => vec![path],
    });
    below.collect()
}

fn migrate(from: &Path, to: &Path) -> Output {
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let folder = std::env::temp_dir();
    let args = [
        "migrate",
        "--from",
        from,
        "--to",
        to,
        "--drain",
        "1",
        "--together",
        "2",
    ];
    run(&folder, &args)
}

#[track_caller]
fn check(done: &Output, code: i32, said: &str) {
    let all = format!("{}{}", stdout(done), stderr(done));
    assert_eq!(done.status.code(), Some(code), "{all}");
    assert!(all.contains(said), "{said:?} is not in {all}");
}

/// Starts to move and is killed when some files have arrived.
fn killed_in_the_middle(from: &Path, to: &Path, cluster: &Cluster) {
    let mut command = mediaflow();
    command.args(["migrate", "--together", "1", "--from"]);
    command.arg(from).arg("--to").arg(to);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while cluster.objects() < 6 {
        assert!(began.elapsed() < PATIENCE, "nothing arrives");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What a reader of this server sees of an asset: its facts without hosts, its history, and the bytes of its renditions.
async fn seen(server: &Server, id: &str) -> (Vec<Value>, Vec<Vec<u8>>) {
    let asset = server.get(&format!("/v1/assets/{id}")).await;
    let events = server
        .get(&format!("/v1/assets/{id}/events?limit=200"))
        .await;
    let mut bytes = Vec::new();
    for rendition in asset["renditions"].as_array().unwrap() {
        let path = rendition["url"].as_str().unwrap();
        bytes.push(fetch(server, path).await);
    }
    let events = events["items"].as_array().unwrap().clone();
    let said = [
        &asset["id"],
        &asset["original"],
        &asset["metadata"],
        &asset["created_at"],
    ];
    (said.into_iter().cloned().chain(events).collect(), bytes)
}

/// The bytes of an address that any server signed.
async fn fetch(server: &Server, url: &str) -> Vec<u8> {
    let path = url.split_once("/media/").map_or(url, |(_, path)| path);
    let answer = server
        .http()
        .get(server.url(&format!("/media/{path}")))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_installation_moves_to_a_cluster_and_back() {
    let here = given::config("data = \"data\"\n[worker]\ncpu = 2\nlease_s = 3\n");
    let source = here.path().join("mediaflow.toml");
    let cluster = Cluster::start();
    let server = Server::start(here.path());
    let mut photos = Vec::new();
    for (n, query) in ["", "?visibility=private", "?title=harbour"]
        .into_iter()
        .enumerate()
    {
        photos.push(server.upload(query, photo(320, 240, n as u32)).await);
    }
    let mut before = Vec::new();
    for id in &photos {
        server.asset_in(id, "ready").await;
        before.push(seen(&server, id).await);
    }
    let private = server.get(&format!("/v1/assets/{}", photos[1])).await;
    let signed = private["renditions"][0]["url"].as_str().unwrap().to_owned();
    assert!(signed.contains("/media/s/"), "{signed}");
    let bytes_of_signed = fetch(&server, &signed).await;

    let target = cluster.config("[[signing_keys]]\nid = \"other\"\nsecret = \"0000000000000000000000000000000000000000000000000000000000000000\"\n");
    check(
        &migrate(&source, &target),
        2,
        "into `[[delivery.signing_keys]]`",
    );
    let keys = std::fs::read_to_string(here.path().join("data/signing-keys.toml")).unwrap();
    let target = cluster.config(&keys);

    // The bytes of one original have rotted.
    let name = async |id: &str| server.get(&format!("/v1/assets/{id}")).await;
    let sha = name(&photos[2]).await["original"]["sha256"]
        .as_str()
        .unwrap()
        .to_owned();
    let (rotten, whole) = files(&here.path().join("data/blobs/originals"))
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .find(|(_, bytes)| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(bytes)) == sha)
        .unwrap();
    let mut rot = whole.clone();
    rot[100] ^= 1;
    std::fs::write(&rotten, &rot).unwrap();

    let films = tempfile::tempdir().unwrap();
    let film = film(films.path(), "a.mp4", "426x240", &[]);
    let film = server.upload("", film).await;
    server.asset_in(&film, "processing").await;
    killed_in_the_middle(&source, &target, &cluster);
    let known = cluster.objects();

    let done = migrate(&source, &target);
    check(&done, 1, &format!("of asset {}", photos[2]));
    check(&done, 1, "corrupt: originals/");
    check(&done, 1, "no changes were taken for");
    let copied = stdout(&done);
    let copied = copied
        .lines()
        .find_map(|line| line.strip_prefix("pass 1: "));
    let copied: usize = copied.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(
        copied + known <= cluster.objects() + 2,
        "{copied} again beside {known}"
    );

    // The old place shows what it has and takes nothing.
    let (status, problem) = server.post("/v1/assets", photo(64, 64, 9)).await;
    assert_eq!((status, &problem["code"]), (503, &"store.closed".into()));
    assert_eq!(seen(&server, &photos[0]).await, before[0]);
    assert!(server.stop().success());
    let done = run(
        here.path(),
        &["serve", "--listen", "127.0.0.1:0", "--data", "data"],
    );
    check(&done, 1, "was moved to postgres://");

    // What could not be copied is copied when it was repaired.
    std::fs::write(&rotten, &whole).unwrap();
    check(&migrate(&source, &target), 0, "moved");

    let server = Server::start(cluster.folder.path());
    for (id, before) in photos.iter().zip(&before) {
        assert_eq!(&seen(&server, id).await, before);
    }
    assert_eq!(fetch(&server, &signed).await, bytes_of_signed);
    let original = format!("/v1/assets/{}/original", photos[2]);
    let original = server
        .http()
        .get(server.url(&original))
        .send()
        .await
        .unwrap();
    assert_eq!(original.bytes().await.unwrap(), whole);
    let moving = server.asset_in(&film, "ready").await;
    assert!(moving["playback"]["hls"].is_string());
    let newer = server.upload("", photo(320, 240, 7)).await;
    server.asset_in(&newer, "ready").await;

    // Nobody else may move in.
    let other = tempfile::tempdir().unwrap();
    let made = [
        "keys", "create", "--name", "a", "--scopes", "read", "--data", ".",
    ];
    assert!(run(other.path(), &made).status.success());
    check(&migrate(other.path(), &target), 2, "is not empty");

    // And back, into a new folder.
    let back = tempfile::tempdir().unwrap();
    let folder = back.path().join("data");
    check(&migrate(&target, &folder), 0, "moved");
    drop(server);
    let server = Server::start(back.path());
    for (id, before) in photos.iter().zip(&before) {
        assert_eq!(&seen(&server, id).await, before);
    }
    server.asset_in(&film, "ready").await;
    server.asset_in(&newer, "ready").await;
    assert_eq!(fetch(&server, &signed).await, bytes_of_signed);

    let place = here.path().to_str().unwrap();
    let done = run(
        here.path(),
        &["migrate", "--take-back", &format!("{place}/data")],
    );
    check(&done, 0, "as it was when it moved");
    let listed = run(here.path(), &["migrations", "--data", "data"]);
    check(&listed, 0, "installation");
    assert!(!stdout(&listed).contains("pending"));
}
